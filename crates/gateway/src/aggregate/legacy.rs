//! What only the legacy era has: sessions, their stream, messages without an answer, and batches.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use http::{HeaderValue, StatusCode};
use mcp::{Era, Message, Method, Notice, Params, Request, Response, Revision, Verdict, Writer};
use serde_json::value::RawValue;

use super::asker::{self, Asker, Outgoing, Who};
use super::changes::Changes;
use super::drain::Wanted;
use super::events::{self, Events};
use super::merged::{Following, Merged, Opened, Opener, Source, State};
use super::names::{self, Place};
use super::session::{Inner, Joint};
use super::{Mount, calls, hello};
use crate::agent::Agent;
use crate::batch;
use crate::head::{self, one};
use crate::modern::Claim;
use crate::nodes::Stays;
use crate::refusal::{Addressee, Refusal, Refused};
use crate::reply::{self, Out, Reply, SESSION_ID};
use crate::server::Server;
use crate::upstream::LAST_EVENT_ID;

impl Mount {
    pub(super) async fn legacy(&self, request: &Request<'_>, to: &mut Addressee) -> Result<Reply, Refused> {
        let method = match &request.method {
            Ok(method) => *method,
            Err(name) => return Err(to.refuse(Refusal::Unknown(name.as_ref().into()))),
        };
        if method == Method::Initialize {
            return self.initialize(request, to).await;
        }
        let joint = match self.session() {
            Ok(joint) => joint,
            Err(why) => {
                let is_gone = matches!(why, Refusal::SessionGone);
                let refused = to.refuse(why);
                if is_gone {
                    self.missed().await;
                }
                return Err(refused);
            }
        };
        if !method.is_in(joint.revision) {
            return Err(to.refuse(Refusal::Unknown(method.as_str().into())));
        }
        let params = Params::of(method, joint.revision, &request.params).map_err(|kind| to.params(kind))?;
        self.seated(joint).request(method, request, &params, to.clone()).await
    }

    /// Opens a session with every server at once. Those that do not come in time are tried again when they are needed.
    async fn initialize(&self, request: &Request<'_>, to: &Addressee) -> Result<Reply, Refused> {
        if one(&self.headers, &SESSION_ID).map_err(|why| to.refuse(why))?.is_some() {
            return Err(to.refuse(Refusal::SessionChosen));
        }
        let params =
            Params::of(Method::Initialize, Revision::LATEST_LEGACY, &request.params).map_err(|kind| to.params(kind))?;
        let wanted = request.params.text("protocolVersion").as_deref().and_then(Revision::named);
        let revision = wanted.filter(|revision| revision.era() == Era::Legacy).unwrap_or(Revision::LATEST_LEGACY);
        let shared = &self.pipeline.shared;
        let agent = shared.sessions.agent(&self.peer.agent);
        let joint = Joint::new(agent, revision, hello::hello(&params, revision));
        let joint = Arc::new(joint.map_err(|why| to.refuse(why))?);
        shared.aggregate.sessions.insert(Arc::clone(&joint)).map_err(|why| to.refuse(why))?;
        let id = HeaderValue::from_str(&joint.id).map_err(|_| to.refuse(Refusal::NoRandomness))?;
        if let Some(nodes) = &shared.nodes {
            Box::pin(nodes.stays(&joint.id, Stays::Joint)).await;
        }
        let asker = self.seated(joint);
        let greetings = join_all(asker.servers().map(|server| {
            let asker = &asker;
            async move { (Arc::clone(&server.id), met(asker, server).await) }
        }))
        .await;
        let result = hello::initialized(&asker, revision, &greetings);
        let mut reply = asker::result(to, &result);
        reply.headers_mut().insert(SESSION_ID, id);
        Ok(reply)
    }

    fn session(&self) -> Result<Arc<Joint>, Refusal> {
        let id = one(&self.headers, &SESSION_ID)?.ok_or(Refusal::NoSession)?;
        let id = id.to_str().map_err(|_| Refusal::SessionGone)?;
        let claim = Claim::of(&self.headers, &mcp::Object::default())?;
        if let Some(version) = claim.header().filter(|_| claim.is_modern()) {
            return Err(Refusal::Version { requested: version.into() });
        }
        self.pipeline.shared.aggregate.sessions.find(id, &self.peer.agent).ok_or(Refusal::SessionGone)
    }

    /// The session is not known here. If it is another node's, the log says so.
    async fn missed(&self) {
        let id = one(&self.headers, &SESSION_ID).ok().flatten().and_then(|id| id.to_str().ok());
        if let Some((nodes, id)) = self.pipeline.shared.nodes.as_ref().zip(id) {
            // Boxed, so that what most calls wait in does not grow with what few wait for.
            Box::pin(nodes.missed(id)).await;
        }
    }

    /// Whose session it is, as it is known now.
    fn agent(&self, joint: &Joint) -> Agent {
        self.peer.agent.in_session_of(&joint.agent)
    }

    fn seated(&self, joint: Arc<Joint>) -> Asker {
        self.asker(Who::Legacy { agent: self.agent(&joint), joint })
    }

    fn session_or_no_stream(&self) -> Result<Arc<Joint>, Refusal> {
        match self.session() {
            Err(Refusal::NoSession) if Claim::of(&self.headers, &mcp::Object::default())?.is_modern() => {
                Err(Refusal::NoStream)
            }
            session => session,
        }
    }

    /// The client's answer to a request of a server's: its id says whose.
    pub(super) async fn answered(&self, response: &Response<'_>) -> Result<Reply, Refused> {
        let joint = self.session()?;
        let id: Option<String> = serde_json::from_str(response.id.as_json()).ok();
        let (server, id) = id.as_deref().and_then(names::unwrap_id).ok_or(Refusal::UnaskedAnswer)?;
        let id: u64 = id.parse().map_err(|_| Refusal::UnaskedAnswer)?;
        let (server, inner) = self.with(&joint, server).ok_or(Refusal::UnaskedAnswer)?;
        let body = match response.verdict {
            Verdict::Error(_) => Writer::answer(&id.to_string(), response.verdict),
            Verdict::Result(result) => {
                let object = mcp::Object::read(result.get());
                let meta = object.as_ref().and_then(|object| calls::related(object, &server.id));
                match (object, meta) {
                    (Some(object), Some(meta)) => {
                        Writer::result(&id.to_string(), &object.amended(&[], &[("_meta", &meta)]))
                    }
                    _ => Writer::answer(&id.to_string(), response.verdict),
                }
            }
        };
        // Who asked is gone with its session; the client's own goes on.
        let answered = self.inside(&joint, (&server, &inner), &body).await?;
        answered.ok_or_else(|| Refusal::UnaskedAnswer.into())
    }

    /// None if the session with that server is gone: then it is forgotten, and the next request opens another.
    async fn inside(
        &self,
        joint: &Joint,
        (server, inner): (&Arc<Server>, &Inner),
        body: &[u8],
    ) -> Result<Option<Reply>, Refused> {
        match self.pipeline.read(&joint.entry(&self.agent(joint), server, inner), body).await {
            Err(refused) if matches!(refused.why, Refusal::SessionGone) => {
                joint.forget(server, inner);
                Ok(None)
            }
            answered => answered.map(Some),
        }
    }

    pub(super) async fn notify(&self, notice: Notice, params: &Params<'_>) -> Result<Reply, Refused> {
        let joint = self.session()?;
        if !notice.is_in(joint.revision) {
            return Err(Refusal::Unknown(notice.as_str().into()).into());
        }
        match notice {
            // Each server was told when its session was opened. And of a client's own tasks none of them can ask.
            Notice::Initialized | Notice::TaskStatus => {}
            Notice::Progress => {
                let token = params.get("progressToken").and_then(|token| serde_json::from_str::<String>(token).ok());
                let target = token.as_deref().and_then(names::unwrap_id);
                let target = target.and_then(|(server, token)| Some((self.with(&joint, server)?, token)));
                if let Some(((server, inner), token)) = target.filter(|(_, token)| is_token(token)) {
                    let mut params = given(params);
                    params = mcp::replace(&params, &["progressToken"], token).unwrap_or(params);
                    let told = self.inside(&joint, (&server, &inner), &notification(notice, &params)).await?;
                    return Ok(told.unwrap_or_else(|| reply::empty(StatusCode::ACCEPTED)));
                }
            }
            // INVARIANT: in each session only what was opened there can be cancelled; in all others, this is about nothing
            Notice::Cancelled | Notice::RootsChanged => {
                let body = notification(notice, &given(params));
                let open = joint.open();
                join_all(open.iter().map(|(server, inner)| self.tell(&joint, server, inner, &body))).await;
            }
        }
        Ok(reply::empty(StatusCode::ACCEPTED))
    }

    async fn tell(&self, joint: &Joint, server: &Arc<Server>, inner: &Inner, body: &[u8]) {
        let agent = self.agent(joint);
        if !agent.may_use(&server.id) {
            return;
        }
        if let Err(refused) = self.inside(joint, (server, inner), body).await {
            self.pipeline.turned_away(&server.id, &agent, &refused);
        }
    }

    fn with(&self, joint: &Joint, server: &str) -> Option<(Arc<Server>, Inner)> {
        let member = self.registry.member(server).filter(|server| self.agent(joint).may_use(&server.id))?;
        Some((Arc::clone(member), joint.existing(member)?))
    }

    /// GET: the streams of all sessions inside as one; or one of them, resumed.
    pub(crate) fn stream(&self) -> Result<Reply, Refused> {
        if !head::accepts(&self.headers, "text/event-stream") {
            return Err(Refusal::NotAcceptable.into());
        }
        let joint = self.session_or_no_stream()?;
        let last = one(&self.headers, &LAST_EVENT_ID)?.and_then(|last| Place::read(last.to_str().ok()?));
        let asker = self.seated(Arc::clone(&joint));
        let all = || asker.servers().cloned().collect();
        let (servers, mut places, whole): (Vec<_>, _, _) = match last {
            None => (all(), BTreeMap::new(), true),
            Some(Place::All(places)) => (all(), places, true),
            Some(Place::One(server, id)) => {
                let server = asker.server(&server).cloned().ok_or(Refusal::NoStream)?;
                (vec![server.clone()], BTreeMap::from([(server.id.to_string(), id)]), false)
            }
        };
        places.retain(|id, _| servers.iter().any(|server| *server.id == **id));
        let sources = servers.iter().map(|server| {
            let opener = opener(&asker, server, places.get(&*server.id).cloned());
            let state = State::Opening(opener());
            let voice = asker.voice(server, None);
            match whole {
                true => Source::lasting(voice, state, opener),
                false => Source { state, opener: None, ..Source::lasting(voice, Source::resting(), opener) },
            }
        });
        let bounds = &self.pipeline.shared.bounds;
        let changes = Changes::new(&asker, Wanted::ours(&asker), Arc::clone(&joint.seen), &servers, &calls::ALL_LISTS);
        let merged = Merged::new(sources.collect(), changes, bounds.keepalive).of(Some(joint));
        let mut draining = self.pipeline.shared.draining.clone();
        let closing = Box::pin(async move {
            _ = draining.wait_for(|draining| *draining).await;
        });
        let merged = match whole {
            false => merged,
            true => {
                let whose = asker.clone();
                let following = Following::new(&asker, &servers, move |server| {
                    let opener = opener(&whose, server, None);
                    Source::lasting(whose.voice(server, None), State::Opening(opener()), opener)
                });
                merged.endless(closing).placed(places).following(following)
            }
        };
        Ok(reply::events(Out::Merged(Box::new(merged))))
    }

    /// DELETE: ends our session and those inside.
    pub(crate) async fn end(&self) -> Result<Reply, Refused> {
        let joint = self.session_or_no_stream()?;
        self.pipeline.shared.aggregate.sessions.remove(&joint.id);
        let bound = self.pipeline.shared.aggregate.settings.timeout;
        let (open, agent) = (joint.open(), self.agent(&joint));
        let open = open.iter().map(|(server, inner)| joint.entry(&agent, server, inner));
        join_all(open.map(|entry| async move {
            // A server that does not take it in time loses the session by itself.
            _ = tokio::time::timeout(bound, self.pipeline.end(&entry)).await;
        }))
        .await;
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    pub(super) async fn batch(&self, elements: &[&RawValue]) -> Result<Reply, Refused> {
        let session = self.session().map_err(|_| Refusal::Batch)?;
        match session.revision.has_batches() {
            true => batch::answer(self, elements).await,
            false => Err(Refusal::Batch.into()),
        }
    }
}

impl batch::Mount for Mount {
    async fn message(&self, message: Message<'_>) -> Result<Reply, Refused> {
        Self::message(self, message).await
    }

    fn refused(&self, refused: &Refused) {
        self.pipeline.turned_away(super::NAME, &self.peer.agent, refused);
    }
}

/// What a server says when a session with it is opened.
async fn met(asker: &Asker, server: &Arc<Server>) -> Option<Arc<str>> {
    let why = match asker.patiently(server, asker.joint()?.with(&asker.pipeline, asker.agent(), server)).await {
        Ok(Ok(inner)) => return Some(inner.greeting),
        Ok(Err(why)) => crate::policies::chain(&why),
        Err(silent) => silent.to_string(),
    };
    tracing::warn!(server = %server.id, error = crate::record::visible(&why), "left out of an introduction");
    None
}

/// Every server that logs is told, also those that are met later.
pub(super) async fn set_level(asker: &Asker, request: &Request<'_>, to: &Addressee) -> Result<Reply, Refused> {
    let Some(joint) = asker.joint() else { return Err(to.refuse(Refusal::NoSession)) };
    let params = request.params.amended(&["_meta"], &[]);
    joint.set_level(params.clone());
    let logging = asker.servers();
    let logging = logging.filter(|server| joint.existing(server).is_some_and(|inner| inner.can("logging")));
    join_all(logging.map(|server| {
        let out = Outgoing::new(to, Method::SetLevel, None, params.clone());
        async move {
            let answer =
                async { events::answer(asker.send(server, &out).await, asker.pipeline.shared.bounds.event).await };
            if asker.patiently(server, answer).await.is_err() {
                tracing::warn!(server = %server.id, "it was not told the level to log at");
            }
        }
    }))
    .await;
    Ok(asker::result(to, "{}"))
}

/// Opens the stream of a server's session; the first time, from where it broke off.
fn opener(asker: &Asker, server: &Arc<Server>, last: Option<String>) -> Opener {
    let (asker, server) = (asker.clone(), Arc::clone(server));
    let last = Arc::new(std::sync::Mutex::new(last));
    Arc::new(move || {
        let (asker, server, last) = (asker.clone(), Arc::clone(&server), Arc::clone(&last));
        Box::pin(async move {
            let last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            opened(&asker, &server, last).await
        })
    })
}

async fn opened(asker: &Asker, server: &Arc<Server>, last: Option<String>) -> Opened {
    let Some(joint) = asker.joint().filter(|_| !server.is_retired()) else { return Opened::Never };
    let Ok(inner) = joint.with(&asker.pipeline, asker.agent(), server).await else { return Opened::Failed };
    let mut entry = joint.entry(asker.agent(), server, &inner);
    if let Some(last) = last.and_then(|last| HeaderValue::from_str(&last).ok()) {
        Arc::make_mut(&mut entry.headers).insert(LAST_EVENT_ID, last);
    }
    match asker.pipeline.stream(&entry).await {
        Ok(reply) if events::is_stream(&reply) => {
            Opened::Stream(Events::new(reply.into_body(), asker.pipeline.shared.bounds.event))
        }
        Ok(reply) if reply.status() == StatusCode::METHOD_NOT_ALLOWED => Opened::Never,
        Ok(_) => Opened::Failed,
        Err(refused) => {
            if matches!(refused.why, Refusal::SessionGone) {
                joint.forget(server, &inner);
            }
            Opened::Failed
        }
    }
}

fn is_token(json: &str) -> bool {
    serde_json::from_str::<&RawValue>(json).is_ok_and(|raw| mcp::Id::read(raw).is_some())
}

/// A notification's params, written anew.
fn given(params: &Params<'_>) -> String {
    let members = ["requestId", "reason", "progressToken", "progress", "total", "message"];
    let members: Vec<(&str, &str)> = members.iter().filter_map(|key| Some((*key, params.get(key)?))).collect();
    mcp::Object::default().amended(&[], &members)
}

fn notification(notice: Notice, params: &str) -> Vec<u8> {
    Writer::server_message(None, notice.as_str(), Some(params))
}

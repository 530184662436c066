//! Requests about one thing of one server: its name says whose, and the mount of that server does the rest.

use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;
use mcp::{Era, ListOf, Method, Object, Params, Request};

use super::asker::{Asker, Outgoing, Who};
use super::changes::Changes;
use super::drain::Wanted;
use super::events::{self, Events};
use super::merged::{Merged, Source};
use super::names;
use super::seen::Seen;
use super::voice::{Asked, Voice, state};
use crate::agent;
use crate::refusal::{Addressee, Refusal, Refused};
use crate::reply::{self, Out, Reply};
use crate::ruling::Ruling;
use crate::server::Server;

const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";
const PARAM: &str = "mcp-param-";

/// The lists whose change a legacy server may tell of on any stream.
pub(super) const ALL_LISTS: [ListOf; 3] = [ListOf::Tools, ListOf::Prompts, ListOf::Resources];

/// Whose a name is, and what it is there.
struct Target<'a> {
    server: &'a Arc<Server>,
    name: String,
}

pub(super) async fn call(
    asker: &Asker,
    method: Method,
    request: &Request<'_>,
    params: &Params<'_>,
    to: Addressee,
) -> Result<Reply, Refused> {
    let outer = outer_name(method, params).ok_or_else(|| to.params(mcp::Kind::Params("`params` name nothing")))?;
    let to = Addressee { subject: Some(outer.as_str().into()), as_task: params.get("task").is_some(), ..to };
    let target = target(asker, method, params, &outer).ok_or_else(|| to.refuse(unknown(method)))?;
    let given = rewritten(asker, method, &request.params, &target).map_err(|why| to.refuse(why))?;
    let mut out = Outgoing::new(
        &to,
        method,
        Some(&target.name).filter(|_| method.name_member().is_some()).map(String::as_str),
        given,
    );
    out.mirrors = mirrors(asker);
    send(asker, target.server, out, &target.name, &outer).await
}

/// Sends it, and gives back what comes as it comes.
pub(super) async fn send(
    asker: &Asker,
    server: &Arc<Server>,
    out: Outgoing,
    inner: &str,
    outer: &str,
) -> Result<Reply, Refused> {
    let asked = Asked { method: out.method, inner: inner.into(), outer: outer.into() };
    let voice = asker.voice(server, Some(asked));
    let answered = asker.send(server, &out).await;
    Ok(asker.relayed(server, voice, answered).await)
}

impl Asker {
    pub(super) fn voice(&self, server: &Arc<Server>, asked: Option<Asked>) -> Voice {
        Voice {
            shared: Arc::clone(&self.pipeline.shared),
            server: Arc::clone(&server.id),
            key: Arc::clone(&server.key),
            description: Arc::clone(&server.description),
            agent: Arc::clone(&self.agent().key),
            era: if self.is_modern() { Era::Modern } else { Era::Legacy },
            asked,
        }
    }

    async fn relayed(&self, server: &Arc<Server>, voice: Voice, answered: Reply) -> Reply {
        let bounds = &self.pipeline.shared.bounds;
        if events::is_stream(&answered) {
            let source = Source::call(voice, Events::new(answered.into_body(), bounds.event));
            // Modern servers tell of changes on subscriptions only.
            let lists: &[ListOf] = if self.is_modern() { &[] } else { &ALL_LISTS };
            let seen = self.joint().map_or_else(Arc::<Seen>::default, |joint| Arc::clone(&joint.seen));
            let changes = Changes::new(self, Wanted::ours(self), seen, std::slice::from_ref(server), lists);
            let merged = Merged::new(vec![source], changes, bounds.keepalive).of(self.joint().cloned());
            return reply::events(Out::Merged(Box::new(merged)));
        }
        let (head, body) = answered.into_parts();
        let body = events::whole(body).await;
        let body = match voice.hear(&body) {
            Some(super::voice::Heard::Answer(answer)) => answer,
            _ => body,
        };
        let out = Out::Whole(Some(body.into()).filter(|body: &bytes::Bytes| !body.is_empty()));
        Reply::from_parts(head, out)
    }
}

/// What the client calls it.
fn outer_name(method: Method, params: &Params<'_>) -> Option<String> {
    if method != Method::Complete {
        return params.name().map(str::to_owned);
    }
    let reference = Object::read(params.get("ref")?)?;
    let name = reference.text("name").or_else(|| reference.text("uri"))?;
    Some(name.into_owned())
}

fn target<'a>(asker: &'a Asker, method: Method, params: &Params<'_>, outer: &str) -> Option<Target<'a>> {
    let (server, name) = match method {
        Method::ToolsCall | Method::PromptsGet => names::split(outer)?,
        Method::ResourcesRead | Method::Subscribe | Method::Unsubscribe => names::unwrap_uri(outer)?,
        Method::TasksGet | Method::TasksCancel | Method::TasksResult | Method::TasksUpdate => names::unwrap_id(outer)?,
        Method::Complete => {
            let reference = Object::read(params.get("ref")?)?;
            match reference.text("type")?.as_ref() {
                "ref/prompt" => names::split(outer)?,
                "ref/resource" => names::unwrap_uri(outer)?,
                _ => return None,
            }
        }
        Method::Discover | Method::Initialize | Method::Ping | Method::SetLevel | Method::Listen => return None,
        Method::ToolsList | Method::PromptsList | Method::ResourcesList | Method::TemplatesList | Method::TasksList => {
            return None;
        }
    };
    Some(Target { server: asker.server(server)?, name: name.to_owned() })
}

/// The answer for what no server here has: that of a mount to what does not exist.
fn unknown(method: Method) -> Refusal {
    match method.is_of_a_task() {
        true => Refusal::ForeignTask,
        false => Refusal::Ruled(Ruling::hidden()),
    }
}

/// The params as the server's mount reads them.
fn rewritten(asker: &Asker, method: Method, given: &Object<'_>, target: &Target<'_>) -> Result<String, Refusal> {
    let mut with = Vec::new();
    match method.name_member() {
        Some(member) => with.push((member, mcp::string(&target.name))),
        None => with.extend(reference(given, &target.name).map(|reference| ("ref", reference))),
    }
    if let Some(sealed) = given.text("requestState") {
        // INVARIANT: a server sees only states that it gave out itself, to the same agent
        let (agent, foreign) = (&asker.agent().key, || Refusal::NotOurs("requestState"));
        let home = agent::home(agent);
        let about = state(&target.server.description, agent, &home);
        let state = asker.pipeline.shared.vault.carried(&about, &sealed, SystemTime::now()).map_err(|_| foreign())?;
        with.push(("requestState", mcp::string(str::from_utf8(&state).map_err(|_| foreign())?)));
    }
    with.extend(related(given, &target.server.id).map(|meta| ("_meta", meta)));
    let with: Vec<(&str, &str)> = with.iter().map(|(key, json)| (*key, json.as_str())).collect();
    Ok(given.amended(&[], &with))
}

fn reference(given: &Object<'_>, name: &str) -> Option<String> {
    let reference = given.object("ref")?;
    let member = if reference.text("type")? == "ref/prompt" { "name" } else { "uri" };
    Some(reference.amended(&[], &[(member, &mcp::string(name))]))
}

/// `_meta` with the task that a message belongs to under its server's own id, where it names one. Another server's goes.
pub(super) fn related(given: &Object<'_>, server: &str) -> Option<String> {
    let meta = given.object("_meta")?;
    let wrapped = meta.object(RELATED_TASK)?;
    let id = wrapped.text("taskId");
    let own = id.as_deref().and_then(names::unwrap_id).filter(|(of, _)| *of == server);
    Some(match own {
        Some((_, id)) => meta.amended(&[], &[(RELATED_TASK, &wrapped.amended(&[], &[("taskId", &mcp::string(id))]))]),
        None => meta.amended(&[RELATED_TASK], &[]),
    })
}

fn mirrors(asker: &Asker) -> HeaderMap {
    let Who::Modern { headers, .. } = &asker.who else { return HeaderMap::new() };
    let params = headers.iter().filter(|(name, _)| name.as_str().starts_with(PARAM));
    let mut mirrors = HeaderMap::new();
    for (name, value) in params {
        mirrors.append(name.clone(), value.clone());
    }
    mirrors
}

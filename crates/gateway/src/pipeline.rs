//! The path of a call, step by step (`design.md`, section 4). Start reading here.

use std::sync::Arc;

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method as Verb, Request as HttpRequest, StatusCode, Uri};
use hyper::body::Incoming;
use mcp::{Body, Era, Message, Method, Params, Request, Revision, Writer};
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::agent::Agent;
use crate::aggregate::{self, Aggregate};
use crate::answering::Answering;
use crate::approvals::{Approvals, Back, Consent, Lacking, Listing, Place as Kept, Shows, is_own_task, unheard};
use crate::audit::{Audit, Recorded, Told};
use crate::catalogue::Asking;
use crate::clients::Clients;
use crate::config::{Bounds, Live};
use crate::duplex::sse::Fronts;
use crate::eras::to_legacy::{self, Crossing, ToLegacy};
use crate::eras::to_modern::{Outgoing, ToModern};
use crate::events::Events;
use crate::exchange::{Exchange, Open, session_headers};
use crate::head::{self, Doors, one};
use crate::identity::metadata::Mount;
use crate::identity::{Admitted, Doorman, Failures, Unauthorized, Work};
use crate::judge::{self, Asked, Cleared};
use crate::limits::{Charge, Held, Limits, Place};
use crate::listener::Certificate;
use crate::modern::{self, Claim};
use crate::nodes::Nodes;
use crate::policies::Bound;
use crate::record::{self, About};
use crate::refusal::{Addressee, Refusal, Refused, Unbound};
use crate::registry::{self, Registry, Standing};
use crate::relay::{Relay, Times};
use crate::reply::{self, Out, Reply, SESSION_ID};
use crate::request_id::TraceId;
use crate::ruling::Ruling;
use crate::server::Server;
use crate::session::{OpenCall, Session, Sessions};
use crate::tasks::Tasks;
use crate::upstream::{MCP_NAME, Upstream, UpstreamError, content_type, is_type};
use crate::vault::Vault;
use crate::{batch, body};

/// What all threads share.
pub(crate) struct Shared {
    pub(crate) bounds: Arc<Bounds>,
    pub(crate) doors: Doors,
    pub(crate) doorman: Doorman,
    pub(crate) failures: Failures,
    pub(crate) registry: registry::Current,
    pub(crate) standing: Standing,
    /// What may become another while all of this stays.
    pub(crate) live: watch::Sender<Live>,
    pub(crate) sessions: Sessions,
    /// Where sessions may be every node's.
    pub(crate) nodes: Option<Arc<Nodes>>,
    pub(crate) limits: Limits,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) approvals: Approvals,
    pub(crate) audit: Arc<Audit>,
    pub(crate) events: Events,
    pub(crate) fronts: Fronts,
    pub(crate) aggregate: Aggregate,
    pub(crate) to_legacy: Arc<ToLegacy>,
    /// Seals what clients carry for us: with a key that all nodes have, if the operator gave one.
    pub(crate) vault: Arc<Vault>,
    pub(crate) draining: watch::Receiver<bool>,
}

/// One thread's way through: the shared state and its own connections.
#[derive(Clone)]
pub(crate) struct Pipeline {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: Clients,
}

/// Where a request came in.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) server: Arc<Server>,
    pub(crate) headers: Arc<HeaderMap>,
    /// Who it is; of nobody known a session may say more.
    pub(crate) agent: Agent,
    /// Of the body that is read; 0 before.
    pub(crate) bytes: usize,
    /// Is it somebody's in this process, who alone knows the session?
    pub(crate) is_own: bool,
    /// What a request that waited has in its session.
    pub(crate) place: Option<Kept>,
    /// The call is a task of ours, and what comes of it is that task's.
    pub(crate) as_task: bool,
}

impl Entry {
    pub(crate) fn new(server: Arc<Server>, headers: Arc<HeaderMap>, agent: Agent) -> Self {
        Self { server, headers, agent, bytes: 0, is_own: false, place: None, as_task: false }
    }

    pub(crate) fn own(self) -> Self {
        Self { is_own: true, ..self }
    }
}

/// The other end of a connection, and who that is as far as it is known.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) agent: Agent,
    /// The one that it showed, verified.
    pub(crate) certificate: Option<Arc<Certificate>>,
}

/// A request that is lawful: what is left is to judge it and to send it.
pub(crate) struct Lawful<'a> {
    pub(crate) method: Method,
    pub(crate) revision: Revision,
    pub(crate) params: Params<'a>,
    pub(crate) arguments: Option<&'a RawValue>,
    pub(crate) agent: Agent,
    pub(crate) session: Option<Arc<Session>>,
    /// What a person said to the call that this goes on with.
    pub(crate) consent: Option<Consent>,
    /// What of ours it comes back with.
    pub(crate) back: Option<Back>,
    pub(crate) to: Addressee,
}

impl Lawful<'_> {
    /// The bridge to a server of the other era, where the session needs one.
    fn translated(&self) -> Option<&Arc<ToModern>> {
        self.session.as_ref()?.translated.as_ref()
    }

    fn is_modern(&self) -> bool {
        self.revision.era() == Era::Modern
    }

    fn is_of_own_task(&self) -> bool {
        self.is_modern() && self.method.is_of_a_task() && self.params.name().is_some_and(is_own_task)
    }
}

/// A request that may be sent: the clearance, its way to a server of the other era, its headers for mirrored arguments, and what it holds.
struct Judged<'a> {
    cleared: Cleared<'a>,
    crossing: Option<Crossing>,
    mirrors: HeaderMap,
    held: Option<Held>,
    consent: Option<Consent>,
    recorded: Option<Recorded>,
}

impl Judged<'_> {
    /// What it is charged, for the record.
    fn charge(&self, bound: &Bound, place: &Place<'_>) -> Option<Charge> {
        Some(Charge::new(self.held.as_ref()?, bound, self.cleared.permitted()?, place))
    }
}

impl Pipeline {
    /// Answers one HTTP request of somebody who is let in, as long as that holds.
    pub(crate) async fn answer(&self, request: HttpRequest<Incoming>, peer: &Peer) -> Reply {
        let (mut head, body) = request.into_parts();
        if let Some(reply) = self.metadata(&head) {
            return reply;
        }
        // INVARIANT: one snapshot for the whole request, and taken first: what an agent lost since, it is not let in for
        let registry = self.shared.registry.load();
        let Admitted { agent, pass } = match self.shared.doorman.who(&head, peer).await {
            Ok(admitted) => admitted,
            Err(why) => return self.unauthorized(&head.uri, peer, why),
        };
        // INVARIANT: nobody behind this has what was shown
        head.headers.remove(AUTHORIZATION);
        let known = Peer { agent, certificate: None };
        let over = |work| pass.over(work, known.agent.identity.as_ref(), &self.shared);
        let Some(mut no_longer) = over(Work::Request) else { return self.admitted(head, body, &known, registry).await };
        let uri = head.uri.clone();
        let reply = tokio::select! {
            biased;
            reply = self.admitted(head, body, &known, registry) => reply,
            () = &mut no_longer => return self.unauthorized(&uri, peer, Unauthorized::Over),
        };
        match reply.body().is_lasting() {
            true => reply.map(|out| out.until(over(Work::Stream))),
            false => reply.map(|out| out.until(Some(no_longer))),
        }
    }

    /// The metadata of a mount are for everybody. None for what asks about none, and where there is nothing to say.
    fn metadata(&self, head: &Parts) -> Option<Reply> {
        let resources = self.shared.doorman.resources()?;
        let about = Mount::asked_about(&head.uri)?;
        let refuse = |why| Some(Refused::from(why).reply());
        if let Err(why) = self.shared.doors.check(&head.headers) {
            return refuse(why);
        }
        let registry = self.shared.registry.load();
        let is_there = |mount: &Mount<'_>| match mount.server {
            Some(server) => registry.server(server).is_some(),
            None => self.shared.aggregate.settings.enabled,
        };
        match about.filter(is_there) {
            None => refuse(Refusal::NoMetadata),
            Some(_) if head.method != Verb::GET && head.method != Verb::HEAD => refuse(Refusal::OtherVerb(Verb::GET)),
            Some(mount) => Some(reply::json(StatusCode::OK, resources.document(mount))),
        }
    }

    /// Nothing of the request was looked at, or it is no longer of anybody who may ask.
    fn unauthorized(&self, uri: &Uri, peer: &Peer, why: Unauthorized) -> Reply {
        let challenge = self.shared.doorman.challenge(uri, &why);
        let refused = Refused::from(Refusal::Unauthorized(why));
        if self.shared.failures.count(&peer.agent.key) {
            let registry = self.shared.registry.load();
            let server = head::route(uri).filter(|id| registry.server(id).is_some());
            self.turned_away(server.unwrap_or("(unknown)"), &peer.agent, &refused);
        }
        let mut reply = refused.reply();
        if let Some(challenge) = challenge {
            reply.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        reply
    }

    /// Answers one HTTP request of the peer's.
    async fn admitted(&self, head: Parts, body: Incoming, peer: &Peer, registry: Arc<Registry>) -> Reply {
        if let Some(door) = head::sse(&head.method, &head.uri) {
            return self.sse(door, &head, body, peer).await;
        }
        let server = head::route(&head.uri);
        if head::is_aggregate(&head.uri) && self.shared.aggregate.settings.enabled {
            let answered = match self.shared.doors.check(&head.headers) {
                Ok(()) => self.aggregate(&head.method, head.headers, body, (peer, registry)).await,
                Err(why) => Err(why.into()),
            };
            return answered.unwrap_or_else(|refused| {
                self.turned_away(aggregate::NAME, &peer.agent, &refused);
                refused.reply()
            });
        }
        match self.enter(&head.method, head.headers, (&registry, server), body, peer).await {
            Ok(reply) => reply,
            Err(refused) => {
                let known = server.is_some_and(|id| registry.server(id).is_some());
                let server = server.filter(|_| known).unwrap_or("(unknown)");
                self.turned_away(server, &peer.agent, &refused);
                refused.reply()
            }
        }
    }

    /// A request that was refused before there was anything to judge, or that the upstream failed: logged, and on record.
    pub(crate) fn turned_away(&self, server: &str, agent: &Agent, refused: &Refused) {
        record::refused(server, agent, refused);
        let method = refused.to.method.map_or("(unknown)", Method::as_str);
        let about = About { server, agent: &agent.key, proof: &agent.proof, method, subject: None, policy: "" };
        self.shared.events.refused(&about, refused);
        self.shared.audit.turned_away(server, agent, refused);
    }

    /// 1. Head: route, origin, verb, media type. Nothing of the body is read before.
    async fn enter(
        &self,
        verb: &Verb,
        headers: HeaderMap,
        (registry, server): (&Registry, Option<&str>),
        body: Incoming,
        peer: &Peer,
    ) -> Result<Reply, Refused> {
        self.shared.doors.check(&headers)?;
        let server = usable(registry, server.ok_or(Refusal::NoRoute)?, &peer.agent)?;
        let entry = Entry::new(Arc::clone(server), Arc::new(headers), peer.agent.clone());
        match *verb {
            Verb::POST => {
                head::media(&entry.headers)?;
                let body = body::read(body, &self.shared.bounds).await?;
                self.read(&entry, &body).await
            }
            Verb::GET => self.stream(&entry).await,
            Verb::DELETE => self.end(&entry).await,
            _ => Err(Refusal::Verb.into()),
        }
    }

    /// Answers a message. What waits for a person is kept open, and then read as if it came anew.
    pub(crate) async fn read(&self, entry: &Entry, body: &[u8]) -> Result<Reply, Refused> {
        match self.read_once(entry, body).await {
            Err(refused) if refused.ticket().is_some() => Ok(self.waits(entry, body, refused).await),
            answered => answered,
        }
    }

    /// 3. Parse, strictly and once. Nobody reads the bytes again.
    pub(crate) async fn read_once(&self, entry: &Entry, body: &[u8]) -> Result<Reply, Refused> {
        // INVARIANT: whichever way a message comes in, it goes to no server that is not its agent's
        if !entry.agent.may_use(&entry.server.id) {
            return Err(Refusal::NotBound(Unbound).into());
        }
        let entry = &Entry { bytes: body.len(), ..entry.clone() };
        match mcp::parse(body)? {
            Body::One(message) => self.message(entry, message).await,
            Body::Batch(elements) => {
                let session = match self.session(entry).await {
                    Ok(session) => session,
                    Err(Refusal::NoSessions) => return Err(Refusal::NoSessions.into()),
                    Err(_) => return Err(Refusal::Batch.into()),
                };
                if !session.revision().has_batches() {
                    return Err(Refusal::Batch.into());
                }
                batch::answer(&(self.clone(), entry.clone()), &elements).await
            }
        }
    }

    pub(crate) async fn message(&self, entry: &Entry, message: Message<'_>) -> Result<Reply, Refused> {
        match message {
            Message::Request(request) => {
                let lawful = self.lawful(entry, &request).await?;
                match lawful.is_of_own_task() {
                    true => self.own_task(entry, lawful).await,
                    false => self.call(entry, lawful).await,
                }
            }
            Message::Notification(notification) => {
                let claim = Claim::of(&entry.headers, &notification.params)?;
                let notice = notification.notice.map_err(|name| Refusal::Unknown(name.into()))?;
                let params = Params::of_notice(notice, &notification.params)
                    .map_err(|kind| Addressee::default().params(kind))?;
                if claim.is_modern() {
                    return match notice.is_in(Revision::MODERN) {
                        true => Ok(reply::empty(StatusCode::ACCEPTED)), // hanging up is what cancels: nothing to pass on
                        false => Err(Refusal::Unknown(notice.as_str().into()).into()),
                    };
                }
                self.notify(entry, notice, params).await
            }
            Message::Response(response) => {
                let session = self.session(entry).await?;
                let ours = response.id.ours().ok_or(Refusal::UnaskedAnswer)?;
                let asked = session.taken(ours).await?.ok_or(Refusal::UnaskedAnswer)?;
                let agent = entry.agent.in_session_of(&session.agent);
                if let Some(counted) = self.answered(agent, &asked, response.verdict) {
                    counted.await;
                    return Ok(reply::empty(StatusCode::ACCEPTED));
                }
                if let Some(translated) = &session.translated {
                    translated.answered(&asked, response.verdict)?;
                    return Ok(reply::empty(StatusCode::ACCEPTED));
                }
                self.tell(entry, &session, Writer::answer(&asked, response.verdict)).await
            }
        }
    }

    /// Which era, revision and session a request belongs to, and whether it keeps their rules.
    async fn lawful<'a>(&self, entry: &Entry, request: &Request<'a>) -> Result<Lawful<'a>, Refused> {
        let mut to = Addressee {
            id: Some(request.id.to_json()),
            method: request.method.as_ref().ok().copied(),
            bytes: entry.bytes,
            ..Addressee::default()
        };
        let claim = Claim::of(&entry.headers, &request.params).map_err(|why| to.refuse(why))?;
        let arguments = request.params.get("arguments");
        if claim.is_modern() {
            (to.era, to.as_task) = (Some(Era::Modern), entry.as_task);
            let method = modern::check(&claim, &entry.headers, request, &to)?;
            let mut params = Params::of(method, Revision::MODERN, &request.params).map_err(|kind| to.params(kind))?;
            if method == Method::Listen {
                unheard(&mut params);
            }
            modern::check_name(&entry.headers, &params).map_err(|why| to.refuse(why))?;
            to.trace = TraceId::of(&entry.headers, &params);
            let agent = entry.agent.clone();
            let back = Back::taken(&mut params, &self.shared.approvals).map_err(|why| to.refuse(why))?;
            let (revision, session, consent) = (Revision::MODERN, None, None);
            return Ok(Lawful { method, revision, params, arguments, agent, session, consent, back, to });
        }
        to.era = Some(Era::Legacy);
        let method = match &request.method {
            Ok(method) => *method,
            Err(name) => return Err(to.refuse(Refusal::Unknown(name.as_ref().into()))),
        };
        if method == Method::Initialize {
            if one(&entry.headers, &SESSION_ID).map_err(|why| to.refuse(why))?.is_some() {
                return Err(to.refuse(Refusal::SessionChosen));
            }
            if self.shared.sessions.is_full() {
                return Err(to.refuse(Refusal::SessionsFull));
            }
            if let Some(nodes) = self.shared.nodes.as_ref().filter(|_| !entry.is_own) {
                nodes.check().map_err(|why| to.refuse(why))?;
            }
            let mut params =
                Params::of(method, Revision::LATEST_LEGACY, &request.params).map_err(|kind| to.params(kind))?;
            let wanted = request.params.text("protocolVersion").as_deref().and_then(Revision::named);
            let wanted = wanted.filter(|revision| revision.era() == Era::Legacy).unwrap_or(Revision::LATEST_LEGACY);
            params.set("protocolVersion", mcp::string(wanted.as_str()));
            let agent = entry.agent.clone();
            let (session, consent, back) = (None, None, None);
            return Ok(Lawful { method, revision: wanted, params, arguments, agent, session, consent, back, to });
        }
        let session = self.session(entry).await.map_err(|why| to.refuse(why))?;
        let revision = session.revision();
        if !method.is_in(revision) {
            return Err(to.refuse(Refusal::Unknown(method.as_str().into())));
        }
        let params = Params::of(method, revision, &request.params).map_err(|kind| to.params(kind))?;
        to.as_task = params.get("task").is_some();
        to.trace = TraceId::of(&entry.headers, &params);
        let agent = entry.agent.in_session_of(&session.agent);
        let (session, consent, back) = (Some(session), None, None);
        Ok(Lawful { method, revision, params, arguments, agent, session, consent, back, to })
    }

    /// 4 to 8. Decide, owe, record, forward, relay: by one snapshot of the policy.
    pub(crate) async fn call(&self, entry: &Entry, mut lawful: Lawful<'_>) -> Result<Reply, Refused> {
        let upstream = self.upstream(&entry.server, &lawful.agent);
        let bound = upstream.policy().current();
        if let Some(translated) = lawful.translated().cloned() {
            translated.dress(&mut lawful);
        }
        let shows = Shows::initially(&lawful.params);
        restrict(&bound, lawful.method, &mut lawful.params);
        let asked = Asked::of(lawful.method, &lawful.params);
        let asked = asked.ok_or_else(|| lawful.to.params(mcp::Kind::Params("`params` name nothing")))?;
        let to =
            Addressee { subject: asked.name().map(Into::into), policy: Some(bound.hash.clone()), ..lawful.to.clone() };
        let judged = match self.decide(entry, &lawful, &bound, &asked, &upstream, &to).await {
            Ok(judged) => judged,
            Err(refused) if refused.ticket().is_some() => return Err(refused),
            Err(refused) => return Ok(refused.reply()),
        };
        let (recorded, consent) = (judged.recorded, judged.consent);
        let round = consent.as_ref().and_then(|consent| self.shared.approvals.round(consent, &self.shared.bounds));
        let (headers, ours, place) =
            self.address(entry, &lawful, judged.mirrors).map_err(|why| ended(recorded.as_ref(), to.refuse(why)))?;
        let offered = (judge::offered(&lawful.params), shows);
        let sent = match (judged.crossing, lawful.translated().cloned()) {
            (Some(crossing), _) => {
                let (whose, what) = ((&upstream, &lawful.agent, ours), (lawful.method, &lawful.params));
                self.shared.to_legacy.send(&judged.cleared, crossing, whose, what, judged.held).await
            }
            (None, Some(translated)) => {
                let (message, held) = (write(&judged.cleared, ours, &lawful), judged.held);
                lawful.consent = consent.map(Consent::carried);
                let out = Outgoing::of(self, entry, &upstream, &mut lawful, ours, &to);
                translated.send(out, message, held).await.map_err(Refusal::from)
            }
            // It would say so itself.
            (None, None) if lawful.method == Method::Initialize && entry.server.era.is_only_modern() => {
                Ok(Answering::empty(StatusCode::NOT_FOUND))
            }
            (None, None) => {
                let message = write(&judged.cleared, ours, &lawful);
                upstream.post(headers, message, judged.held).await.map_err(Refusal::from)
            }
        };
        let (method, revision) = (lawful.method, lawful.revision);
        let exchange = Exchange {
            upstream,
            era: revision.era(),
            agent: lawful.agent,
            session: lawful.session,
            call: Some(Open { ours, method, to, recorded, _place: place }),
            tasks: Arc::clone(&self.shared.tasks),
            opening: None,
            round,
            bound: Arc::clone(&bound),
        };
        match sent {
            Err(why) => Err(self.undone(exchange, why)),
            Ok(response) if method == Method::Initialize => {
                self.initialized(entry, exchange, (revision, &lawful.params), offered, response).await
            }
            Ok(response) => self.relay(exchange, response).await,
        }
    }

    /// 4 to 6. Decide, owe, record.
    async fn decide<'a>(
        &self,
        entry: &'a Entry,
        lawful: &'a Lawful<'_>,
        bound: &'a Bound,
        asked: &'a Asked<'_>,
        upstream: &Upstream,
        to: &Addressee,
    ) -> Result<Judged<'a>, Refused> {
        let about = About {
            server: &entry.server.id,
            agent: &lawful.agent.key,
            proof: &lawful.agent.proof,
            method: lawful.method.as_str(),
            subject: asked.name(),
            policy: &bound.hash,
        };
        let record = asked.subject().map(|subject| bound.policy.recorded(subject)).unwrap_or_default();
        let on_record = |refused: Refused| {
            about.refused(&refused);
            self.shared.events.refused(&about, &refused);
            let definition = self.definition(entry, lawful, asked);
            let told = Told { to: &refused.to, definition: definition.as_deref(), record: &record, consent: None };
            self.shared.audit.refused(&about, &refused, told, lawful.arguments);
            refused.on_record()
        };
        let mut judged = self.judge(entry, lawful, bound, asked, upstream, to).await.map_err(on_record)?;
        let definition = self.definition(entry, lawful, asked);
        // INVARIANT: no record, no call
        let charge = judged.charge(bound, &place(entry, lawful, bound));
        if judged.held.as_ref().is_some_and(Held::is_uncounted) {
            about.uncounted();
        }
        let consent = judged.consent.as_ref();
        let told = Told { to, definition: definition.as_deref(), record: &record, consent };
        let recorded = self.shared.audit.allowed(&about, told, &judged.cleared, charge, lawful.arguments).await;
        judged.recorded = recorded.map_err(|why| on_record(to.refuse(Refusal::NoRecord(why))))?;
        about.allowed(judged.cleared.rule(), judged.cleared.shadow());
        self.shared.events.allowed(&about, judged.cleared.rule());
        Ok(judged)
    }

    /// What is known of the definition of a tool, where the gateway has read it.
    fn definition(&self, entry: &Entry, lawful: &Lawful<'_>, asked: &Asked<'_>) -> Option<Arc<str>> {
        let Asked::Tool(name) = asked else { return None };
        let direct = lawful.session.as_deref().filter(|session| session.translated.is_none());
        direct.map_or(&entry.server.catalogue, |session| &session.catalogue).definition(name)
    }

    /// What a translation says once more, under another id: a request of its own, judged by the policy of now.
    pub(crate) async fn again(
        &self,
        entry: &Entry,
        lawful: &mut Lawful<'_>,
        upstream: &Upstream,
        id: u64,
    ) -> Result<(Vec<u8>, Option<Held>), Refused> {
        let bound = upstream.policy().current();
        restrict(&bound, lawful.method, &mut lawful.params);
        let asked = Asked::of(lawful.method, &lawful.params);
        let asked = asked.ok_or_else(|| lawful.to.params(mcp::Kind::Params("`params` name nothing")))?;
        let to = Addressee { policy: Some(bound.hash.clone()), ..lawful.to.clone() };
        let judged = self.decide(entry, lawful, &bound, &asked, upstream, &to).await?;
        if let Some(recorded) = &judged.recorded {
            recorded.is_a_round();
        }
        Ok((write(&judged.cleared, id, lawful), judged.held))
    }

    /// 4 and 5. Decide, then owe: all limits of the call, in one step, last of all.
    async fn judge<'a>(
        &self,
        entry: &'a Entry,
        lawful: &'a Lawful<'_>,
        bound: &'a Bound,
        asked: &'a Asked<'_>,
        upstream: &Upstream,
        to: &Addressee,
    ) -> Result<Judged<'a>, Refused> {
        self.shared.standing.check().map_err(|why| to.refuse(why))?;
        let judged = judge::request(bound, asked, lawful.arguments, (&lawful.agent, &entry.server.id), to);
        let judged = judged.map(Ok).or_else(|refused| refused.lacks_consent().map(Err))?;
        self.owned(entry, lawful).map_err(|why| to.refuse(why))?;
        let crosses =
            lawful.is_modern() && !entry.server.era.is_modern(upstream).await.map_err(|why| to.refuse(why))?;
        let crossing = match crosses {
            true => {
                let entered = self.shared.to_legacy.enter(upstream, &lawful.agent, lawful.method, &lawful.params).await;
                Some(entered.map_err(|why| to.refuse(why))?)
            }
            false => None,
        };
        let bridged = crossing.as_ref().map(|crossing| &*crossing.session);
        let mirrors = exists(entry, lawful, bound, asked, upstream, bridged).await.map_err(|why| to.refuse(why))?;
        let (cleared, held, consent) = match judged {
            // A state of ours is for a call that needs an approval; so this is another, or the policy is.
            Ok(cleared) if lawful.back.is_some() => {
                return Err(to.refuse(Refusal::Ruled(Ruling::changed(cleared.permitted()))));
            }
            Ok(cleared) => {
                let held = self.owe(entry, lawful, bound, &cleared, to).await?;
                (cleared, held, None)
            }
            Err(denial) => {
                let lacking = Lacking { entry, lawful, bound, asked, to: to.clone(), denial };
                // Boxed, so that what most calls wait in does not grow with what few wait for.
                let consented = Box::pin(self.consented(lacking, listing(entry, lawful, upstream, bridged))).await?;
                (consented.cleared, consented.held, Some(consented.consent))
            }
        };
        Ok(Judged { cleared, crossing, mirrors, held, consent, recorded: None })
    }

    /// 5. All limits of the call, in one step.
    pub(crate) async fn owe(
        &self,
        entry: &Entry,
        lawful: &Lawful<'_>,
        bound: &Bound,
        cleared: &Cleared<'_>,
        to: &Addressee,
    ) -> Result<Option<Held>, Refused> {
        let Some(permitted) = cleared.permitted() else { return Ok(None) };
        let held = self.shared.limits.reserve(bound, permitted, &place(entry, lawful, bound)).await;
        held.map_err(|over| to.refuse(Refusal::Ruled(Ruling::Limited(over))))
    }

    /// A task is only its owner's.
    fn owned(&self, entry: &Entry, lawful: &Lawful<'_>) -> Result<(), Refusal> {
        let tasks = judge::tasks(lawful.method, &lawful.params).ok_or(Refusal::ForeignTask)?;
        match tasks.iter().all(|id| self.shared.tasks.belongs(&entry.server, &lawful.agent.key, id)) {
            true => Ok(()),
            false => Err(Refusal::ForeignTask),
        }
    }

    /// The headers and the id under which the upstream sees the request.
    fn address(
        &self,
        entry: &Entry,
        lawful: &Lawful<'_>,
        mirrors: HeaderMap,
    ) -> Result<(HeaderMap, u64, Option<OpenCall>), Refusal> {
        if let Some(session) = &lawful.session {
            let place = match entry.place.as_ref().and_then(Kept::take) {
                Some(place) => place,
                None => {
                    let max = self.shared.bounds.in_flight_per_session.get();
                    let id = lawful.to.id.as_deref().unwrap_or_default();
                    session.open(entry.server.next_id(), id, lawful.method, max)?
                }
            };
            return Ok((session_headers(session), place.ours, Some(place)));
        }
        if !lawful.is_modern() {
            return Ok((HeaderMap::new(), entry.server.next_id(), None)); // `initialize`
        }
        let mut headers = crate::era::modern_headers(lawful.method);
        headers.extend(mirrors);
        if let Some(name) = lawful.params.name() {
            let name = HeaderValue::from_str(&mcp::encode(name)).map_err(|_| Refusal::Header("`Mcp-Name`".into()))?;
            headers.insert(MCP_NAME, name);
        }
        Ok((headers, entry.server.next_id(), None))
    }

    /// 8. Relay: one JSON message, or a stream of them.
    pub(crate) async fn relay(
        &self,
        exchange: Exchange,
        response: http::Response<Answering>,
    ) -> Result<Reply, Refused> {
        let status = response.status();
        if status == StatusCode::NOT_FOUND
            && let Some(session) = exchange.session.as_ref().filter(|session| session.upstream.is_some())
        {
            Box::pin(self.lose(session)).await;
            return Err(self.undone_by(exchange, Refusal::SessionGone));
        }
        if status.is_success() && is_type(&response, "text/event-stream") {
            let listens = exchange.call.as_ref().is_some_and(|call| call.method == Method::Listen);
            let relay = match listens {
                true => self.listening(response.into_body(), exchange),
                false => {
                    let direct = exchange.session.as_ref().is_none_or(|session| session.translated.is_none());
                    // A translation keeps the time itself: what a person takes is not the server's.
                    let times = self.times(direct.then_some(exchange.upstream.deadline));
                    Relay::new(response.into_body(), exchange, times)
                }
            };
            return Ok(reply::events(Out::Relay(Box::new(relay))));
        }
        let lawful = status.is_success() || matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND);
        if !lawful {
            return Err(self.undone(exchange, UpstreamError::Status(status)));
        }
        if !is_type(&response, "application/json") {
            let why = match status.is_success() {
                true => UpstreamError::ContentType(content_type(&response)),
                false => UpstreamError::Status(status),
            };
            exchange.upstream.server.era.forget();
            return Err(self.undone(exchange, why));
        }
        match exchange.upstream.read(response.into_body()).await {
            Err(why) => Err(self.undone(exchange, why)),
            Ok(bytes) => match exchange.whole(&bytes).await {
                Some(answer) => {
                    // In a session, 404 would say that the session is gone; and this is an answer.
                    let in_session = exchange.session.is_some() && status == StatusCode::NOT_FOUND;
                    Ok(reply::json(if in_session { StatusCode::OK } else { status }, answer))
                }
                None => Err(self.undone(exchange, UpstreamError::NotAnAnswer)),
            },
        }
    }

    /// The upstream gave no answer: the request is over.
    fn undone(&self, exchange: Exchange, why: impl Into<Refusal>) -> Refused {
        let why = why.into();
        if matches!(&why, Refusal::Upstream(error) if error.is_the_end()) {
            exchange.upstream.server.era.forget();
        }
        self.undone_by(exchange, why)
    }

    fn undone_by(&self, exchange: Exchange, why: Refusal) -> Refused {
        let Some(call) = exchange.call else { return why.into() };
        if let Some(session) = &exchange.session {
            session.close(call.ours, false);
        }
        ended(call.recorded.as_ref(), call.to.refuse(why))
    }

    /// The session that the request names: ours, of this server, under a revision that exists.
    pub(crate) async fn session(&self, entry: &Entry) -> Result<Arc<Session>, Refusal> {
        let id = one(&entry.headers, &SESSION_ID)?.ok_or(Refusal::NoSession)?;
        let id = id.to_str().map_err(|_| Refusal::SessionGone)?;
        let claim = Claim::of(&entry.headers, &mcp::Object::default())?;
        if let Some(version) = claim.header().filter(|_| claim.is_modern()) {
            return Err(Refusal::Version { requested: version.into() });
        }
        let sessions = &self.shared.sessions;
        let nodes = self.shared.nodes.as_ref().filter(|_| !entry.is_own);
        match (sessions.find(id, &entry.server, &entry.agent), nodes) {
            (Some(session), _) => Ok(session),
            (None, None) => Err(Refusal::SessionGone),
            // Boxed, so that what most calls wait in does not grow with what few wait for.
            (None, Some(nodes)) => Box::pin(nodes.find(id, entry, sessions)).await,
        }
    }

    /// The server has forgotten it.
    pub(crate) async fn lose(&self, session: &Session) {
        self.shared.sessions.remove(session);
        if let Some(kept) = &session.kept {
            // If it cannot be said now, whoever finds it is told the same by the server.
            _ = kept.end().await;
        }
    }

    pub(crate) fn upstream(&self, server: &Arc<Server>, agent: &Agent) -> Upstream {
        Upstream {
            client: self.client.clone(),
            server: Arc::clone(server),
            agent: Arc::clone(&agent.key),
            own_policy: agent.own_policy(server).cloned(),
            bounds: Arc::clone(&self.shared.bounds),
            deadline: Instant::now() + self.shared.bounds.call_timeout,
        }
    }

    /// A stream that waits for events: silence is lawful, and only the client, the server, its removal or a drain ends it.
    pub(crate) fn listening(&self, upstream: Answering, exchange: Exchange) -> Relay {
        let (mut draining, retirement) = (self.shared.draining.clone(), exchange.upstream.server.retirement());
        let closing = async move {
            tokio::select! {
                _ = draining.wait_for(|draining| *draining) => {}
                () = retirement => {}
            }
        };
        Relay::new(upstream, exchange, self.times(None)).until(closing)
    }

    fn times(&self, deadline: Option<Instant>) -> Times {
        let bounds = &self.shared.bounds;
        Times { keep_alive: bounds.keepalive, idle: deadline.map(|_| bounds.idle_timeout), deadline }
    }
}

/// A call that was allowed, and is refused after all: that is how it ended.
fn ended(recorded: Option<&Recorded>, refused: Refused) -> Refused {
    let Some(recorded) = recorded else { return refused };
    recorded.failed(&refused);
    refused.on_record()
}

/// A server that the agent may use. Any other is answered as one that does not exist.
pub(crate) fn usable<'r>(registry: &'r Registry, id: &str, agent: &Agent) -> Result<&'r Arc<Server>, Refusal> {
    let server = registry.server(id).ok_or(Refusal::NoServer)?;
    match agent.may_use(id) {
        true => Ok(server),
        false => Err(Refusal::NotBound(Unbound)),
    }
}

fn place<'a>(entry: &'a Entry, lawful: &'a Lawful<'_>, bound: &'a Bound) -> Place<'a> {
    Place { policy: &bound.name, server: &entry.server.id, agent: &lawful.agent }
}

/// 7. Forward: a freshly written message. It takes the clearance, so that what was not judged is not written.
fn write(_: &Cleared<'_>, ours: u64, lawful: &Lawful<'_>) -> Vec<u8> {
    Writer::request(ours, lawful.method, &lawful.params)
}

/// Where a tool is described. A legacy server may list other tools in another session.
fn listing<'a>(
    entry: &'a Entry,
    lawful: &'a Lawful<'_>,
    upstream: &'a Upstream,
    bridged: Option<&'a to_legacy::Session>,
) -> Listing<'a> {
    let direct = lawful.session.as_deref().filter(|session| session.translated.is_none());
    let session = direct.map(session_headers).or(bridged.map(to_legacy::Session::headers));
    let own = direct.map(|session| &session.catalogue).or(bridged.map(|session| &session.catalogue));
    Listing { catalogue: own.unwrap_or(&entry.server.catalogue), upstream, session }
}

/// Under a policy that hides tools, one that the server lacks is answered like one that is hidden. And what a tool wants mirrored
/// in headers is looked up where a client sends such headers: they must agree with the arguments.
async fn exists(
    entry: &Entry,
    lawful: &Lawful<'_>,
    bound: &Bound,
    asked: &Asked<'_>,
    upstream: &Upstream,
    bridged: Option<&to_legacy::Session>,
) -> Result<HeaderMap, Refusal> {
    let Asked::Tool(name) = asked else { return Ok(HeaderMap::new()) };
    let mirrored = lawful.is_modern() && modern::has_params(&entry.headers);
    if !mirrored && !bound.policy.hides() {
        return Ok(HeaderMap::new());
    }
    let Listing { catalogue, upstream, session } = listing(entry, lawful, upstream, bridged);
    match catalogue.tool(name, &Asking { upstream, session }).await? {
        Some(mirrors) if lawful.is_modern() => {
            modern::params(&mirrors, &entry.headers, lawful.arguments.map(RawValue::get))
        }
        None if bound.policy.hides() => Err(Refusal::Ruled(Ruling::hidden())),
        Some(_) | None => Ok(HeaderMap::new()),
    }
}

/// What the policy denies a server is not offered to it; and what no person is shown that may be asked does not go to it.
fn restrict(bound: &Bound, method: Method, params: &mut Params<'_>) {
    if method == Method::Initialize
        && let Some(kept) = params.get("capabilities").and_then(|declared| judge::capabilities(bound, declared))
    {
        params.replace("capabilities", kept);
    }
    let declared = params.meta().and_then(mcp::Object::read).and_then(|meta| meta.get(mcp::meta::CLIENT_CAPABILITIES));
    let kept = declared.and_then(|declared| judge::capabilities(bound, declared.get()));
    let meta = kept.and_then(|kept| mcp::replace(params.meta()?, &[mcp::meta::CLIENT_CAPABILITIES], &kept));
    if let Some(meta) = meta {
        params.replace_meta(meta);
    }
    if let Some(meta) = judge::plain_meta(bound, method, params) {
        params.replace_meta(meta);
    }
}

//! The path of a call, step by step (`design.md`, section 4). Start reading here.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method as Verb, Request as HttpRequest, StatusCode};
use hyper::body::Incoming;
use mcp::{Body, Era, Message, Method, Notice, Params, Request, Revision, Writer};
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::agent::Agent;
use crate::catalogue::Asking;
use crate::config::Bounds;
use crate::exchange::{Exchange, Open, Passed, session_headers};
use crate::head::{self, Doors, one};
use crate::judge::{self, Asked, Cleared};
use crate::limits::{Limits, Place};
use crate::modern::{self, Claim};
use crate::policies::Bound;
use crate::record::{self, About};
use crate::refusal::{Addressee, Refusal, Refused};
use crate::relay::{Relay, Times};
use crate::reply::{self, Out, Reply, SESSION_ID};
use crate::ruling::Ruling;
use crate::server::Server;
use crate::session::{Session, Sessions};
use crate::tasks::Tasks;
use crate::upstream::{HttpClient, LAST_EVENT_ID, MCP_NAME, Upstream, UpstreamError, content_type, is_type};
use crate::{batch, body};

/// What all threads share.
pub(crate) struct Shared {
    pub(crate) bounds: Arc<Bounds>,
    pub(crate) doors: Doors,
    pub(crate) servers: std::collections::HashMap<Box<str>, Arc<Server>>,
    pub(crate) sessions: Sessions,
    pub(crate) limits: Limits,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) draining: watch::Receiver<bool>,
}

/// One thread's way through: the shared state and its own connections.
#[derive(Clone)]
pub(crate) struct Pipeline {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: HttpClient,
}

/// Where a request came in.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) server: Arc<Server>,
    pub(crate) headers: Arc<HeaderMap>,
    pub(crate) peer: IpAddr,
}

/// A request that is lawful: what is left is to judge it and to send it.
struct Lawful<'a> {
    method: Method,
    revision: Revision,
    params: Params<'a>,
    arguments: Option<&'a RawValue>,
    agent: Agent,
    session: Option<Arc<Session>>,
    to: Addressee,
}

impl Pipeline {
    /// Answers one HTTP request.
    pub(crate) async fn answer(&self, request: HttpRequest<Incoming>, peer: SocketAddr) -> Reply {
        let server = head::route(request.uri()).unwrap_or_default().to_owned();
        match self.enter(request, &server, peer.ip()).await {
            Ok(reply) => reply,
            Err(refused) => {
                record_refused(&self.shared, &server, peer.ip(), &refused);
                refused.reply()
            }
        }
    }

    /// 1. Head: route, origin, verb, media type. Nothing of the body is read before.
    async fn enter(&self, request: HttpRequest<Incoming>, server: &str, peer: IpAddr) -> Result<Reply, Refused> {
        self.shared.doors.check(request.headers())?;
        if server.is_empty() {
            return Err(Refusal::NoRoute.into());
        }
        let server = Arc::clone(self.shared.servers.get(server).ok_or(Refusal::NoServer)?);
        let entry = Entry { server, headers: Arc::new(request.headers().clone()), peer };
        match *request.method() {
            Verb::POST => {
                head::media(request.headers())?;
                let body = body::read(request, &self.shared.bounds).await?;
                self.read(&entry, &body).await
            }
            Verb::GET => self.stream(&entry).await,
            Verb::DELETE => self.end(&entry).await,
            _ => Err(Refusal::Verb.into()),
        }
    }

    /// 3. Parse, strictly and once. Nobody reads the bytes again.
    async fn read(&self, entry: &Entry, body: &[u8]) -> Result<Reply, Refused> {
        match mcp::parse(body)? {
            Body::One(message) => self.message(entry, message).await,
            Body::Batch(elements) => {
                let session = self.session(entry).map_err(|_| Refusal::Batch)?;
                if !session.revision().has_batches() {
                    return Err(Refusal::Batch.into());
                }
                batch::answer(self, entry, &elements).await
            }
        }
    }

    pub(crate) async fn message(&self, entry: &Entry, message: Message<'_>) -> Result<Reply, Refused> {
        match message {
            Message::Request(request) => {
                let lawful = self.lawful(entry, &request).await?;
                self.call(entry, lawful).await
            }
            Message::Notification(notification) => {
                let claim = Claim::of(&entry.headers, &notification.params)?;
                let notice = notification.notice.map_err(|name| Refusal::Unknown(name.into()))?;
                let params = Params::of_notice(notice, &notification.params)
                    .map_err(|kind| Addressee::default().params(kind))?;
                if claim.is_modern() {
                    return Ok(reply::empty(StatusCode::ACCEPTED)); // there, hanging up is what cancels: nothing to pass on
                }
                self.notify(entry, notice, params).await
            }
            Message::Response(response) => {
                let session = self.session(entry)?;
                let asked = response.id.ours().and_then(|ours| session.answered(ours)).ok_or(Refusal::UnaskedAnswer)?;
                self.tell(entry, &session, Writer::answer(&asked, response.verdict)).await
            }
        }
    }

    /// Which era, revision and session a request belongs to, and whether it keeps their rules.
    async fn lawful<'a>(&self, entry: &Entry, request: &Request<'a>) -> Result<Lawful<'a>, Refused> {
        let mut to = Addressee {
            id: Some(request.id.to_json()),
            method: request.method.as_ref().ok().copied(),
            ..Addressee::default()
        };
        let claim = Claim::of(&entry.headers, &request.params).map_err(|why| to.refuse(why))?;
        let arguments = request.params.get("arguments");
        if claim.is_modern() {
            to.era = Some(Era::Modern);
            let method = modern::check(&claim, &entry.headers, request, &to)?;
            let params = Params::of(method, Revision::MODERN, &request.params).map_err(|kind| to.params(kind))?;
            modern::check_name(&entry.headers, &params).map_err(|why| to.refuse(why))?;
            let agent = Agent::peer(entry.peer);
            return Ok(Lawful { method, revision: Revision::MODERN, params, arguments, agent, session: None, to });
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
            let mut params =
                Params::of(method, Revision::LATEST_LEGACY, &request.params).map_err(|kind| to.params(kind))?;
            let wanted = request.params.text("protocolVersion").as_deref().and_then(Revision::named);
            let wanted = wanted.filter(|revision| revision.era() == Era::Legacy).unwrap_or(Revision::LATEST_LEGACY);
            params.replace("protocolVersion", mcp::string(wanted.as_str()));
            let agent = Agent::peer(entry.peer);
            return Ok(Lawful { method, revision: wanted, params, arguments, agent, session: None, to });
        }
        let session = self.session(entry).map_err(|why| to.refuse(why))?;
        let revision = session.revision();
        if !method.is_in(revision) {
            return Err(to.refuse(Refusal::Unknown(method.as_str().into())));
        }
        let params = Params::of(method, revision, &request.params).map_err(|kind| to.params(kind))?;
        to.as_task = params.get("task").is_some();
        let agent = session.agent.clone();
        Ok(Lawful { method, revision, params, arguments, agent, session: Some(session), to })
    }

    /// 4 to 8. Decide, owe, record, forward, relay: by one snapshot of the policy.
    async fn call(&self, entry: &Entry, lawful: Lawful<'_>) -> Result<Reply, Refused> {
        let Lawful { method, revision, mut params, arguments, agent, session, mut to } = lawful;
        let server = &entry.server;
        let upstream = self.upstream(server);
        let bound = server.policy.current();
        to.policy = Some(Arc::clone(&bound.hash));
        restrict(&bound, method, &mut params);
        let asked = Asked::of(method, &params).ok_or_else(|| to.params(mcp::Kind::Params("`params` name nothing")))?;
        to.subject = asked.name().map(Into::into);
        let about = About {
            server: &server.id,
            agent: &agent.key,
            method: method.as_str(),
            subject: to.subject.as_deref(),
            policy: bound.hash.get(..12).unwrap_or_default(),
        };
        let judged = async {
            let cleared = judge::request(&bound, &asked, arguments, &to)?;
            self.owned(method, &params, server, &agent, &to)?;
            let mirrors =
                self.exists(entry, &upstream, &bound, method, &asked, session.as_deref(), &to, arguments).await?;
            if revision.era() == Era::Modern && !server.era.is_modern(&upstream).await.map_err(|why| to.refuse(why))? {
                return Err(to.refuse(Refusal::Era(too_new(server))));
            }
            let place = Place { policy: &server.policy.name, server: &server.id, agent: &agent };
            let held = match cleared.permitted() {
                None => None,
                Some(permitted) => self
                    .shared
                    .limits
                    .reserve(&bound, permitted, &place)
                    .map_err(|over| to.refuse(Refusal::Ruled(Ruling::Limited(over))))?,
            };
            Ok((cleared, mirrors, held))
        };
        let (cleared, mirrors, held) = match judged.await {
            Ok(judged) => judged,
            Err(refused) => {
                about.denied(&refused);
                return Ok(refused.reply());
            }
        };
        about.allowed(cleared.rule());

        let (mut headers, ours) = match &session {
            Some(session) => {
                let max = self.shared.bounds.in_flight_per_session.get();
                let id = to.id.as_deref().unwrap_or_default();
                (session_headers(session), session.open(id, method, max).map_err(|why| to.refuse(why))?)
            }
            None if revision.era() == Era::Modern => {
                let mut headers = crate::era::modern_headers(method);
                headers.extend(mirrors);
                (headers, server.next_id())
            }
            None => (HeaderMap::new(), server.next_id()),
        };
        if let (Era::Modern, Some(name)) = (revision.era(), params.name()) {
            let name =
                HeaderValue::from_str(&mcp::encode(name)).map_err(|_| to.refuse(Refusal::Header("Mcp-Name".into())))?;
            headers.insert(MCP_NAME, name);
        }
        let message = write(&cleared, ours, method, &params);
        let sent = upstream.post(headers, message, held).await;
        let open = Open { ours, method, to: to.clone() };
        let exchange = Exchange {
            upstream,
            bound: Arc::clone(&bound),
            era: revision.era(),
            agent,
            session,
            call: Some(open),
            tasks: Arc::clone(&self.shared.tasks),
        };
        match sent {
            Err(why) => Err(self.undone(exchange, why)),
            Ok(response) if method == Method::Initialize => self.initialized(entry, exchange, revision, response).await,
            Ok(response) => self.relay(exchange, response).await,
        }
    }

    /// A task is only its owner's.
    fn owned(
        &self,
        method: Method,
        params: &Params<'_>,
        server: &Arc<Server>,
        agent: &Agent,
        to: &Addressee,
    ) -> Result<(), Refused> {
        let is_task =
            matches!(method, Method::TasksGet | Method::TasksCancel | Method::TasksResult | Method::TasksUpdate);
        match params.name() {
            Some(id) if is_task && !self.shared.tasks.belongs(&server.id, &agent.key, id) => {
                Err(to.refuse(Refusal::ForeignTask))
            }
            _ => Ok(()),
        }
    }

    /// Under a policy that hides tools, one that the server lacks is answered like one that is hidden. And what a tool wants
    /// mirrored in headers is looked up where a client sends such headers.
    #[expect(clippy::too_many_arguments, reason = "one step of `call`, with what that step sees")]
    async fn exists(
        &self,
        entry: &Entry,
        upstream: &Upstream,
        bound: &Bound,
        method: Method,
        asked: &Asked<'_>,
        session: Option<&Session>,
        to: &Addressee,
        arguments: Option<&RawValue>,
    ) -> Result<HeaderMap, Refused> {
        let Asked::Tool(name) = asked else { return Ok(HeaderMap::new()) };
        let modern = to.era == Some(Era::Modern);
        let mirrored = modern && modern::has_params(&entry.headers);
        if method != Method::ToolsCall || !(mirrored || bound.policy.hides()) {
            return Ok(HeaderMap::new());
        }
        let asking = Asking { upstream, session: session.map(session_headers) };
        match entry.server.catalogue.tool(name, &asking).await.map_err(|why| to.refuse(why))? {
            Some(mirrors) if modern => {
                modern::params(&mirrors, &entry.headers, arguments.map(RawValue::get)).map_err(|why| to.refuse(why))
            }
            None if bound.policy.hides() => Err(to.refuse(Refusal::Ruled(Ruling::hidden()))),
            _ => Ok(HeaderMap::new()),
        }
    }

    /// An answer to `initialize` opens a session of ours.
    async fn initialized(
        &self,
        entry: &Entry,
        mut exchange: Exchange,
        wanted: Revision,
        response: http::Response<Incoming>,
    ) -> Result<Reply, Refused> {
        let Some(call) = &exchange.call else { return Err(Refusal::NoSession.into()) };
        let to = call.to.clone();
        if !response.status().is_success() {
            let modern = exchange.upstream.server.era.is_modern(&exchange.upstream).await.unwrap_or(false);
            return Err(match modern {
                true => to.refuse(Refusal::Era(too_old(&entry.server))),
                false => to.refuse(UpstreamError::Status(response.status())),
            });
        }
        let upstream = response.headers().get(SESSION_ID).cloned();
        let session = self.shared.sessions.prepare(&entry.server.id, upstream, wanted).map_err(|why| to.refuse(why))?;
        let session = Arc::new(session);
        exchange.session = Some(Arc::clone(&session));
        exchange.agent = session.agent.clone();
        self.shared.sessions.insert(Arc::clone(&session)).map_err(|why| to.refuse(why))?;
        let id = HeaderValue::from_str(&session.id).map_err(|_| to.refuse(Refusal::NoRandomness))?;
        match self.relay(exchange, response).await {
            Ok(mut reply) => {
                reply.headers_mut().insert(SESSION_ID, id);
                Ok(reply)
            }
            Err(refused) => {
                self.shared.sessions.remove(&session.id);
                Err(refused)
            }
        }
    }

    /// 8. Relay: one JSON message, or a stream of them.
    async fn relay(&self, exchange: Exchange, response: http::Response<Incoming>) -> Result<Reply, Refused> {
        let status = response.status();
        if status == StatusCode::NOT_FOUND
            && let Some(session) = exchange.session.as_ref()
        {
            self.shared.sessions.remove(&session.id);
            return Err(self.undone_by(exchange, Refusal::SessionGone));
        }
        if status.is_success() && is_type(&response, "text/event-stream") {
            let relay = Relay::new(response.into_body(), exchange, self.times());
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
            Ok(bytes) => match exchange.message(&bytes, false) {
                Some(Passed::Answer(answer)) => Ok(reply::json(status, answer)),
                Some(Passed::Message(_)) | None => Err(self.undone(exchange, UpstreamError::NotAnAnswer)),
            },
        }
    }

    /// The upstream gave no answer: the request is over.
    fn undone(&self, exchange: Exchange, why: UpstreamError) -> Refused {
        if matches!(why, UpstreamError::Connect(_)) {
            exchange.upstream.server.era.forget();
        }
        self.undone_by(exchange, why.into())
    }

    fn undone_by(&self, exchange: Exchange, why: Refusal) -> Refused {
        let Some(call) = exchange.call else { return why.into() };
        if let Some(session) = &exchange.session {
            session.close(call.ours, false);
        }
        call.to.refuse(why)
    }

    /// A notification within a session.
    async fn notify(&self, entry: &Entry, notice: Notice, mut params: Params<'_>) -> Result<Reply, Refused> {
        let session = self.session(entry)?;
        if !notice.is_in(session.revision()) {
            return Err(Refusal::Unknown(notice.as_str().into()).into());
        }
        let roots = entry.server.policy.current().policy.reverse(policy::Reverse::Roots);
        if notice == Notice::RootsChanged && !roots {
            return Ok(reply::empty(StatusCode::ACCEPTED));
        }
        if notice == Notice::Cancelled {
            // INVARIANT: only what this session opened can be cancelled (vector 66)
            let Some(ours) = params.get("requestId").and_then(|id| session.opened_as(id)) else {
                return Ok(reply::empty(StatusCode::ACCEPTED));
            };
            params.replace("requestId", ours.to_string());
        }
        self.tell(entry, &session, Writer::notification(notice, &params)).await
    }

    /// Sends what has no answer.
    async fn tell(&self, entry: &Entry, session: &Arc<Session>, message: Vec<u8>) -> Result<Reply, Refused> {
        let response =
            self.upstream(&entry.server).post(session_headers(session), message, None).await.map_err(Refusal::from)?;
        match response.status() {
            StatusCode::NOT_FOUND => {
                self.shared.sessions.remove(&session.id);
                Err(Refusal::SessionGone.into())
            }
            status if status.is_success() => Ok(reply::empty(StatusCode::ACCEPTED)),
            status => Err(Refusal::from(UpstreamError::Status(status)).into()),
        }
    }

    /// GET: the stream of a legacy session, or one that broke off, resumed.
    async fn stream(&self, entry: &Entry) -> Result<Reply, Refused> {
        if !head::accepts(&entry.headers, "text/event-stream") {
            return Err(Refusal::NotAcceptable.into());
        }
        let session = self.session_or_no_stream(entry)?;
        let upstream = self.upstream(&entry.server);
        let mut headers = session_headers(&session);
        if let Some(last) = one(&entry.headers, &LAST_EVENT_ID)? {
            headers.insert(LAST_EVENT_ID, last.clone());
        }
        let response = upstream.get(headers).await.map_err(Refusal::from)?;
        match response.status() {
            StatusCode::NOT_FOUND => {
                self.shared.sessions.remove(&session.id);
                return Err(Refusal::SessionGone.into());
            }
            status @ (StatusCode::METHOD_NOT_ALLOWED | StatusCode::CONFLICT | StatusCode::BAD_REQUEST) => {
                return Ok(reply::empty(status));
            }
            status if !status.is_success() => return Err(Refusal::from(UpstreamError::Status(status)).into()),
            _ if !is_type(&response, "text/event-stream") => {
                return Err(Refusal::from(UpstreamError::ContentType(content_type(&response))).into());
            }
            _ => {}
        }
        let exchange = Exchange {
            bound: entry.server.policy.current(),
            era: Era::Legacy,
            agent: session.agent.clone(),
            session: Some(session),
            call: None,
            tasks: Arc::clone(&self.shared.tasks),
            upstream,
        };
        let times = Times { idle: None, deadline: None, ..self.times() };
        let relay = Relay::new(response.into_body(), exchange, times).until(self.shared.draining.clone());
        Ok(reply::events(Out::Relay(Box::new(relay))))
    }

    /// DELETE: ends our session and the upstream's.
    async fn end(&self, entry: &Entry) -> Result<Reply, Refused> {
        let session = self.session_or_no_stream(entry)?;
        self.shared.sessions.remove(&session.id);
        if session.upstream.is_some() {
            let ended = self.upstream(&entry.server).delete(session_headers(&session)).await;
            if let Err(error) = ended {
                tracing::warn!(server = %entry.server.id, error = %crate::policies::chain(&error), "the upstream's session was not ended");
            }
        }
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    fn session_or_no_stream(&self, entry: &Entry) -> Result<Arc<Session>, Refusal> {
        match self.session(entry) {
            Err(Refusal::NoSession) if Claim::of(&entry.headers, &mcp::Object::default())?.is_modern() => {
                Err(Refusal::NoStream)
            }
            session => session,
        }
    }

    /// The session that the request names: ours, of this server, under a revision that exists.
    pub(crate) fn session(&self, entry: &Entry) -> Result<Arc<Session>, Refusal> {
        let id = one(&entry.headers, &SESSION_ID)?.ok_or(Refusal::NoSession)?;
        let id = id.to_str().map_err(|_| Refusal::SessionGone)?;
        let claim = Claim::of(&entry.headers, &mcp::Object::default())?;
        if let Some(version) = claim.header().filter(|_| claim.is_modern()) {
            return Err(Refusal::Version { requested: version.into() });
        }
        self.shared.sessions.find(id, &entry.server.id).ok_or(Refusal::SessionGone)
    }

    pub(crate) fn upstream(&self, server: &Arc<Server>) -> Upstream {
        Upstream { client: self.client.clone(), server: Arc::clone(server), bounds: Arc::clone(&self.shared.bounds) }
    }

    fn times(&self) -> Times {
        let bounds = &self.shared.bounds;
        Times {
            keep_alive: bounds.keepalive,
            idle: Some(bounds.idle_timeout),
            deadline: Some(Instant::now() + bounds.call_timeout),
        }
    }
}

/// 7. Forward: a freshly written message. What was judged is what is written.
fn write(cleared: &Cleared<'_>, ours: u64, method: Method, params: &Params<'_>) -> Vec<u8> {
    debug_assert!(cleared.permitted().is_none_or(|permitted| match permitted.subject() {
        policy::Subject::Tool(name) | policy::Subject::Resource(name) | policy::Subject::Prompt(name) =>
            params.name() == Some(name),
    }));
    Writer::request(ours, method, params)
}

/// What the policy denies a server is not offered to it.
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
}

fn record_refused(shared: &Shared, server: &str, peer: IpAddr, refused: &Refused) {
    let known = shared.servers.get_key_value(server).map_or("(unknown)", |(id, _)| id);
    record::refused(known, peer, refused);
}

fn too_new(server: &Server) -> String {
    format!(
        "this client speaks 2026-07-28, server `{}` only revisions up to 2025-11-25: use a client that sends `initialize`",
        server.id
    )
}

fn too_old(server: &Server) -> String {
    format!(
        "this client speaks revisions up to 2025-11-25, server `{}` only 2026-07-28: use a client of that revision",
        server.id
    )
}

//! `/mcp`: all servers behind one URL. The aggregate is a client of the mounts `/mcp/{server}` in this process: each request is split
//! into requests to them, each of which is judged, limited, recorded and relayed as itself, and the answers are merged.
//!
//! Nothing here talks to an upstream.

mod asker;
mod calls;
mod changes;
mod drain;
mod events;
mod hello;
mod kind;
mod legacy;
mod listen;
mod lists;
pub(crate) mod merged;
mod names;
mod patience;
mod search;
mod seen;
mod session;
mod voice;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{HeaderMap, Method as Verb, StatusCode};
use mcp::{Body, Era, Message, Method, Params, Request, Revision};
use serde_json::{Value, json};

use self::asker::{Asker, Who};
pub(crate) use self::events::answer as answer_of;
use self::kind::Kind;
pub(crate) use self::patience::Doubt;
use self::session::Joints;
use crate::agent::Agent;
use crate::config;
use crate::head;
use crate::modern::{self, Claim};
use crate::pipeline::{Peer, Pipeline};
use crate::refusal::{Addressee, Refusal, Refused};
use crate::registry::Registry;
use crate::reply::{self, Reply};
use crate::session::Sessions;

/// What the log calls it; no server can be called that.
pub(crate) const NAME: &str = "(aggregate)";

/// The servers that could not be asked, in the `_meta` of a result.
const UNAVAILABLE: &str = "dev.toolgate/unavailable";

/// Milliseconds for which a merged list may be kept at most: policies may change.
const MAX_TTL: u64 = 60_000;

/// How long a client may carry a cursor, or a server's state, until it has to start over.
const CARRIED: Duration = Duration::from_secs(24 * 60 * 60);

static SERVER_INFO: LazyLock<Value> =
    LazyLock::new(|| json!({ "name": "toolgate", "version": env!("CARGO_PKG_VERSION") }));

pub(crate) struct Aggregate {
    pub(super) settings: config::Aggregate,
    sessions: Joints,
}

impl Aggregate {
    pub(crate) fn new(settings: &config::Aggregate, sessions: usize) -> Self {
        Self { settings: settings.clone(), sessions: Joints::new(sessions) }
    }

    pub(crate) fn expire(&self, idle: Duration) {
        self.sessions.expire(idle);
    }

    /// The session is in use, and those inside, though its client says nothing.
    pub(crate) fn touch(&self, session: &str, agent: &Agent, mounts: &Sessions) {
        let Some(joint) = self.sessions.find(session, agent) else { return };
        for (server, inner) in joint.open() {
            if let Ok(id) = inner.id.to_str() {
                mounts.find(id, &server, agent);
            }
        }
    }
}

impl Pipeline {
    /// Answers a request to `/mcp`, whose head was let in.
    pub(crate) async fn aggregate(
        &self,
        verb: &Verb,
        headers: HeaderMap,
        body: hyper::body::Incoming,
        (peer, registry): (&Peer, Arc<Registry>),
    ) -> Result<Reply, Refused> {
        let mount = Mount::new(self, headers, peer.clone(), registry);
        match *verb {
            Verb::POST => {
                head::media(&mount.headers)?;
                let body = crate::body::read(body, &self.shared.bounds).await?;
                mount.read(&body).await
            }
            Verb::GET => mount.stream(),
            Verb::DELETE => mount.end().await,
            _ => Err(Refusal::Verb.into()),
        }
    }
}

/// Where a client's request came in.
#[derive(Clone)]
pub(crate) struct Mount {
    pipeline: Pipeline,
    headers: Arc<HeaderMap>,
    peer: Peer,
    registry: Arc<Registry>,
}

impl Mount {
    pub(crate) fn new(pipeline: &Pipeline, headers: HeaderMap, peer: Peer, registry: Arc<Registry>) -> Self {
        Self { pipeline: pipeline.clone(), headers: Arc::new(headers), peer, registry }
    }

    /// Parses, strictly and once, and answers.
    pub(crate) async fn read(&self, body: &[u8]) -> Result<Reply, Refused> {
        match mcp::parse(body)? {
            Body::One(message) => self.message(message).await,
            Body::Batch(elements) => self.batch(&elements).await,
        }
    }

    async fn message(&self, message: Message<'_>) -> Result<Reply, Refused> {
        match message {
            Message::Request(request) => self.request(&request).await,
            Message::Response(response) => self.answered(&response).await,
            Message::Notification(notification) => {
                let claim = Claim::of(&self.headers, &notification.params)?;
                let notice = notification.notice.map_err(|name| Refusal::Unknown(name.into()))?;
                let params = Params::of_notice(notice, &notification.params)
                    .map_err(|kind| Addressee::default().params(kind))?;
                match claim.is_modern() {
                    true if notice.is_in(Revision::MODERN) => Ok(reply::empty(StatusCode::ACCEPTED)),
                    true => Err(Refusal::Unknown(notice.as_str().into()).into()),
                    false => self.notify(notice, &params).await,
                }
            }
        }
    }

    async fn request(&self, request: &Request<'_>) -> Result<Reply, Refused> {
        let mut to = Addressee {
            id: Some(request.id.to_json()),
            method: request.method.as_ref().ok().copied(),
            ..Addressee::default()
        };
        let claim = Claim::of(&self.headers, &request.params).map_err(|why| to.refuse(why))?;
        if !claim.is_modern() {
            to.era = Some(Era::Legacy);
            return self.legacy(request, &mut to).await;
        }
        to.era = Some(Era::Modern);
        let method = modern::check(&claim, &self.headers, request, &to)?;
        let params = Params::of(method, Revision::MODERN, &request.params).map_err(|kind| to.params(kind))?;
        modern::check_name(&self.headers, &params).map_err(|why| to.refuse(why))?;
        let who = Who::Modern { agent: self.peer.agent.clone(), headers: Arc::clone(&self.headers) };
        self.asker(who).request(method, request, &params, to).await
    }

    fn asker(&self, who: Who) -> Asker {
        Asker { pipeline: self.pipeline.clone(), who, registry: Arc::clone(&self.registry) }
    }
}

impl Asker {
    /// Answers a lawful request. Every method is on this list.
    async fn request(
        &self,
        method: Method,
        request: &Request<'_>,
        params: &Params<'_>,
        to: Addressee,
    ) -> Result<Reply, Refused> {
        self.pipeline.shared.standing.check().map_err(|why| to.refuse(why))?;
        match method {
            Method::ToolsList if self.aggregate().settings.discovery => Ok(search::list(self, &to)),
            Method::ToolsList => lists::list(self, Kind::Tools, request, &to).await,
            Method::PromptsList => lists::list(self, Kind::Prompts, request, &to).await,
            Method::ResourcesList => lists::list(self, Kind::Resources, request, &to).await,
            Method::TemplatesList => lists::list(self, Kind::Templates, request, &to).await,
            Method::TasksList => lists::list(self, Kind::Tasks, request, &to).await,
            Method::ToolsCall if self.aggregate().settings.discovery => search::call(self, request, params, to).await,
            Method::ToolsCall
            | Method::PromptsGet
            | Method::ResourcesRead
            | Method::Subscribe
            | Method::Unsubscribe
            | Method::Complete
            | Method::TasksGet
            | Method::TasksCancel
            | Method::TasksResult
            | Method::TasksUpdate => calls::call(self, method, request, params, to).await,
            Method::Discover => Ok(hello::discover(self, request, &to).await),
            Method::Listen => listen::listen(self, request, to).await,
            Method::SetLevel => legacy::set_level(self, request, &to).await,
            Method::Ping => Ok(asker::result(&to, "{}")),
            // It has no session yet, and so nobody to ask for.
            Method::Initialize => Err(to.refuse(Refusal::SessionChosen)),
        }
    }
}

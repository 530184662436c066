//! The aggregate as a client of the mounts: what it sends to one, that mount judges, limits, records and relays as any request.

use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use mcp::{Method, Writer};
use serde_json::{Map, Value, json};

use super::session::Joint;
use super::{Aggregate, SERVER_INFO};
use crate::agent::Agent;
use crate::pipeline::{Entry, Pipeline};
use crate::refusal::{Addressee, Refusal, Refused};
use crate::registry::Registry;
use crate::reply::Reply;
use crate::server::Server;
use crate::upstream::{MCP_NAME, UpstreamError};

/// For whom the aggregate asks.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(super) pipeline: Pipeline,
    pub(super) who: Who,
    /// What there was when the client asked.
    pub(super) registry: Arc<Registry>,
}

#[derive(Clone)]
pub(super) enum Who {
    /// With the headers of the client's own request.
    Modern { agent: Agent, headers: Arc<HeaderMap> },
    /// In a session of its own.
    Legacy { agent: Agent, joint: Arc<Joint> },
}

/// A request to one server. `id` and `params` are JSON text; `name` is what the params name, which modern headers mirror.
pub(super) struct Outgoing {
    pub(super) to: Addressee,
    pub(super) method: Method,
    pub(super) name: Option<String>,
    pub(super) params: String,
    /// The client's `Mcp-Param-*` headers, where the call is its own: they are checked against the arguments inside.
    pub(super) mirrors: HeaderMap,
}

impl Outgoing {
    pub(super) fn new(to: &Addressee, method: Method, name: Option<&str>, params: String) -> Self {
        Self { to: to.clone(), method, name: name.map(str::to_owned), params, mirrors: HeaderMap::new() }
    }
}

impl Asker {
    pub(super) fn aggregate(&self) -> &Aggregate {
        &self.pipeline.shared.aggregate
    }

    /// The servers of the aggregate that the agent may use, by id.
    pub(super) fn servers(&self) -> impl Iterator<Item = &Arc<Server>> + Clone {
        self.registry.joined().iter().filter(|server| self.agent().may_use(&server.id))
    }

    /// One of those.
    pub(super) fn server(&self, id: &str) -> Option<&Arc<Server>> {
        self.registry.member(id).filter(|server| self.agent().may_use(&server.id))
    }

    pub(super) fn agent(&self) -> &Agent {
        match &self.who {
            Who::Modern { agent, .. } | Who::Legacy { agent, .. } => agent,
        }
    }

    pub(super) fn is_modern(&self) -> bool {
        matches!(self.who, Who::Modern { .. })
    }

    pub(super) fn joint(&self) -> Option<&Arc<Joint>> {
        match &self.who {
            Who::Modern { .. } => None,
            Who::Legacy { joint, .. } => Some(joint),
        }
    }

    /// Sends a request to the mount of a server, and gives back what that answers, refusals included.
    pub(super) async fn send(&self, server: &Arc<Server>, out: &Outgoing) -> Reply {
        let body = message(out.to.id.as_deref().unwrap_or("null"), out.method, &out.params);
        match &self.who {
            Who::Modern { agent, .. } => {
                let entry = match modern_headers(out) {
                    Ok(headers) => Entry::new(Arc::clone(server), Arc::new(headers), agent.clone()).own(),
                    Err(why) => return out.to.refuse(why).reply(),
                };
                self.answered(&entry, &body).await.unwrap_or_else(|why| out.to.refuse(why).reply())
            }
            Who::Legacy { agent, joint } => match self.within(joint, server, &body).await {
                Ok(reply) => reply,
                Err(why) => {
                    let refused = out.to.refuse(why);
                    self.pipeline.turned_away(&server.id, agent, &refused);
                    refused.reply()
                }
            },
        }
    }

    /// Within the session with that server. If even a new one is gone at once, that server fails, and not the client's session.
    async fn within(&self, joint: &Arc<Joint>, server: &Arc<Server>, body: &[u8]) -> Result<Reply, Refusal> {
        match self.within_or_gone(joint, server, body).await {
            Err(Refusal::SessionGone) => Err(UpstreamError::Status(http::StatusCode::NOT_FOUND).into()),
            answered => answered,
        }
    }

    /// One that is gone is opened anew, once: nothing was done in it.
    async fn within_or_gone(&self, joint: &Arc<Joint>, server: &Arc<Server>, body: &[u8]) -> Result<Reply, Refusal> {
        let inner = joint.with(&self.pipeline, self.agent(), server).await?;
        match self.answered(&joint.entry(self.agent(), server, &inner), body).await {
            Err(Refusal::SessionGone) => {
                joint.forget(server, &inner);
                let inner = joint.with(&self.pipeline, self.agent(), server).await?;
                let again = self.answered(&joint.entry(self.agent(), server, &inner), body).await;
                if matches!(again, Err(Refusal::SessionGone)) {
                    joint.forget(server, &inner);
                }
                again
            }
            answered => answered,
        }
    }

    /// What the mount answers. `Err` only where the session is gone; other refusals are answers, and are recorded as the mount's own.
    pub(super) async fn answered(&self, entry: &Entry, body: &[u8]) -> Result<Reply, Refusal> {
        match at_mount(&self.pipeline, entry, body).await {
            Ok(reply) => Ok(reply),
            Err(refused) if matches!(refused.why, Refusal::SessionGone) => Err(Refusal::SessionGone),
            Err(refused) => {
                self.pipeline.turned_away(&entry.server.id, &entry.agent, &refused);
                Ok(refused.reply())
            }
        }
    }
}

/// Boxed: whoever asks many servers at a time would hold as many of these, each as large as all that a mount does.
fn at_mount<'a>(
    pipeline: &'a Pipeline,
    entry: &'a Entry,
    body: &'a [u8],
) -> Pin<Box<dyn Future<Output = Result<Reply, Refused>> + Send + 'a>> {
    Box::pin(pipeline.read(entry, body))
}

fn modern_headers(out: &Outgoing) -> Result<HeaderMap, Refusal> {
    let mut headers = crate::era::modern_headers(out.method);
    headers.extend(out.mirrors.clone());
    if let Some(name) = &out.name {
        let name = HeaderValue::from_str(&mcp::encode(name)).map_err(|_| UpstreamError::NotAnAnswer)?;
        headers.insert(MCP_NAME, name);
    }
    Ok(headers)
}

/// A request under the client's own id, so that answers and cancellations need no other.
pub(super) fn message(id: &str, method: Method, params: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{}","params":{params}}}"#, method.as_str()).into_bytes()
}

impl Asker {
    /// A result of the aggregate's own, with what the client's era asks of one. `about` is its `_meta`.
    pub(super) fn own(&self, mut members: Map<String, Value>, mut about: Map<String, Value>) -> String {
        if self.is_modern() {
            members.insert("resultType".to_owned(), json!("complete"));
            about.insert(mcp::meta::SERVER_INFO.to_owned(), SERVER_INFO.clone());
        }
        if !about.is_empty() {
            members.insert("_meta".to_owned(), Value::Object(about));
        }
        Value::Object(members).to_string()
    }

    /// How long a result of its own that is a list may be kept, and by whom; nothing in legacy.
    pub(super) fn kept(&self, ttl: u64) -> Vec<(String, Value)> {
        match self.is_modern() {
            true => vec![("ttlMs".to_owned(), json!(ttl)), ("cacheScope".to_owned(), json!("private"))],
            false => Vec::new(),
        }
    }
}

/// An answer to the client that is the aggregate's own.
pub(super) fn result(to: &Addressee, result: &str) -> Reply {
    crate::reply::json(http::StatusCode::OK, Writer::result(to.id.as_deref().unwrap_or("null"), result))
}

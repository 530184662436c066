//! Every way to be refused, and the only place that knows status codes and JSON-RPC codes (`reference/mcp.md`, section 4).
//!
//! Our own JSON-RPC codes are positive: MCP keeps -32768 to -32000 for itself and for JSON-RPC.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, CONNECTION, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use journal::NotWritten;
use mcp::{Era, Fault, Kind, Method, Revision};
use policy::{Denial, DenyCode};
use serde_json::json;

use crate::duplex::Trouble;
use crate::eras::to_legacy::BadState;
use crate::identity::Unauthorized;
use crate::policies::chain;
use crate::reply::{self, Reply};
use crate::request_id::{RequestId, TraceId};
use crate::ruling::{Lack, Ruling, Ticket, Unapproved, Why};
use crate::upstream::UpstreamError;

/// The key of our decisions in `_meta` and in error data.
pub(crate) const DECISION: &str = "dev.toolgate/decision";

/// Characters of a refusal that are logged.
const MAX_DETAIL: usize = 512;

const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
const INTERNAL: i32 = -32603;
const HEADER_MISMATCH: i32 = -32020;
const MISSING_CAPABILITY: i32 = -32021;
const UNSUPPORTED_VERSION: i32 = -32022;
const DENIED: i32 = 1403;
const ERA: i32 = 1426;
const BUSY: i32 = 1503;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is nothing at this path: the endpoint of a server is `/mcp/{{server}}`, that of all `/mcp`")]
    NoRoute,
    #[error("there is no such endpoint here, and so no metadata of it")]
    NoMetadata,
    #[error("this gateway has no such server")]
    NoServer,
    /// To the byte like one that is not there.
    #[error("this gateway has no such server")]
    NotBound(#[source] Unbound),
    #[error("{}", .0.public())]
    Unauthorized(#[source] Unauthorized),
    #[error("the `Host` is not one of this gateway's")]
    Host,
    #[error("the `Origin` is not allowed here")]
    Origin,
    #[error("the method must be GET, POST or DELETE")]
    Verb,
    #[error("the method must be {0} here")]
    OtherVerb(http::Method),
    #[error("the `Content-Type` must be `application/json`, in UTF-8")]
    MediaType,
    #[error("the `Content-Encoding` must be `identity`")]
    Coding,
    #[error("no protocol upgrades here")]
    Upgrade,
    #[error("the `Accept` header must list `application/json` and `text/event-stream`")]
    NotAcceptable,
    #[error("header `{0}` has more than one line")]
    HeaderTwice(HeaderName),
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body did not arrive within {0:?}")]
    Slow(Duration),
    #[error("the body broke off")]
    CutOff,
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("batches exist only in sessions of revision 2025-03-26")]
    Batch,
    #[error("a batch has at most {0} messages")]
    BatchTooLong(usize),
    #[error("`initialize` cannot be part of a batch")]
    BatchedInitialize,
    #[error("header mismatch: {0}")]
    Header(Cow<'static, str>),
    #[error("unsupported protocol version")]
    Version { requested: Box<str> },
    #[error("{0}")]
    Meta(&'static str),
    #[error("method not found: {0}")]
    Unknown(Box<str>),
    #[error("no stream here: revision 2026-07-28 has `subscriptions/listen` instead")]
    NoStream,
    #[error("header `Mcp-Session-Id` is missing")]
    NoSession,
    #[error("session not found: send `initialize` again")]
    SessionGone,
    #[error("sessions cannot be looked up now: try again later")]
    NoSessions,
    #[error("an `initialize` has no `Mcp-Session-Id`")]
    SessionChosen,
    #[error("this gateway has no room for another session: try again later")]
    SessionsFull,
    #[error("too many requests are open in this session")]
    TooManyOpen,
    #[error("this gateway has no randomness to make a session id of")]
    NoRandomness,
    #[error("this answer is to no request of this session")]
    UnaskedAnswer,
    #[error("client and server speak different eras of MCP: {0}")]
    Era(String),
    #[error("{}", .0.code())]
    Ruled(Ruling),
    #[error("the client did not declare the tasks extension")]
    NoTasks,
    #[error("this `{0}` is not one that this gateway gave out for this request, or it is too old")]
    NotOurs(&'static str),
    #[error("this task is not yours")]
    ForeignTask,
    #[error("the server asked for input that the policy denies")]
    ForbiddenInput,
    #[error("the audit journal takes no record now, so no call may leave: {0}")]
    NoRecord(NotWritten),
    #[error("the store cannot be read, and what it said last is older than `store.stale` allows")]
    Stale,
    #[error("the server asked for input {0}")]
    Input(&'static str),
    #[error("the task was cancelled")]
    TaskCancelled,
    #[error("the session has too many subscriptions")]
    TooManySubscriptions,
    #[error(transparent)]
    State(#[from] BadState),
    #[error("upstream failed")]
    Upstream(#[from] UpstreamError),
    #[error(transparent)]
    Front(#[from] Trouble),
}

/// Why an agent does not see a server; for the log.
#[derive(Debug, thiserror::Error)]
#[error("the agent is not bound to it")]
pub(crate) struct Unbound;

/// Whom a refusal answers, and what it is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addressee {
    /// The request's id as JSON text, where there is one.
    pub(crate) id: Option<Box<str>>,
    pub(crate) era: Option<Era>,
    pub(crate) method: Option<Method>,
    /// What the policy was asked about.
    pub(crate) subject: Option<Box<str>>,
    /// A task-augmented call is owed a task, so that a denial is an error and not a result.
    pub(crate) as_task: bool,
    pub(crate) policy: Option<Arc<str>>,
    pub(crate) request: RequestId,
    pub(crate) trace: Option<TraceId>,
    /// Of the HTTP body that it came in; 0 where that is not known.
    pub(crate) bytes: usize,
}

/// A refusal on its way to the client.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) why: Refusal,
    /// In a box: every answer on the path of a call has room for a refusal.
    pub(crate) to: Box<Addressee>,
    /// The journal has it already.
    pub(crate) on_record: bool,
}

impl Refused {
    pub(crate) fn on_record(self) -> Self {
        Self { on_record: true, ..self }
    }
}

impl From<Refusal> for Refused {
    fn from(why: Refusal) -> Self {
        let id = if let Refusal::Fault(fault) = &why { fault.id.clone() } else { None };
        Self { why, to: Box::new(Addressee { id, ..Addressee::default() }), on_record: false }
    }
}

impl From<Unapproved> for Refusal {
    fn from(why: Unapproved) -> Self {
        Self::Ruled(Ruling::Unapproved(Box::new(why)))
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Refusal::from(fault).into()
    }
}

impl Addressee {
    pub(crate) fn refuse(&self, why: impl Into<Refusal>) -> Refused {
        Refused { why: why.into(), to: Box::new(self.clone()), on_record: false }
    }

    pub(crate) fn params(&self, kind: Kind) -> Refused {
        self.refuse(Fault { kind, id: self.id.clone() })
    }
}

/// A refusal as JSON-RPC sees it.
struct Spoken {
    status: StatusCode,
    code: i32,
    message: String,
    data: Option<String>,
}

impl Refused {
    /// The whole response.
    pub(crate) fn reply(self) -> Reply {
        let (status, body) = self.message();
        let mut reply = reply::json(status, body);
        let headers = reply.headers_mut();
        if matches!(self.why, Refusal::Verb) {
            headers.insert(ALLOW, HeaderValue::from_static("GET, POST, DELETE"));
        }
        if let Refusal::OtherVerb(verb) = &self.why
            && let Ok(verb) = HeaderValue::from_str(verb.as_str())
        {
            headers.insert(ALLOW, verb);
        }
        if let Refusal::Unauthorized(why) = &self.why {
            match why.challenge() {
                Some(challenge) => headers.insert(WWW_AUTHENTICATE, challenge),
                None => headers.insert(RETRY_AFTER, HeaderValue::from_static("5")),
            };
        }
        if matches!(self.why, Refusal::NoStream) {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        if matches!(self.why, Refusal::SessionsFull | Refusal::TooManyOpen) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        if matches!(self.why, Refusal::NoSessions) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if matches!(self.why, Refusal::Slow(_) | Refusal::TooLarge(_) | Refusal::CutOff | Refusal::Upgrade) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        reply
    }

    /// The status, and the JSON-RPC message that goes with it.
    pub(crate) fn message(&self) -> (StatusCode, Vec<u8>) {
        let id = self.to.id.as_deref();
        if let (Some(id), Some(result)) = (id, self.result()) {
            return (StatusCode::OK, mcp::Writer::result(id, &result));
        }
        let spoken = self.spoken();
        // INVARIANT: 200 is an answer to an id. Where there is no id, the status alone must say that it went wrong.
        let status = match (id, spoken.status) {
            (None, StatusCode::OK) if spoken.code == INTERNAL => StatusCode::BAD_GATEWAY,
            (None, StatusCode::OK) => StatusCode::BAD_REQUEST,
            (_, status) => status,
        };
        (status, mcp::Writer::error(id, spoken.code, &spoken.message, spoken.data.as_deref()))
    }

    /// The denial of a visible tool is a result that the model can read (MCP, "Error Handling" of tools).
    fn result(&self) -> Option<String> {
        let ruling = self.ruling().filter(|ruling| !ruling.is_hidden())?;
        if self.to.method != Some(Method::ToolsCall) || self.to.as_task {
            return None;
        }
        let subject = self.to.subject.as_deref().unwrap_or_default();
        let content = json!([{ "type": "text", "text": ruling.told(subject) }]);
        let decision = ruling.decision(self.to.policy.as_deref(), self.to.request);
        let result = match self.to.era {
            Some(Era::Modern) => json!({ "resultType": "complete", "content": content, "isError": true, "_meta": {
                DECISION: decision,
                "io.modelcontextprotocol/serverInfo": { "name": "toolgate", "version": env!("CARGO_PKG_VERSION") },
            } }),
            Some(Era::Legacy) | None => json!({ "content": content, "isError": true, "_meta": { DECISION: decision } }),
        };
        Some(result.to_string())
    }

    pub(crate) fn ruling(&self) -> Option<&Ruling> {
        if let Refusal::Ruled(ruling) = &self.why { Some(ruling) } else { None }
    }

    /// What the call is known by, if it waits for a person.
    pub(crate) fn ticket(&self) -> Option<&Ticket> {
        self.ruling()?.ticket()
    }

    /// Is it only that the store of approvals does not answer now?
    pub(crate) fn is_silence(&self) -> bool {
        matches!(&self.why, Refusal::Ruled(Ruling::Unapproved(unapproved))
            if matches!(unapproved.why, Why::Unavailable(Lack::Silent)))
    }

    /// What became of a call that waits for a person; of any other, the same.
    pub(crate) fn then(self, why: Why) -> Self {
        let Refusal::Ruled(Ruling::Unapproved(unapproved)) = &self.why else { return self };
        self.to.refuse(unapproved.then(why))
    }

    /// The denial, if only a person's consent is missing; else itself.
    pub(crate) fn lacks_consent(self) -> Result<Denial, Self> {
        if let Refusal::Ruled(Ruling::Denied(denial)) = &self.why
            && denial.code == DenyCode::ApprovalRequired
        {
            return Ok(denial.clone());
        }
        Err(self)
    }

    /// What became of the request, in a word.
    pub(crate) fn outcome(&self) -> &'static str {
        self.ruling().map_or("refused", Ruling::outcome)
    }

    /// The stable code of a decision.
    pub(crate) fn code(&self) -> &'static str {
        match (&self.why, self.ruling()) {
            (_, Some(ruling)) => ruling.code(),
            (Refusal::Upstream(_), None) => "upstream",
            (Refusal::NoRecord(_), None) => "no_record",
            (Refusal::Unauthorized(_), None) => "unauthorized",
            (Refusal::Stale, None) => "unavailable.store",
            (Refusal::NoSessions, None) => "unavailable.sessions",
            (_, None) => "refused",
        }
    }

    pub(crate) fn rule(&self) -> &str {
        self.ruling().map_or("(protocol)", Ruling::rule)
    }

    /// Was it the upstream's fault, after the call was allowed?
    pub(crate) fn is_upstream(&self) -> bool {
        matches!(self.why, Refusal::Upstream(_))
    }

    /// For the log, where it was not a rule that refused.
    pub(crate) fn fault(&self) -> Option<String> {
        self.ruling().is_none().then(|| self.detail())
    }

    /// For the log: the whole chain, as far as a line bears. Parts of it are the client's words.
    pub(crate) fn detail(&self) -> String {
        let mut detail = chain(&self.why);
        if let Some((end, _)) = detail.char_indices().nth(MAX_DETAIL) {
            detail.truncate(end);
        }
        detail
    }

    fn spoken(&self) -> Spoken {
        let modern = self.to.era == Some(Era::Modern);
        let say = |status, code| Spoken { status, code, message: self.why.to_string(), data: None };
        match &self.why {
            Refusal::NoRoute | Refusal::NoMetadata | Refusal::NoServer | Refusal::NotBound(_) => {
                say(StatusCode::NOT_FOUND, INVALID_REQUEST)
            }
            Refusal::Unauthorized(why) => say(why.status(), INVALID_REQUEST),
            Refusal::Host | Refusal::Origin => say(StatusCode::FORBIDDEN, INVALID_REQUEST),
            Refusal::Verb | Refusal::OtherVerb(_) | Refusal::NoStream => {
                say(StatusCode::METHOD_NOT_ALLOWED, INVALID_REQUEST)
            }
            Refusal::MediaType | Refusal::Coding => say(StatusCode::UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST),
            Refusal::NotAcceptable => say(StatusCode::NOT_ACCEPTABLE, INVALID_REQUEST),
            Refusal::TooLarge(_) => say(StatusCode::PAYLOAD_TOO_LARGE, INVALID_REQUEST),
            Refusal::Slow(_) => say(StatusCode::REQUEST_TIMEOUT, INVALID_REQUEST),
            Refusal::Upgrade
            | Refusal::CutOff
            | Refusal::Batch
            | Refusal::BatchTooLong(_)
            | Refusal::BatchedInitialize => say(StatusCode::BAD_REQUEST, INVALID_REQUEST),
            Refusal::NoSession | Refusal::SessionChosen | Refusal::UnaskedAnswer => {
                say(StatusCode::BAD_REQUEST, INVALID_REQUEST)
            }
            Refusal::SessionGone => say(StatusCode::NOT_FOUND, INVALID_REQUEST),
            Refusal::Fault(fault) => say(StatusCode::BAD_REQUEST, fault.code()),
            Refusal::HeaderTwice(_) | Refusal::Header(_) => say(StatusCode::BAD_REQUEST, HEADER_MISMATCH),
            Refusal::Meta(_) => say(StatusCode::BAD_REQUEST, INVALID_PARAMS),
            Refusal::Version { requested } => {
                let data = json!({ "supported": [Revision::MODERN.as_str()], "requested": requested }).to_string();
                Spoken { data: Some(data), ..say(StatusCode::BAD_REQUEST, UNSUPPORTED_VERSION) }
            }
            Refusal::NoTasks => {
                let data = json!({ "requiredCapabilities": { "extensions": { mcp::meta::TASKS: {} } } }).to_string();
                Spoken { data: Some(data), ..say(StatusCode::BAD_REQUEST, MISSING_CAPABILITY) }
            }
            Refusal::Unknown(_) if modern => say(StatusCode::NOT_FOUND, METHOD_NOT_FOUND),
            Refusal::Unknown(_) => say(StatusCode::OK, METHOD_NOT_FOUND),
            Refusal::Era(_) => say(StatusCode::BAD_REQUEST, ERA),
            Refusal::SessionsFull
            | Refusal::NoSessions
            | Refusal::TooManyOpen
            | Refusal::TooManySubscriptions
            | Refusal::NoRandomness => say(StatusCode::SERVICE_UNAVAILABLE, BUSY),
            Refusal::Ruled(ruling) if ruling.is_hidden() => {
                Spoken { message: unknown(&self.to), ..say(StatusCode::OK, INVALID_PARAMS) }
            }
            Refusal::Ruled(ruling) => {
                let data = json!({ DECISION: ruling.decision(self.to.policy.as_deref(), self.to.request) }).to_string();
                let message = ruling.told(self.to.subject.as_deref().unwrap_or_default());
                Spoken { message, data: Some(data), ..say(StatusCode::OK, DENIED) }
            }
            Refusal::NoRecord(_) => Spoken {
                message: "the gateway cannot record calls now: try again later".into(),
                ..say(StatusCode::OK, BUSY)
            },
            Refusal::Stale => Spoken {
                message: "the gateway cannot read its store now, so it refuses calls: try again later".into(),
                ..say(StatusCode::OK, BUSY)
            },
            Refusal::ForeignTask => Spoken { message: "task not found".into(), ..say(StatusCode::OK, INVALID_PARAMS) },
            Refusal::NotOurs(_) | Refusal::State(_) => say(StatusCode::OK, INVALID_PARAMS),
            Refusal::ForbiddenInput | Refusal::Input(_) | Refusal::TaskCancelled => say(StatusCode::OK, INTERNAL),
            Refusal::Upstream(UpstreamError::Down(wait)) => {
                let message = format!("the server is down; it is tried again in {} s", wait.as_secs_f64().ceil());
                Spoken { message, ..say(StatusCode::OK, INTERNAL) }
            }
            Refusal::Upstream(_) | Refusal::Front(_) => say(StatusCode::OK, INTERNAL),
        }
    }
}

/// The answer to what does not exist, and to what is hidden: the same, to the byte.
fn unknown(to: &Addressee) -> String {
    let kind = match to.method {
        Some(Method::PromptsGet) => "prompt",
        Some(Method::Complete) => "reference",
        Some(Method::ResourcesRead | Method::Subscribe | Method::Unsubscribe) => "resource",
        _ => "tool",
    };
    format!("Unknown {kind}: {}", to.subject.as_deref().unwrap_or_default())
}

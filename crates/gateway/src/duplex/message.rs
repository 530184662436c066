//! What a client's message is, as far as its way depends on it. The service reads it again, and judges it.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use mcp::{Body, Message, Method, Notice, Notification, Object, Params, Request, Revision, meta};

use super::mirrored::Mirrored;
use crate::refusal::{Addressee, Refusal, Refused};
use crate::upstream::{MCP_METHOD, MCP_NAME, PROTOCOL_VERSION};

pub(super) enum Kind {
    /// A legacy `initialize`, by its id.
    Hello(Box<str>),
    /// `notifications/initialized`.
    Announced,
    Ask(Ask),
    Batch(Ask),
    /// The request that is cancelled, by its id.
    Cancelled(Option<Box<str>>),
    /// With its headers, if it is modern.
    Tell(Option<HeaderMap>),
}

/// What is owed answers.
pub(super) struct Ask {
    pub(super) ids: Vec<Box<str>>,
    /// The headers of a modern request.
    pub(super) modern: Option<HeaderMap>,
    /// It asks for a page of the tools; true: for the first.
    pub(super) lists: Option<bool>,
    pub(super) calls_tool: bool,
    pub(super) lasting: bool,
}

/// Refuses what the gateway would refuse unread, in its words.
pub(super) fn kind(body: &Bytes, mirrored: &Mirrored) -> Result<Kind, Refused> {
    match mcp::parse(body)? {
        Body::One(Message::Request(request)) => of_request(&request, mirrored),
        Body::One(Message::Notification(notification)) => of_notification(&notification),
        Body::One(Message::Response(_)) => Ok(Kind::Tell(None)),
        Body::Batch(elements) => {
            let mut ids = Vec::new();
            for element in elements {
                if let Message::Request(request) = mcp::element(element)? {
                    ids.push(request.id.to_json());
                }
            }
            Ok(Kind::Batch(Ask { ids, modern: None, lists: None, calls_tool: false, lasting: false }))
        }
    }
}

/// Does it say that it belongs to the modern era?
pub(super) fn is_modern(params: &Object<'_>) -> bool {
    version(params).is_some()
}

fn of_request(request: &Request<'_>, mirrored: &Mirrored) -> Result<Kind, Refused> {
    let ids = vec![request.id.to_json()];
    if !is_modern(&request.params) {
        return Ok(match request.method {
            Ok(Method::Initialize) => Kind::Hello(request.id.to_json()),
            _ => Kind::Ask(Ask { ids, modern: None, lists: None, calls_tool: false, lasting: false }),
        });
    }
    let first = || request.params.get("cursor").is_none();
    Ok(Kind::Ask(Ask {
        ids,
        modern: Some(request_headers(request, mirrored)?),
        lists: (request.method == Ok(Method::ToolsList)).then(first),
        calls_tool: request.method == Ok(Method::ToolsCall),
        lasting: request.method == Ok(Method::Listen),
    }))
}

fn of_notification(notification: &Notification<'_>) -> Result<Kind, Refused> {
    match &notification.notice {
        Ok(Notice::Cancelled) => Ok(Kind::Cancelled(notification.params.get("requestId").map(|id| id.get().into()))),
        Ok(Notice::Initialized) if !is_modern(&notification.params) => Ok(Kind::Announced),
        notice if is_modern(&notification.params) => {
            let method = notice.as_ref().map_or_else(AsRef::as_ref, |notice| notice.as_str());
            Ok(Kind::Tell(headers(&notification.params, method).ok()))
        }
        _ => Ok(Kind::Tell(None)),
    }
}

/// The headers that this request has over HTTP.
pub(super) fn request_headers(request: &Request<'_>, mirrored: &Mirrored) -> Result<HeaderMap, Refused> {
    let to = Addressee { id: Some(request.id.to_json()), era: Some(mcp::Era::Modern), ..Addressee::default() };
    let method = match &request.method {
        Ok(method) => method.as_str(),
        Err(name) => name.as_ref(),
    };
    let mut headers = headers(&request.params, method).map_err(|why| to.refuse(why))?;
    let Ok(method) = request.method else { return Ok(headers) };
    // What is wrong with the params is the service's to say.
    let Ok(params) = Params::of(method, Revision::MODERN, &request.params) else { return Ok(headers) };
    if let Some(name) = params.name() {
        headers.insert(MCP_NAME, value(&mcp::encode(name), "Mcp-Name").map_err(|why| to.refuse(why))?);
        if method == Method::ToolsCall {
            let arguments = request.params.get("arguments").map(|arguments| arguments.get());
            headers.extend(mirrored.headers(name, arguments));
        }
    }
    Ok(headers)
}

fn headers(params: &Object<'_>, method: &str) -> Result<HeaderMap, Refusal> {
    let version = version(params).unwrap_or_default();
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(PROTOCOL_VERSION, value(&version, "MCP-Protocol-Version")?);
    headers.insert(MCP_METHOD, value(method, "Mcp-Method")?);
    Ok(headers)
}

fn version<'a>(params: &Object<'a>) -> Option<std::borrow::Cow<'a, str>> {
    params.object("_meta")?.text(meta::PROTOCOL_VERSION)
}

fn value(text: &str, name: &'static str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text).map_err(|_| Refusal::Header(format!("`{name}` cannot be written").into()))
}

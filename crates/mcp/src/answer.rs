//! What a server sent: an answer, a request (legacy) or a notification. Results stay text, byte for byte.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{Id, Object};

/// How a request ended, as JSON text.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'a> {
    Result(&'a RawValue),
    Error(&'a RawValue),
}

impl Verdict<'_> {
    /// The result or the error, as it came.
    pub fn text(&self) -> &str {
        match self {
            Self::Result(raw) | Self::Error(raw) => raw.get(),
        }
    }
}

/// A response. Errors may lack an id (or have null), when the server could not read ours.
#[derive(Debug)]
pub struct Answer<'a> {
    pub id: Option<Id<'a>>,
    pub verdict: Verdict<'a>,
}

#[derive(Debug)]
pub enum ServerMessage<'a> {
    Answer(Answer<'a>),
    Request { id: Id<'a>, method: Cow<'a, str>, params: Option<&'a RawValue> },
    Notification { method: Cow<'a, str>, params: Option<&'a RawValue> },
}

impl<'a> ServerMessage<'a> {
    /// Reads one message; none when `bytes` are not exactly one JSON-RPC 2.0 message with distinct members.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let members = Object::read(std::str::from_utf8(bytes).ok()?)?;
        if members.text("jsonrpc").as_deref() != Some("2.0") {
            return None;
        }
        let id = match members.get("id") {
            None => None,
            Some(raw) if raw.get() == "null" && members.get("error").is_some() => None,
            Some(raw) => Some(Id::read(raw)?),
        };
        let params = members.get("params");
        match (members.get("method").is_some(), members.get("result"), members.get("error")) {
            (true, None, None) => {
                let method = members.text("method")?;
                Some(match id {
                    Some(id) => Self::Request { id, method, params },
                    None => Self::Notification { method, params },
                })
            }
            (false, Some(result), None) => {
                Some(Self::Answer(Answer { id: Some(id?), verdict: Verdict::Result(result) }))
            }
            (false, None, Some(error)) => Some(Self::Answer(Answer { id, verdict: Verdict::Error(error) })),
            _ => None,
        }
    }
}

//! A message for a program: one compact line, and what must be known of it to bring the answers back.

use mcp::{Method, Notice, Object, ServerMessage, meta};
use serde_json::value::RawValue;

use super::error::StdioError;

pub(super) struct Message {
    /// With its line end.
    pub(super) line: Vec<u8>,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    Request(Asked),
    /// A notification; for a cancellation, of which request.
    Notice(Option<Notice>, Option<u64>),
    /// The client's answer to a request of the server's.
    Answer,
}

/// A request as its sender wrote it.
pub(super) struct Asked {
    pub(super) id: u64,
    pub(super) method: Method,
    /// The client's progress token, as JSON text; the server sees the id in its place.
    pub(super) token: Option<Box<str>>,
    /// Did it ask for log messages?
    pub(super) logs: bool,
    /// The resource, of a (un)subscription.
    pub(super) uri: Option<Box<str>>,
    /// The params as JSON text, where a restarted process must hear them again.
    pub(super) params: Option<Box<str>>,
}

impl Message {
    pub(super) fn read(body: &[u8]) -> Result<Self, StdioError> {
        match ServerMessage::read(body).ok_or(StdioError::NotALine)? {
            ServerMessage::Request { id, method, params } => {
                let id = id.ours().ok_or(StdioError::NotALine)?;
                let method = Method::named(&method).ok_or(StdioError::NotALine)?;
                Self::request(body, id, method, params)
            }
            ServerMessage::Notification { method, params } => {
                let request = params.and_then(|params| Object::read(params.get())?.get("requestId"));
                let request = request.and_then(|id| id.get().parse().ok());
                Ok(Self { line: line(body)?, kind: Kind::Notice(Notice::named(&method), request) })
            }
            ServerMessage::Answer(_) => Ok(Self { line: line(body)?, kind: Kind::Answer }),
        }
    }

    fn request(body: &[u8], id: u64, method: Method, params: Option<&RawValue>) -> Result<Self, StdioError> {
        let text = params.map(RawValue::get);
        let mut asked = Asked { id, method, token: None, logs: false, uri: None, params: None };
        if matches!(method, Method::Initialize | Method::SetLevel) {
            asked.params = text.map(Into::into);
        }
        if matches!(method, Method::Subscribe | Method::Unsubscribe) {
            asked.uri = text.and_then(|text| Object::read(text)?.text("uri").map(|uri| uri.into_owned().into()));
        }
        if !text.is_some_and(may_have_meta) {
            return Ok(Self { line: line(body)?, kind: Kind::Request(asked) });
        }
        let meta = text.and_then(|text| Object::read(text)?.object("_meta")).unwrap_or_default();
        asked.logs = meta.get(meta::LOG_LEVEL).is_some();
        asked.token = meta.get("progressToken").map(|token| token.get().into());
        if asked.token.is_none() {
            return Ok(Self { line: line(body)?, kind: Kind::Request(asked) });
        }
        // INVARIANT: a token that the server sees is the id of its own request, so progress can be nobody else's.
        let whole = std::str::from_utf8(body).ok();
        let whole = whole.and_then(|whole| mcp::replace(whole, &["params", "_meta", "progressToken"], &id.to_string()));
        let whole = whole.ok_or(StdioError::NotALine)?;
        Ok(Self { line: line(whole.as_bytes())?, kind: Kind::Request(asked) })
    }
}

/// Is there anything in `_meta` that matters here? A name can be written with escapes.
fn may_have_meta(params: &str) -> bool {
    params.contains("progressToken") || params.contains(meta::LOG_LEVEL) || params.contains("\\u")
}

/// One line, whatever whitespace the JSON had: no line end inside, of whatever kind a reader may know (vectors 54 and 55).
pub(super) fn line(json: &[u8]) -> Result<Vec<u8>, StdioError> {
    let json = std::str::from_utf8(json).map_err(|_| StdioError::NotALine)?;
    let mut line = Vec::with_capacity(json.len() + 1);
    match json.contains(['\u{2028}', '\u{2029}', '\u{85}']) {
        // Within strings only, where an escape means the same.
        true => {
            let escaped =
                json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029").replace('\u{85}', "\\u0085");
            mcp::compact(&escaped, &mut line);
        }
        false => mcp::compact(json, &mut line),
    }
    match line.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        true => Err(StdioError::NotALine),
        false => {
            line.push(b'\n');
            Ok(line)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Message, line};

    #[track_caller]
    fn check(json: &str, expected: &str) {
        assert_eq!(String::from_utf8(line(json.as_bytes()).unwrap()).unwrap(), expected);
    }

    #[test]
    fn a_message_is_one_line_for_every_reader() {
        check("{\"a\":[\n1\r\n,\r2 ] }", "{\"a\":[1,2]}\n");
        check("{\"a\":\"x\u{2028}y\u{2029}z\u{85}\"}", "{\"a\":\"x\\u2028y\\u2029z\\u0085\"}\n");
        check("{\"a\":\"\\n\\r \"}", "{\"a\":\"\\n\\r \"}\n");
        assert!(line(b"{\"a\":\"\n\"}").is_err(), "no JSON, and so no line");
    }

    #[test]
    fn the_server_sees_the_id_in_place_of_a_progress_token() {
        for key in ["progressToken", "progress\\u0054oken"] {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"a","_meta":{{"{key}":"t"}}}}}}"#
            );
            let message = Message::read(body.as_bytes()).unwrap();
            let line = String::from_utf8(message.line).unwrap();
            assert!(line.contains(&format!(r#""{key}":7"#)), "{line}");
            let Kind::Request(asked) = message.kind else { panic!("no request") };
            assert_eq!(asked.token.as_deref(), Some("\"t\""));
        }
    }
}

//! Writes JSON-RPC messages anew. Spliced text loses the whitespace between its tokens and nothing else.

use memchr::memchr2;

use crate::{Id, Method, Notice, Params, Verdict};

/// A message being written.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
    /// Has the object that is open a member yet?
    filled: bool,
}

impl Writer {
    /// `{"jsonrpc":"2.0","id":…,"method":…,"params":{…}}` under an id of ours.
    pub fn request(id: u64, method: Method, params: &Params<'_>) -> Vec<u8> {
        let mut writer = Self::message();
        writer.member("id").raw(&id.to_string());
        writer.member("method").string(method.as_str());
        writer.params(params)
    }

    /// A notification of the client's.
    pub fn notification(notice: Notice, params: &Params<'_>) -> Vec<u8> {
        let mut writer = Self::message();
        writer.member("method").string(notice.as_str());
        writer.params(params)
    }

    /// An answer to `id`, which is JSON text; result or error as it came.
    pub fn answer(id: &str, verdict: Verdict<'_>) -> Vec<u8> {
        let mut writer = Self::message();
        writer.member("id").raw(id);
        match verdict {
            Verdict::Result(raw) => writer.member("result").raw(raw.get()),
            Verdict::Error(raw) => writer.member("error").raw(raw.get()),
        }
        writer.end()
    }

    /// An answer to `id` whose result is the JSON text `result`.
    pub fn result(id: &str, result: &str) -> Vec<u8> {
        let mut writer = Self::message();
        writer.member("id").raw(id);
        writer.member("result").raw(result);
        writer.end()
    }

    /// An error of our own; `id` and `data` are JSON text. No id where none is known.
    pub fn error(id: Option<&str>, code: i32, message: &str, data: Option<&str>) -> Vec<u8> {
        let mut writer = Self::message();
        if let Some(id) = id {
            writer.member("id").raw(id);
        }
        writer.member("error").raw("{\"code\":");
        writer.raw(&code.to_string());
        writer.raw(",\"message\":");
        writer.string(message);
        if let Some(data) = data {
            writer.raw(",\"data\":");
            writer.raw(data);
        }
        writer.raw("}");
        writer.end()
    }

    /// A server's request or notification under another id; `params` is JSON text.
    pub fn server_message(id: Option<u64>, method: &str, params: Option<&str>) -> Vec<u8> {
        let mut writer = Self::message();
        if let Some(id) = id {
            writer.member("id").raw(&id.to_string());
        }
        writer.member("method").string(method);
        if let Some(params) = params {
            writer.member("params").raw(params);
        }
        writer.end()
    }

    fn message() -> Self {
        Self { out: b"{\"jsonrpc\":\"2.0\"".to_vec(), filled: true }
    }

    fn params(mut self, params: &Params<'_>) -> Vec<u8> {
        if !params.is_empty() {
            self.member("params").raw("{");
            self.filled = false;
            params.write(&mut self);
            self.raw("}");
        }
        self.end()
    }

    fn end(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }

    pub(crate) fn member(&mut self, key: &str) -> &mut Self {
        if self.filled {
            self.out.push(b',');
        }
        self.filled = true;
        self.string(key);
        self.out.push(b':');
        self
    }

    pub(crate) fn string(&mut self, text: &str) {
        let plain = text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
        if plain {
            self.out.push(b'"');
            self.out.extend_from_slice(text.as_bytes());
            self.out.push(b'"');
        } else {
            self.out.extend_from_slice(string(text).as_bytes());
        }
    }

    pub(crate) fn json(&mut self, text: &str) {
        compact(text, &mut self.out);
    }

    pub(crate) fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}

/// `text` as a JSON string.
pub fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Appends lawful JSON without the whitespace between tokens: so on one line, strings and numbers as they were.
pub fn compact(json: &str, out: &mut Vec<u8>) {
    let mut rest = json.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => rest = after,
            b'"' => {
                let (token, after) = rest.split_at(string_end(rest));
                out.extend_from_slice(token);
                rest = after;
            }
            _ => {
                out.push(byte);
                rest = after;
            }
        }
    }
}

/// The length of the string token that `bytes` starts with.
fn string_end(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        match bytes.get(at) {
            Some(b'"') => return at + 1,
            _ => at += 2, // a backslash and what it escapes
        }
    }
    bytes.len()
}

impl Id<'_> {
    /// The JSON text, owned.
    pub fn to_json(&self) -> Box<str> {
        self.as_json().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compaction_touches_nothing_inside_tokens() {
        let mut out = Vec::new();
        compact("{ \"a b\" :\r\n [ 1.0e5 , \"x \\\" y\\\\\" ,\tnull ] , \"u\\u2028\" : \" \u{2028} \" }", &mut out);
        let expected = "{\"a b\":[1.0e5,\"x \\\" y\\\\\",null],\"u\\u2028\":\" \u{2028} \"}";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn errors_carry_an_id_only_when_there_is_one() {
        let error = |id| String::from_utf8(Writer::error(id, -32600, "no \"way\"", None)).unwrap();
        assert_eq!(error(None), r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"no \"way\""}}"#);
        assert_eq!(
            error(Some("\"7\"")),
            r#"{"jsonrpc":"2.0","id":"7","error":{"code":-32600,"message":"no \"way\""}}"#
        );
    }
}

//! The messages that a client of each era sends.

use std::fmt;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{HOST, HeaderValue};

const ARGUMENTS: &str = r#"{"owner":"acme","repo":"widgets","number":42,"fields":["title","state","labels"],"since":"2026-11-01T00:00:00Z"}"#;

/// The tool that is called.
pub(super) const TOOL: &str = "get_issue";

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

/// What opens a session on stdin, and a call within it.
pub(super) const ON_STDIO: [&str; 2] = [
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
];
pub(super) const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_issue","arguments":{"owner":"acme","repo":"widgets","number":42,"fields":["title","state","labels"],"since":"2026-11-01T00:00:00Z"}}}"#;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    Modern,
    Legacy,
}

/// Writes requests for one connection.
pub(super) struct Writer {
    pub(super) era: Era,
    pub(super) host: HeaderValue,
    pub(super) path: String,
    pub(super) session: Option<HeaderValue>,
    pub(super) id: u64,
    pub(super) tool: &'static str,
}

impl fmt::Display for Era {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Modern => "2026-07-28",
            Self::Legacy => "2025-11-25",
        })
    }
}

impl Writer {
    pub(super) fn call(&mut self) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        self.id += 1;
        let id = self.id;
        let meta = match self.era {
            Era::Modern => format!(",{META}"),
            Era::Legacy => String::new(),
        };
        let tool = self.tool;
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{ARGUMENTS}{meta}}}}}"#
        );
        let mut request = self.post(body)?;
        if self.era == Era::Modern {
            request.headers_mut().insert("mcp-method", HeaderValue::from_static("tools/call"));
            request.headers_mut().insert("mcp-name", HeaderValue::from_static(tool));
        }
        Ok(request)
    }

    /// A modern one.
    pub(super) fn list(&mut self, cursor: Option<&str>) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        self.id += 1;
        let (id, cursor) = (self.id, cursor.map(|cursor| format!(r#""cursor":{cursor:?},"#)).unwrap_or_default());
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list","params":{{{cursor}{META}}}}}"#);
        let mut request = self.post(body)?;
        request.headers_mut().insert("mcp-method", HeaderValue::from_static("tools/list"));
        Ok(request)
    }

    pub(super) fn initialize(&self) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let params =
            r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}"#;
        self.post(format!(r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{params}}}"#))
    }

    pub(super) fn initialized(&self) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        self.post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned())
    }

    fn post(&self, body: String) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let mut request = Request::post(self.path.as_str())
            .header(HOST, &self.host)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("user-agent", "bench/1");
        match &self.session {
            Some(session) => {
                request = request.header("mcp-session-id", session).header("mcp-protocol-version", "2025-11-25")
            }
            None if self.era == Era::Modern => request = request.header("mcp-protocol-version", "2026-07-28"),
            None => {}
        }
        request.body(Full::new(body.into()))
    }
}

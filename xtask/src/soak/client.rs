//! A client of revision 2026-07-28 that takes what comes: answers, refusals, and connections that break.

use std::net::SocketAddr;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderMap};
use hyper::http::request::Builder;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The upstream's answer.
    Result,
    /// No, by the gateway: the code of its decision, or that of a JSON-RPC error; and the hash of the policy, where it is said.
    No { code: String, policy: Option<String> },
    /// No answer: the connection broke, or there was none.
    Cut,
}

/// An answer in JSON.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.body.get(key)?.as_str().map(str::to_owned)
    }
}

/// One connection, made when it is needed.
pub(super) struct Client {
    address: SocketAddr,
    token: Option<String>,
    connection: Option<SendRequest<Full<Bytes>>>,
    calls: u64,
}

impl Client {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, token: None, connection: None, calls: 0 }
    }

    /// From now on it talks to that address.
    pub(super) fn turn_to(&mut self, address: SocketAddr) {
        if address != self.address {
            self.address = address;
            self.connection = None;
        }
    }

    /// One call of a tool of the server `s`, unlike every other of this client's.
    pub(super) async fn call(&mut self, tool: &str) -> Said {
        let number = self.calls + 1;
        self.call_with(tool, &json!({ "number": number })).await
    }

    pub(super) async fn call_with(&mut self, tool: &str, arguments: &Value) -> Said {
        self.call_heard(tool, arguments, || {}).await
    }

    /// `heard` when the answer begins.
    pub(super) async fn call_heard(&mut self, tool: &str, arguments: &Value, heard: impl FnOnce()) -> Said {
        self.calls += 1;
        let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} });
        let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
        let message = json!({ "jsonrpc": "2.0", "id": self.calls, "method": "tools/call", "params": params });
        let request = Request::post("/mcp/s")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", tool);
        match self.send(request, message.to_string(), heard).await {
            Ok((_, _, body)) => read(&body),
            Err(_) => Said::Cut,
        }
    }

    /// A request that is answered in JSON.
    pub(super) async fn ask(&mut self, request: Builder, body: &str) -> anyhow::Result<Answer> {
        let (status, headers, body) = self.send(request, body.to_owned(), || {}).await?;
        let body = serde_json::from_slice(&body).context("an answer that is not JSON")?;
        Ok(Answer { status: status.as_u16(), headers, body })
    }

    async fn send(
        &mut self,
        request: Builder,
        body: String,
        heard: impl FnOnce(),
    ) -> anyhow::Result<(StatusCode, HeaderMap, Bytes)> {
        let mut request = request.header(HOST, self.address.to_string());
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut kept = self.connection.take();
        let alive = match &mut kept {
            Some(kept) => kept.ready().await.is_ok(),
            None => false,
        };
        let mut connection = match kept {
            Some(kept) if alive => kept,
            Some(_) | None => connect(self.address).await?,
        };
        let response = connection.send_request(request.body(Full::new(body.into()))?).await?;
        heard();
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        self.connection = Some(connection);
        Ok((head.status, head.headers, body))
    }
}

/// One GET on a connection of its own.
pub(super) async fn get(address: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    let mut client = Client::new(address);
    let (status, _, body) =
        client.send(Request::get(path), String::new(), || {}).await.context("no answer to a GET")?;
    Ok((status.as_u16(), String::from_utf8_lossy(&body).into_owned()))
}

async fn connect(address: SocketAddr) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

const DECISION: &str = "dev.toolgate/decision";

/// A denial of a tool is a result that says so; everything else that is no result is an error.
fn read(body: &[u8]) -> Said {
    // The answer to a call that waited is the last event of a stream.
    let event = body.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data: ")).next_back();
    let message: Value = serde_json::from_slice(event.unwrap_or(body)).unwrap_or_default();
    let result = message.get("result").filter(|result| result.get("isError").is_none());
    if result.is_some() {
        return Said::Result;
    }
    let of = |pointer: &str| message.pointer(pointer).and_then(|place| place.get(DECISION));
    let decision = of("/result/_meta").or_else(|| of("/error/data"));
    let text = |key: &str| decision.and_then(|decision| decision.get(key)?.as_str().map(str::to_owned));
    let code = text("code").unwrap_or_else(|| message.pointer("/error/code").unwrap_or(&Value::Null).to_string());
    Said::No { code, policy: text("policy") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_a_call() {
        let no = |code: &str, policy: Option<&str>| Said::No { code: code.into(), policy: policy.map(str::to_owned) };
        assert_eq!(read(br#"{"result":{"content":[]}}"#), Said::Result);
        let stream =
            b": alive\n\ndata: {\"method\":\"notifications/progress\"}\n\ndata: {\"result\":{\"content\":[]}}\n\n";
        assert_eq!(read(stream), Said::Result);
        let denied =
            br#"{"result":{"isError":true,"_meta":{"dev.toolgate/decision":{"code":"limited","policy":"ab"}}}}"#;
        assert_eq!(read(denied), no("limited", Some("ab")));
        assert_eq!(read(br#"{"error":{"code":1503}}"#), no("1503", None));
        assert_eq!(read(b""), no("null", None));
    }
}

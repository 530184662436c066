//! A client of revision 2026-07-28 that takes what comes: answers, refusals, and connections that break.

use std::net::SocketAddr;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HOST;
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

    /// One call of a tool of the server `s`.
    pub(super) async fn call(&mut self, tool: &str) -> Said {
        self.calls += 1;
        let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} });
        let params = json!({ "name": tool, "arguments": { "number": self.calls }, "_meta": meta });
        let message = json!({ "jsonrpc": "2.0", "id": self.calls, "method": "tools/call", "params": params });
        let request = Request::post("/mcp/s")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", tool);
        match self.send(request, message.to_string()).await {
            Ok((_, body)) => read(&body),
            Err(_) => Said::Cut,
        }
    }

    async fn send(
        &mut self,
        request: hyper::http::request::Builder,
        body: String,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
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
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        self.connection = Some(connection);
        Ok((status, body))
    }
}

/// One GET on a connection of its own.
pub(super) async fn get(address: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    let mut client = Client::new(address);
    let (status, body) = client.send(Request::get(path), String::new()).await.context("no answer to a GET")?;
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
    let message: Value = serde_json::from_slice(body).unwrap_or_default();
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
        let denied =
            br#"{"result":{"isError":true,"_meta":{"dev.toolgate/decision":{"code":"limited","policy":"ab"}}}}"#;
        assert_eq!(read(denied), no("limited", Some("ab")));
        assert_eq!(read(br#"{"error":{"code":1503}}"#), no("1503", None));
        assert_eq!(read(b""), no("null", None));
    }
}

//! MCP of either era over [`HttpClient`], message by message, so that a test can see each answer as it is.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::http_client::{HttpClient, Reply};

/// A client that has introduced itself.
pub struct McpClient {
    http: HttpClient,
    era: Era,
    next_id: AtomicU64,
}

enum Era {
    Legacy,
    Modern,
}

impl McpClient {
    /// Initializes a session of 2025-11-25 and announces it.
    pub async fn legacy(http: HttpClient) -> Self {
        Self::legacy_of(http, "2025-11-25").await
    }

    /// The same, of another revision.
    pub async fn legacy_of(http: HttpClient, revision: &str) -> Self {
        Self::legacy_with(http, revision, json!({})).await
    }

    /// The same, of a client that can do this.
    pub async fn legacy_with(http: HttpClient, revision: &str, capabilities: Value) -> Self {
        let info = json!({ "name": "testkit", "version": "1" });
        let params = json!({ "protocolVersion": revision, "capabilities": capabilities, "clientInfo": info });
        let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        let reply = http.post_streamed(&hello).await;
        assert_eq!(reply.status, 200, "initialize");
        let session = reply.header("mcp-session-id").map(str::to_owned);
        let agreed = reply.answer_to(&json!(0)).await["result"]["protocolVersion"].clone();
        let mut http = http.header("MCP-Protocol-Version", agreed.as_str().expect("an initialize result"));
        if let Some(session) = session {
            http = http.header("Mcp-Session-Id", &session);
        }
        let announced = http.post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        assert_eq!(announced.status, 202, "notifications/initialized");
        Self { http, era: Era::Legacy, next_id: AtomicU64::new(1) }
    }

    /// Stateless, 2026-07-28: nothing is sent yet.
    pub fn modern(http: HttpClient) -> Self {
        Self { http: http.header("MCP-Protocol-Version", "2026-07-28"), era: Era::Modern, next_id: AtomicU64::new(1) }
    }

    /// The HTTP client with the headers of this session, for what this type does not offer.
    pub fn http(&self) -> &HttpClient {
        &self.http
    }

    /// Sends a request and returns the whole JSON-RPC answer, result or error.
    pub async fn request(&self, method: &str, params: Value) -> Value {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.start(id, method, params).await.answer_to(&json!(id)).await
    }

    /// Sends a request under an id of the test's choice and returns its answer unread.
    pub async fn start(&self, id: impl Into<Value>, method: &str, mut params: Value) -> Reply {
        let http = match self.era {
            Era::Legacy => self.http.clone(),
            Era::Modern => {
                params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
                params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
                let http = self.http.clone().header("Mcp-Method", method);
                let named = [&params["name"], &params["uri"], &params["taskId"]].into_iter().find_map(Value::as_str);
                match named {
                    Some(name) => http.header("Mcp-Name", &header_value(name)),
                    None => http,
                }
            }
        };
        http.post_streamed(&json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })).await
    }

    /// Calls a tool and returns the whole JSON-RPC answer.
    pub async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments })).await
    }

    /// The names of the first page of tools, in order.
    pub async fn list_tools(&self) -> Vec<String> {
        let answer = self.request("tools/list", json!({})).await;
        let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("no tools in {answer}"));
        tools.iter().map(|tool| tool["name"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// A header value, in the base64 form where plain text could not be sent.
fn header_value(text: &str) -> String {
    let plain =
        text.bytes().all(|b| (0x20..0x7f).contains(&b)) && text.trim() == text && !text.starts_with("=?base64?");
    match plain {
        true => text.to_owned(),
        false => format!("=?base64?{}?=", BASE64_STANDARD.encode(text)),
    }
}

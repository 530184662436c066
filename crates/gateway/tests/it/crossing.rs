//! Vector 65: many clients, all with the same ids, their answers out of order; each gets its own.

use std::sync::Mutex;

use serde_json::{Value, json};
use testkit::{Answer, McpClient, RawClient, Recorder};

use crate::gate::{Gate, OPEN, modern_request};

const CLIENTS: usize = 8;
const CALLS: usize = 1250;

/// Answers nobody before every client waits, then all, in another order each time, some as events.
async fn shuffling() -> Recorder {
    let waiting = Mutex::new(Vec::new());
    Recorder::start(move |request| {
        let message = request.json();
        let result = match message["method"].as_str() {
            Some("initialize") => json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": "t", "version": "1" } }),
            Some("server/discover") => json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"] }),
            _ if message["id"].is_null() => return Answer::status(202),
            _ => {
                let result = json!({ "resultType": "complete", "content": [], "echo": message["params"]["arguments"] });
                let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
                let (later, promise) = Answer::later();
                let mut waiting = waiting.lock().unwrap();
                waiting.push((promise, answer));
                if waiting.len() == CLIENTS {
                    let turn = waiting[0].1["id"].as_u64().unwrap_or_default() as usize;
                    waiting.rotate_left(turn % CLIENTS);
                    if turn % 2 == 1 {
                        waiting.reverse();
                    }
                    for (n, (promise, answer)) in waiting.drain(..).enumerate() {
                        let noise = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": {} });
                        let answer = match (n + turn) % 4 {
                            0 => Answer::events([&noise, &answer]),
                            _ => Answer::json(200, &answer),
                        };
                        assert!(promise.send(answer).is_ok());
                    }
                }
                return later;
            }
        };
        Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })).header("Mcp-Session-Id", "the same for all")
    })
    .await
}

/// One client on a connection of its own: every answer is to its own question.
async fn converse(gate: std::net::SocketAddr, who: usize, session: Option<String>) {
    let mut client = RawClient::connect(gate).await;
    for n in 0..CALLS {
        let id = [json!(1), json!("1"), json!(n % 7)][n % 3].clone();
        let arguments = json!({ "who": who, "n": n });
        let mut body = modern_request(id.clone(), "tools/call", json!({ "name": "a", "arguments": arguments }));
        let lines = match &session {
            Some(session) => {
                body["params"].as_object_mut().unwrap().remove("_meta");
                format!("Mcp-Session-Id: {session}\r\n")
            }
            None => "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: a\r\n".to_owned(),
        };
        let body = body.to_string();
        client
            .send(format!("POST /mcp/s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{lines}Content-Length: {}\r\n\r\n{body}", body.len()))
            .await;
        let response = client.response().await.unwrap();
        let text = String::from_utf8(response.body).unwrap();
        let answers: Vec<Value> = text
            .lines()
            .filter_map(|line| serde_json::from_str(line.trim_start_matches("data: ")).ok())
            .filter(|message: &Value| message["method"].is_null())
            .collect();
        assert_eq!(answers.len(), 1, "client {who}: {text}");
        assert_eq!((&answers[0]["id"], &answers[0]["result"]["echo"]), (&id, &arguments), "client {who}");
    }
}

#[tokio::test]
async fn every_client_gets_its_own_answers() {
    let upstream = shuffling().await;
    let gate = Gate::bounded(&upstream, OPEN, &[("listen.workers", "2")]);
    let mut clients = Vec::new();
    for who in 0..CLIENTS {
        let session = match who % 2 {
            0 => None,
            _ => {
                let client = McpClient::legacy(gate.http()).await;
                // A second session of the same caller, to be confused with.
                drop(client);
                let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "protocolVersion": "2025-11-25", "capabilities": {} } });
                Some(gate.http().post(&hello).await.header("mcp-session-id").unwrap().to_owned())
            }
        };
        clients.push(tokio::spawn(converse(gate.data, who, session)));
    }
    for client in clients {
        client.await.unwrap();
    }
    let calls = upstream.requests().iter().filter(|request| request.json()["method"] == "tools/call").count();
    assert_eq!(calls, CLIENTS * CALLS);
}

//! A small MCP server of both eras, answered without any SDK so that a test sees its own bytes come back.
//! Tool definitions are listed as the text they were given; a call answers with the name and the arguments it came with.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::recorder::Recorded;

/// The session every legacy client gets.
pub(crate) const SESSION: &str = "upstream-session";

pub(crate) fn answer(request: &Recorded, tools: &[String]) -> Answer {
    match request.method.as_str() {
        "POST" => {}
        "DELETE" => return Answer::status(200),
        _ => return Answer::status(405).header("Allow", "POST, DELETE"),
    }
    let message = request.json();
    let id = &message["id"];
    let Some(method) = message["method"].as_str().filter(|_| !id.is_null()) else {
        return Answer::status(202);
    };
    let modern = !message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].is_null();
    let result = match method {
        "initialize" if !modern => {
            return result_of(id, &initialized(&message).to_string()).header("Mcp-Session-Id", SESSION);
        }
        "server/discover" if modern => discovered().to_string(),
        "tools/list" => listed(tools, modern),
        "tools/call" => called(&message["params"], modern).to_string(),
        "ping" if !modern => "{}".to_owned(),
        _ => {
            let error =
                json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": "Method not found" } });
            return Answer::json(if modern { 404 } else { 200 }, &error);
        }
    };
    result_of(id, &result)
}

/// The same without a legacy side: what is not modern is no request that it knows.
pub(crate) fn answer_modern(request: &Recorded, tools: &[String]) -> Answer {
    if request.method != "POST" {
        return Answer::status(405).header("Allow", "POST");
    }
    let message = request.json();
    if !message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].is_null() {
        return answer(request, tools);
    }
    let error = json!({ "code": -32601, "message": "Method not found" });
    Answer::json(404, &json!({ "jsonrpc": "2.0", "id": message["id"], "error": error }))
}

/// What a server answers that has never heard of 2026-07-28.
pub(crate) fn legacy_answer(request: &Recorded, tools: &[String]) -> Answer {
    if request.header("mcp-protocol-version") == Some("2026-07-28") {
        let error = json!({ "code": -32000, "message": "Bad Request: Unsupported protocol version" });
        return Answer::json(400, &json!({ "jsonrpc": "2.0", "id": null, "error": error }));
    }
    answer(request, tools)
}

fn initialized(message: &Value) -> Value {
    json!({
        "protocolVersion": message["params"]["protocolVersion"],
        "capabilities": { "tools": { "listChanged": true } },
        "serverInfo": { "name": "small", "version": "1" },
    })
}

fn discovered() -> Value {
    json!({
        "resultType": "complete",
        "supportedVersions": ["2026-07-28"],
        "capabilities": { "tools": { "listChanged": true } },
        "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "small", "version": "1" } },
        "ttlMs": 0,
        "cacheScope": "private",
    })
}

fn listed(tools: &[String], modern: bool) -> String {
    let more = if modern { r#""resultType":"complete","ttlMs":0,"cacheScope":"private","# } else { "" };
    format!(r#"{{{more}"tools":[{}]}}"#, tools.join(","))
}

fn called(params: &Value, modern: bool) -> Value {
    let text = json!({ "name": params["name"], "arguments": params["arguments"] }).to_string();
    let mut result = json!({ "content": [{ "type": "text", "text": text }] });
    if modern {
        result["resultType"] = json!("complete");
    }
    result
}

fn result_of(id: &Value, result: &str) -> Answer {
    Answer::text(200, "application/json", format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
}

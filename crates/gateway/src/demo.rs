//! A small MCP server of our own, for a gateway without configuration: five tools, both eras, on a loopback port.

use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method as Verb, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mcp::{Body, Message, Method, Object, Writer};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::config::UpstreamHeaders;
use crate::policies::PolicyFile;
use crate::server::Server;
use crate::start::{Servers, StartError};
use crate::worker;

pub(crate) const ID: &str = "demo";
const POLICY: &str = include_str!("../../../policies/demo/policy.json");
const MAX_BODY: usize = 1 << 20;

/// Starts it, behind its policy.
pub(crate) fn server() -> Result<Servers, StartError> {
    let listener = StdListener::bind("127.0.0.1:0").map_err(StartError::Demo)?;
    listener.set_nonblocking(true).map_err(StartError::Demo)?;
    let address = listener.local_addr().map_err(StartError::Demo)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Demo)?;
    std::thread::Builder::new()
        .name("demo".into())
        .spawn(move || runtime.block_on(serve(listener)))
        .map_err(StartError::Demo)?;
    let url =
        format!("http://{address}/mcp").parse().map_err(|error| StartError::Demo(std::io::Error::other(error)))?;
    let policy = Arc::new(PolicyFile::built_in("policies/demo/policy.json (built in)", POLICY)?);
    let server = Arc::new(Server::new(ID, url, &UpstreamHeaders::default(), Arc::clone(&policy)));
    Ok(([(ID.into(), server)].into(), Arc::new([policy])))
}

async fn serve(listener: StdListener) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(worker::BREATH).await;
            continue;
        };
        let connection =
            http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service_fn(respond));
        tokio::spawn(connection);
    }
}

async fn respond(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    if request.method() != Verb::POST {
        return Ok(reply(StatusCode::METHOD_NOT_ALLOWED, Vec::new()));
    }
    let Ok(body) = Limited::new(request.into_body(), MAX_BODY).collect().await else {
        return Ok(reply(StatusCode::BAD_REQUEST, Vec::new()));
    };
    let body = body.to_bytes();
    let Ok(Body::One(Message::Request(request))) = mcp::parse(&body) else {
        return Ok(reply(StatusCode::ACCEPTED, Vec::new()));
    };
    let modern = request.params.object("_meta").is_some_and(|meta| meta.get(mcp::meta::PROTOCOL_VERSION).is_some());
    let id = request.id.as_json();
    Ok(match result(&request, modern) {
        Ok(result) => reply(StatusCode::OK, Writer::result(id, &result.to_string())),
        Err((code, message)) => {
            let status = if modern && code == -32601 { StatusCode::NOT_FOUND } else { StatusCode::OK };
            reply(status, Writer::error(Some(id), code, &message, None))
        }
    })
}

fn result(request: &mcp::Request<'_>, modern: bool) -> Result<Value, (i32, String)> {
    let about = json!({ "name": "toolgate-demo", "version": env!("CARGO_PKG_VERSION") });
    let capabilities = json!({ "tools": {} });
    let mut result = match request.method {
        Ok(Method::Initialize) if !modern => {
            let version = request.params.text("protocolVersion").unwrap_or("2025-11-25".into());
            json!({ "protocolVersion": version, "capabilities": capabilities, "serverInfo": about })
        }
        Ok(Method::Ping) if !modern => json!({}),
        Ok(Method::Discover) if modern => {
            json!({ "supportedVersions": ["2026-07-28"], "capabilities": capabilities, "ttlMs": 60_000, "cacheScope": "public" })
        }
        Ok(Method::ToolsList) if modern => json!({ "tools": tools(), "ttlMs": 60_000, "cacheScope": "public" }),
        Ok(Method::ToolsList) => json!({ "tools": tools() }),
        Ok(Method::ToolsCall) => call(&request.params)?,
        _ => return Err((-32601, "method not found".into())),
    };
    if modern && let Some(members) = result.as_object_mut() {
        members.insert("resultType".into(), json!("complete"));
        members.insert("_meta".into(), json!({ "io.modelcontextprotocol/serverInfo": about }));
    }
    Ok(result)
}

fn call(params: &Object<'_>) -> Result<Value, (i32, String)> {
    let name = params.text("name").unwrap_or_default();
    let arguments =
        params.get("arguments").and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok()).unwrap_or_default();
    let number = |key: &str| arguments.get(key).and_then(Value::as_f64);
    let text = match name.as_ref() {
        "add" => match (number("a"), number("b")) {
            (Some(a), Some(b)) => (a + b).to_string(),
            _ => return Ok(said("`a` and `b` must be numbers", true)),
        },
        "echo" => arguments.get("text").and_then(Value::as_str).unwrap_or_default().to_owned(),
        "current_time" => {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            format!("{} seconds since 1970-01-01T00:00:00Z", since.as_secs())
        }
        "delete_everything" => "gone (but only in this demo)".to_owned(),
        "internal_status" => "nobody should see this".to_owned(),
        other => return Err((-32602, format!("Unknown tool: {other}"))),
    };
    Ok(said(&text, false))
}

fn said(text: &str, is_error: bool) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "isError": is_error })
}

fn tools() -> Value {
    let tool = |name: &str, description: &str, properties: Value, required: Value| {
        json!({ "name": name, "description": description,
                "inputSchema": { "type": "object", "properties": properties, "required": required } })
    };
    json!([
        tool(
            "add",
            "Adds two numbers",
            json!({ "a": { "type": "number" }, "b": { "type": "number" } }),
            json!(["a", "b"])
        ),
        tool("current_time", "Tells the time", json!({}), json!([])),
        tool("delete_everything", "Deletes everything", json!({}), json!([])),
        tool("echo", "Says it again", json!({ "text": { "type": "string" } }), json!(["text"])),
        tool("internal_status", "For the operators of this server", json!({}), json!([])),
    ])
}

fn reply(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let is_json = !body.is_empty();
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    if is_json {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

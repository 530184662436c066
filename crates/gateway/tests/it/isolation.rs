//! What does not cross the gateway: the client's credentials on the way up, the server's demands on the way down.

use serde_json::json;
use testkit::{Answer, HttpClient, Recorded, Recorder};

use crate::gate::{Gate, OPEN, Plan, modern_call, modern_headers, tool};

/// Header lines that a client may send and no upstream may see, each with a value to look for.
const HOSTILE: [(&str, &str); 21] = [
    ("Authorization", "Bearer CANARY"),
    ("Proxy-Authorization", "Basic CANARY"),
    ("Cookie", "a=CANARY"),
    ("Forwarded", "for=CANARY"),
    ("X-Forwarded-For", "CANARY"),
    ("X-Forwarded-Host", "CANARY"),
    ("X-Real-IP", "CANARY"),
    ("Via", "1.1 CANARY"),
    ("X-Api-Key", "CANARY"),
    ("Api_Key", "CANARY"),
    ("Mcp_Name", "CANARY"),
    ("Connection", "Mcp-Name, Mcp-Method, Authorization, X-Named"),
    ("X-Named", "CANARY"),
    ("TE", "trailers"),
    ("Keep-Alive", "timeout=CANARY"),
    ("Proxy-Connection", "CANARY"),
    ("Last-Event-ID", "CANARY"),
    ("Mcp-Param-Undeclared", "CANARY"),
    ("Referer", "http://localhost/CANARY"),
    ("User-Agent", "CANARY"),
    ("traceparent", "CANARY"),
];

/// The names of the headers of a request, sorted.
fn names(request: &Recorded) -> Vec<String> {
    let mut names: Vec<String> = request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    names
}

fn hostile(http: HttpClient) -> HttpClient {
    HOSTILE.iter().fold(http, |http, (name, value)| http.header(name, value))
}

/// Vectors 47, 60 and 67.
#[tokio::test]
async fn only_headers_of_our_own_go_up() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let gate = Gate::before(&upstream, OPEN);
    let mut session = gate.http();
    {
        let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-11-25", "capabilities": {} } });
        let reply = hostile(gate.http()).post_streamed(&hello).await;
        session = session.header("Mcp-Session-Id", reply.header("mcp-session-id").unwrap());
    }
    let session = hostile(session.header("MCP-Protocol-Version", "2025-11-25"));
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "a" } });
    session.post_text(&call.to_string()).await;
    session.post_text(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    let modern = hostile(modern_headers(gate.http(), "tools/call", Some("a"))).header("Mcp-Session-Id", "CANARY");
    assert_eq!(modern.post_streamed(&modern_call(1, "a", json!({}))).await.status, 200);
    session.get().await;
    session.send("DELETE", &[], b"").await;

    let post = ["accept", "accept-encoding", "content-length", "content-type", "host"];
    let expected = |more: &[&'static str]| {
        let mut names = [&post[..], more].concat();
        names.sort_unstable();
        names
    };
    let requests = upstream.requests();
    let of = |method: &str| {
        requests
            .iter()
            .find(|request| {
                !request.body.is_empty()
                    && request.json()["method"] == method
                    && (method != "tools/call" || request.header("mcp-session-id").is_some())
            })
            .unwrap()
    };
    assert_eq!(names(of("initialize")), expected(&["user-agent"]));
    let in_session = expected(&["user-agent", "mcp-protocol-version", "mcp-session-id"]);
    assert_eq!(names(of("tools/call")), in_session);
    assert_eq!(names(of("notifications/initialized")), in_session);
    let modern = requests.iter().find(|request| request.header("mcp-name").is_some()).unwrap();
    assert_eq!(names(modern), expected(&["user-agent", "mcp-protocol-version", "mcp-method", "mcp-name"]));
    let delete = requests.iter().find(|request| request.method == "DELETE").unwrap();
    assert!(!names(delete).contains(&"last-event-id".to_owned()));
    for request in &requests {
        // The client's own place in a stream is its to name, and goes where it asks for that stream.
        let seen = request
            .headers
            .iter()
            .filter(|(name, _)| request.method != "GET" || !name.eq_ignore_ascii_case("last-event-id"));
        let seen = format!("{:?} {}", seen.collect::<Vec<_>>(), String::from_utf8_lossy(&request.body));
        assert!(!seen.contains("CANARY") && !seen.contains("trailers"), "{seen}");
        assert_eq!(request.header("host"), Some(upstream.addr().to_string().as_str()));
        assert_eq!(request.header("accept-encoding"), Some("identity"), "vector 51");
        assert!(request.header("user-agent").unwrap().starts_with("toolgate/"));
    }
}

#[tokio::test]
async fn the_operators_headers_go_up() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let gate = Plan::default()
        .env("UPSTREAM_KEY", "from the environment")
        .server("s", upstream.url("/mcp?tenant=7"), "p.json")
        .toml("headers = { Authorization = \"Bearer ours\", X-Api-Key = { env = \"UPSTREAM_KEY\" }, User-Agent = \"ours/1\" }")
        .policy("p.json", OPEN)
        .start();
    let client = gate.legacy().await;
    client.call("a", json!({})).await;
    client.http().send("DELETE", &[], b"").await;
    let mut modern = modern_call(1, "a", json!({}));
    modern["params"]["_meta"]["authorization"] = json!("Bearer theirs");
    modern_headers(gate.http(), "tools/call", Some("a")).header("Authorization", "Bearer theirs").post(&modern).await;
    let requests = upstream.requests();
    assert!(requests.len() >= 6);
    for request in &requests {
        assert_eq!(request.target, "/mcp?tenant=7");
        assert_eq!(request.header("authorization"), Some("Bearer ours"));
        assert_eq!(request.header("x-api-key"), Some("from the environment"));
        assert_eq!(request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("authorization")).count(), 1);
    }
}

/// Vector 68: the client deals with us alone.
#[tokio::test]
async fn nothing_of_the_servers_head_comes_down() {
    let upstream = Recorder::start(|request| {
        let challenge = |answer: Answer| {
            answer
                .header("WWW-Authenticate", "Bearer resource_metadata=\"http://169.254.169.254/CANARY\"")
                .header("Set-Cookie", "a=CANARY")
                .header("Location", "http://169.254.169.254/CANARY")
                .header("Server", "CANARY")
                .header("Mcp-Session-Id", "CANARY")
                .header("Access-Control-Allow-Origin", "*")
                .header("X-CANARY", "CANARY")
        };
        let message = match request.body.is_empty() {
            true => return challenge(Answer::status(401)),
            false => request.json(),
        };
        challenge(match message["params"]["arguments"]["status"].as_u64() {
            Some(status) => Answer::text(u16::try_from(status).unwrap(), "text/html", "CANARY"),
            None if message["id"].is_null() => Answer::status(202),
            None => {
                let result = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": "t", "version": "1" } });
                Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
            }
        })
    })
    .await;
    let gate = Gate::before(&upstream, OPEN);
    let session = gate.legacy().await;
    let modern = modern_headers(gate.http(), "tools/call", Some("a"));
    for status in [200, 201, 204, 301, 302, 307, 400, 401, 402, 403, 405, 407, 418, 429, 500, 503] {
        let arguments = json!({ "status": status });
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "a", "arguments": arguments } });
        for response in [session.http().post(&call).await, modern.post(&modern_call(1, "a", arguments.clone())).await] {
            let seen = format!("{:?} {}", response.headers, String::from_utf8_lossy(&response.body));
            assert!(
                !seen.contains("CANARY") && response.header("access-control-allow-origin").is_none(),
                "{status}: {seen}"
            );
            assert_eq!((response.status, &response.json()["error"]["code"]), (200, &json!(-32603)), "{status}");
        }
    }
    for verb in ["GET", "DELETE"] {
        let response = session.http().send(verb, &[("Accept", "text/event-stream")], b"").await.whole().await;
        let seen = format!("{:?} {}", response.headers, String::from_utf8_lossy(&response.body));
        assert!(!seen.contains("CANARY"), "{verb}: {seen}");
        assert!(response.status != 401, "a 401 of theirs is not one of ours");
    }
}

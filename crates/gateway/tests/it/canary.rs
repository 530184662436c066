//! Secrets are planted everywhere; none shows up in the log, nor in an answer to somebody it does not belong to.

use std::io::Write;
use std::sync::{Mutex, OnceLock};

use serde_json::{Value, json};
use testkit::{Answer, Recorder};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::gate::{Plan, modern_call, modern_headers, modern_request};

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// What is logged from now on, by all gateways of this process: our own words at every level, the libraries' as the program has them.
pub(crate) fn capture() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let ours = ["toolgate", "gateway", "policy", "ratelimit", "mcp"].map(|target| (target, LevelFilter::TRACE));
        let filter = Targets::new().with_default(LevelFilter::WARN).with_targets(ours);
        let lines = tracing_subscriber::fmt::layer().json().with_writer(|| Log);
        tracing_subscriber::registry().with(filter).with(lines).init();
    });
}

pub(crate) fn log() -> String {
    String::from_utf8(LOG.lock().unwrap().clone()).unwrap()
}

/// Was this logged, since [`capture`]?
pub(crate) fn said(text: &str) -> bool {
    log().contains(text)
}

/// The events of one server, as JSON; every line of the log must be one.
pub(crate) fn events(server: &str) -> Vec<Value> {
    let events = log()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect::<Vec<Value>>();
    events.into_iter().filter(|event| event["fields"]["server"] == server).collect()
}

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Vector 106.
#[tokio::test]
async fn no_secret_is_logged_or_told() {
    capture();
    const OURS: &str = "k4n4ry-of-ours";
    const THEIRS: &str = "k4n4ry-of-the-client";
    const UPSTREAMS: &str = "k4n4ry-of-the-upstream";
    let upstream = Recorder::start(|request| {
        let secret = |answer: Answer| answer.header("Set-Cookie", UPSTREAMS).header("WWW-Authenticate", UPSTREAMS).header("Mcp-Session-Id", UPSTREAMS);
        if request.body.is_empty() {
            return secret(Answer::text(500, "text/plain", UPSTREAMS));
        }
        let message = request.json();
        let result = match (message["method"].as_str(), message["params"]["name"].as_str()) {
            (Some("initialize"), _) => json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": UPSTREAMS, "version": "1" } }),
            (Some("server/discover"), _) => json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"] }),
            (Some("tools/list"), _) => {
                let tools = ["fine", "limited", "500", "garbage", "stream", "cut"].map(|name| json!({ "name": name, "title": UPSTREAMS }));
                json!({ "tools": tools })
            }
            (_, Some("500")) => return secret(Answer::text(500, "text/plain", UPSTREAMS)),
            (_, Some("garbage")) => return secret(Answer::text(200, "application/json", format!("{{\"{UPSTREAMS}\""))),
            (_, Some("stream")) => return secret(Answer::text(200, "text/event-stream", format!("data: {UPSTREAMS}\n\ndata: {{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{{\"x\":\"{UPSTREAMS}\"}}}}\n\n"))),
            (_, Some("cut")) => return Answer::cut(),
            _ if message["id"].is_null() => return secret(Answer::status(202)),
            _ => json!({ "content": [], "_meta": { "x": UPSTREAMS } }),
        };
        secret(Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })))
    })
    .await;
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("token");
    std::fs::write(&file, OURS).unwrap();
    let gate = Plan::default()
        .env("CANARY_TOKEN", OURS)
        .server("canary", upstream.url(&format!("/mcp?key={OURS}")), "p.json")
        .toml(&format!("headers = {{ Authorization = \"Bearer {OURS}\", X-Env = {{ env = \"CANARY_TOKEN\" }}, X-File = {{ file = \"{}\" }} }}", file.display()))
        .server("gone", "http://127.0.0.1:1/mcp", "p.json")
        .policy("p.json", r#"{ "version": "1", "default": "allow", "tools": { "denied": "deny", "limited": { "rate_limit": "1/hour" } }, "hide": ["hidden"], "resources": { "*": {} } }"#)
        .start();
    let http = |server: &str| {
        ["Authorization", "Cookie", "X-Api-Key", "Last-Event-ID", "Forwarded", "traceparent", "Referer", "User-Agent"]
            .iter()
            .fold(testkit::HttpClient::new(gate.url(server)), |http, name| http.header(name, THEIRS))
    };
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-11-25", "capabilities": { "x": THEIRS }, "clientInfo": { "name": THEIRS, "version": "1" } } });
    let session = http("canary").post(&hello).await.header("mcp-session-id").unwrap().to_owned();
    let legacy = http("canary").header("Mcp-Session-Id", &session);

    let mut told = Vec::new();
    let arguments = json!({ THEIRS: THEIRS, "deep": [{ "x": THEIRS }] });
    for tool in ["fine", "denied", "hidden", "limited", "limited", "500", "garbage", "stream", "cut"] {
        let mut body = modern_call(THEIRS, tool, arguments.clone());
        body["params"]["_meta"]["vendor"] = json!(THEIRS);
        body["params"]["requestState"] = json!(THEIRS);
        for server in ["canary", "gone"] {
            told.push(
                modern_headers(http(server), "tools/call", Some(tool)).header("Mcp-Param-X", THEIRS).post(&body).await,
            );
        }
        body["params"]["_meta"] = json!({ "progressToken": THEIRS });
        told.push(legacy.post(&body).await);
    }
    let odd = |method: &str, params: Value| {
        json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
    };
    for body in [
        format!("{{\"{THEIRS}\""),
        format!("[\"{THEIRS}\"]"),
        format!("\"{THEIRS}\""),
        format!("{{\"jsonrpc\":\"2.0\",\"id\":\"{THEIRS}\",\"{THEIRS}\":1,\"{THEIRS}\":2}}"),
        format!("{{\"jsonrpc\":\"{THEIRS}\",\"id\":1,\"method\":\"ping\"}}"),
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{{\"{THEIRS}\":1}},\"method\":\"ping\"}}"),
        format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"{THEIRS}\"}}"),
        odd("tools/call", json!({ "name": "fine", "arguments": THEIRS })),
        odd("tools/call", json!({ "name": { "x": THEIRS } })),
        odd("resources/read", json!({ "uri": format!("https://user:{THEIRS}@host/path?key={THEIRS}#{THEIRS}") })),
        odd(
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": "fine" }, "argument": { "name": "x", "value": THEIRS } }),
        ),
        odd("logging/setLevel", json!({ "level": THEIRS })),
        format!("{} {THEIRS}", odd("ping", json!({}))),
    ] {
        legacy.post_text(&body).await.whole().await;
        modern_headers(http("canary"), "tools/call", Some(THEIRS)).post_text(&body).await.whole().await;
    }
    told.push(
        http("canary")
            .header("Mcp-Session-Id", THEIRS)
            .post(&json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }))
            .await,
    );
    told.push(legacy.get().await.whole().await);
    told.push(legacy.send("DELETE", &[], b"").await.whole().await);

    for answer in told {
        let text = format!("{:?}\n{}", answer.headers, String::from_utf8_lossy(&answer.body));
        assert!(!text.contains(OURS), "told a client: {text}");
        let own_words = |line: &&str| line.contains("dev.toolgate/decision") || line.contains("\"error\"");
        for line in text.lines().filter(own_words) {
            let line = line.replace(&format!("\"id\":\"{THEIRS}\""), "");
            assert!(!line.contains(UPSTREAMS) && !line.contains(THEIRS), "in words of ours: {line}");
        }
    }
    let log = log();
    for secret in [OURS, THEIRS, UPSTREAMS, &session] {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "logged: {}", line.unwrap());
    }
    // The log was on, and says of each decision what it was.
    let decisions: Vec<Value> =
        events("canary").into_iter().filter(|event| event["target"] == "toolgate::decision").collect();
    for (tool, outcome, code, rule) in [
        ("fine", "allowed", "allowed", "(default allow)"),
        ("denied", "denied", "denied.rule", "/tools/denied"),
        ("hidden", "denied", "hidden", "(hidden)"),
        ("limited", "denied", "limited", "/tools/limited/rate_limit"),
    ] {
        let said = |event: &&Value| {
            let fields = &event["fields"];
            fields["subject"].as_str().is_some_and(|subject| subject.trim_matches('"') == tool)
                && fields["outcome"] == outcome
                && fields["code"] == code
                && fields["rule"] == rule
        };
        assert!(decisions.iter().filter(said).count() >= 1, "{tool} {outcome} {code} {rule}: {decisions:#?}");
    }
}

/// Vector 107: what clients write is data in the log, of a bounded length, on the line it belongs to.
#[tokio::test]
async fn nobody_writes_the_log_but_us() {
    capture();
    let upstream = Recorder::start(|_| Answer::status(500)).await;
    let gate = Plan::default()
        .server("injected", upstream.url("/mcp"), "p.json")
        .policy("p.json", r#"{ "version": "1" }"#)
        .start();
    let forged = "x\n{\"fields\":{\"server\":\"forged\"}}\r\n\u{1b}[31mred\u{1b}[0m\u{202e}\u{2028}";
    let long = "y".repeat(1 << 20);
    for text in [forged, &long] {
        for (method, params) in [
            ("tools/call", json!({ "name": text })),
            ("prompts/get", json!({ "name": text })),
            ("resources/read", json!({ "uri": text })),
            (text, json!({})),
        ] {
            let http = testkit::HttpClient::new(gate.url("injected"));
            let mirrored = |text: &str| if text.len() > 1000 { "y".to_owned() } else { mcp::encode(text).into_owned() };
            modern_headers(http.clone(), &mirrored(method), Some(&mirrored(text)))
                .post(&modern_request(1, method, params.clone()))
                .await;
            http.post(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).await;
        }
    }
    testkit::HttpClient::new(gate.url(&"z".repeat(5000))).post(&json!({})).await;
    assert!(events("forged").is_empty());
    assert!(events("injected").len() > 4);
    let longest = log().lines().map(str::len).max().unwrap();
    assert!(longest < 4096, "a line of {longest} bytes");
    for line in log().lines() {
        assert!(!line.contains('\u{1b}') && !line.contains('\u{2028}') && !line.contains('\u{202e}'), "{line:?}");
    }
}

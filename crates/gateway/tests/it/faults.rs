//! Servers that fail, lie or fall silent: the client gets exactly one JSON-RPC answer, in time, and nobody else notices.

use serde_json::{Value, json};
use testkit::{Answer, HttpClient, McpClient, Recorder};

use crate::gate::{Gate, OPEN, Plan, called, modern_call, modern_headers, streamed, tool};

/// What a server makes of a call.
type Fault = fn(&Value) -> Answer;

/// An upstream of both eras, of which calls are answered like this: from the request, and whether the client is modern.
async fn failing(answer: impl Fn(&Value) -> Answer + Send + Sync + 'static) -> Recorder {
    Recorder::start(move |request| {
        let message = request.json();
        let result = match message["method"].as_str() {
            Some("tools/call") => return answer(&message),
            Some("initialize") => json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": "t", "version": "1" } }),
            _ if message["id"].is_null() => return Answer::status(202),
            _ => json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"] }),
        };
        Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
    })
    .await
}

/// Everything that came back for a call of `a` with these arguments: the status, and all JSON-RPC messages.
async fn call(http: &HttpClient, modern: bool, arguments: Value) -> (u16, Vec<Value>) {
    let mut body = modern_call("k", "a", arguments);
    if !modern {
        body["params"].as_object_mut().unwrap().remove("_meta");
    }
    let mut reply = http.post_streamed(&body).await;
    let status = reply.status;
    let mut messages = Vec::new();
    match reply.header("content-type") {
        Some("text/event-stream") => {
            while let Some(event) = reply.next_event().await {
                messages.push(event.json());
            }
        }
        _ => messages.push(reply.whole().await.json()),
    }
    (status, messages)
}

async fn clients(gate: &Gate) -> [(bool, HttpClient); 2] {
    let session: McpClient = gate.legacy().await;
    [(false, session.http().clone()), (true, modern_headers(gate.http(), "tools/call", Some("a")))]
}

fn failed() -> Value {
    json!({ "jsonrpc": "2.0", "id": "k", "error": { "code": -32603, "message": "upstream failed" } })
}

fn result(message: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "content": [], "n": 1 } })
}

/// Vector 52.
#[tokio::test]
async fn whatever_a_server_answers_the_client_gets_one_error() {
    let bounds = [("bounds.response", "4KiB"), ("bounds.event", "4KiB"), ("bounds.call_timeout", "2s")];
    let faults: [(&str, Fault); 31] = [
        ("500", |_| Answer::status(500)),
        ("503 as JSON", |message| Answer::json(503, &result(message))),
        ("401", |_| Answer::status(401)),
        ("429", |_| Answer::status(429)),
        ("202", |_| Answer::status(202)),
        ("204", |_| Answer::raw("HTTP/1.1 204 No Content\r\n\r\n")),
        ("302", |_| Answer::status(302).header("Location", "http://169.254.169.254/latest/meta-data/")),
        ("307", |_| Answer::status(307).header("Location", "http://169.254.169.254/")),
        ("no content type", |message| {
            let body = result(message).to_string();
            Answer::raw(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
        }),
        ("HTML", |message| Answer::text(200, "text/html", result(message).to_string())),
        ("text", |message| Answer::text(200, "text/plain", result(message).to_string())),
        ("JSON lines", |message| Answer::text(200, "application/x-ndjson", result(message).to_string())),
        ("no body", |_| Answer::text(200, "application/json", "")),
        ("no JSON", |_| Answer::text(200, "application/json", "<html>")),
        ("half", |message| Answer::text(200, "application/json", &result(message).to_string().as_bytes()[..30])),
        ("two answers", |message| Answer::text(200, "application/json", format!("{0}{0}", result(message)))),
        ("an array", |message| Answer::json(200, &json!([result(message)]))),
        ("another id", |message| {
            Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"].as_u64().unwrap() + 1, "result": {} }))
        }),
        ("the id as text", |message| {
            Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"].to_string(), "result": {} }))
        }),
        ("no id", |_| Answer::json(200, &json!({ "jsonrpc": "2.0", "result": {} }))),
        ("id null with a result", |_| Answer::json(200, &json!({ "jsonrpc": "2.0", "id": null, "result": {} }))),
        ("result and error", |message| {
            Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": {}, "error": {} }))
        }),
        ("a duplicate id", |message| {
            Answer::text(
                200,
                "application/json",
                format!(r#"{{"jsonrpc":"2.0","id":{0},"id":{0},"result":{{}}}}"#, message["id"]),
            )
        }),
        ("a notification", |_| {
            Answer::json(200, &json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": {} }))
        }),
        ("too large", |message| {
            Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": "x".repeat(5000) }))
        }),
        ("not UTF-8", |message| {
            Answer::text(
                200,
                "application/json",
                [b"{\"jsonrpc\":\"2.0\",\"id\":", message["id"].to_string().as_bytes(), b",\"result\":\"\xff\"}"]
                    .concat(),
            )
        }),
        ("an event too large", |message| {
            Answer::events([&json!({ "jsonrpc": "2.0", "id": message["id"], "result": "x".repeat(5000) })])
        }),
        ("a stream of nothing", |_| Answer::text(200, "text/event-stream", "")),
        ("a stream without the answer", |_| Answer::text(200, "text/event-stream", ": hello\n\ndata: {}\n\n")),
        ("no HTTP", |_| Answer::raw("SSH-2.0-OpenSSH_9.6\r\n")),
        ("a bad chunk", |_| {
            Answer::raw(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
            )
        }),
    ];
    for (name, fault) in faults {
        let upstream = failing(fault).await;
        let gate = Gate::bounded(&upstream, OPEN, &bounds);
        for (modern, http) in clients(&gate).await {
            assert_eq!(call(&http, modern, json!({})).await, (200, vec![failed()]), "{name}, modern: {modern}");
        }
        assert_eq!(called(&upstream).len(), 2, "{name}: not asked again");
    }
    // An error that the server could not address is the answer to the one request there is.
    let upstream = failing(|_| {
        Answer::json(400, &json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32700, "message": "what?" } }))
    })
    .await;
    let gate = Gate::before(&upstream, OPEN);
    for (modern, http) in clients(&gate).await {
        let (status, messages) = call(&http, modern, json!({})).await;
        assert_eq!((status, &messages[0]["id"], &messages[0]["error"]["message"]), (400, &json!("k"), &json!("what?")));
    }
}

/// Vector 20, from below: nesting that a recursive reader dies of.
#[tokio::test]
async fn a_deeply_nested_answer_kills_nobody() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(200_000), close.repeat(200_000));
    for (name, value) in [
        ("lists", deep("[", "]")),
        ("objects", deep("{\"a\":", "}").replace(":}", ":1}")),
        ("never closed", "[".repeat(200_000)),
    ] {
        for member in ["content", "inputRequests", "tools", "_meta"] {
            let value = value.clone();
            let upstream = failing(move |message| {
                let result = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"{member}":{value}}}}}"#, message["id"]);
                match member {
                    "tools" => Answer::text(200, "text/event-stream", format!("data: {result}\n\n")),
                    _ => Answer::text(200, "application/json", result),
                }
            })
            .await;
            let gate = Gate::before(&upstream, r#"{ "version": "1", "default": "allow" }"#);
            let http = modern_headers(gate.http(), "tools/call", Some("a"));
            let answer = http.post_streamed(&modern_call("k", "a", json!({}))).await.whole().await;
            assert_eq!(answer.status, 200, "{name} in {member}");
            let text = String::from_utf8(answer.body).unwrap();
            assert_eq!(text.matches("\"jsonrpc\"").count(), 1, "{name} in {member}");
            assert!(name != "never closed" || text.contains("-32603"), "{name} in {member}");
        }
    }
}

/// Vector 102: what a server answers is no address to go to.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let metadata = Recorder::mcp([tool("a")]).await;
    let elsewhere = metadata.url("/mcp");
    let upstream = failing(move |_| Answer::status(307).header("Location", &elsewhere)).await;
    let gate = Gate::before(&upstream, OPEN);
    for (modern, http) in clients(&gate).await {
        assert_eq!(call(&http, modern, json!({})).await, (200, vec![failed()]));
    }
    assert_eq!(metadata.connections(), 0);
}

/// 1xx responses before the answer are no answer, and neither is a flood of them.
#[tokio::test]
async fn informational_responses_are_skipped() {
    let upstream = failing(|message| {
        let body = result(message).to_string();
        let flood = "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n".repeat(200);
        Answer::raw(format!(
            "{flood}HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    })
    .await;
    let gate = Gate::before(&upstream, OPEN);
    for (modern, http) in clients(&gate).await {
        let (_, messages) = call(&http, modern, json!({})).await;
        assert!(messages == [failed()] || messages[0]["result"]["n"] == 1, "{messages:?}");
    }
}

/// The connection is cut at every byte of the answer: one answer, and an error unless all of it had come.
#[tokio::test]
async fn a_cut_at_any_byte_is_one_error() {
    let json = |message: &Value| {
        let body = result(message).to_string();
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let events = |message: &Value| {
        let event = format!("data: {}\n\n", result(message));
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{event}\r\n0\r\n\r\n",
            event.len()
        )
    };
    for (name, whole) in [("JSON", json as fn(&Value) -> String), ("events", events)] {
        let upstream = failing(move |message| {
            let cut = usize::try_from(message["params"]["arguments"]["cut"].as_u64().unwrap()).unwrap();
            let whole = whole(message);
            Answer::raw(&whole.as_bytes()[..cut.min(whole.len())])
        })
        .await;
        let gate = Gate::before(&upstream, OPEN);
        // The id upstream grows by a digit or two meanwhile, so that the end is looked for, not computed.
        for (modern, http) in clients(&gate).await {
            let mut cut = 0;
            let mut answered = false;
            while !answered || cut < 230 {
                let (status, messages) = call(&http, modern, json!({ "cut": cut })).await;
                assert_eq!((status, messages.len()), (200, 1), "{name} cut at {cut}: {messages:?}");
                let good = messages[0]["result"]["n"] == 1;
                assert!(good || (!answered && messages[0] == failed()), "{name} cut at {cut}: {messages:?}");
                answered |= good;
                cut += 1;
                assert!(cut < 400, "{name}: never answered");
            }
        }
    }
}

#[tokio::test]
async fn silence_ends_in_time() {
    let bounds = [("bounds.call_timeout", "300ms"), ("bounds.idle_timeout", "100ms")];
    // Before the head; after it; between events; and chatter for ever, which only the hard end stops.
    for (name, content_type, first) in [
        ("no head", "", ""),
        ("no body", "application/json", ""),
        ("half a body", "application/json", "{\"jsonrpc\""),
        ("no event", "text/event-stream", ""),
        ("half an event", "text/event-stream", "data: {"),
        (
            "one event",
            "text/event-stream",
            "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}\n\n",
        ),
        ("comments", "text/event-stream", ": here\n\n"),
    ] {
        let (keep, kept) = std::sync::mpsc::channel();
        let keep = std::sync::Mutex::new(keep);
        let upstream = failing(move |_| {
            if content_type.is_empty() {
                let (answer, promise) = Answer::later();
                keep.lock().unwrap().send((Some(promise), None)).unwrap();
                return answer;
            }
            let (answer, mut stream) = Answer::stream(200, content_type);
            stream.send(first);
            keep.lock().unwrap().send((None, Some(stream))).unwrap();
            answer
        })
        .await;
        let gate = Gate::bounded(&upstream, OPEN, &bounds);
        for (modern, http) in clients(&gate).await {
            let (status, messages) = call(&http, modern, json!({})).await;
            assert_eq!((status, messages.last().unwrap()), (200, &failed()), "{name}, modern: {modern}");
            assert_eq!(messages.len(), if name == "one event" { 2 } else { 1 }, "{name}");
        }
        // The upstream's end is let go of, too: nothing of it stays open here.
        for _ in 0..2 {
            if let (_, Some(mut stream)) = kept.recv().unwrap() {
                stream.hung_up().await;
            }
        }
    }
}

#[tokio::test]
async fn endless_chatter_ends_in_time() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::bounded(&upstream, OPEN, &[("bounds.call_timeout", "400ms"), ("bounds.idle_timeout", "30s")]);
    let http = modern_headers(gate.http(), "tools/call", Some("a"));
    let (mut reply, _, mut stream) = streamed(&upstream, http.post_streamed(&modern_call("k", "a", json!({})))).await;
    let mut seen = 0;
    let last = loop {
        stream.event(&json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progress": seen } }));
        let event = reply.next_event().await.unwrap().json();
        if event["method"].is_null() {
            break event;
        }
        seen += 1;
    };
    assert_eq!(last, failed());
    assert!(seen > 0 && reply.next_event().await.map(|event| event.json()["method"].clone()).is_none());
    stream.hung_up().await;
}

/// R12: what a client does not read is not read for it, and in the end neither is anything else.
#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::bounded(&upstream, OPEN, &[("bounds.write_timeout", "200ms")]);
    let body = modern_call(1, "a", json!({})).to_string();
    let mut client = gate.raw().await;
    let head = "Host: localhost\r\nContent-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: a\r\n";
    client.send(format!("POST /mcp/s HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len())).await;
    let mut stream = crate::gate::next_call(&upstream).await.answer_with_events();
    let event =
        json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "data": "x".repeat(1 << 20) } });
    for _ in 0..64 {
        stream.event(&event);
    }
    stream.hung_up().await;
}

/// One server's trouble is nobody else's.
#[tokio::test]
async fn a_failing_server_fails_alone() {
    let silent = Recorder::by_hand().await;
    let gone = Recorder::start(|_| Answer::status(200)).await;
    let (well, nowhere) = (Recorder::mcp([tool("a")]).await, gone.url("/mcp"));
    drop(gone);
    let gate = Plan::default()
        .server("silent", silent.url("/mcp"), "p")
        .server("gone", nowhere, "p")
        .server("s", well.url("/mcp"), "p")
        .policy("p", OPEN)
        .start();
    let on = |server: &str| McpClient::modern(HttpClient::new(gate.url(server)));
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let client = on("silent");
            tokio::spawn(async move { client.call("a", json!({})).await })
        })
        .collect();
    silent.next_request().await;
    for _ in 0..20 {
        assert_eq!(on("gone").call("a", json!({})).await["error"]["code"], -32603);
        assert_eq!(on("s").list_tools().await, ["a"]);
        assert!(on("s").call("a", json!({})).await["error"].is_null());
    }
    waiting.iter().for_each(|call| call.abort());
}

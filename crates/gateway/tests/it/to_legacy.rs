//! A modern client before a legacy server: its requests, their answers, and the sessions they use.

use serde_json::{Value, json};
use testkit::{Answer, Recorder};

use crate::gate::{Gate, OPEN, methods, tool};
use crate::legacy_hand::{Hand, SERVER_INFO, answer, call, done, of, post};

fn nothing() -> Value {
    json!({})
}

#[tokio::test]
async fn a_call_crosses_and_comes_back() {
    let hand = Hand::new(json!({ "tools": {} })).await;
    let gate = hand.gate();
    let mut body = call(&nothing(), "k", "a");
    body["params"]["_meta"]["progressToken"] = json!("p");
    body["params"]["_meta"]["traceparent"] = json!("00-1");
    body["params"]["_meta"]["io.modelcontextprotocol/clientInfo"] = json!({ "name": "c", "version": "1" });
    let posted = post(&gate, &body);
    let (exchange, seen) = hand.expect("tools/call").await;
    let id = seen["id"].clone();
    assert_eq!(
        seen["params"],
        json!({ "name": "a", "arguments": { "n": 1.0 }, "_meta": { "progressToken": id, "traceparent": "00-1" } })
    );
    let request = &exchange.request;
    assert_eq!(request.header("mcp-session-id"), Some("session-0"));
    assert_eq!(request.header("mcp-protocol-version"), Some("2025-11-25"));
    assert_eq!((request.header("mcp-method"), request.header("mcp-name")), (None, None));
    let result = r#"{"content":[ ],"vendor" : {"x":1.50},"_meta":{"v" : [1.0]}}"#;
    let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
    exchange.answer(Answer::text(200, "application/json", text));
    let told = String::from_utf8(posted.await.unwrap().whole().await.body).unwrap();
    assert_eq!(
        told,
        r#"{"jsonrpc":"2.0","id":"k","result":{"content":[ ],"vendor":{"x":1.50},"_meta":{"v":[1.0],"io.modelcontextprotocol/serverInfo":{"name":"hand","version":"1"}},"resultType":"complete"}}"#
    );
    let hello = hand.upstream.requests().into_iter().find(|request| request.text().contains("\"initialize\"")).unwrap();
    assert_eq!(hello.json()["params"]["clientInfo"]["name"], "c");
    assert_eq!(hello.json()["params"]["capabilities"], json!({}));
}

#[tokio::test]
async fn lists_and_readings_say_that_they_do_not_last() {
    let hand = Hand::new(nothing()).await;
    let gate = hand.gate();
    for (method, params, lasting) in [
        ("tools/list", json!({ "cursor": "" }), true),
        ("prompts/list", json!({}), true),
        ("resources/list", json!({}), true),
        ("resources/templates/list", json!({}), true),
        ("resources/read", json!({ "uri": "a:b" }), true),
        ("prompts/get", json!({ "name": "a" }), false),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": "a" }, "argument": { "name": "x", "value": "" } }),
            false,
        ),
    ] {
        let posted = post(&gate, &of(&nothing(), 1, method, params));
        let (exchange, seen) = hand.expect(method).await;
        let result = json!({ "tools": [], "prompts": [], "resources": [], "resourceTemplates": [], "contents": [] });
        exchange.answer(Answer::events([&json!({ "jsonrpc": "2.0", "id": seen["id"], "result": result })]));
        let reply = posted.await.unwrap();
        assert_eq!(reply.header("content-type"), Some("application/json"), "one answer is no stream");
        let result = reply.answer_to(&json!(1)).await["result"].clone();
        assert_eq!(result["resultType"], "complete", "{method}");
        assert_eq!(result["_meta"][SERVER_INFO]["name"], "hand", "{method}");
        let lasts = (result["ttlMs"] == json!(0), result["cacheScope"] == "private");
        assert_eq!(lasts, (lasting, lasting), "{method}: {result}");
    }
}

#[tokio::test]
async fn discovery_says_what_is_relayed() {
    let capabilities = json!({ "tools": { "listChanged": true }, "logging": {}, "experimental": { "x": {} },
        "tasks": { "requests": { "tools": { "call": {} } } } });
    let hand = Hand::new(capabilities).await;
    let gate = hand.gate();
    let posted = post(&gate, &of(&nothing(), 1, "server/discover", json!({})));
    let told = tokio::select! {
        told = answer(posted, 1) => told,
        other = hand.next() => panic!("nothing but the introduction is sent: {:?}", other.request),
    };
    assert_eq!(
        told["result"],
        json!({
            "resultType": "complete", "supportedVersions": ["2026-07-28"], "instructions": "be kind", "ttlMs": 0,
            "cacheScope": "private", "_meta": { SERVER_INFO: { "name": "hand", "version": "1" } },
            "capabilities": { "tools": { "listChanged": true }, "logging": {}, "extensions": { "io.modelcontextprotocol/tasks": {} } },
        })
    );
}

#[tokio::test]
async fn errors_have_codes_that_modern_clients_know() {
    let hand = Hand::new(nothing()).await;
    let gate = hand.gate();
    for (code, status, expected) in [
        (-32002, 200, -32602),
        (-32601, 404, -32601),
        (-32602, 200, -32602),
        (-32020, 200, -32603),
        (-32022, 200, -32603),
        (-32000, 200, -32000),
        (-32042, 400, -32021),
        (7, 200, 7),
    ] {
        for streamed in [false, true] {
            let posted = post(&gate, &of(&nothing(), 1, "resources/read", json!({ "uri": "a:b" })));
            let (exchange, seen) = hand.expect("resources/read").await;
            let error = json!({ "code": code, "message": "no", "vendor": 1.50, "data": { "uri": "a:b", "elicitations": [{ "url": "https://a" }] } });
            let message = json!({ "jsonrpc": "2.0", "id": seen["id"], "error": error });
            exchange.answer(if streamed { Answer::events([&message]) } else { Answer::json(200, &message) });
            let reply = posted.await.unwrap();
            assert_eq!(reply.status, status, "{code}");
            let told = reply.answer_to(&json!(1)).await["error"].clone();
            assert_eq!(told["code"], expected, "{told}");
            if code != -32042 {
                assert_eq!((&told["vendor"], &told["data"]["uri"]), (&json!(1.50), &json!("a:b")));
            }
        }
    }
}

#[tokio::test]
async fn progress_and_logs_reach_whoever_asked_for_them() {
    let hand = Hand::new(json!({ "logging": {} })).await;
    let gate = hand.gate();
    let body = |token: &str, level: Option<&str>| {
        let mut body = call(&nothing(), 1, "a");
        body["params"]["_meta"]["progressToken"] = json!(token);
        if let Some(level) = level {
            body["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = json!(level);
        }
        body
    };
    let loud = post(&gate, &body("same", Some("warning")));
    let (exchange, seen) = hand.expect("logging/setLevel").await;
    assert_eq!(seen["params"], json!({ "level": "warning" }));
    exchange.answer_with_result(&json!({}));
    let (mut to_loud, loud_call) = hand.stream("tools/call").await;
    assert_eq!(loud_call["params"]["_meta"], json!({ "progressToken": loud_call["id"] }), "no log level goes on");
    let quiet = post(&gate, &body("same", None));
    let (mut to_quiet, quiet_call) = hand.stream("tools/call").await;
    let progress = |token: &Value| json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": token, "progress": 1.50, "x": 1 } });
    let log = |level: &str| json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": level, "data": level } });
    for (stream, own, other) in [(&mut to_loud, &loud_call, &quiet_call), (&mut to_quiet, &quiet_call, &loud_call)] {
        for level in ["debug", "info", "notice", "warning", "emergency", "nonsense"] {
            stream.event(&log(level));
        }
        stream.event(&progress(&other["id"]));
        stream.event(&progress(&json!("same")));
        stream.event(&json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }));
        stream.event(&progress(&own["id"]));
        stream.event(&done(&own["id"], "done"));
    }
    let mut heard = Vec::new();
    for posted in [loud, quiet] {
        let mut reply = posted.await.unwrap();
        while let Some(event) = reply.next_event().await {
            let message = event.json();
            heard.push(format!(
                "{} {} {}",
                message["method"], message["params"]["level"], message["params"]["progressToken"]
            ));
        }
    }
    assert_eq!(
        heard,
        [
            r#""notifications/message" "warning" null"#,
            r#""notifications/message" "emergency" null"#,
            r#""notifications/progress" null "same""#,
            "null null null",
            r#""notifications/progress" null "same""#,
            "null null null",
        ]
    );
    // Only what wants more than was told before makes the server tell more.
    for (level, set) in [("error", false), ("warning", false), ("debug", true)] {
        let posted = post(&gate, &body("t", Some(level)));
        if set {
            let (exchange, seen) = hand.expect("logging/setLevel").await;
            assert_eq!(seen["params"]["level"], level);
            exchange.answer_with_result(&json!({}));
        }
        hand.expect("tools/call").await.0.answer_with_result(&json!({ "content": [] }));
        answer(posted, 1).await;
    }
}

#[tokio::test]
async fn hanging_up_cancels() {
    let hand = Hand::new(nothing()).await;
    let gate = hand.gate();
    for streamed in [false, true] {
        let posted = post(&gate, &call(&nothing(), 1, "a"));
        let (exchange, seen) = hand.expect("tools/call").await;
        let open = match streamed {
            true => {
                let mut stream = exchange.answer_with_events();
                let progress =
                    json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 0 } });
                stream.event(&progress);
                drop(posted.await.unwrap());
                Ok(stream)
            }
            false => {
                posted.abort();
                Err(exchange)
            }
        };
        let cancelled = hand.take().await;
        assert_eq!(cancelled["method"], "notifications/cancelled", "{cancelled}");
        assert_eq!(cancelled["params"]["requestId"], seen["id"]);
        drop(open);
    }
    // And what was answered is not cancelled.
    let posted = post(&gate, &call(&nothing(), 1, "a"));
    hand.expect("tools/call").await.0.answer_with_result(&json!({ "content": [] }));
    answer(posted, 1).await;
    let posted = post(&gate, &call(&nothing(), 2, "a"));
    hand.expect("tools/call").await.0.answer_with_result(&json!({ "content": [] }));
    answer(posted, 2).await;
}

#[tokio::test]
async fn one_session_for_all_that_ask_at_once() {
    let upstream = Recorder::legacy_mcp([tool("a")]).await;
    let gate = Gate::before(&upstream, OPEN);
    let calls: Vec<_> = (0..50).map(|id| (id, post(&gate, &call(&nothing(), id, "a")))).collect();
    for (id, posted) in calls {
        let told = answer(posted, id).await;
        assert_eq!(told["result"]["content"][0]["text"], r#"{"arguments":{"n":1.0},"name":"a"}"#, "{told}");
    }
    let opened = methods(&upstream).iter().filter(|method| *method == "initialize").count();
    assert_eq!(opened, 1);
    let able = json!({ "roots": {}, "sampling": { "tools": {} } });
    answer(post(&gate, &call(&able, 1, "a")), 1).await;
    answer(post(&gate, &call(&json!({ "sampling": { "tools": {} }, "roots": { "listChanged": true } }), 1, "a")), 1)
        .await;
    let hellos = upstream.requests().into_iter().filter(|request| request.text().contains("\"initialize\""));
    let told: Vec<Value> = hellos.map(|hello| hello.json()["params"]["capabilities"].clone()).collect();
    assert_eq!(told, [json!({}), able], "what a server may ask for makes the session");
}

#[tokio::test]
async fn what_the_policy_denies_a_server_is_not_offered_to_it() {
    let upstream = Recorder::legacy_mcp([tool("a")]).await;
    let gate = Gate::before(&upstream, r#"{ "version": "1", "default": "allow", "reverse": { "roots": "allow" } }"#);
    answer(post(&gate, &call(&json!({ "roots": {}, "sampling": {}, "elicitation": {} }), 1, "a")), 1).await;
    let hello = upstream.requests().into_iter().find(|request| request.text().contains("\"initialize\"")).unwrap();
    assert_eq!(hello.json()["params"]["capabilities"], json!({ "roots": {} }));
}

/// What is counted is not sent twice for one: a call fails, and the next goes out in a new session. Lists are asked for again.
#[tokio::test]
async fn a_session_that_the_server_forgot_is_opened_again_once() {
    let hand = Hand::new(nothing()).await;
    let gate = hand.gate();
    let no_session = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32000, "message": "Bad Request: No valid session ID provided" } });
    for (n, gone) in [Answer::status(404), Answer::json(400, &no_session)].into_iter().enumerate() {
        let posted = post(&gate, &call(&nothing(), 1, "a"));
        hand.expect("tools/call").await.0.answer(gone);
        assert_eq!(answer(posted, 1).await["error"]["code"], -32603);
        let posted = post(&gate, &call(&nothing(), 1, "a"));
        let (exchange, _) = hand.expect("tools/call").await;
        assert_eq!(exchange.request.header("mcp-session-id"), Some(format!("session-{}", n + 1).as_str()));
        exchange.answer_with_result(&json!({ "content": [] }));
        assert!(answer(posted, 1).await["error"].is_null());
    }
    let list = of(&nothing(), 1, "tools/list", json!({}));
    let posted = post(&gate, &list);
    hand.expect("tools/list").await.0.answer(Answer::status(404));
    hand.expect("tools/list").await.0.answer_with_result(&json!({ "tools": [] }));
    assert!(answer(posted, 1).await["error"].is_null());
    let posted = post(&gate, &list);
    hand.expect("tools/list").await.0.answer(Answer::status(404));
    hand.expect("tools/list").await.0.answer(Answer::status(404));
    assert_eq!(answer(posted, 1).await["error"]["code"], -32603, "and not for ever");
    // An error of the server's about the call itself is an answer: the call ran.
    let posted = post(&gate, &call(&nothing(), 1, "a"));
    let (exchange, seen) = hand.expect("tools/call").await;
    let error = json!({ "code": -32602, "message": "no such session of yours" });
    exchange.answer(Answer::json(400, &json!({ "jsonrpc": "2.0", "id": seen["id"], "error": error })));
    assert_eq!(answer(posted, 1).await["error"]["message"], "no such session of yours");
}

#[tokio::test]
async fn a_session_that_nobody_uses_is_ended() {
    let hand = Hand::new(nothing()).await;
    let gate = Gate::bounded(&hand.upstream, OPEN, &[("bounds.session_idle", "1s")]);
    let posted = post(&gate, &call(&nothing(), 1, "a"));
    hand.expect("tools/call").await.0.answer_with_result(&json!({ "content": [] }));
    answer(posted, 1).await;
    let ended = hand.next().await;
    assert_eq!((ended.request.method.as_str(), ended.request.header("mcp-session-id")), ("DELETE", Some("session-0")));
    ended.answer(Answer::status(200));
    let posted = post(&gate, &call(&nothing(), 1, "a"));
    hand.expect("tools/call").await.0.answer_with_result(&json!({ "content": [] }));
    answer(posted, 1).await;
    assert_eq!(hand.sessions(), 2);
}

/// A server may end a stream and deliver the answer to whoever resumes it (2025-11-25).
#[tokio::test]
async fn a_stream_that_breaks_off_is_resumed() {
    let hand = Hand::with_streams(nothing()).await;
    let gate = hand.gate();
    let posted = post(&gate, &call(&nothing(), 1, "a"));
    let (exchange, seen) = hand.expect("tools/call").await;
    exchange.answer(Answer::text(200, "text/event-stream", "id: e7\nretry: 1\ndata:\n\n"));
    let resumed = hand.next().await;
    assert_eq!((resumed.request.method.as_str(), resumed.request.header("last-event-id")), ("GET", Some("e7")));
    resumed.answer(Answer::events([&done(&seen["id"], "late")]));
    assert_eq!(answer(posted, 1).await["result"]["content"][0]["text"], "late");
}

/// The tools of a policy that hides are looked up in the session; a hidden one is unknown, whatever the server has.
#[tokio::test]
async fn hidden_tools_do_not_exist() {
    let upstream = Recorder::legacy_mcp([tool("a"), tool("h")]).await;
    let gate = Gate::before(&upstream, r#"{ "version": "1", "default": "allow", "hide": ["h"] }"#);
    assert_eq!(gate.modern().list_tools().await, ["a"]);
    for name in ["h", "nowhere"] {
        let told = answer(post(&gate, &call(&nothing(), 1, name)), 1).await;
        assert_eq!(told["error"], json!({ "code": -32602, "message": format!("Unknown tool: {name}") }));
    }
    assert_eq!(crate::gate::called(&upstream), [""; 0]);
}

//! Sessions of the legacy era: who opens, uses and ends them, and under which id.

use serde_json::{Value, json};
use testkit::{Answer, HttpClient, McpClient, Recorded, Recorder};

use crate::gate::{Gate, OPEN, Plan, called, introduced, methods, next_call, streamed, tool};

fn hello(version: &str) -> Value {
    let info = json!({ "name": "c", "version": "1" });
    json!({ "jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": { "protocolVersion": version, "capabilities": {}, "clientInfo": info } })
}

fn ping() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })
}

/// An upstream that answers `initialize` with this version, and everything else with an empty result.
async fn speaking(version: &'static str) -> Recorder {
    Recorder::start(move |request| match request.body.is_empty() {
        true => Answer::status(200),
        false => {
            let message = request.json();
            let result = match message["method"].as_str() {
                Some("initialize") => json!({ "protocolVersion": version, "capabilities": {}, "serverInfo": { "name": "t", "version": "1" } }),
                _ if message["id"].is_null() => return Answer::status(202),
                _ => json!({}),
            };
            let answer = Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }));
            answer.header("Mcp-Session-Id", "upstream-session")
        }
    })
    .await
}

#[tokio::test]
async fn versions_are_negotiated_between_client_and_server() {
    // What the client asks for, what the server is asked for, what it answers.
    for (asked, sent, answered) in [
        ("2025-11-25", "2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26", "2025-03-26"),
        ("2024-11-05", "2024-11-05", "2024-11-05"),
        ("2025-11-25", "2025-11-25", "2025-03-26"),
        ("2026-07-28", "2025-11-25", "2025-11-25"),
        ("2099-01-01", "2025-11-25", "2025-06-18"),
        ("nonsense", "2025-11-25", "2025-11-25"),
    ] {
        let upstream = speaking(answered).await;
        let gate = Gate::before(&upstream, OPEN);
        let response = gate.http().post(&hello(asked)).await;
        assert_eq!(response.json()["result"]["protocolVersion"], answered, "{asked}");
        assert_eq!(upstream.requests()[0].json()["params"]["protocolVersion"], sent, "{asked}");
        let session = gate.http().header("Mcp-Session-Id", response.header("mcp-session-id").unwrap());
        assert_eq!(session.post(&ping()).await.json()["result"], json!({}), "the header may be missing");
        assert_eq!(upstream.requests()[1].header("mcp-protocol-version"), Some(answered), "but not upstream");
        assert_eq!(
            session.post(&json!([ping()])).await.status == 200,
            answered == "2025-03-26",
            "{answered} has batches"
        );
    }
}

#[tokio::test]
async fn an_initialize_that_fails_opens_no_session() {
    for result in [
        json!({ "result": { "protocolVersion": "2026-07-28", "capabilities": {} } }),
        json!({ "result": { "protocolVersion": "2099-01-01", "capabilities": {} } }),
        json!({ "result": { "capabilities": {} } }),
        json!({ "error": { "code": -32602, "message": "no" } }),
    ] {
        let upstream = Recorder::start(move |request| {
            let mut message = result.clone();
            (message["jsonrpc"], message["id"]) = (json!("2.0"), request.json()["id"].clone());
            Answer::json(200, &message).header("Mcp-Session-Id", "upstream-session")
        })
        .await;
        let gate = Gate::before(&upstream, OPEN);
        let response = gate.http().post(&hello("2025-11-25")).await;
        assert!(response.json()["error"]["code"].is_i64(), "{}", response.json());
        let sent = upstream.requests().len();
        if let Some(id) = response.header("mcp-session-id") {
            assert_eq!(gate.http().header("Mcp-Session-Id", id).post(&ping()).await.status, 404);
            assert_eq!(upstream.requests().len(), sent);
        }
    }
}

/// Vectors 60, 61 and 63: ids are ours, long, random and mean nothing.
#[tokio::test]
async fn session_ids_are_ours() {
    let upstream = speaking("2025-11-25").await;
    let gate = Gate::before(&upstream, OPEN);
    let mut ids = Vec::new();
    for _ in 0..50 {
        let response = gate.http().post(&hello("2025-11-25")).await;
        let lines: Vec<_> =
            response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("mcp-session-id")).collect();
        assert_eq!(lines.len(), 1);
        ids.push(lines[0].1.clone());
    }
    assert!(ids.iter().all(|id| id.len() >= 32 && id.bytes().all(|b| b.is_ascii_hexdigit())), "{ids:?}");
    // No two share even a quarter: there is no counter, clock or server in them.
    let mut quarters: Vec<&str> =
        ids.iter().flat_map(|id| [&id[..12], &id[12..24], &id[24..36], &id[36..48]]).collect();
    quarters.sort_unstable();
    quarters.dedup();
    assert_eq!(quarters.len(), 200);

    let chosen = gate.http().header("Mcp-Session-Id", &ids[0]).post(&hello("2025-11-25")).await;
    assert_eq!((chosen.status, &chosen.json()["error"]["code"]), (400, &json!(-32600)));
    assert_eq!(upstream.requests().len(), 50, "a client does not choose its session");
    for id in &ids {
        gate.http().header("Mcp-Session-Id", id).post(&ping()).await;
    }
    let upstreams: Vec<_> = upstream
        .requests()
        .iter()
        .skip(50)
        .map(|request| request.header("mcp-session-id").unwrap().to_owned())
        .collect();
    assert_eq!(upstreams, vec!["upstream-session"; 50], "the upstream knows its own");
}

#[tokio::test]
async fn only_a_session_of_this_server_is_one() {
    let upstream = speaking("2025-11-25").await;
    let gate = Plan::default()
        .server("s", upstream.url("/mcp"), "p.json")
        .server("other", upstream.url("/mcp"), "p.json")
        .policy("p.json", OPEN)
        .start();
    let of = async |server: &str| {
        let response = HttpClient::new(gate.url(server)).post(&hello("2025-11-25")).await;
        response.header("mcp-session-id").unwrap().to_owned()
    };
    let (mine, foreign) = (of("s").await, of("other").await);
    let ended = of("s").await;
    assert_eq!(gate.http().header("Mcp-Session-Id", &ended).send("DELETE", &[], b"").await.status, 204);
    let sent = upstream.requests().len();
    let messages = [
        ("POST", ping().to_string()),
        ("POST", json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 1, "progress": 1 } }).to_string()),
        ("POST", json!({ "jsonrpc": "2.0", "id": 1, "result": {} }).to_string()),
        ("GET", String::new()),
        ("DELETE", String::new()),
    ];
    let upper = mine.to_ascii_uppercase();
    let longer = format!("{mine}0");
    for (verb, body) in &messages {
        let ask = async |http: HttpClient| {
            let lines = [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")];
            http.send(verb, &lines, body.as_bytes()).await.status
        };
        assert_eq!(ask(gate.http()).await, 400, "{verb} {body} without a session");
        for id in ["", "0", "upstream-session", &foreign, &ended, &mine[1..], &upper, &longer, "\u{e9}", "%00"] {
            assert_eq!(ask(gate.http().header("Mcp-Session-Id", id)).await, 404, "{verb} {body} in session {id:?}");
        }
        for version in ["2026-07-28", "2099-01-01", "", "x"] {
            let status = ask(gate.http().header("Mcp-Session-Id", &mine).header("MCP-Protocol-Version", version)).await;
            assert!([400, 405].contains(&status), "{verb} {body} of {version:?}: {status}");
        }
    }
    assert_eq!(upstream.requests().len(), sent, "{:?}", methods(&upstream)[sent..].to_vec());
    assert_eq!(gate.http().header("Mcp-Session-Id", &mine).post(&ping()).await.status, 200);
}

#[tokio::test]
async fn deleting_ends_the_session_on_both_sides() {
    let upstream = speaking("2025-11-25").await;
    let gate = Gate::before(&upstream, OPEN);
    let client = gate.legacy().await;
    assert_eq!(client.http().send("DELETE", &[], b"").await.status, 204);
    let last = upstream.requests().pop().unwrap();
    assert_eq!((last.method.as_str(), last.header("mcp-session-id")), ("DELETE", Some("upstream-session")));
    assert_eq!(client.http().post(&ping()).await.status, 404);

    // A server without sessions has none to end.
    let upstream = Recorder::start(|request| {
        let result = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": "t", "version": "1" } });
        match request.json()["id"].is_null() {
            true => Answer::status(202),
            false => Answer::json(200, &json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": result })),
        }
    })
    .await;
    let gate = Gate::before(&upstream, OPEN);
    let client = gate.legacy().await;
    client.call("a", json!({})).await;
    assert_eq!(client.http().send("DELETE", &[], b"").await.status, 204);
    assert_eq!(client.http().post(&ping()).await.status, 404);
    assert_eq!(methods(&upstream), ["initialize", "notifications/initialized", "tools/call"]);
}

#[tokio::test]
async fn a_session_that_the_server_lost_is_lost() {
    for verb in ["call", "notification"] {
        let upstream = Recorder::by_hand().await;
        let gate = Gate::before(&upstream, OPEN);
        let client = introduced(&gate, &upstream).await;
        let ask = async || {
            match verb {
            "call" => client.http().post(&ping()).await.status,
            _ => client.http().post(&json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 1, "progress": 1 } })).await.status,
        }
        };
        let lost = async {
            let exchange = next_call(&upstream).await;
            exchange.answer(Answer::json(
                404,
                &json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32001, "message": "Session not found" } }),
            ));
        };
        assert_eq!(tokio::join!(ask(), lost).0, 404, "{verb}");
        let sent = upstream.requests().len();
        assert_eq!(client.http().post(&ping()).await.status, 404);
        assert_eq!(upstream.requests().len(), sent, "{verb}: the server is not asked again");
    }
}

/// Many servers that have no stream answer GET with 404, which must not end the session.
#[tokio::test]
async fn a_server_without_a_stream_keeps_its_sessions() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream).await;
    let no_stream = async { next_call(&upstream).await.answer(Answer::status(404)) };
    let (reply, ()) = tokio::join!(client.http().get(), no_stream);
    assert_eq!(reply.status, 405);
    let alive = async { next_call(&upstream).await.answer_with_result(&json!({})) };
    let (reply, ()) = tokio::join!(client.http().post(&ping()), alive);
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn sessions_are_bounded() {
    let upstream = speaking("2025-11-25").await;
    let gate = Gate::bounded(&upstream, OPEN, &[("bounds.sessions", "2")]);
    let (first, _second) = (gate.legacy().await, gate.legacy().await);
    let sent = upstream.requests().len();
    let full = gate.http().post(&hello("2025-11-25")).await;
    assert_eq!((full.status, full.header("retry-after").is_some()), (503, true));
    assert_eq!(upstream.requests().len(), sent, "no session is opened upstream that could not be used");
    assert_eq!(first.http().send("DELETE", &[], b"").await.status, 204);
    gate.legacy().await;
}

#[tokio::test]
async fn an_idle_session_ends_on_both_sides() {
    let upstream = speaking("2025-11-25").await;
    let gate = Gate::bounded(&upstream, OPEN, &[("bounds.session_idle", "1s")]);
    let response = gate.http().post(&hello("2025-11-25")).await;
    let session = gate.http().header("Mcp-Session-Id", response.header("mcp-session-id").unwrap());
    assert_eq!(methods(&upstream), ["initialize"]);
    upstream.next_request().await;
    let ended = upstream.next_request().await;
    assert_eq!((ended.method.as_str(), ended.header("mcp-session-id")), ("DELETE", Some("upstream-session")));
    assert_eq!(session.post(&ping()).await.status, 404);
}

#[tokio::test]
async fn open_requests_are_bounded_and_those_left_alone_do_not_count() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::bounded(&upstream, OPEN, &[("bounds.in_flight_per_session", "2")]);
    let client = introduced(&gate, &upstream).await;
    let call = |id: u64| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "a" } });
    let open = async |id: u64| {
        let (http, body) = (client.http().clone(), call(id));
        let waiting = tokio::spawn(async move { http.post(&body).await });
        (waiting, next_call(&upstream).await)
    };
    let ((first, exchange), (second, left)) = (open(1).await, open(2).await);
    let refused = client.http().post(&call(3)).await;
    assert_eq!((refused.status, refused.header("retry-after").is_some()), (503, true));
    second.abort();
    left.hung_up().await;
    let (third, answered) = open(3).await;
    answered.answer_with_result(&json!({ "n": 3 }));
    assert_eq!(third.await.unwrap().json()["result"]["n"], 3);
    exchange.answer_with_result(&json!({ "n": 1 }));
    assert_eq!(first.await.unwrap().json()["result"]["n"], 1);
}

/// Vector 66: a cancellation reaches the call it is about, of this session, under the id the server knows; and hanging up is none.
#[tokio::test]
async fn only_ones_own_calls_can_be_cancelled() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let (client, other) = (introduced(&gate, &upstream).await, introduced(&gate, &upstream).await);
    let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "a" } });
    let (reply, sent, stream) = streamed(&upstream, client.http().post_streamed(&call)).await;
    let before = upstream.requests().len();
    let cancel = |id: Value| json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id, "reason": "enough", "x": 1 } });
    for (http, id) in [
        (other.http(), json!(7)),
        (client.http(), json!("7")),
        (client.http(), json!(8)),
        (client.http(), sent.json()["id"].clone()),
    ] {
        assert_eq!(http.post(&cancel(id.clone())).await.status, 202, "{id}");
    }
    for id in [json!(null), json!(7.5), json!({})] {
        assert_eq!(client.http().post(&cancel(id.clone())).await.status, 400, "{id}");
    }
    assert_eq!(upstream.requests().len(), before, "nothing of that was passed on");

    drop(reply);
    let mut stream = stream;
    stream.hung_up().await;
    assert_eq!(upstream.requests().len(), before, "hanging up says nothing to the server");
    let cancelled = async || {
        let exchange = next_call(&upstream).await;
        let request: Recorded = exchange.request.clone();
        exchange.answer(Answer::status(202));
        request.json()
    };
    let (accepted, seen) = tokio::join!(client.http().post(&cancel(json!(7))), cancelled());
    assert_eq!(accepted.status, 202);
    assert_eq!(
        seen,
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": sent.json()["id"], "reason": "enough" } })
    );
}

#[tokio::test]
async fn capabilities_that_the_policy_denies_are_not_offered() {
    let upstream = Recorder::mcp([tool("a")]).await;
    for reverse in ["", r#""sampling":"allow""#, r#""elicitation":"allow","roots":"allow""#] {
        let gate = Gate::before(&upstream, &format!(r#"{{ "version": "1", "reverse": {{ {reverse} }} }}"#));
        let mut hello = hello("2025-11-25");
        hello["params"]["capabilities"] = json!({ "sampling": { "tools": {} }, "elicitation": {}, "roots": { "listChanged": true }, "experimental": { "x": [1.0] } });
        gate.http().post(&hello).await;
        let sent = upstream.requests().pop().unwrap().json()["params"]["capabilities"].clone();
        for capability in ["sampling", "elicitation", "roots"] {
            assert_eq!(sent.get(capability).is_some(), reverse.contains(capability), "{reverse}: {sent}");
        }
        assert_eq!(sent["experimental"], json!({ "x": [1.0] }));

        let client = gate.legacy().await;
        let before = upstream.requests().len();
        assert_eq!(
            client.http().post(&json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" })).await.status,
            202
        );
        assert_eq!(upstream.requests().len() > before, reverse.contains("roots"), "nor spoken of");
    }
}

/// Vector 64: without authentication, who opens sessions has as many agents; what must hold over all of them is counted per server.
#[tokio::test]
async fn a_count_per_server_holds_over_sessions() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let gate = Gate::before(
        &upstream,
        r#"{ "version": "1", "tools": { "a": { "limits": [{ "max": 5, "window": "1h", "per": "server" }] } } }"#,
    );
    for n in 0..20 {
        let client: McpClient = gate.legacy().await;
        let limited = client.call("a", json!({})).await["result"]["isError"] == true;
        assert_eq!(limited, n >= 5, "{n}");
    }
    assert_eq!(called(&upstream).len(), 5);
}

//! `input_required` before a legacy client: the server's questions become requests to it, and each further round is judged anew.

use serde_json::{Value, json};
use testkit::{Exchange, HttpClient, Recorder, Reply};

use crate::gate::{Gate, OPEN};
use crate::to_modern::{META, Pending, everything, introduced, next, sent};

fn question(mode: &str) -> Value {
    json!({ "method": "elicitation/create", "params": { "mode": mode, "message": "Your name?", "x": [1.50] } })
}

fn required(requests: Value, state: &str) -> Value {
    json!({ "resultType": "input_required", "inputRequests": requests, "requestState": state })
}

fn given(id: &Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

fn call() -> Value {
    json!({ "name": "a", "arguments": { "b": 1.50, "a": "\u{e9}" }, "_meta": { "progressToken": 3 } })
}

async fn asked(reply: &mut Reply, method: &str) -> Value {
    let event = reply.next_event().await.unwrap().json();
    assert_eq!(event["method"], method, "{event}");
    event["id"].clone()
}

async fn status(http: &HttpClient, body: &Value) -> u16 {
    http.post(body).await.status
}

async fn answered(pending: Pending, exchange: Exchange, result: &Value) -> Reply {
    exchange.answer_with_result(result);
    pending.begun().await
}

#[tokio::test]
async fn the_client_is_asked_and_the_server_told() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream, everything()).await;
    for (method, params) in [
        ("tools/call", call()),
        ("prompts/get", json!({ "name": "a", "arguments": { "x": "y" } })),
        ("resources/read", json!({ "uri": "file:///a" })),
    ] {
        let (pending, exchange) = sent(&upstream, &client, 7, method, params).await;
        let first = exchange.request.json();
        let wanted = json!({ "who": question("form"), "what": { "method": "sampling/createMessage", "params": { "maxTokens": 1 } },
            "where \"": { "method": "roots/list" } });
        let mut reply = answered(pending, exchange, &required(wanted, "s\"\u{e9}1")).await;
        let mut ids = std::collections::HashMap::new();
        for _ in 0..3 {
            let event = reply.next_event().await.unwrap().json();
            ids.insert(event["method"].as_str().unwrap().to_owned(), event.clone());
        }
        assert_eq!(ids["elicitation/create"]["params"], question("form")["params"]);
        assert_eq!(ids["roots/list"].get("params"), None);
        let roots = json!({ "roots": [{ "uri": "file:///" }] });
        let declined = json!({ "action": "decline", "x": 1.50 });
        let said = json!({ "role": "assistant", "content": { "type": "text", "text": "Hi" }, "model": "m" });
        for (ask, result) in
            [("roots/list", &roots), ("elicitation/create", &declined), ("sampling/createMessage", &said)]
        {
            assert_eq!(status(client.http(), &given(&ids[ask]["id"], result.clone())).await, 202);
        }
        let exchange = next(&upstream).await;
        let second = exchange.request.json();
        assert_ne!(second["id"], first["id"], "a request of its own");
        assert_eq!(exchange.request.header("mcp-method"), Some(method));
        let mut expected = first["params"].clone();
        expected["inputResponses"] = json!({ "who": declined, "what": said, "where \"": roots });
        expected["requestState"] = json!("s\"\u{e9}1");
        assert_eq!(second["params"], expected);

        exchange.answer_with_result(&required(json!({ "again": question("form") }), "s2"));
        let id = asked(&mut reply, "elicitation/create").await;
        status(client.http(), &given(&id, json!({ "action": "cancel" }))).await;
        let exchange = next(&upstream).await;
        let third = exchange.request.json();
        assert_eq!(exchange.request.text().matches("inputResponses").count(), 1, "written once");
        assert_eq!(third["params"]["inputResponses"], json!({ "again": { "action": "cancel" } }), "only the last ones");
        assert_eq!(third["params"]["requestState"], "s2");

        exchange
            .answer_with_result(&json!({ "resultType": "input_required", "inputRequests": { "k": question("form") } }));
        let id = asked(&mut reply, "elicitation/create").await;
        status(client.http(), &given(&id, json!({ "action": "accept" }))).await;
        let exchange = next(&upstream).await;
        assert_eq!(exchange.request.json()["params"].get("requestState"), None, "none came, none goes");
        exchange.answer_with_result(&json!({ "resultType": "complete", "content": [1.50] }));
        assert_eq!(
            reply.next_event().await.unwrap().json(),
            json!({ "jsonrpc": "2.0", "id": 7, "result": { "content": [1.50] } })
        );
        assert!(reply.next_event().await.is_none());
    }
}

/// Answers count once, and only from whom was asked: however alike the sessions are.
#[tokio::test]
async fn an_answer_is_only_its_sessions_and_only_once() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let (ann, bob) =
        (introduced(&gate, &upstream, everything()).await, introduced(&gate, &upstream, everything()).await);
    let (pending, exchange) = sent(&upstream, &ann, 7, "tools/call", call()).await;
    let mut for_ann = answered(pending, exchange, &required(json!({ "k": question("form") }), "ann")).await;
    let anns = asked(&mut for_ann, "elicitation/create").await;
    let before = upstream.requests().len();
    assert_eq!(status(bob.http(), &given(&anns, json!({ "action": "accept" }))).await, 400, "of another session");
    assert_eq!(status(&gate.http(), &given(&anns, json!({ "action": "accept" }))).await, 400, "of none");
    assert_eq!(status(ann.http(), &given(&json!(anns.to_string()), json!({}))).await, 400, "a string");
    assert_eq!(upstream.requests().len(), before);

    let (pending, exchange) = sent(&upstream, &bob, 7, "tools/call", call()).await;
    let mut for_bob = answered(pending, exchange, &required(json!({ "k": question("form") }), "bob")).await;
    let bobs = asked(&mut for_bob, "elicitation/create").await;
    assert_ne!(anns, bobs, "no two questions have the same id, in whichever session");
    for (client, id, state) in [(&bob, &bobs, "bob"), (&ann, &anns, "ann")] {
        assert_eq!(
            status(client.http(), &given(id, json!({ "action": "accept", "content": { "who": state } }))).await,
            202
        );
        let exchange = next(&upstream).await;
        let params = exchange.request.json()["params"].clone();
        assert_eq!(
            (&params["requestState"], &params["inputResponses"]["k"]["content"]["who"]),
            (&json!(state), &json!(state))
        );
        assert_eq!(status(client.http(), &given(id, json!({ "action": "accept" }))).await, 400, "twice");
        exchange.answer_with_result(&json!({ "resultType": "complete", "content": [state] }));
    }
    assert_eq!(for_ann.answer_to(&json!(7)).await["result"]["content"], json!(["ann"]));
    assert_eq!(for_bob.answer_to(&json!(7)).await["result"]["content"], json!(["bob"]));
}

/// A server does not get to ask what the client never said that it can answer, nor what the policy denies.
#[tokio::test]
async fn only_what_was_declared_is_asked() {
    let denying = r#"{ "version": "1", "default": "allow", "reverse": { "elicitation": "deny", "sampling": "allow", "roots": "allow" } }"#;
    for (policy, declared, wanted, passes) in [
        (OPEN, json!({}), question("form"), false),
        (OPEN, json!({ "elicitation": {} }), question("form"), true),
        (OPEN, json!({ "elicitation": {} }), question("url"), false),
        (OPEN, json!({ "elicitation": { "url": {} } }), question("url"), true),
        (OPEN, json!({ "elicitation": {} }), json!({ "method": "sampling/createMessage" }), false),
        (
            OPEN,
            json!({ "sampling": {} }),
            json!({ "method": "sampling/createMessage", "params": { "tools": [] } }),
            false,
        ),
        (OPEN, everything(), json!({ "method": "ping" }), false),
        (OPEN, everything(), json!({ "method": "tools/call", "params": { "name": "a" } }), false),
        (denying, everything(), question("form"), false),
    ] {
        let upstream = Recorder::by_hand().await;
        let gate = Gate::before(&upstream, policy);
        let client = introduced(&gate, &upstream, declared.clone()).await;
        let (pending, exchange) = sent(&upstream, &client, 7, "tools/call", call()).await;
        let before = upstream.requests().len();
        let mut reply = answered(pending, exchange, &required(json!({ "k": wanted }), "s")).await;
        if passes {
            assert!(reply.next_event().await.unwrap().json()["method"].is_string(), "{wanted}");
            continue;
        }
        let answer = reply.answer_to(&json!(7)).await;
        assert_eq!(answer["error"]["code"], -32603, "{wanted}: {answer}");
        // What the policy denies was never declared to the server.
        assert_eq!(answer["error"]["message"], "the server asked for input that the client cannot give", "{answer}");
        assert_eq!(upstream.requests().len(), before, "and that is the end");
    }
}

/// MRTR has no error in place of an input: a client that gives none does not ask again.
#[tokio::test]
async fn an_error_of_the_clients_ends_the_call() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream, everything()).await;
    let (pending, exchange) = sent(&upstream, &client, 7, "tools/call", call()).await;
    let wanted = json!({ "a": question("form"), "b": question("form") });
    let mut reply = answered(pending, exchange, &required(wanted, "s")).await;
    let (first, second) =
        (asked(&mut reply, "elicitation/create").await, asked(&mut reply, "elicitation/create").await);
    let no = json!({ "jsonrpc": "2.0", "id": first, "error": { "code": -1, "message": "no" } });
    assert_eq!(status(client.http(), &no).await, 202);
    let mut withdrawn = Vec::new();
    let answer = loop {
        let event = reply.next_event().await.unwrap().json();
        match event["method"].as_str() {
            Some("notifications/cancelled") => withdrawn.push(event["params"]["requestId"].clone()),
            _ => break event,
        }
    };
    assert_eq!(withdrawn, std::slice::from_ref(&second));
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(7), &json!(-32603)));
    assert_eq!(status(client.http(), &given(&second, json!({}))).await, 400, "too late");
    let (pending, exchange) = sent(&upstream, &client, 8, "tools/call", call()).await;
    exchange.answer_with_result(&json!({ "content": [] }));
    assert_eq!(pending.answer(8).await["result"], json!({ "content": [] }), "nothing was sent in between");
}

/// A reload between the rounds holds for the next of them.
#[tokio::test]
async fn a_round_is_judged_by_the_policy_of_now() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream, everything()).await;
    let (pending, exchange) = sent(&upstream, &client, 7, "tools/call", call()).await;
    let mut reply = answered(pending, exchange, &required(json!({ "k": question("form") }), "s")).await;
    let id = asked(&mut reply, "elicitation/create").await;
    let before = upstream.requests().len();
    gate.reload(r#"{ "version": "1", "tools": { "a": { "deny_if": [{ "conditions": [{ "path": "args.b", "op": "gte", "value": 1 }] }] }, "b": {} } }"#).await;
    status(client.http(), &given(&id, json!({ "action": "accept" }))).await;
    let answer = reply.answer_to(&json!(7)).await;
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert!(answer["result"]["resultType"].is_null(), "in the words of legacy");
    assert_eq!(upstream.requests().len(), before, "nothing left");
}

/// What the policy of now no longer lets a server ask is no longer claimed either.
#[tokio::test]
async fn a_round_claims_what_the_policy_of_now_allows() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream, everything()).await;
    let (pending, exchange) = sent(&upstream, &client, 7, "tools/call", call()).await;
    let mut reply = answered(pending, exchange, &required(json!({ "k": question("form") }), "s")).await;
    let id = asked(&mut reply, "elicitation/create").await;
    gate.reload(r#"{ "version": "1", "default": "allow", "reverse": { "roots": "allow" } }"#).await;
    status(client.http(), &given(&id, json!({ "action": "accept" }))).await;
    let exchange = next(&upstream).await;
    let capabilities = &exchange.request.json()["params"]["_meta"][format!("{META}clientCapabilities")];
    assert_eq!(capabilities, &json!({ "roots": { "listChanged": true } }));
    exchange.answer_with_result(&required(json!({ "k": question("form") }), "s"));
    let answer = reply.answer_to(&json!(7)).await;
    assert_eq!(answer["error"]["message"], "the server asked for input that the policy denies", "{answer}");
}

#[tokio::test]
async fn every_round_counts_for_the_limits() {
    let upstream = Recorder::by_hand().await;
    let policy = r#"{ "version": "1", "tools": { "a": { "limits": [{ "max": 2, "per": "agent", "window": "1h" }] } }, "reverse": { "elicitation": "allow" } }"#;
    let gate = Gate::before(&upstream, policy);
    let client = introduced(&gate, &upstream, everything()).await;
    let (pending, exchange) = sent(&upstream, &client, 7, "tools/call", call()).await;
    let mut reply = answered(pending, exchange, &required(json!({ "k": question("form") }), "s")).await;
    let id = asked(&mut reply, "elicitation/create").await;
    status(client.http(), &given(&id, json!({ "action": "accept" }))).await;
    next(&upstream).await.answer_with_result(&required(json!({ "k": question("form") }), "s"));
    let id = asked(&mut reply, "elicitation/create").await;
    let before = upstream.requests().len();
    status(client.http(), &given(&id, json!({ "action": "accept" }))).await;
    let answer = reply.answer_to(&json!(7)).await;
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(upstream.requests().len(), before);
}

#[tokio::test]
async fn a_server_that_asks_for_ever_is_stopped() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream, everything()).await;
    let (pending, exchange) = sent(&upstream, &client, 7, "tools/call", call()).await;
    let mut reply = answered(pending, exchange, &required(json!({ "k": question("form") }), "s")).await;
    for _ in 0..15 {
        let id = asked(&mut reply, "elicitation/create").await;
        status(client.http(), &given(&id, json!({ "action": "accept" }))).await;
        next(&upstream).await.answer_with_result(&required(json!({ "k": question("form") }), "s"));
    }
    let id = asked(&mut reply, "elicitation/create").await;
    status(client.http(), &given(&id, json!({ "action": "accept" }))).await;
    next(&upstream).await.answer_with_result(&required(json!({ "k": question("form") }), "s"));
    let answer = reply.answer_to(&json!(7)).await;
    assert_eq!(answer["error"]["message"], "the server asked for input too often");

    let many: serde_json::Map<String, Value> = (0..17).map(|n| (n.to_string(), question("form"))).collect();
    let (pending, exchange) = sent(&upstream, &client, 8, "tools/call", call()).await;
    exchange.answer_with_result(&required(many.into(), "s"));
    assert_eq!(pending.answer(8).await["error"]["code"], -32603, "nor all at once");
}

/// A server that only wants to be asked again is, with the state that it gave.
#[tokio::test]
async fn state_alone_is_brought_back() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream, json!({})).await;
    let (pending, exchange) = sent(&upstream, &client, 7, "tools/call", call()).await;
    exchange.answer_with_result(&json!({ "resultType": "input_required", "requestState": "s" }));
    let exchange = next(&upstream).await;
    assert_eq!(exchange.request.json()["params"]["requestState"], "s");
    assert_eq!(exchange.request.json()["params"].get("inputResponses"), None);
    exchange.answer_with_result(&json!({ "resultType": "complete", "content": [] }));
    assert_eq!(pending.answer(7).await["result"], json!({ "content": [] }));
}

#[tokio::test]
async fn a_person_is_waited_for_longer_than_a_server_but_not_for_ever() {
    let upstream = Recorder::by_hand().await;
    let settings = [("bounds.call_timeout", "300ms"), ("bounds.idle_timeout", "300ms"), ("bounds.input_timeout", "2s")];
    let gate = Gate::bounded(&upstream, OPEN, &settings);
    let client = introduced(&gate, &upstream, everything()).await;
    let (pending, exchange) = sent(&upstream, &client, 7, "tools/call", call()).await;
    let begun = tokio::time::Instant::now();
    let mut reply = answered(pending, exchange, &required(json!({ "k": question("form") }), "s")).await;
    let id = asked(&mut reply, "elicitation/create").await;
    let withdrawn = reply.next_event().await.unwrap().json();
    assert_eq!((&withdrawn["method"], &withdrawn["params"]["requestId"]), (&json!("notifications/cancelled"), &id));
    let answer = reply.next_event().await.unwrap().json();
    assert_eq!(answer["error"]["message"], "the server asked for input that did not come in time");
    assert!(begun.elapsed() >= std::time::Duration::from_secs(2));
    assert_eq!(status(client.http(), &given(&id, json!({}))).await, 400, "too late");

    let (pending, exchange) = sent(&upstream, &client, 8, "tools/call", call()).await;
    assert_eq!(pending.answer(8).await["error"]["code"], -32603, "a silent server is not waited for");
    exchange.hung_up().await;
}

/// Whoever hung up is not there to be asked.
#[tokio::test]
async fn nobody_is_asked_who_hung_up() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream, everything()).await;
    let (pending, exchange) = sent(&upstream, &client, 7, "tools/call", call()).await;
    let mut reply = answered(pending, exchange, &required(json!({ "k": question("form") }), "s")).await;
    let id = asked(&mut reply, "elicitation/create").await;
    drop(reply);
    testkit::patiently("the call to be over", async {
        while status(client.http(), &given(&id, json!({ "action": "accept" }))).await == 202 {}
    })
    .await;
}

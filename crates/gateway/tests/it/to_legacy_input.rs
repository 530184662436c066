//! What a legacy server asks during a call: the client's request ends with it, and goes on once, with the right state only.

use serde_json::{Value, json};
use testkit::{Answer, AnswerStream};

use crate::gate::Gate;
use crate::legacy_hand::{Hand, answer, asks, call, done, elicits, of, post, retry};

/// A client that can be asked anything.
fn able() -> Value {
    json!({ "elicitation": { "form": {}, "url": {} }, "sampling": {}, "roots": {} })
}

fn ann() -> Value {
    json!({ "action": "accept", "content": { "name": "Ann" } })
}

/// A call that asked: the server's stream, its id there, and what the client was told.
async fn asked(hand: &Hand, gate: &Gate, body: &Value) -> (AnswerStream, Value, Value) {
    let posted = post(gate, body);
    let (mut stream, seen) = hand.stream(body["method"].as_str().unwrap()).await;
    stream.event(&elicits("ask"));
    let required = answer(posted, body["id"].clone()).await;
    assert_eq!(required["result"]["resultType"], "input_required", "{required}");
    (stream, seen["id"].clone(), required)
}

/// Refused without a word to the server.
async fn refused(hand: &Hand, gate: &Gate, body: &Value) -> String {
    let before = hand.upstream.requests().len();
    let told = answer(post(gate, body), body["id"].clone()).await;
    assert_eq!(told["error"]["code"], -32602, "{told}");
    assert_eq!(hand.upstream.requests().len(), before, "nothing is sent");
    told["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_call_that_asks_goes_on_with_the_answers() {
    let hand = Hand::new(json!({})).await;
    let gate = hand.gate();
    for (method, params) in [
        ("tools/call", json!({ "name": "a", "arguments": {} })),
        ("prompts/get", json!({ "name": "p" })),
        ("resources/read", json!({ "uri": "a:b" })),
    ] {
        let body = of(&able(), 1, method, params);
        let (mut stream, id, required) = asked(&hand, &gate, &body).await;
        let requests = &required["result"]["inputRequests"];
        let mut expected = elicits("ask");
        expected.as_object_mut().unwrap().retain(|key, _| key == "method" || key == "params");
        assert_eq!(requests["input-1"], expected, "{requests}");

        let posted = post(&gate, &retry(&body, "again", &required, &ann()));
        let told = hand.take().await;
        assert_eq!(told, json!({ "jsonrpc": "2.0", "id": "ask", "result": ann() }));
        stream.event(&asks("more", "roots/list", json!({})));
        let more = answer(posted, "again").await;
        assert_eq!(more["result"]["inputRequests"], json!({ "input-2": { "method": "roots/list", "params": {} } }));
        let posted = post(&gate, &retry(&body, 3, &more, &json!({ "roots": [] })));
        assert_eq!(hand.take().await["id"], "more");
        stream.event(&done(&id, "Hello, Ann"));
        let told = answer(posted, 3).await;
        assert_eq!(told["result"]["resultType"], "complete", "{told}");
        // Each state is good once.
        for state in [&required, &more] {
            assert!(refused(&hand, &gate, &retry(&body, 4, state, &ann())).await.contains("used before"));
        }
    }
}

#[tokio::test]
async fn a_state_is_good_for_its_own_request_only() {
    let hand = Hand::new(json!({})).await;
    let gate = hand.gate();
    let body = call(&able(), 1, "a");
    let (mut stream, id, required) = asked(&hand, &gate, &body).await;
    let good = retry(&body, 2, &required, &ann());
    let state = required["result"]["requestState"].as_str().unwrap();
    let changed = |path: &str, value: Value| {
        let mut body = good.clone();
        *body.pointer_mut(path).unwrap() = value;
        body
    };
    for at in (0..state.len()).step_by(7) {
        let mut forged = state.as_bytes().to_vec();
        forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
        let forged = String::from_utf8(forged).unwrap();
        let why = refused(&hand, &gate, &changed("/params/requestState", json!(forged))).await;
        assert!(why.contains("not made by this gateway"), "{at}: {why}");
    }
    for state in [String::new(), "x".into(), state.to_uppercase(), format!("{state}00"), state[2..].to_owned()] {
        assert!(refused(&hand, &gate, &changed("/params/requestState", json!(state))).await.contains("not made by"));
    }
    for (path, value) in [
        ("/params/arguments", json!({ "n": 2.0 })),
        ("/params/arguments", json!({ "n": 1 })),
        ("/params/arguments", json!({ "n": 1.0, "m": 1 })),
        ("/params/name", json!("b")),
    ] {
        assert!(refused(&hand, &gate, &changed(path, value)).await.contains("another request"), "{path}");
    }
    let mut prompt = of(&able(), 2, "prompts/get", json!({ "name": "a", "arguments": { "n": "1.0" } }));
    prompt["params"]["requestState"] = json!(state);
    assert!(refused(&hand, &gate, &prompt).await.contains("another request"));
    for responses in [json!({}), json!({ "input-1": null }), json!({ "input-1": [] }), json!({ "input-2": ann() })] {
        let why = refused(&hand, &gate, &changed("/params/inputResponses", responses.clone())).await;
        assert!(why.contains("inputResponses"), "{responses}: {why}");
    }
    // After all that, the right one is as good as ever; but once, also for two at the same time.
    let twice = [post(&gate, &good), post(&gate, &changed("/id", json!(3)))];
    assert_eq!(hand.take().await["result"], ann());
    stream.event(&done(&id, "done"));
    let [one, other] = twice;
    let (one, other) = (answer(one, 2).await, answer(other, 3).await);
    assert_ne!(one["error"].is_null(), other["error"].is_null(), "{one} {other}");
}

#[tokio::test]
async fn a_state_expires_and_the_server_is_told() {
    let hand = Hand::new(json!({})).await;
    let gate = Gate::bounded(&hand.upstream, crate::gate::OPEN, &[("bounds.input_timeout", "100ms")]);
    let body = call(&able(), 1, "a");
    let (_stream, id, required) = asked(&hand, &gate, &body).await;
    let mut told = [hand.take().await, hand.take().await];
    told.sort_by_key(|message| message["method"].is_null());
    assert_eq!((&told[0]["method"], &told[0]["params"]["requestId"]), (&json!("notifications/cancelled"), &id));
    assert_eq!((&told[1]["id"], told[1]["error"]["code"].as_i64()), (&json!("ask"), Some(-32603)));
    assert!(refused(&hand, &gate, &retry(&body, 2, &required, &ann())).await.contains("expired"));
}

#[tokio::test]
async fn what_is_asked_at_once_is_asked_together() {
    let hand = Hand::new(json!({})).await;
    let gate = hand.gate();
    let body = call(&able(), 1, "a");
    let posted = post(&gate, &body);
    let (mut stream, seen) = hand.stream("tools/call").await;
    let url = json!({ "mode": "url", "url": "https://a", "message": "m", "elicitationId": "e", "task": {} });
    for ask in [
        asks(1, "elicitation/create", url),
        asks("1", "sampling/createMessage", json!({ "messages": [] })),
        asks(2, "roots/list", json!({})),
    ] {
        stream.event(&ask);
    }
    let required = answer(posted, 1).await;
    assert_eq!(
        required["result"]["inputRequests"],
        json!({
            "input-1": { "method": "elicitation/create", "params": { "mode": "url", "url": "https://a", "message": "m" } },
            "input-2": { "method": "sampling/createMessage", "params": { "messages": [] } },
            "input-3": { "method": "roots/list", "params": {} },
        })
    );
    let posted = post(&gate, &retry(&body, 2, &required, &json!({ "x": 1 })));
    let ids = [hand.take().await, hand.take().await, hand.take().await].map(|message| message["id"].clone());
    assert_eq!(ids, [json!(1), json!("1"), json!(2)]);
    stream.event(&done(&seen["id"], "done"));
    assert_eq!(answer(posted, 2).await["result"]["content"][0]["text"], "done");
}

#[tokio::test]
async fn a_client_is_asked_only_what_it_declared() {
    let hand = Hand::new(json!({})).await;
    let gate = hand.gate();
    for (capabilities, permitted) in [(json!({}), None), (json!({ "roots": {} }), Some("roots/list"))] {
        let posted = post(&gate, &call(&capabilities, 1, "a"));
        let (mut stream, seen) = hand.stream("tools/call").await;
        for method in ["elicitation/create", "sampling/createMessage", "roots/list", "tools/call", "vendor/x"] {
            if Some(method) != permitted {
                stream.event(&asks("ask", method, json!({})));
                let told = hand.take().await;
                assert_eq!((&told["id"], &told["error"]["code"]), (&json!("ask"), &json!(-32601)), "{method}");
            }
        }
        stream.event(&asks("ping", "ping", json!({})));
        assert_eq!(hand.take().await, json!({ "jsonrpc": "2.0", "id": "ping", "result": {} }));
        stream.event(&done(&seen["id"], "and goes on"));
        assert_eq!(answer(posted, 1).await["result"]["content"][0]["text"], "and goes on");
    }
}

#[tokio::test]
async fn a_retry_is_judged_anew() {
    let hand = Hand::new(json!({})).await;
    let policy = |rule: &str| {
        format!(r#"{{ "version": "1", "tools": {{ "a": {rule} }}, "reverse": {{ "elicitation": "allow" }} }}"#)
    };
    let gate = Gate::before(&hand.upstream, &policy(r#"{ "rate_limit": "2/hour" }"#));
    let body = call(&able(), 1, "a");
    let (mut stream, id, required) = asked(&hand, &gate, &body).await;
    let posted = post(&gate, &retry(&body, 2, &required, &ann()));
    hand.take().await;
    stream.event(&elicits("ask-2"));
    let more = answer(posted, 2).await;
    let over = answer(post(&gate, &retry(&body, 3, &more, &ann())), 3).await;
    assert_eq!(over["result"]["isError"], true, "a retry counts: {over}");

    for denying in [policy(r#""deny""#), policy(r#""hide""#)] {
        gate.reload(&denying).await;
        let before = hand.upstream.requests().len();
        let told = answer(post(&gate, &retry(&body, 4, &more, &ann())), 4).await;
        assert!(told["result"]["isError"] == true || told["error"]["code"] == -32602, "{told}");
        assert_eq!(hand.upstream.requests().len(), before);
    }
    gate.reload(&policy("{}")).await;
    let posted = post(&gate, &retry(&body, 5, &more, &ann()));
    assert_eq!(hand.take().await["id"], "ask-2", "what was refused is not used up");
    stream.event(&done(&id, "done"));
    assert_eq!(answer(posted, 5).await["result"]["content"][0]["text"], "done");
}

#[tokio::test]
async fn a_server_that_dies_meanwhile_is_an_error() {
    let hand = Hand::new(json!({})).await;
    let gate = hand.gate();
    let body = call(&able(), 1, "a");
    let (stream, _, required) = asked(&hand, &gate, &body).await;
    stream.cut();
    let posted = post(&gate, &retry(&body, 2, &required, &ann()));
    // The answer may leave before the gateway has seen the cut, and then a word that the call is over: both are the dead server's own.
    let told = tokio::select! {
        told = answer(posted, 2) => told,
        never = async { loop { hand.take().await; } } => never,
    };
    assert_eq!(told["error"]["code"], -32603);
}

/// A call that is over asks nothing any more: what the user answered is not sent, since it may be taken for an answer to another's.
#[tokio::test]
async fn a_server_that_answers_or_fails_meanwhile_is_told_nothing_more() {
    let hand = Hand::new(json!({})).await;
    let gate = hand.gate();
    let body = call(&able(), 1, "a");
    for fails in [false, true] {
        let (mut stream, id, required) = asked(&hand, &gate, &body).await;
        let mut last = done(&id, "without you");
        if fails {
            last["result"] = json!("no result of a call");
        }
        // In one piece: once the ping is answered, the rest is known.
        stream.send(format!("data: {}\n\ndata: {last}\n\n", asks("ping", "ping", json!({}))));
        assert_eq!(hand.take().await["id"], "ping");
        let before = hand.upstream.requests().len();
        let told = answer(post(&gate, &retry(&body, 2, &required, &ann())), 2).await;
        match fails {
            false => assert_eq!(told["result"]["content"][0]["text"], "without you"),
            true => assert_eq!(told["error"]["code"], -32603, "{told}"),
        }
        let sent = hand.upstream.requests().split_off(before);
        assert!(!sent.iter().any(|sent| sent.text().contains("Ann")), "{sent:?}");
    }
}

#[tokio::test]
async fn urls_to_visit_first_are_asked_for_and_the_call_is_sent_anew() {
    let hand = Hand::new(json!({})).await;
    let gate = hand.gate();
    let body = call(&able(), 1, "a");
    let posted = post(&gate, &body);
    let (exchange, seen) = hand.expect("tools/call").await;
    let urls = json!({ "elicitations": [{ "mode": "url", "elicitationId": "e", "url": "https://a", "message": "m" }] });
    let error = json!({ "code": -32042, "message": "visit", "data": urls });
    exchange.answer(Answer::json(200, &json!({ "jsonrpc": "2.0", "id": seen["id"], "error": error })));
    let required = answer(posted, 1).await;
    assert_eq!(
        required["result"]["inputRequests"],
        json!({ "input-1": { "method": "elicitation/create", "params": { "mode": "url", "url": "https://a", "message": "m" } } })
    );
    let again = retry(&body, 2, &required, &json!({ "action": "accept" }));
    let posted = post(&gate, &again);
    let (exchange, anew) = hand.expect("tools/call").await;
    assert_eq!((&anew["params"], anew["id"] == seen["id"]), (&seen["params"], false));
    exchange.answer_with_result(&json!({ "content": [] }));
    assert!(answer(posted, 2).await["error"].is_null());
    assert!(refused(&hand, &gate, &again).await.contains("used before"));
}

/// Servers that ask on the session's own stream ask about the call that is under way.
#[tokio::test]
async fn what_comes_on_the_sessions_own_stream_finds_its_call() {
    let hand = Hand::with_streams(json!({})).await;
    let gate = hand.gate();
    let body = call(&able(), 1, "a");
    let posted = post(&gate, &body);
    let (mut get, mut calling) = (None, None);
    while get.is_none() || calling.is_none() {
        let exchange = hand.next().await;
        match exchange.request.method.as_str() {
            "GET" => get = Some(exchange.answer_with_events()),
            _ => calling = Some(exchange),
        }
    }
    let (mut get, calling) = (get.unwrap(), calling.unwrap());
    get.event(&elicits(7));
    let required = answer(posted, 1).await;
    assert_eq!(required["result"]["resultType"], "input_required", "{required}");
    let posted = post(&gate, &retry(&body, 2, &required, &ann()));
    assert_eq!(hand.take().await["id"], 7);
    calling.answer_with_result(&json!({ "content": [{ "type": "text", "text": "done" }] }));
    assert_eq!(answer(posted, 2).await["result"]["content"][0]["text"], "done");
    // Nothing under way: nobody is there to be asked.
    get.event(&elicits(8));
    let told = hand.take().await;
    assert_eq!((&told["id"], &told["error"]["code"]), (&json!(8), &json!(-32601)));
}

#[tokio::test]
async fn equal_ids_do_not_meet() {
    let hand = Hand::new(json!({})).await;
    let gate = hand.gate();
    let bodies = ["a", "b"].map(|tool| call(&able(), 1, tool));
    let (mut to_a, id_a, required_a) = asked(&hand, &gate, &bodies[0]).await;
    let (mut to_b, id_b, required_b) = asked(&hand, &gate, &bodies[1]).await;
    let bob = json!({ "action": "decline" });
    for (body, required, response, stream, id, text) in [
        (&bodies[1], &required_b, &bob, &mut to_b, &id_b, "b"),
        (&bodies[0], &required_a, &ann(), &mut to_a, &id_a, "a"),
    ] {
        let posted = post(&gate, &retry(body, 1, required, response));
        assert_eq!(hand.take().await["result"], *response);
        stream.event(&done(if text == "a" { &id_b } else { &id_a }, "another's"));
        stream.event(&done(id, text));
        assert_eq!(answer(posted, 1).await["result"]["content"][0]["text"], text);
    }
}

/// R12: calls that wait are bounded; beyond that, the server is told no and goes on.
#[tokio::test]
async fn calls_that_wait_are_bounded() {
    let hand = Hand::new(json!({})).await;
    let gate = hand.gate();
    let body = call(&able(), 1, "a");
    let mut waiting = Vec::new();
    for _ in 0..64 {
        waiting.push(asked(&hand, &gate, &body).await);
    }
    let posted = post(&gate, &body);
    let (mut stream, seen) = hand.stream("tools/call").await;
    stream.event(&elicits("ask"));
    let told = hand.take().await;
    assert_eq!((&told["id"], &told["error"]["code"]), (&json!("ask"), &json!(-32603)), "{told}");
    stream.event(&done(&seen["id"], "and goes on"));
    assert_eq!(answer(posted, 1).await["result"]["content"][0]["text"], "and goes on");
    // One that is over makes room.
    let (mut first, id, required) = waiting.remove(0);
    let posted = post(&gate, &retry(&body, 2, &required, &ann()));
    hand.take().await;
    first.event(&done(&id, "done"));
    answer(posted, 2).await;
    asked(&hand, &gate, &body).await;
}

/// A client that hangs up after it was asked cancels nothing: it is expected back.
#[tokio::test]
async fn being_asked_is_no_hanging_up() {
    let hand = Hand::new(json!({})).await;
    let gate = hand.gate();
    let body = call(&able(), 1, "a");
    let posted = post(&gate, &body);
    let (mut stream, seen) = hand.stream("tools/call").await;
    let log =
        json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": seen["id"] } });
    stream.event(&log);
    stream.event(&elicits("ask"));
    let required = answer(posted, 1).await;
    stream.event(&asks("ping", "ping", json!({})));
    assert_eq!(hand.take().await["id"], "ping", "it waits, and nothing else was sent");
    let posted = post(&gate, &retry(&body, 2, &required, &ann()));
    hand.take().await;
    // But hanging up on the retry does.
    drop(posted.await.unwrap());
    assert_eq!(hand.take().await["params"]["requestId"], seen["id"]);
}

/// What a server asks is a request of its own: the policy that is in force then decides.
#[tokio::test]
async fn what_a_server_may_ask_changes_with_the_policy() {
    let hand = Hand::new(json!({})).await;
    let gate = hand.gate();
    let posted = post(&gate, &call(&able(), 1, "a"));
    let (mut stream, seen) = hand.stream("tools/call").await;
    gate.reload(r#"{ "version": "1", "default": "allow" }"#).await;
    stream.event(&elicits("ask"));
    let told = hand.take().await;
    assert_eq!((&told["id"], &told["error"]["code"]), (&json!("ask"), &json!(-32601)));
    stream.event(&done(&seen["id"], "and goes on"));
    assert_eq!(answer(posted, 1).await["result"]["content"][0]["text"], "and goes on");
}

/// What is asked on the session's own stream while two calls are open may be either's: neither client is asked it.
#[tokio::test]
async fn a_question_that_may_be_of_two_calls_is_of_neither() {
    let hand = Hand::with_streams(json!({ "logging": {} })).await;
    let gate = hand.gate();
    let bodies = [call(&able(), "a", "a"), call(&able(), "b", "b")];
    let mut posted = vec![post(&gate, &bodies[0])];
    let (mut get, mut calls) = (None, Vec::new());
    while get.is_none() || calls.len() < 2 {
        let exchange = hand.next().await;
        match exchange.request.method.as_str() {
            "GET" => get = Some(exchange.answer_with_events()),
            _ => calls.push(exchange),
        }
        if calls.len() == 1 && posted.len() == 1 {
            posted.push(post(&gate, &bodies[1]));
        }
    }
    let mut get = get.unwrap();
    get.event(&elicits(7));
    let told = hand.take().await;
    assert_eq!((&told["id"], &told["error"]["code"]), (&json!(7), &json!(-32601)), "{told}");
    for (exchange, posted, id) in calls.into_iter().zip(posted).zip(["a", "b"]).map(|((a, b), c)| (a, b, c)) {
        exchange.answer_with_result(&json!({ "content": [{ "type": "text", "text": id }] }));
        assert_eq!(answer(posted, id).await["result"]["content"][0]["text"], id);
    }
}

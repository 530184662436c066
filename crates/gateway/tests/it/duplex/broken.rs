//! What is no message, and what has no answer: each request gets exactly one all the same.

use serde_json::{Value, json};
use testkit::{Answer, Recorder};

use super::both::{introduced, next_post};
use super::{bridged, bridged_with, hello, legacy_call, told, wrapped, wrapped_with};
use crate::gate::{OPEN, called, modern_call, modern_request, tool};

#[tokio::test]
async fn what_is_no_message_is_refused_and_the_next_one_answered() {
    let upstream = Recorder::mcp([tool("t")]).await;
    let mut client = wrapped_with(&upstream, OPEN, &[("bounds.body", "2KiB")]);
    let huge = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"x\":\"{}\"}}", "x".repeat(5000));
    for (line, code, id) in [
        ("nonsense", -32700, Value::Null),
        ("{\"jsonrpc\":\"2.0\",\"id\":1", -32700, Value::Null),
        ("[]", -32600, Value::Null),
        ("7", -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":3,"method":"ping","params":[]}"#, -32602, json!(3)),
        (r#"{"jsonrpc":"2.0","method":"ping"}"#, -32600, Value::Null),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600, Value::Null),
        (&huge, -32600, Value::Null),
    ] {
        client.write(format!("\n {line}\r\n").as_bytes()).await;
        let answer = client.hear().await;
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(code), &id), "{line}: {answer}");
    }
    client.write(b"\xff\xfe\n").await;
    assert_eq!(client.hear().await["error"]["code"], -32700);
    assert_eq!(told(&client.ask(&modern_call(9, "t", json!({}))).await)["name"], "t");
    assert_eq!(called(&upstream), ["t"]);
}

#[tokio::test]
async fn a_gateway_that_is_not_there_is_said_to_be() {
    let gone = Recorder::mcp([tool("t")]).await;
    let url = gone.url("/mcp/s");
    drop(gone);
    let mut client = bridged(format!("{url}?key=secret"));
    for (n, message) in [(1, modern_call(1, "t", json!({}))), (2, legacy_call(2, "t", json!({})))] {
        let answer = client.ask(&message).await;
        let expected = format!("cannot reach the gateway at {url}: is `toolgate serve` running?");
        assert_eq!(answer["error"]["message"], expected, "{n}");
    }
    let answer = client.ask(&hello()).await;
    assert_eq!(answer["error"]["code"], -32603);
    client.end_input().await;
    assert!(client.rest().await.is_empty());
}

#[tokio::test]
async fn whatever_comes_instead_of_an_answer_is_one_error() {
    let answers: [fn(&Value) -> Answer; 9] = [
        |_| Answer::status(500),
        |_| Answer::status(401),
        |_| Answer::status(302).header("Location", "http://127.0.0.1:1/mcp"),
        |_| Answer::status(202),
        |_| Answer::text(200, "text/html", "<html>"),
        |_| Answer::text(200, "application/json", "{\"jsonrpc\":\"2.0\""),
        |_| Answer::json(200, &json!({ "jsonrpc": "2.0", "id": 12345, "result": {} })),
        |_| Answer::events([&json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": {} })]),
        |_| Answer::cut(),
    ];
    for (n, answer) in answers.into_iter().enumerate() {
        let service = Recorder::start(move |request| answer(&request.json()["id"])).await;
        let mut client = bridged(service.url("/mcp"));
        client.say(&modern_call(n, "t", json!({}))).await;
        let mut heard = client.hear().await;
        if heard["method"].is_string() {
            heard = client.hear().await;
        }
        assert_eq!((&heard["id"], &heard["error"]["code"]), (&json!(n), &json!(-32603)), "{heard}");
        assert_eq!(service.requests().len(), 1, "nothing is repeated that may have been run");
        client.end_input().await;
        assert!(client.rest().await.is_empty(), "one answer only");
    }
}

#[tokio::test]
async fn an_error_without_an_id_gets_the_one_that_it_can_only_be_about() {
    let service = Recorder::start(|_| {
        Answer::json(403, &json!({ "jsonrpc": "2.0", "error": { "code": -32600, "message": "no" } }))
    })
    .await;
    let mut client = bridged(service.url("/mcp"));
    let answer = client.ask(&modern_call("x", "t", json!({}))).await;
    assert_eq!(answer["error"], json!({ "code": -32600, "message": "no" }));
}

#[tokio::test]
async fn a_second_answer_is_dropped() {
    let service = Recorder::start(|request| {
        let id = request.json()["id"].clone();
        let answer = |n: u32| json!({ "jsonrpc": "2.0", "id": id, "result": { "n": n } });
        let (one, two) = (answer(1), answer(2));
        Answer::events([&one, &two])
    })
    .await;
    let mut client = bridged(service.url("/mcp"));
    assert_eq!(client.ask(&modern_call(1, "t", json!({}))).await["result"]["n"], 1);
    assert_eq!(client.ask(&modern_call(2, "t", json!({}))).await["result"]["n"], 1);
    client.end_input().await;
    assert!(client.rest().await.is_empty());
}

#[tokio::test]
async fn a_legacy_answer_that_broke_off_is_taken_up_again() {
    let upstream = Recorder::by_hand().await;
    let mut client = wrapped(&upstream, OPEN);
    introduced(&mut client, &upstream).await;
    client.say(&legacy_call("k", "t", json!({}))).await;
    let exchange = next_post(&upstream).await;
    let id = exchange.request.json()["id"].clone();
    let mut stream = exchange.answer_with_events();
    stream.send("id: s1\nretry: 1\ndata: \n\n");
    stream.end();
    let again = upstream.next_exchange().await;
    assert_eq!((again.request.method.as_str(), again.request.header("last-event-id")), ("GET", Some("s1")));
    again.answer_with_events().event(&json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [] } }));
    assert_eq!(client.hear().await, json!({ "jsonrpc": "2.0", "id": "k", "result": { "content": [] } }));
    // And one that cannot be taken up is an error.
    client.say(&legacy_call("l", "t", json!({}))).await;
    let mut stream = next_post(&upstream).await.answer_with_events();
    stream.send("id: s2\nretry: 1\ndata: \n\n");
    stream.end();
    upstream.next_exchange().await.answer(Answer::status(405));
    let answer = client.hear().await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("l"), &json!(-32603)));
}

#[tokio::test]
async fn calls_under_way_are_finished_when_the_input_ends() {
    for stops in [false, true] {
        let upstream = Recorder::by_hand().await;
        let mut client = wrapped(&upstream, OPEN);
        client.say(&modern_request("sub", "subscriptions/listen", json!({ "notifications": {} }))).await;
        let mut subscription = next_post(&upstream).await.answer_with_events();
        client.say(&modern_call(1, "t", json!({}))).await;
        let call = next_post(&upstream).await;
        match stops {
            true => client.stop(),
            false => client.end_input().await,
        }
        subscription.hung_up().await; // it would never end by itself
        call.answer_with_result(&json!({ "resultType": "complete", "content": [] }));
        let rest = client.rest().await;
        assert_eq!(rest.len(), 1, "{rest:?}");
        assert_eq!((&rest[0]["id"], &rest[0]["result"]["content"]), (&json!(1), &json!([])));
    }
}

#[tokio::test]
async fn calls_that_do_not_finish_in_time_get_an_error() {
    let service = Recorder::by_hand().await;
    let mut client = bridged_with(service.url("/mcp"), &[("bounds.drain", "0s")]);
    client.say(&modern_call(1, "t", json!({}))).await;
    let call = service.next_exchange().await;
    client.end_input().await;
    let rest = client.rest().await;
    assert_eq!((rest.len(), &rest[0]["id"], &rest[0]["error"]["code"]), (1, &json!(1), &json!(-32603)));
    call.hung_up().await;
}

#[tokio::test]
async fn an_introduction_that_is_interrupted_gets_an_error() {
    let service = Recorder::by_hand().await;
    let mut client = bridged(service.url("/mcp"));
    client.say(&hello()).await;
    let introduction = service.next_exchange().await;
    client.stop();
    let rest = client.rest().await;
    assert_eq!((rest.len(), &rest[0]["id"], &rest[0]["error"]["code"]), (1, &json!("hello"), &json!(-32603)));
    introduction.hung_up().await;
}

#[tokio::test]
async fn a_stop_after_the_end_of_the_input_does_not_wait_for_open_calls() {
    let service = Recorder::by_hand().await;
    let mut client = bridged(service.url("/mcp"));
    client.say(&modern_request("sub", "subscriptions/listen", json!({ "notifications": {} }))).await;
    let mut subscription = service.next_exchange().await.answer_with_events();
    client.say(&modern_call(1, "t", json!({}))).await;
    let call = service.next_exchange().await;
    client.end_input().await;
    subscription.hung_up().await; // it is waiting for the call now
    client.stop();
    let rest = client.rest().await;
    assert_eq!((rest.len(), &rest[0]["id"], &rest[0]["error"]["code"]), (1, &json!(1), &json!(-32603)));
    call.hung_up().await;
}

#[tokio::test]
async fn a_client_that_is_gone_ends_the_program() {
    let upstream = Recorder::by_hand().await;
    let mut client = wrapped(&upstream, OPEN);
    client.say(&modern_call(1, "t", json!({}))).await;
    let call = next_post(&upstream).await;
    client.hang_up(async || call.answer_with_result(&json!({ "resultType": "complete", "content": [] }))).await;
}

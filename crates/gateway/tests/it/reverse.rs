//! What a legacy server asks of a client: under ids of ours, only what the policy gives it, each answered once and by whom it was asked.

use serde_json::{Value, json};
use testkit::{Answer, AnswerStream, HttpClient, McpClient, Recorder, Reply};

use crate::gate::{Gate, OPEN, introduced, next_call, streamed};

const ASKS: [&str; 3] = ["sampling/createMessage", "elicitation/create", "roots/list"];

fn asking(id: impl Into<Value>, method: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": { "message": "Your name?", "x": [1.0] } })
}

fn answering(id: impl Into<Value>, name: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "result": { "action": "accept", "content": { "name": name } } })
}

/// A call whose answer is still being streamed: where a server may ask.
async fn open(upstream: &Recorder, client: &McpClient) -> (Reply, AnswerStream) {
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "a" } });
    let (reply, _, stream) = streamed(upstream, client.http().post_streamed(&call)).await;
    (reply, stream)
}

/// Posts an answer of the client's: its status, and what the upstream got.
async fn answer(upstream: &Recorder, http: &HttpClient, body: &Value) -> (u16, Value) {
    let (reply, seen) = tokio::join!(http.post(body), async {
        let exchange = next_call(upstream).await;
        let seen = exchange.request.json();
        exchange.answer(Answer::status(202));
        seen
    });
    (reply.status, seen)
}

#[tokio::test]
async fn a_request_of_the_servers_is_answered_once_by_whom_it_asked() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let (client, other) = (introduced(&gate, &upstream).await, introduced(&gate, &upstream).await);
    let (mut on_post, mut post) = open(&upstream, &client).await;
    let (mut on_get, _, mut get) = streamed(&upstream, client.http().get()).await;
    let theirs = [json!("ask"), json!(7), json!(-1), json!(9007199254740993_u64), json!("7"), json!("")];
    for method in ASKS.into_iter().chain(["ping"]) {
        for (n, id) in theirs.iter().enumerate() {
            let (reply, stream) = if n % 2 == 0 { (&mut on_post, &mut post) } else { (&mut on_get, &mut get) };
            stream.event(&asking(id.clone(), method));
            let asked = reply.next_event().await.unwrap().json();
            let ours = asked["id"].clone();
            assert!(ours.is_u64(), "an id of ours");
            assert_eq!(asked, asking(ours.clone(), method));

            let sent = upstream.requests().len();
            for (who, http, body) in [
                ("another session", other.http().clone(), answering(ours.clone(), "Eve")),
                ("nobody", gate.http(), answering(ours.clone(), "Eve")),
                ("an id in a string", client.http().clone(), answering(ours.to_string(), "Eve")),
                ("an id never given", client.http().clone(), answering(ours.as_u64().unwrap() + 1, "Eve")),
            ] {
                let response = http.post(&body).await;
                assert_eq!(response.status, 400, "{who}: {}", response.json());
            }
            assert_eq!(upstream.requests().len(), sent, "vector 30");
            let mut body = answering(ours.clone(), "Ann");
            body["x"] = json!(1);
            assert_eq!(answer(&upstream, client.http(), &body).await, (202, answering(id.clone(), "Ann")));
            assert_eq!(client.http().post(&answering(ours, "again")).await.status, 400, "once");
        }
    }
    post.event(&asking("again", "ping"));
    let ours = on_post.next_event().await.unwrap().json()["id"].clone();
    let error =
        json!({ "jsonrpc": "2.0", "id": ours, "error": { "code": -1, "message": "user said no", "data": 1.50 } });
    let (status, seen) = answer(&upstream, client.http(), &error).await;
    assert_eq!((status, &seen["id"], &seen["error"]), (202, &json!("again"), &error["error"]));
}

/// Two servers' sessions use the same ids; nobody gets another's answer.
#[tokio::test]
async fn equal_ids_of_two_sessions_do_not_meet() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let (ann, bob) = (introduced(&gate, &upstream).await, introduced(&gate, &upstream).await);
    let (mut for_ann, mut to_ann) = open(&upstream, &ann).await;
    let (mut for_bob, mut to_bob) = open(&upstream, &bob).await;
    to_ann.event(&asking(1, "elicitation/create"));
    to_bob.event(&asking(1, "elicitation/create"));
    let anns = for_ann.next_event().await.unwrap().json()["id"].clone();
    let bobs = for_bob.next_event().await.unwrap().json()["id"].clone();
    assert_eq!(answer(&upstream, bob.http(), &answering(bobs, "Bob")).await.1, answering(1, "Bob"));
    assert_eq!(answer(&upstream, ann.http(), &answering(anns, "Ann")).await.1, answering(1, "Ann"));
}

/// Vector 35: what is denied does not reach the client, and the server is told at once.
#[tokio::test]
async fn what_the_policy_denies_is_declined() {
    for (reverse, allowed) in [
        ("", None),
        (r#""elicitation":"allow""#, Some("elicitation/create")),
        (r#""sampling":"allow""#, Some("sampling/createMessage")),
    ] {
        let upstream = Recorder::by_hand().await;
        let policy = format!(r#"{{ "version": "1", "tools": {{ "a": {{}} }}, "reverse": {{ {reverse} }} }}"#);
        let gate = Gate::before(&upstream, &policy);
        let client = introduced(&gate, &upstream).await;
        let (mut reply, mut stream) = open(&upstream, &client).await;
        for method in ASKS.into_iter().chain(["tools/call", "sampling/createmessage", "vendor/x"]) {
            stream.event(&asking("ask", method));
            if Some(method) == allowed {
                let ours = reply.next_event().await.unwrap().json()["id"].clone();
                answer(&upstream, client.http(), &answering(ours, "Ann")).await;
                continue;
            }
            let exchange = next_call(&upstream).await;
            let declined = exchange.request.json();
            assert_eq!(
                (&declined["id"], &declined["error"]["code"]),
                (&json!("ask"), &json!(-32601)),
                "{reverse} {method}"
            );
            assert_eq!(exchange.request.header("mcp-session-id"), Some("upstream-session"));
            exchange.answer(Answer::status(202));
        }
        stream.event(&json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": {} }));
        assert_eq!(
            reply.next_event().await.unwrap().json()["method"],
            "notifications/message",
            "nothing came before it"
        );
    }
}

/// Nor does what the client never offered, whatever the policy says.
#[tokio::test]
async fn what_the_client_did_not_declare_is_declined() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = McpClient::legacy_with(
        gate.http(),
        "2025-11-25",
        json!({ "elicitation": {}, "experimental": { "sampling": {} } }),
    );
    let (client, ()) = tokio::join!(client, async {
        for _ in 0..2 {
            crate::gate::introduce(upstream.next_exchange().await);
        }
    });
    let (mut reply, mut stream) = open(&upstream, &client).await;
    for method in ["sampling/createMessage", "roots/list"] {
        stream.event(&asking("ask", method));
        let exchange = next_call(&upstream).await;
        assert_eq!(
            (&exchange.request.json()["id"], &exchange.request.json()["error"]["code"]),
            (&json!("ask"), &json!(-32601))
        );
        exchange.answer(Answer::status(202));
    }
    for method in ["elicitation/create", "ping"] {
        stream.event(&asking("ask", method));
        let asked = reply.next_event().await.unwrap().json();
        assert_eq!(asked["method"], method, "the first to arrive");
        answer(&upstream, client.http(), &answering(asked["id"].clone(), "Ann")).await;
    }
}

/// An error that sends the user to a URL is an elicitation by another name.
#[tokio::test]
async fn an_error_that_elicits_is_an_elicitation() {
    for (reverse, code, passes) in [
        ("allow", "-32042", true),
        ("deny", "-32042", false),
        ("deny", "-32042.0", false),
        ("deny", "-3.2042e4", false),
        ("deny", "1,\"code\":-32042", false),
        ("deny", "\"-32042\"", false),
        ("deny", "-32041", true),
    ] {
        let upstream = Recorder::by_hand().await;
        let policy =
            format!(r#"{{ "version": "1", "tools": {{ "a": {{}} }}, "reverse": {{ "elicitation": "{reverse}" }} }}"#);
        let gate = Gate::before(&upstream, &policy);
        let client = introduced(&gate, &upstream).await;
        for stream in [false, true] {
            let call = json!({ "jsonrpc": "2.0", "id": "k", "method": "tools/call", "params": { "name": "a" } });
            let (reply, ()) = tokio::join!(client.http().post_streamed(&call), async {
                let exchange = next_call(&upstream).await;
                let error = format!(
                    r#"{{"code":{code},"message":"visit","data":{{"elicitations":[{{"mode":"url","url":"https://evil.example/"}}]}}}}"#
                );
                let answer = format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, exchange.request.json()["id"]);
                exchange.answer(match stream {
                    true => Answer::text(200, "text/event-stream", format!("data: {answer}\n\n")),
                    false => Answer::text(200, "application/json", answer),
                });
            });
            let answer = reply.answer_to(&json!("k")).await;
            assert_eq!(answer.to_string().contains("evil.example"), passes, "{reverse} {code}: {answer}");
            assert!(passes || answer["error"]["code"] == -32603, "{answer}");
        }
    }
}

/// A reload takes effect for requests to come, also on a stream that was open before.
#[tokio::test]
async fn a_new_policy_holds_on_an_old_stream() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream).await;
    let (mut reply, _, mut stream) = streamed(&upstream, client.http().get()).await;
    stream.event(&asking(1, "sampling/createMessage"));
    let ours = reply.next_event().await.unwrap().json()["id"].clone();
    answer(&upstream, client.http(), &answering(ours, "Ann")).await;
    gate.reload(r#"{ "version": "1" }"#).await;
    stream.event(&asking(2, "sampling/createMessage"));
    let exchange = next_call(&upstream).await;
    assert_eq!(
        (&exchange.request.json()["id"], &exchange.request.json()["error"]["code"]),
        (&json!(2), &json!(-32601))
    );
}

#[tokio::test]
async fn a_server_can_withdraw_what_it_asked() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream).await;
    let (mut reply, mut stream) = open(&upstream, &client).await;
    stream.event(&asking("ask", "elicitation/create"));
    let ours = reply.next_event().await.unwrap().json()["id"].clone();
    let withdraw = |id: Value| json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id, "reason": "late" } });
    stream.event(&withdraw(json!("other")));
    stream.event(&withdraw(ours.clone()));
    stream.event(&withdraw(json!("ask")));
    assert_eq!(
        reply.next_event().await.unwrap().json(),
        withdraw(ours.clone()),
        "of all those, the one that was asked"
    );
    assert_eq!(client.http().post(&answering(ours, "late")).await.status, 400, "too late");
}

/// R12: a server that asks for what is denied is told so, a few times at a time.
#[tokio::test]
async fn declining_is_bounded() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, r#"{ "version": "1", "tools": { "a": {} } }"#);
    let client = introduced(&gate, &upstream).await;
    let (mut reply, mut stream) = open(&upstream, &client).await;
    let before = upstream.requests().len();
    for id in 0..100 {
        stream.event(&asking(id, "sampling/createMessage"));
    }
    let notice = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": {} });
    stream.event(&notice);
    assert_eq!(reply.next_event().await.unwrap().json(), notice);
    let first = next_call(&upstream).await;
    first.answer(Answer::status(202));
    let mut declined = vec![];
    for _ in 1..8 {
        declined.push(next_call(&upstream).await);
    }
    assert_eq!(upstream.requests().len() - before, 8);
    declined.into_iter().for_each(|exchange| exchange.answer(Answer::status(202)));
    testkit::patiently("another to be declined", async {
        loop {
            stream.event(&asking("later", "sampling/createMessage"));
            stream.event(&notice);
            reply.next_event().await;
            if upstream.requests().len() - before > 8 {
                break;
            }
        }
    })
    .await;
}

/// R12: a server cannot fill us with requests that nobody answers.
#[tokio::test]
async fn unanswered_requests_are_bounded() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream).await;
    let (mut reply, mut stream) = open(&upstream, &client).await;
    let mut asked = Vec::new();
    for id in 0..=64 {
        stream.event(&asking(id, "ping"));
        asked.push(reply.next_event().await.unwrap().json()["id"].clone());
    }
    let first = client.http().post(&answering(asked[0].clone(), "late")).await;
    assert_eq!(first.status, 400, "the oldest is forgotten");
    stream.event(&asking(3, "ping"));
    assert_eq!(reply.next_event().await.unwrap().json()["id"], asked[3], "one that is known may be sent again");
}

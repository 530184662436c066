//! Servers that speak HTTP+SSE only, the transport of 2024-11-05: to a client they are like any others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use testkit::{Answer, AnswerStream, McpClient, Recorded, Recorder, Reply};

use crate::gate::{Gate, OPEN, Plan, tool};

/// A server with one stream for each session. `wait` is a tool that the test answers itself.
struct Old {
    recorder: Recorder,
    streams: Arc<Mutex<Vec<Option<AnswerStream>>>>,
}

impl Old {
    async fn start() -> Self {
        Self::naming("/messages?session=N").await
    }

    /// `N` stands for the number of the session.
    async fn naming(endpoint: &str) -> Self {
        let endpoint = endpoint.to_owned();
        let streams: Arc<Mutex<Vec<Option<AnswerStream>>>> = Arc::default();
        let theirs = Arc::clone(&streams);
        let recorder = Recorder::start(move |request| answer(request, &endpoint, &mut theirs.lock().unwrap())).await;
        Self { recorder, streams }
    }

    fn say(&self, session: usize, message: &Value) {
        self.streams.lock().unwrap()[session].as_mut().unwrap().event(message);
    }

    fn take(&self, session: usize) -> AnswerStream {
        self.streams.lock().unwrap()[session].take().unwrap()
    }

    /// The next posted message that is not answered by itself.
    async fn next(&self) -> (Recorded, Value) {
        loop {
            let request = self.recorder.next_request().await;
            if request.body.is_empty() {
                continue;
            }
            let message = request.json();
            if matches!(message["params"]["name"].as_str(), Some("wait")) || message["method"].is_null() {
                return (request, message);
            }
        }
    }

    fn gate(&self, more: &str) -> Gate {
        let url = self.recorder.url("/sse");
        Plan::default().server("s", url, "p").toml(more).policy("p", OPEN).set("bounds.call_timeout", "60s").start()
    }
}

fn answer(request: &Recorded, endpoint: &str, streams: &mut Vec<Option<AnswerStream>>) -> Answer {
    match (request.method.as_str(), request.target.split_once("?session=")) {
        ("GET", None) if request.target == "/sse" => {
            let (answer, mut stream) = Answer::stream(200, "text/event-stream; charset=utf-8");
            let endpoint = endpoint.replace('N', &streams.len().to_string());
            stream.send(format!("event: endpoint\ndata: {endpoint}\n\n"));
            streams.push(Some(stream));
            answer
        }
        ("POST", Some(("/messages", session))) => {
            let Some(Some(stream)) = streams.get_mut(session.parse::<usize>().unwrap()) else {
                return Answer::status(404);
            };
            let message = request.json();
            let result = match message["method"].as_str() {
                Some("initialize") => {
                    json!({ "protocolVersion": "2024-11-05", "capabilities": {}, "serverInfo": { "name": "old", "version": "1" } })
                }
                Some("tools/list") => json!({ "tools": [serde_json::from_str::<Value>(&tool("a")).unwrap()] }),
                Some("tools/call") if message["params"]["name"] == "a" => {
                    json!({ "content": [], "n": message["params"]["arguments"] })
                }
                _ => return Answer::status(202),
            };
            stream.event(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }));
            Answer::text(202, "text/plain", "Accepted")
        }
        _ => Answer::status(405),
    }
}

fn call(id: impl Into<Value>, tool: &str, more: Value) -> Value {
    let mut call = json!({ "jsonrpc": "2.0", "id": id.into(), "method": "tools/call", "params": { "name": tool } });
    call["params"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    call
}

/// A call that the server has and did not answer.
async fn open(old: &Old, client: &McpClient, body: &Value) -> (Reply, Value) {
    let (reply, (_, message)) = tokio::join!(client.http().post_streamed(body), old.next());
    (reply, message)
}

fn failed(id: impl Into<Value>) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "error": { "code": -32603, "message": "upstream failed" } })
}

#[tokio::test]
async fn a_client_uses_an_old_server_like_any_other() {
    for transport in ["auto", "sse"] {
        let old = Old::start().await;
        let gate = old.gate(&format!(
            "transport = \"{transport}\"\nheaders = {{ Authorization = \"Bearer t\" }}\n[listen]\nworkers = 4"
        ));
        let client = gate.legacy().await;
        assert_eq!(client.list_tools().await, ["a"]);
        for n in 0..20 {
            assert_eq!(client.call("a", json!({ "n": n })).await["result"]["n"], json!({ "n": n }), "{transport}");
        }
        let posts = old.recorder.requests().into_iter().filter(|request| request.target.starts_with("/messages"));
        let posts: Vec<_> = posts.collect();
        assert_eq!(posts.len(), 23, "each message once: initialize, initialized, list, calls");
        assert!(old.recorder.requests().iter().all(|request| request.header("authorization") == Some("Bearer t")));
        assert!(posts.iter().all(|post| post.header("mcp-session-id").is_none()), "an id of ours is none of theirs");
        assert_eq!(old.streams.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn answers_find_their_requests() {
    let old = Old::start().await;
    let gate = old.gate("transport = \"sse\"");
    let (ann, bob) = (gate.legacy().await, gate.legacy().await);
    let (first, one) = open(&old, &ann, &call(1, "wait", json!({}))).await;
    let (second, two) = open(&old, &ann, &call("1", "wait", json!({}))).await;
    let (third, three) = open(&old, &bob, &call(1, "wait", json!({}))).await;
    let result = |id: &Value, said: &str| json!({ "jsonrpc": "2.0", "id": id, "result": { "said": said } });
    // What belongs to no request here, and what another session's server says, goes nowhere.
    old.say(0, &result(&json!(4_000_000), "nobody"));
    old.say(0, &result(&three["id"], "stolen"));
    old.say(0, &json!([result(&one["id"], "in a batch")]));
    old.say(0, &result(&two["id"], "two"));
    old.say(0, &result(&two["id"], "two again"));
    old.say(1, &result(&three["id"], "three"));
    old.say(0, &json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32700, "message": "what?" } }));
    assert_eq!(second.answer_to(&json!("1")).await, result(&json!("1"), "two"));
    assert_eq!(third.answer_to(&json!(1)).await, result(&json!(1), "three"));
    assert_eq!(first.answer_to(&json!(1)).await["error"]["message"], "what?", "the one that was left");
}

#[tokio::test]
async fn progress_goes_to_its_request_under_the_clients_token() {
    let old = Old::start().await;
    let gate = old.gate("");
    let client = gate.legacy().await;
    let with = |token: Value| json!({ "_meta": { "progressToken": token, "x": [1.50] } });
    let (mut first, one) = open(&old, &client, &call(1, "wait", with(json!("t")))).await;
    let (mut second, two) = open(&old, &client, &call(2, "wait", with(json!(7)))).await;
    assert_eq!(one["params"]["_meta"], json!({ "progressToken": one["id"], "x": [1.50] }));
    let progress = |token: &Value, n: u64| json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": token, "progress": n } });
    old.say(0, &progress(&two["id"], 2));
    old.say(0, &progress(&json!("t"), 3));
    old.say(0, &progress(&json!(7), 3));
    old.say(0, &progress(&one["id"], 1));
    for (request, reply, said) in
        [(&one, &mut first, progress(&json!("t"), 1)), (&two, &mut second, progress(&json!(7), 2))]
    {
        old.say(0, &json!({ "jsonrpc": "2.0", "id": request["id"], "result": {} }));
        assert_eq!(reply.next_event().await.unwrap().json(), said);
        assert_eq!(reply.next_event().await.unwrap().json()["result"], json!({}));
        assert!(reply.next_event().await.is_none());
    }
}

#[tokio::test]
async fn what_a_server_asks_goes_to_one_stream_and_is_answered() {
    let old = Old::start().await;
    let gate = old.gate("transport = \"sse\"");
    let client = gate.legacy().await;
    let asking = |id: &str| json!({ "jsonrpc": "2.0", "id": id, "method": "elicitation/create", "params": {} });
    // On an open request while nobody listens; otherwise on the client's own stream.
    let (mut reply, request) = open(&old, &client, &call(1, "wait", json!({}))).await;
    old.say(0, &asking("on the request"));
    let asked = reply.next_event().await.unwrap().json();
    let mut listening = client.http().get().await;
    assert_eq!(listening.status, 200);
    old.say(0, &asking("on the stream"));
    let again = listening.next_event().await.unwrap().json();
    for (asked, theirs) in [(asked, "on the request"), (again, "on the stream")] {
        let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "action": "decline" } });
        assert_eq!(client.http().post(&answer).await.status, 202);
        let (posted, message) = old.next().await;
        assert_eq!((message["id"].as_str(), posted.target.as_str()), (Some(theirs), "/messages?session=0"));
    }
    old.say(0, &json!({ "jsonrpc": "2.0", "id": request["id"], "result": {} }));
    assert_eq!(reply.next_event().await.unwrap().json()["result"], json!({}));
    // What comes while nobody hears is told to the next who does.
    let late = gate.legacy().await;
    old.say(1, &json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }));
    let mut listening = late.http().get().await;
    assert_eq!(listening.next_event().await.unwrap().json()["method"], "notifications/tools/list_changed");
}

/// The answer to a POST may come long after what it led to: what is heard until then waits, up to a bound.
#[tokio::test]
async fn what_a_server_says_before_it_answers_the_post_waits_and_no_more_than_fits() {
    const QUEUE: usize = 64;
    let streams: Arc<Mutex<Vec<Option<AnswerStream>>>> = Arc::default();
    let (theirs, posts) = (Arc::clone(&streams), Arc::new(Mutex::new(Vec::new())));
    let late = Arc::clone(&posts);
    let recorder = Recorder::start(move |request| {
        let accepted = answer(request, "/messages?session=N", &mut theirs.lock().unwrap());
        if request.body.is_empty() || request.json()["params"]["name"] != "wait" {
            return accepted;
        }
        let (answer, later) = Answer::later();
        late.lock().unwrap().push(later);
        answer
    })
    .await;
    let old = Old { recorder, streams };
    let plan = Plan::default().server("s", old.recorder.url("/sse"), "p").toml("transport = \"sse\"");
    let gate = plan.policy("p", OPEN).set("bounds.write_timeout", "200ms").start();
    let client = gate.legacy().await;
    let http = client.http().clone();
    let waiting = tokio::spawn(async move { http.post_streamed(&call(1, "wait", json!({}))).await });
    let (_, asked) = old.next().await;
    for n in 0..QUEUE + 4 {
        old.say(
            0,
            &json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": n } }),
        );
    }
    // Its answer comes after those on the one stream.
    assert_eq!(client.call("a", json!({ "x": 1 })).await["result"]["n"], json!({ "x": 1 }));
    assert!(!waiting.is_finished(), "nothing can be told before the post is answered");
    assert!(posts.lock().unwrap().pop().unwrap().send(Answer::status(202)).is_ok());
    let mut reply = waiting.await.unwrap();
    for n in 0..QUEUE {
        assert_eq!(reply.next_event().await.unwrap().json()["params"]["data"], n);
    }
    let result = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": {} });
    old.say(0, &result);
    assert_eq!(reply.next_event().await.unwrap().json(), json!({ "jsonrpc": "2.0", "id": 1, "result": {} }));
    assert!(reply.next_event().await.is_none());
}

/// SSRF: a server does not choose where our credentials go.
#[tokio::test]
async fn a_foreign_endpoint_is_not_posted_to() {
    let elsewhere = Recorder::mcp([tool("a")]).await;
    let foreign = elsewhere.url("/messages?session=N");
    let authority = elsewhere.addr().to_string();
    for endpoint in
        [&foreign, &format!("//{authority}/m"), &format!("http://localhost@{authority}/m"), "http://169.254.169.254/"]
    {
        for transport in ["auto", "sse"] {
            let old = Old::naming(endpoint).await;
            let gate = old.gate(&format!("transport = \"{transport}\""));
            let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {} } });
            let reply = gate.http().post(&hello).await;
            assert_eq!(reply.json(), failed(0), "{endpoint}");
            old.take(0).hung_up().await;
        }
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_stream_that_breaks_is_one_error_for_each_request_and_a_new_session() {
    let old = Old::start().await;
    let gate = old.gate("");
    let client = gate.legacy().await;
    let mut waiting = Vec::new();
    for id in 0..50 {
        waiting.push(open(&old, &client, &call(id, "wait", json!({}))).await.0);
    }
    let mut listening = client.http().get().await;
    old.take(0).cut();
    for (id, mut reply) in waiting.into_iter().enumerate() {
        assert_eq!(reply.next_event().await.unwrap().json(), failed(id));
        assert!(reply.next_event().await.is_none());
    }
    assert!(listening.next_event().await.is_none());
    let gone = client.http().post(&call(1, "a", json!({}))).await;
    assert_eq!(gone.status, 404, "the client starts another session");
    assert_eq!(gate.legacy().await.call("a", json!({})).await["result"]["content"], json!([]));
}

#[tokio::test]
async fn a_server_that_forgot_the_session_ends_it() {
    let old = Old::start().await;
    let gate = old.gate("");
    let client = gate.legacy().await;
    let mut stream = old.take(0); // its posts are answered by 404 now
    assert_eq!(client.http().post(&call(1, "a", json!({}))).await.status, 404);
    stream.hung_up().await;
    assert_eq!(client.http().post(&call(1, "a", json!({}))).await.status, 404);
}

#[tokio::test]
async fn the_end_of_a_session_ends_its_stream() {
    let old = Old::start().await;
    let gate = old.gate("");
    let client = gate.legacy().await;
    assert_eq!(client.http().send("DELETE", &[], b"").await.status, 204);
    old.take(0).hung_up().await;
    // And so does a client that nobody hears of any more.
    let idle = Plan::default().server("s", old.recorder.url("/sse"), "p").policy("p", OPEN);
    let idle = idle.set("bounds.session_idle", "1s").start();
    idle.legacy().await;
    old.take(1).hung_up().await;
}

/// An `initialize` that had no result leaves nothing behind.
#[tokio::test]
async fn a_session_that_did_not_begin_leaves_no_stream() {
    let old = Old::naming("/wrong?session=N").await;
    let gate = old.gate("transport = \"sse\"");
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {} } });
    assert_eq!(gate.http().post(&hello).await.json(), failed(0));
    old.take(0).hung_up().await;
    // One that never names an endpoint, and one that never answers, are waited for as long as any call.
    for silent in ["", "event: endpoint\ndata: /messages\n\n"] {
        let streams: Arc<Mutex<Vec<AnswerStream>>> = Arc::default();
        let theirs = Arc::clone(&streams);
        let recorder = Recorder::start(move |request| match request.method.as_str() {
            "GET" => {
                let (answer, mut stream) = Answer::stream(200, "text/event-stream");
                stream.send(silent);
                theirs.lock().unwrap().push(stream);
                answer
            }
            _ => Answer::status(202),
        })
        .await;
        let plan = Plan::default().server("s", recorder.url("/sse"), "p").toml("transport = \"sse\"").policy("p", OPEN);
        let gate = plan.set("bounds.call_timeout", "1s").start();
        let reply = gate.http().post_streamed(&hello).await;
        assert_eq!(reply.answer_to(&json!(0)).await, failed(0));
        let mut stream = streams.lock().unwrap().pop().unwrap();
        stream.hung_up().await;
    }
}

#[tokio::test]
async fn the_transport_is_found_once_and_again_when_it_failed() {
    let streamable = Arc::new(AtomicBool::new(false));
    let (says, old) = (Arc::clone(&streamable), Arc::new(Mutex::new(Vec::new())));
    let recorder = Recorder::start(move |request| {
        if says.load(Ordering::Relaxed) {
            return match (request.method.as_str(), request.body.is_empty() || request.json()["id"].is_null()) {
                ("GET", _) => Answer::status(405),
                (_, true) => Answer::status(202),
                _ => Answer::json(200, &json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": { "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {}, "new": true } })),
            };
        }
        answer(request, "/messages?session=N", &mut old.lock().unwrap())
    })
    .await;
    let gate = Plan::default().server("s", recorder.url("/sse"), "p").policy("p", OPEN).start();
    for _ in 0..3 {
        gate.legacy().await;
    }
    let asked = |verb: &str| recorder.requests().iter().filter(|it| it.method == verb && it.target == "/sse").count();
    assert_eq!((asked("POST"), asked("GET")), (2, 3), "asked once whether it has Streamable HTTP, of either era");
    streamable.store(true, Ordering::Relaxed);
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {} } });
    assert_eq!(gate.http().post(&hello).await.json(), failed(0), "what was known fails once");
    assert_eq!(gate.legacy().await.call("a", json!({})).await["result"]["new"], true);
}

#[tokio::test]
async fn a_transport_that_is_named_is_the_only_one() {
    let old = Old::start().await;
    let gate = old.gate("transport = \"streamable-http\"");
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {} } });
    assert_eq!(gate.http().post(&hello).await.json(), failed(0));
    assert!(old.recorder.requests().iter().all(|request| request.method == "POST" && request.target == "/sse"));
    // A server of Streamable HTTP is never asked for the other.
    let new = Recorder::mcp([tool("a")]).await;
    let gate = Gate::before(&new, OPEN);
    assert!(gate.legacy().await.call("a", json!({})).await["error"].is_null());
    assert!(new.requests().iter().all(|request| request.method == "POST"));
}

/// What a policy denies does not reach an old server either, whatever the era of the client.
#[tokio::test]
async fn the_policy_holds_on_the_old_transport() {
    let old = Old::start().await;
    let url = old.recorder.url("/sse");
    let gate = Plan::default().server("s", url, "p").policy("p", r#"{ "version": "1", "tools": { "a": {} } }"#).start();
    let client = gate.legacy().await;
    assert_eq!(client.list_tools().await, ["a"]);
    let denied = client.call("wait", json!({})).await;
    assert!(denied["result"]["isError"] == true || denied["error"]["code"] == -32602, "{denied}");
    let posted = old.recorder.requests();
    assert!(posted.iter().all(|request| !request.text().contains("wait")));
    let modern = gate.modern();
    assert_eq!(modern.list_tools().await, ["a"]);
    assert_eq!(modern.call("a", json!({})).await["result"]["resultType"], "complete");
    assert_eq!(modern.call("wait", json!({})).await["result"]["isError"], true);
    assert!(old.recorder.requests().iter().all(|request| !request.text().contains("wait")));
}

//! Sessions that are every node's, kept in Redis: two gateways that have nothing else in common serve one session, and none that is over.

use std::time::Duration;

use gateway::{Ear, Heard};
use serde_json::{Value, json};
use testkit::{Answer, HttpClient, Recorder, Redis, patiently};
use tokio::time::Instant;

use crate::gate::{Gate, OPEN, Plan, called, introduce, methods, next_call, streamed, tool};
use crate::identity::{Known, known};

fn plan(redis: &Redis, upstream: &Recorder, node: &str) -> Plan {
    let plan = Plan::default().server("s", upstream.url("/mcp"), "policy.json").policy("policy.json", OPEN);
    plan.set("sessions.store", &redis.url()).set("audit.node", node)
}

/// Ready: it has reached Redis.
async fn started(plan: Plan) -> Gate {
    let gate = plan.start();
    gate.until(|ready| ready.starts_with("ready\n")).await;
    gate
}

async fn two(redis: &Redis, upstream: &Recorder) -> (Gate, Gate) {
    (started(plan(redis, upstream, "a")).await, started(plan(redis, upstream, "b")).await)
}

fn hello() -> Value {
    let capabilities = json!({ "sampling": {}, "elicitation": {}, "roots": {} });
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": { "name": "c", "version": "1" } });
    json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params })
}

fn call(tool: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": tool } })
}

/// Opens a session, and gives back its id.
async fn opened(http: HttpClient) -> String {
    let reply = http.post(&hello()).await;
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    reply.header("mcp-session-id").unwrap().to_owned()
}

/// The same before an upstream by hand.
async fn introduced(http: HttpClient, upstream: &Recorder) -> String {
    let (id, rest) = tokio::join!(opened(http), async { introduce(upstream.next_exchange().await) });
    assert!(rest.is_none());
    id
}

fn within(http: HttpClient, session: &str) -> HttpClient {
    http.header("MCP-Protocol-Version", "2025-11-25").header("Mcp-Session-Id", session)
}

/// Asks until the answer is another one.
async fn until(http: &HttpClient, status: u16) -> Duration {
    let began = Instant::now();
    patiently("the answer to be another", async {
        while http.post(&call("a")).await.status != status {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    began.elapsed()
}

#[tokio::test]
async fn any_node_serves_any_request_of_a_session() {
    let Some(redis) = Redis::start("sessions_redis: any node", &[]).await else { return };
    let upstream = Recorder::mcp(["a"].map(tool)).await;
    let (a, b) = two(&redis, &upstream).await;
    let id = opened(a.http()).await;
    for gate in [&b, &a, &b] {
        let answer = within(gate.http(), &id).post(&call("a")).await.json();
        assert!(answer["result"]["content"].is_array(), "{answer}");
    }
    let requests = upstream.requests();
    let calls: Vec<_> = requests.iter().filter(|request| request.text().contains("tools/call")).collect();
    let theirs = |n: usize| calls[n].header("mcp-session-id").map(str::to_owned);
    assert_eq!((calls.len(), theirs(0)), (3, theirs(1)), "one session of the server's");
    assert!(theirs(0).is_some());
    let ids: std::collections::BTreeSet<_> = calls.iter().map(|call| call.json()["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), 3, "no two requests of a session have one id, whichever node they come from: {ids:?}");
    let agents = [&a, &b].map(|gate| {
        let records = gate.journal();
        records.iter().find(|record| record["method"] == "tools/call").unwrap()["agent"].clone()
    });
    assert_eq!(agents[0], agents[1], "nobody known is the same on both");
    assert_ne!(agents[0], Value::Null);
}

/// What is in Redis, and what is not.
#[tokio::test]
async fn the_id_of_a_session_is_in_redis_nowhere() {
    let Some(redis) = Redis::start("sessions_redis: secret", &[]).await else { return };
    let upstream = Recorder::mcp(["a"].map(tool)).await;
    let gate = started(plan(&redis, &upstream, "a")).await;
    let id = opened(gate.http()).await;
    let keys = redis.ask(&["KEYS", "toolgate:session:*"]).await;
    let key = keys.lines().find(|line| line.starts_with("toolgate:session:")).unwrap().to_owned();
    let said = redis.ask(&["HGETALL", &key]).await;
    assert!(said.contains("2025-11-25"), "{said}");
    assert!(!keys.contains(&id) && !said.contains(&id), "{keys} {said}");
    // What is there instead opens nothing.
    let hash = key.trim_start_matches("toolgate:session:");
    for guess in [hash, &hash[..48], &"0".repeat(48)] {
        assert_eq!(within(gate.http(), guess).post(&call("a")).await.status, 404, "{guess}");
    }
    assert!(called(&upstream).is_empty());
}

/// With a key that nodes share, what is said of a session can be neither read nor made up.
#[tokio::test]
async fn what_redis_has_is_sealed_where_nodes_share_a_key() {
    let Some(redis) = Redis::start("sessions_redis: sealed", &[]).await else { return };
    let upstream = Recorder::mcp(["a"].map(tool)).await;
    let (key, other) = (gateway::Vault::new_key().unwrap(), gateway::Vault::new_key().unwrap());
    let with = |key: &str, node| plan(&redis, &upstream, node).env("KEY", key).toml("[store.key]\nenv = \"KEY\"");
    let (a, b, stranger) =
        (started(with(&key, "a")).await, started(with(&key, "b")).await, started(with(&other, "c")).await);
    let plain = started(plan(&redis, &upstream, "d")).await;
    let id = opened(a.http()).await;
    let keys = redis.ask(&["KEYS", "toolgate:session:*"]).await;
    let name = keys.lines().find(|line| line.starts_with("toolgate:session:")).unwrap().to_owned();
    let said = redis.ask(&["HGETALL", &name]).await;
    assert!(!said.contains("2025-11-25") && !said.contains("upstream-session"), "{said}");
    assert_eq!(within(b.http(), &id).post(&call("a")).await.status, 200);
    for gate in [&stranger, &plain] {
        assert_eq!(within(gate.http(), &id).post(&call("a")).await.status, 404);
    }
    // One session's words are no other's, and words that nobody sealed are none.
    let second = opened(a.http()).await;
    let keys = redis.ask(&["KEYS", "toolgate:session:*"]).await;
    let moved = keys.lines().find(|line| line.starts_with("toolgate:session:") && *line != name).unwrap();
    let copy = "redis.call('HSET', KEYS[2], 's', redis.call('HGET', KEYS[1], 's'))";
    redis.ask(&["EVAL", copy, "2", &name, moved]).await;
    assert_eq!(within(b.http(), &second).post(&call("a")).await.status, 404);
    let open = opened(plain.http()).await;
    assert_eq!(within(b.http(), &open).post(&call("a")).await.status, 404);
    assert_eq!(called(&upstream).len(), 1);
}

/// What lives on one node is not found on another, and needs Redis no more once it is open.
#[tokio::test]
async fn a_translated_session_stays_where_it_began() {
    let Some(redis) = Redis::start("sessions_redis: translated", &[]).await else { return };
    let upstream = Recorder::mcp_modern(["a"].map(tool)).await;
    let (a, b) = two(&redis, &upstream).await;
    let id = opened(a.http()).await;
    let (at_a, at_b) = (within(a.http(), &id), within(b.http(), &id));
    assert_eq!((at_b.post(&call("a")).await.status, at_a.post(&call("a")).await.status), (404, 200));
    assert_eq!(called(&upstream).len(), 1);
    redis.freeze();
    b.until(|ready| ready.starts_with("sessions cannot be looked up: ")).await;
    assert_eq!((at_b.post(&call("a")).await.status, at_a.post(&call("a")).await.status), (503, 200));
}

/// A limit of a session is one, wherever the session is served.
#[tokio::test]
async fn a_limit_of_a_session_holds_on_all_nodes() {
    let Some(redis) = Redis::start("sessions_redis: limits", &[]).await else { return };
    let upstream = Recorder::mcp(["a"].map(tool)).await;
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.json");
    let limit =
        r#"{ "version": "1", "tools": { "a": { "limits": [{ "max": 5, "window": "1h", "per": "session" }] } } }"#;
    std::fs::write(&policy, limit).unwrap();
    let gate = async |node| {
        let plan = Plan::default().server("s", upstream.url("/mcp"), policy.to_str().unwrap());
        let plan = plan.set("sessions.store", &redis.url()).set("limits.store", &redis.url());
        started(plan.set("audit.node", node)).await
    };
    let (a, b) = (gate("a").await, gate("b").await);
    let (first, other) = (opened(a.http()).await, opened(a.http()).await);
    patiently("the store of limits to be known", async {
        while within(a.http(), &other).post(&call("a")).await.json()["result"]["isError"] == true {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let before = called(&upstream).len();
    for n in 0..12 {
        within(if n % 2 == 0 { a.http() } else { b.http() }, &first).post(&call("a")).await;
    }
    assert_eq!(called(&upstream).len() - before, 5);
}

#[tokio::test]
async fn a_session_that_ends_on_one_node_ends_on_all() {
    let Some(redis) = Redis::start("sessions_redis: ended", &[]).await else { return };
    let upstream = Recorder::mcp(["a"].map(tool)).await;
    let (a, b) = two(&redis, &upstream).await;
    let id = opened(a.http()).await;
    let (at_a, at_b) = (within(a.http(), &id), within(b.http(), &id));
    assert_eq!((at_a.post(&call("a")).await.status, at_b.post(&call("a")).await.status), (200, 200));
    assert_eq!(at_b.send("DELETE", &[], b"").await.status, 204);
    assert_eq!(at_b.post(&call("a")).await.status, 404);
    let late = until(&at_a, 404).await;
    assert!(late < Duration::from_secs(1), "{late:?}");
    assert_eq!(methods(&upstream).iter().filter(|method| *method == "DELETE").count(), 1);
    assert_eq!(at_a.send("DELETE", &[], b"").await.status, 404);
}

/// Nodes that hear nothing of each other: what Redis said holds for a second and no longer.
#[tokio::test]
async fn what_nobody_tells_is_noticed_within_a_second() {
    let Some(redis) = Redis::start("sessions_redis: forgotten", &[]).await else { return };
    let upstream = Recorder::mcp(["a"].map(tool)).await;
    let (a, b) = two(&redis, &upstream).await;
    let id = opened(a.http()).await;
    let (at_a, at_b) = (within(a.http(), &id), within(b.http(), &id));
    assert_eq!((at_a.post(&call("a")).await.status, at_b.post(&call("a")).await.status), (200, 200));
    redis.ask(&["FLUSHALL"]).await;
    let late = [until(&at_a, 404).await, until(&at_b, 404).await];
    assert!(late.iter().all(|late| *late < Duration::from_millis(1_500)), "{late:?}");
    let before = called(&upstream).len();
    assert_eq!((at_a.post(&call("a")).await.status, at_b.post(&call("a")).await.status), (404, 404));
    assert_eq!(called(&upstream).len(), before);
    let again = opened(b.http()).await;
    assert_eq!(within(a.http(), &again).post(&call("a")).await.status, 200, "the client starts anew");
}

#[tokio::test]
async fn a_session_is_its_agents_on_every_node() {
    let Some(redis) = Redis::start("sessions_redis: agents", &[]).await else { return };
    let upstream = Recorder::mcp(["a"].map(tool)).await;
    let (alice, bob) = (Known::new("alice"), Known::new("bob"));
    let gate = async |node| started(known(plan(&redis, &upstream, node), &[&alice, &bob])).await;
    let gates = [gate("a").await, gate("b").await];
    let id = opened(alice.http(&gates[0])).await;
    for gate in &gates {
        let stolen = within(bob.http(gate), &id);
        assert_eq!(stolen.post(&call("a")).await.status, 404);
        assert_eq!(stolen.send("DELETE", &[], b"").await.status, 404);
        assert_eq!(within(gate.http(), &id).post(&call("a")).await.status, 401);
    }
    assert!(called(&upstream).is_empty());
    for gate in &gates {
        assert_eq!(within(alice.http(gate), &id).post(&call("a")).await.status, 200);
        assert_eq!(within(bob.http(gate), &id).post(&call("a")).await.status, 404, "known here, and not to Bob");
    }
}

/// One with all servers stays where it was opened, and other nodes know why they do not have it.
#[tokio::test]
async fn a_session_with_all_servers_is_one_nodes_alone() {
    let Some(redis) = Redis::start("sessions_redis: all servers", &[]).await else { return };
    let upstream = Recorder::mcp(["a"].map(tool)).await;
    let (a, b) = two(&redis, &upstream).await;
    let http = |gate: &Gate| HttpClient::new(gate.url("").trim_end_matches('/'));
    let id = opened(http(&a)).await;
    let keys = redis.ask(&["KEYS", "toolgate:session:*"]).await;
    assert!(keys.starts_with("*1\r\n"), "{keys}");
    assert_eq!(within(http(&b), &id).post(&call("s__a")).await.status, 404);
    assert_eq!(within(http(&a), &id).post(&call("s__a")).await.status, 200);
}

/// Another server that took the id is another, and so is one that is described otherwise.
#[tokio::test]
async fn a_session_is_of_one_server() {
    let Some(redis) = Redis::start("sessions_redis: servers", &[]).await else { return };
    let (upstream, other) = (Recorder::mcp(["a"].map(tool)).await, Recorder::mcp(["a"].map(tool)).await);
    let (a, b) = (started(plan(&redis, &upstream, "a")).await, started(plan(&redis, &other, "b")).await);
    let id = opened(a.http()).await;
    assert_eq!(within(b.http(), &id).post(&call("a")).await.status, 404);
    assert!(methods(&other).is_empty());
    assert_eq!(within(a.http(), &id).post(&call("a")).await.status, 200);
}

#[tokio::test]
async fn a_session_that_nobody_uses_expires_everywhere() {
    let Some(redis) = Redis::start("sessions_redis: idle", &[]).await else { return };
    let upstream = Recorder::mcp(["a"].map(tool)).await;
    let (a, b) = (plan(&redis, &upstream, "a"), plan(&redis, &upstream, "b"));
    let (a, b) = (a.set("bounds.session_idle", "1s"), b.set("bounds.session_idle", "1s"));
    let (a, b) = (started(a).await, started(b).await);
    let (used, left) = (opened(a.http()).await, opened(a.http()).await);
    let (used_at_a, used_at_b, left) = (within(a.http(), &used), within(b.http(), &used), within(b.http(), &left));
    assert_eq!(left.post(&call("a")).await.status, 200);
    let gone = patiently("the session to expire", async {
        loop {
            // Used on one node, it lives on the other.
            assert_eq!(used_at_b.post(&call("a")).await.status, 200);
            if redis.ask(&["KEYS", "toolgate:session:*"]).await.starts_with("*1\r\n") {
                return left.post(&call("a")).await.status;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(gone, 404);
    assert_eq!(used_at_a.post(&call("a")).await.status, 200);
}

#[tokio::test]
async fn while_redis_hangs_no_session_is_served_and_all_are_when_it_is_back() {
    let Some(redis) = Redis::start("sessions_redis: hung", &[]).await else { return };
    let upstream = Recorder::mcp(["a"].map(tool)).await;
    let (a, b) = two(&redis, &upstream).await;
    let id = opened(a.http()).await;
    let (at_a, at_b) = (within(a.http(), &id), within(b.http(), &id));
    assert_eq!(at_b.post(&call("a")).await.status, 200);
    redis.freeze();
    until(&at_a, 503).await;
    until(&at_b, 503).await;
    let before = called(&upstream).len();
    let mut slowest = Duration::ZERO;
    for http in [&at_a, &at_b, &at_a, &at_b, &at_a] {
        let began = Instant::now();
        let refused = http.post(&call("a")).await;
        slowest = slowest.max(began.elapsed());
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
        assert_eq!(refused.json()["error"]["message"], "sessions cannot be looked up now: try again later");
        assert_eq!(http.send("DELETE", &[], b"").await.status, 503, "nor is any ended that goes on elsewhere");
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}"); // 250 ms, where nothing else runs
    let unready = a.until(|ready| ready.starts_with("sessions cannot be looked up: ")).await;
    assert!(unready.contains("sessions refused "), "{unready}");
    assert_eq!(a.admin("/readyz").await.status, 503);
    assert_eq!(a.http().post(&hello()).await.status, 503, "nor is any opened");
    assert_eq!(called(&upstream).len(), before);
    let other = a.modern().call("a", json!({})).await;
    assert!(other["result"].is_object(), "what has no session needs no Redis: {other}");
    redis.thaw();
    let back = [until(&at_a, 200).await, until(&at_b, 200).await];
    assert!(back.iter().all(|back| *back < Duration::from_secs(2)), "{back:?}");
    a.until(|ready| ready.starts_with("ready\n")).await;
}

#[tokio::test]
async fn sessions_outlive_the_node_that_opened_them_and_a_killed_redis_does_not_keep_them() {
    let Some(mut redis) = Redis::start("sessions_redis: ends", &[]).await else { return };
    let upstream = Recorder::mcp(["a"].map(tool)).await;
    let mut a = started(plan(&redis, &upstream, "a")).await;
    let id = opened(a.http()).await;
    a.shut_down().await;
    let b = started(plan(&redis, &upstream, "b")).await;
    let at_b = within(b.http(), &id);
    assert_eq!(at_b.post(&call("a")).await.status, 200);
    redis.restart().await;
    until(&at_b, 404).await;
}

#[tokio::test]
async fn a_question_that_came_by_one_node_is_answered_at_another_once() {
    let Some(redis) = Redis::start("sessions_redis: questions", &[]).await else { return };
    let upstream = Recorder::by_hand().await;
    let (a, b) = two(&redis, &upstream).await;
    let id = introduced(a.http(), &upstream).await;
    let other = introduced(a.http(), &upstream).await;
    let (at_a, at_b) = (within(a.http(), &id), within(b.http(), &id));
    let (mut reply, _, mut stream) = streamed(&upstream, at_a.post_streamed(&call("a"))).await;
    let (mut own, _, mut own_stream) = streamed(&upstream, at_b.get()).await;
    let asking = |id: Value| json!({ "jsonrpc": "2.0", "id": id, "method": "elicitation/create", "params": { "message": "Your name?" } });
    let answering = |id: &Value, name: &str| json!({ "jsonrpc": "2.0", "id": id, "result": { "action": "accept", "content": { "name": name } } });
    for theirs in [json!(1), json!("one"), json!("1")] {
        stream.event(&asking(theirs.clone()));
        let ours = reply.next_event().await.unwrap().json()["id"].clone();
        assert_eq!(within(b.http(), &other).post(&answering(&ours, "Eve")).await.status, 400);
        let (accepted, seen) = tokio::join!(at_b.post(&answering(&ours, "Ann")), async {
            let exchange = next_call(&upstream).await;
            let seen = (exchange.request.json(), exchange.request.header("mcp-session-id").map(str::to_owned));
            exchange.answer(Answer::status(202));
            seen
        });
        assert_eq!((accepted.status, seen.0), (202, answering(&theirs, "Ann")));
        assert_eq!(seen.1.as_deref(), Some("upstream-session"));
        for http in [&at_a, &at_b] {
            assert_eq!(http.post(&answering(&ours, "again")).await.status, 400, "once");
        }
    }
    // The same question on another node's stream is the same; and what is withdrawn there is withdrawn.
    stream.event(&asking(json!("twice")));
    own_stream.event(&asking(json!("twice")));
    let ours = reply.next_event().await.unwrap().json()["id"].clone();
    assert_eq!(own.next_event().await.unwrap().json()["id"], ours);
    own_stream
        .event(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": "twice" } }));
    let withdrawn = own.next_event().await.unwrap().json();
    assert_eq!((&withdrawn["method"], &withdrawn["params"]["requestId"]), (&json!("notifications/cancelled"), &ours));
    assert_eq!(at_a.post(&answering(&ours, "late")).await.status, 400);
    // Nothing overtakes a question, not even what comes with it.
    let notice =
        json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": 1 } });
    stream.send(format!("data: {}\n\ndata: {notice}\n\n", asking(json!("first"))));
    let order = [reply.next_event().await.unwrap().json(), reply.next_event().await.unwrap().json()];
    assert_eq!(
        order.map(|event| event["method"].clone()),
        [json!("elicitation/create"), json!("notifications/message")]
    );
}

/// A server that asks without end: the oldest question is forgotten, and Redis keeps no more.
#[tokio::test]
async fn questions_that_nobody_answers_are_bounded() {
    let Some(redis) = Redis::start("sessions_redis: many questions", &[]).await else { return };
    let upstream = Recorder::by_hand().await;
    let (a, b) = two(&redis, &upstream).await;
    let id = introduced(a.http(), &upstream).await;
    let (mut reply, _, mut stream) = streamed(&upstream, within(a.http(), &id).post_streamed(&call("a"))).await;
    let mut ours = Vec::new();
    for n in 0..70 {
        stream.event(&json!({ "jsonrpc": "2.0", "id": format!("q {n}"), "method": "ping" }));
        ours.push(reply.next_event().await.unwrap().json()["id"].clone());
    }
    let keys = redis.ask(&["KEYS", "toolgate:session:*"]).await;
    let key = keys.lines().find(|line| line.starts_with("toolgate:session:")).unwrap();
    assert_eq!(redis.ask(&["HLEN", key]).await, ":130\r\n");
    let answer = |id: &Value| json!({ "jsonrpc": "2.0", "id": id, "result": {} });
    let at_b = within(b.http(), &id);
    assert_eq!(at_b.post(&answer(&ours[5])).await.status, 400, "the sixth is forgotten");
    let (accepted, seen) = tokio::join!(at_b.post(&answer(&ours[6])), async {
        let exchange = next_call(&upstream).await;
        let seen = exchange.request.json();
        exchange.answer(Answer::status(202));
        seen
    });
    assert_eq!((accepted.status, &seen["id"]), (202, &json!("q 6")));
}

#[tokio::test]
async fn a_call_that_is_open_on_one_node_is_cancelled_through_another() {
    let Some(redis) = Redis::start("sessions_redis: cancels", &[]).await else { return };
    let upstream = Recorder::by_hand().await;
    let (a, b) = two(&redis, &upstream).await;
    let (id, other) = (introduced(a.http(), &upstream).await, introduced(a.http(), &upstream).await);
    let at_b = within(b.http(), &id);
    let (_reply, sent, _stream) = streamed(&upstream, within(a.http(), &id).post_streamed(&call("a"))).await;
    let before = upstream.requests().len();
    let cancel = |id: Value| json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id, "reason": "enough" } });
    for (http, id) in [(within(b.http(), &other), json!(7)), (at_b.clone(), json!("7")), (at_b.clone(), json!(8))] {
        assert_eq!(http.post(&cancel(id)).await.status, 202);
    }
    let (accepted, seen) = tokio::join!(at_b.post(&cancel(json!(7))), async {
        let exchange = next_call(&upstream).await;
        let seen = exchange.request.json();
        exchange.answer(Answer::status(202));
        seen
    });
    assert_eq!(accepted.status, 202);
    let params = json!({ "requestId": sent.json()["id"], "reason": "enough" });
    assert_eq!(seen, json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }));
    assert_eq!(upstream.requests().len(), before + 1, "nothing else was passed on");
}

async fn heard(ear: &mut Ear) -> (String, Value) {
    match patiently("an event", ear.next()).await.unwrap() {
        Heard::Event(event) => (event.name().to_owned(), serde_json::from_str(event.json()).unwrap()),
        Heard::Missed(missed) => panic!("{missed} were missed"),
    }
}

#[tokio::test]
async fn what_happens_on_one_node_is_heard_on_another() {
    let Some(redis) = Redis::start("sessions_redis: events", &[]).await else { return };
    let upstream = Recorder::mcp(["a"].map(tool)).await;
    let (a, b) = two(&redis, &upstream).await;
    let mut ear = b.control().listen().unwrap();
    let client = a.modern();
    patiently("the first to be heard", async {
        loop {
            client.call("a", json!({ "secret": "CANARY" })).await;
            match tokio::time::timeout(Duration::from_millis(50), ear.next()).await {
                Ok(Some(Heard::Event(_))) => break,
                Ok(_) => panic!(),
                Err(_) => {}
            }
        }
    })
    .await;
    while tokio::time::timeout(Duration::from_millis(50), ear.next()).await.is_ok() {}
    for n in 0..50 {
        let (gate, node) = if n % 2 == 0 { (&a, "a") } else { (&b, "b") };
        gate.modern().call(&format!("t{n}"), json!({ "secret": "CANARY" })).await;
        let (name, event) = heard(&mut ear).await;
        assert_eq!(
            (name.as_str(), &event["node"], &event["subject"]),
            ("decision", &json!(node), &json!(format!("t{n}")))
        );
        assert!(!event.to_string().contains("CANARY"));
    }
    drop(ear);
    patiently("nobody to be listening", async {
        while !redis.ask(&["PUBSUB", "NUMSUB", "toolgate:events"]).await.ends_with(":0\r\n") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn two_thousand_sessions_are_served_on_the_other_node() {
    let Some(redis) = Redis::start("sessions_redis: many", &[]).await else { return };
    let upstream = Recorder::mcp(["a"].map(tool)).await;
    let (a, b) = two(&redis, &upstream).await;
    for _ in 0..40 {
        let ids = futures_util::future::join_all((0..50).map(|_| opened(a.http()))).await;
        let served = ids.iter().map(|id| async { within(b.http(), id).post(&call("a")).await.status });
        assert!(futures_util::future::join_all(served).await.iter().all(|status| *status == 200));
    }
    assert!(b.ready().await.contains("sessions 2000\n"));
    assert_eq!(called(&upstream).len(), 2_000);
    assert!(redis.ask(&["DBSIZE"]).await.starts_with(":2001"), "the sessions, and the beat");
}

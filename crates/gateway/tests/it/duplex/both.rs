//! Both eras through both programs, message by message.

use serde_json::{Value, json};
use testkit::{Answer, Recorder};

use super::{Client, announced, bridged, cancelled, hello, legacy, legacy_call, told, wrapped};
use crate::gate::{Gate, OPEN, STRICT, called, introduce, methods, modern_call, modern_request, next_call, tool};

/// A client before the server; what keeps the gateway alive comes along.
type Way = fn(&Recorder, &str) -> (Client, Option<Gate>);

const WAYS: [Way; 2] = [
    |upstream, policy| {
        let gate = Gate::before(upstream, policy);
        (bridged(gate.url("s")), Some(gate))
    },
    |upstream, policy| (wrapped(upstream, policy), None),
];

#[tokio::test]
async fn legacy_and_modern_messages_are_answered_side_by_side() {
    for way in WAYS {
        let upstream = Recorder::mcp([tool("allowed_tool"), tool("other")]).await;
        let (mut client, _gate) = way(&upstream, STRICT);
        let discovered = client.ask(&modern_request(0, "server/discover", json!({}))).await;
        assert_eq!(discovered["result"]["supportedVersions"], json!(["2026-07-28"]));
        let introduced = client.introduce().await;
        assert_eq!(introduced["result"]["protocolVersion"], "2025-11-25", "{introduced}");
        for n in 1..4 {
            let answer = client.ask(&legacy_call(n, "allowed_tool", json!({ "n": n }))).await;
            assert_eq!(told(&answer)["arguments"], json!({ "n": n }));
            assert_eq!(answer["result"]["resultType"], Value::Null);
            let answer = client.ask(&modern_call(format!("m{n}"), "allowed_tool", json!({ "m": n }))).await;
            assert_eq!(told(&answer)["arguments"], json!({ "m": n }));
            assert_eq!(answer["result"]["resultType"], "complete");
        }
        for list in [legacy(5, "tools/list", json!({})), modern_request(6, "tools/list", json!({}))] {
            let listed = client.ask(&list).await;
            let tools: Vec<_> =
                listed["result"]["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
            assert_eq!(tools, ["allowed_tool"]);
        }
    }
}

#[tokio::test]
async fn what_the_policy_denies_is_denied_and_never_sent() {
    for way in WAYS {
        let upstream = Recorder::mcp([tool("allowed_tool"), tool("other")]).await;
        let (mut client, _gate) = way(&upstream, STRICT);
        client.introduce().await;
        for call in [legacy_call(1, "other", json!({})), modern_call(2, "other", json!({}))] {
            let answer = client.ask(&call).await;
            assert_eq!(answer["result"]["isError"], true, "{answer}");
        }
        client.ask(&legacy_call(3, "allowed_tool", json!({}))).await;
        assert_eq!(called(&upstream), ["allowed_tool"], "nothing else was sent");
    }
}

#[tokio::test]
async fn a_changed_policy_file_is_in_force_in_a_wrap() {
    let upstream = Recorder::mcp([tool("allowed_tool"), tool("other")]).await;
    let mut client = wrapped(&upstream, STRICT);
    let answer = client.ask(&modern_call(0, "other", json!({}))).await;
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    let new = client.policy_file().with_extension("new");
    std::fs::write(&new, OPEN).unwrap();
    std::fs::rename(&new, client.policy_file()).unwrap();
    testkit::patiently("the new policy", async {
        while client.ask(&modern_call(1, "other", json!({}))).await["result"]["isError"] == true {}
    })
    .await;
}

#[tokio::test]
async fn progress_comes_before_the_answer() {
    for modern in [true, false] {
        for way in WAYS {
            let upstream = Recorder::by_hand().await;
            let (mut client, _gate) = way(&upstream, OPEN);
            let mut call = legacy_call(7, "slow", json!({}));
            if modern {
                call = modern_call(7, "slow", json!({}));
            } else {
                introduced(&mut client, &upstream).await;
            }
            call["params"]["_meta"]["progressToken"] = json!("t");
            client.say(&call).await;
            let exchange = next_post(&upstream).await;
            let id = exchange.request.json()["id"].clone();
            let mut stream = exchange.answer_with_events();
            stream.event(&json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": "t", "progress": 1 } }));
            assert_eq!(client.hear().await["params"]["progress"], 1);
            let result = json!({ "content": [], "resultType": "complete" });
            stream.event(&json!({ "jsonrpc": "2.0", "id": id, "result": result }));
            stream.end();
            assert_eq!(client.hear().await, json!({ "jsonrpc": "2.0", "id": 7, "result": result }));
        }
    }
}

#[tokio::test]
async fn a_server_asks_the_client_and_gets_its_answer() {
    for way in WAYS {
        let upstream = Recorder::by_hand().await;
        let (mut client, _gate) = way(&upstream, OPEN);
        introduced(&mut client, &upstream).await;
        client.say(&legacy_call("c", "asks", json!({}))).await;
        let exchange = next_post(&upstream).await;
        let id = exchange.request.json()["id"].clone();
        let mut stream = exchange.answer_with_events();
        stream.event(&legacy("theirs", "elicitation/create", json!({ "message": "who?" })));
        let asked = client.hear().await;
        assert_eq!((&asked["method"], &asked["params"]["message"]), (&json!("elicitation/create"), &json!("who?")));
        client.say(&json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "action": "accept" } })).await;
        let answer = next_post(&upstream).await;
        assert_eq!(
            answer.request.json(),
            json!({ "jsonrpc": "2.0", "id": "theirs", "result": { "action": "accept" } })
        );
        answer.answer(Answer::status(202));
        stream.event(&json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [] } }));
        assert_eq!(client.hear().await["id"], "c");
    }
}

#[tokio::test]
async fn cancelling_hangs_up_or_is_passed_on() {
    for way in WAYS {
        let upstream = Recorder::by_hand().await;
        let (mut client, _gate) = way(&upstream, OPEN);
        // Modern: hanging up is what cancels.
        client.say(&modern_call(1, "slow", json!({}))).await;
        let exchange = next_post(&upstream).await;
        client.say(&cancelled(1)).await;
        exchange.hung_up().await;
        // Legacy: it is told, under the id that the server knows.
        introduced(&mut client, &upstream).await;
        client.say(&legacy_call(2, "slow", json!({}))).await;
        let call = next_post(&upstream).await;
        client.say(&cancelled(2)).await;
        let told = next_post(&upstream).await;
        let message = told.request.json();
        assert_eq!(message["method"], "notifications/cancelled");
        assert_eq!(message["params"]["requestId"], call.request.json()["id"]);
        told.answer(Answer::status(202));
        call.answer_with_result(&json!({ "content": [] }));
        // What was cancelled by hanging up has no answer; so this is the next one.
        assert_eq!(client.hear().await["id"], 2);
    }
}

#[tokio::test]
async fn what_a_server_says_of_itself_arrives() {
    let changed = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
    for way in WAYS {
        let upstream = Recorder::by_hand().await;
        let (mut client, _gate) = way(&upstream, OPEN);
        client.say(&hello()).await;
        assert!(introduce(upstream.next_exchange().await).is_none());
        client.hear().await;
        client.say(&announced()).await;
        let listening = next_call(&upstream).await;
        assert_eq!((listening.request.method.as_str(), listening.request.header("last-event-id")), ("GET", None));
        let mut stream = listening.answer_with_events();
        stream.send(format!("id: e1\nretry: 1\ndata: {changed}\n\n"));
        assert_eq!(client.hear().await, changed);
        // It is taken up again where it broke off.
        stream.end();
        let again = next_call(&upstream).await;
        assert_eq!((again.request.method.as_str(), again.request.header("last-event-id")), ("GET", Some("e1")));
        again.answer_with_events().event(&changed);
        assert_eq!(client.hear().await, changed);
    }
}

#[tokio::test]
async fn a_subscription_is_known_by_the_client_s_id_and_ends_when_cancelled() {
    for way in WAYS {
        let upstream = Recorder::by_hand().await;
        let (mut client, _gate) = way(&upstream, OPEN);
        let listen =
            modern_request("sub", "subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
        client.say(&listen).await;
        let exchange = next_post(&upstream).await;
        let meta = json!({ "io.modelcontextprotocol/subscriptionId": exchange.request.json()["id"] });
        let mut stream = exchange.answer_with_events();
        stream.event(
            &json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": { "_meta": meta } }),
        );
        let heard = client.hear().await;
        assert_eq!(heard["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "sub");
        client.say(&cancelled("sub")).await;
        stream.hung_up().await;
    }
}

#[tokio::test]
async fn declared_arguments_are_mirrored_once_the_tools_are_known() {
    let mirrored = json!({ "name": "t", "inputSchema": { "type": "object", "properties": { "region": { "type": "string", "x-mcp-header": "Region" } } } });
    let strict = move |request: &testkit::Recorded| {
        let message = request.json();
        let (id, method) = (&message["id"], message["method"].as_str().unwrap());
        let result = match method {
            "server/discover" => {
                json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {} })
            }
            "tools/list" => {
                json!({ "resultType": "complete", "tools": [mirrored], "ttlMs": 0, "cacheScope": "private" })
            }
            _ if request.header("mcp-param-region") != message["params"]["arguments"]["region"].as_str() => {
                let error = json!({ "code": -32020, "message": "header mismatch" });
                return Answer::json(400, &json!({ "jsonrpc": "2.0", "id": id, "error": error }));
            }
            _ => json!({ "resultType": "complete", "content": [] }),
        };
        Answer::json(200, &json!({ "jsonrpc": "2.0", "id": id, "result": result }))
    };
    for way in WAYS {
        let upstream = Recorder::start(strict.clone()).await;
        let (mut client, _gate) = way(&upstream, OPEN);
        let before = called(&upstream).len();
        // Refused once, since nobody has seen the tools yet; then they are looked at.
        for (n, calls) in [(1, 2), (2, 3)] {
            let answer = client.ask(&modern_call(n, "t", json!({ "region": "eu" }))).await;
            assert_eq!(answer["result"]["content"], json!([]), "{answer}");
            assert_eq!(called(&upstream).len() - before, calls);
        }
        // What is refused for another reason is not repeated.
        let answer = client.ask(&modern_call(3, "unknown", json!({ "region": "eu" }))).await;
        assert_eq!(answer["error"]["code"], -32020, "{answer}");
        assert_eq!(called(&upstream).len() - before, 4);
    }
}

#[tokio::test]
async fn many_calls_at_a_time_each_get_their_own_answer() {
    for way in WAYS {
        let upstream = Recorder::mcp([tool("t")]).await;
        let (mut client, _gate) = way(&upstream, OPEN);
        client.introduce().await;
        for n in 0..100 {
            let call = if n % 2 == 0 {
                legacy_call(n, "t", json!({ "n": n }))
            } else {
                modern_call(n, "t", json!({ "n": n }))
            };
            client.say(&call).await;
        }
        let mut ids = Vec::new();
        for _ in 0..100 {
            let answer = client.hear().await;
            assert_eq!(told(&answer)["arguments"]["n"], answer["id"]);
            ids.push(answer["id"].as_u64().unwrap());
        }
        ids.sort_unstable();
        assert_eq!(ids, (0..100).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn equal_ids_at_a_time_are_each_answered() {
    for way in WAYS {
        let upstream = Recorder::by_hand().await;
        let (mut client, _gate) = way(&upstream, OPEN);
        client.say(&modern_call(1, "a", json!({}))).await;
        let first = next_post(&upstream).await;
        client.say(&modern_call(1, "b", json!({}))).await;
        let second = next_post(&upstream).await;
        second.answer_with_result(&json!({ "resultType": "complete", "content": [], "which": "second" }));
        assert_eq!(client.hear().await["result"]["which"], "second");
        first.answer_with_result(&json!({ "resultType": "complete", "content": [], "which": "first" }));
        assert_eq!(client.hear().await["result"]["which"], "first");
    }
}

#[tokio::test]
async fn answers_are_one_line_each_whatever_they_were() {
    let pretty = "{\n  \"jsonrpc\": \"2.0\",\n  \"id\": ID,\n  \"result\": { \"content\": [],\r\n \"resultType\" : \"complete\", \"x\": 1.50 }\n}";
    let upstream = Recorder::start(move |request| {
        let id = request.json()["id"].to_string();
        Answer::text(200, "application/json", pretty.replace("ID", &id))
    })
    .await;
    for way in WAYS {
        let (mut client, _gate) = way(&upstream, OPEN);
        client.say(&modern_call(1, "t", json!({}))).await;
        let expected = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"resultType":"complete","x":1.50}}"#;
        assert_eq!(client.line().await.as_deref(), Some(expected));
    }
}

#[tokio::test]
async fn the_session_ends_with_the_client() {
    for way in WAYS {
        let upstream = Recorder::mcp([tool("t")]).await;
        let (mut client, _gate) = way(&upstream, OPEN);
        client.introduce().await;
        client.ask(&legacy_call(1, "t", json!({}))).await;
        client.end_input().await;
        assert_eq!(client.rest().await, Vec::<Value>::new());
        assert_eq!(methods(&upstream).pop().as_deref(), Some("DELETE"));
    }
}

/// Introduces a client before a server by hand, which has no stream of its own.
pub(super) async fn introduced(client: &mut Client, upstream: &Recorder) {
    client.say(&hello()).await;
    while introduce(upstream.next_exchange().await).is_some() {}
    client.hear().await;
    client.say(&announced()).await;
    let listening = next_call(upstream).await;
    assert_eq!(listening.request.method, "GET");
    listening.answer(Answer::status(405));
}

/// The next message that is posted, mere introductions aside.
pub(super) async fn next_post(upstream: &Recorder) -> testkit::Exchange {
    let exchange = next_call(upstream).await;
    assert_eq!(exchange.request.method, "POST", "{:?}", exchange.request);
    exchange
}

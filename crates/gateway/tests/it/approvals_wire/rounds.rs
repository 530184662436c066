//! What a server asks during a call that was approved: each answer goes on with that call, once.

use super::*;
use crate::approvals::{code, plan, runs};
use crate::legacy_hand::{Hand, done, elicits};

/// The approved call, and what the server asked first.
async fn approved(office: &Office, message: &Value) -> Value {
    let asked = office.say(message).await;
    office.approve(&about_approval(&asked)).await;
    let first = office.say(&back(message, &asked, &json!({ "action": "accept" }))).await;
    assert_eq!(first["result"]["inputRequests"]["who"]["params"]["message"], "s1", "{first}");
    first
}

fn both() -> Value {
    json!({ "elicitation": { "form": {}, "url": {} } })
}

fn named(name: &str) -> Value {
    json!({ "action": "accept", "content": { "name": name } })
}

#[tokio::test]
async fn the_answers_go_on_with_the_approved_call() {
    let upstream = server().await;
    let office = Office::before(&upstream, ASKING);
    let message = call(&both(), "ask", json!({ "n": 1 }));
    let first = approved(&office, &message).await;
    let second = office.say(&back(&message, &first, &named("ann"))).await;
    assert_eq!(second["result"]["inputRequests"]["who"]["params"]["message"], "s2", "{second}");
    let answer = office.say(&back(&message, &second, &named("bob"))).await;
    assert_eq!(code(&answer), "ran");
    let sent = sent(&upstream);
    let told = |call: &Value| (call["requestState"].clone(), call["inputResponses"]["who"]["content"]["name"].clone());
    let told: Vec<_> = sent.iter().map(told).collect();
    assert_eq!(told, [(Value::Null, Value::Null), (json!("s1"), json!("ann")), (json!("s2"), json!("bob"))]);
    // One person, once.
    let all = office.store.approvals(&store::ApprovalFilter::default(), None, 10).await.unwrap().items;
    assert_eq!((all.len(), all[0].round), (1, 2));
}

#[tokio::test]
async fn a_round_is_taken_once_and_in_its_turn() {
    let upstream = server().await;
    let office = Office::before(&upstream, ASKING);
    let message = call(&both(), "ask", json!({ "n": 1 }));
    let first = approved(&office, &message).await;
    let again = back(&message, &first, &named("ann"));
    let second = office.say(&again).await;
    let late = back(&message, &second, &named("ann"));
    for (change, expected) in [
        (json!({ "arguments": { "n": 2 } }), "approval.changed"),
        (json!({ "name": "job" }), "approval.changed"),
        (json!({ "name": "mark" }), "approval.changed"),
    ] {
        let mut changed = late.clone();
        changed["params"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(code(&office.say(&changed).await), expected, "{change}");
    }
    assert_eq!(code(&office.say(&again).await), "approval.used", "replayed");
    assert_eq!(code(&office.say(&late).await), "ran");
    for old in [&late, &again] {
        assert_eq!(code(&office.say(old).await), "approval.used");
    }
    assert_eq!(runs(&upstream, "ask"), 3);
}

#[tokio::test]
async fn a_server_asks_only_so_often_in_an_approved_call() {
    let upstream = server().await;
    let office = Office::of(plan(&upstream, ASKING).set("approvals.rounds", "1"));
    let message = call(&both(), "ask", json!({}));
    let first = approved(&office, &message).await;
    let answer = office.say(&back(&message, &first, &named("ann"))).await;
    assert_eq!(answer["error"]["message"], "the server asked for input too often", "{answer}");
    assert_eq!(runs(&upstream, "ask"), 2);
}

/// The call of a legacy server waits under the bridge's own state meanwhile.
#[tokio::test]
async fn a_legacy_servers_question_goes_on_with_the_approved_call() {
    let hand = Hand::new(json!({ "tools": {} })).await;
    let office = Office::of(plan(&hand.upstream, ASKING));
    let message = call(&both(), "ask", json!({ "n": 1 }));
    let listed = json!({ "tools": [serde_json::from_str::<Value>(&tool("ask")).unwrap()] });
    let list = async {
        loop {
            let exchange = hand.next().await;
            match exchange.request.json()["method"].as_str() {
                Some("tools/list") => exchange.answer_with_result(&listed),
                _ => return exchange,
            }
        }
    };
    tokio::pin!(list);
    let asked = tokio::select! {
        asked = office.say(&message) => asked,
        exchange = &mut list => panic!("{:?}", exchange.request),
    };
    office.approve(&about_approval(&asked)).await;
    let retry = back(&message, &asked, &json!({ "action": "accept" }));
    let (first, (mut stream, id)) = tokio::join!(office.say(&retry), async {
        let exchange = list.await;
        let id = exchange.request.json()["id"].clone();
        let mut stream = exchange.answer_with_events();
        stream.event(&elicits("q"));
        (stream, id)
    });
    assert!(state(&first).starts_with("tgas1."), "{first}");
    let retry = back(&message, &first, &named("ann"));
    let (answer, told) = tokio::join!(office.say(&retry), async {
        let told = loop {
            let exchange = hand.next().await;
            match exchange.request.json()["method"].as_str() {
                Some("tools/list") => exchange.answer_with_result(&listed),
                _ => {
                    let told = exchange.request.json();
                    exchange.answer(Answer::status(202));
                    break told;
                }
            }
        };
        stream.event(&done(&id, "ran"));
        told
    });
    assert_eq!((&told["id"], &told["result"]), (&json!("q"), &named("ann")));
    assert_eq!(code(&answer), "ran");
    assert_eq!(office.say(&retry).await["error"]["code"], -32602, "the bridge's own state is good once, too");
}

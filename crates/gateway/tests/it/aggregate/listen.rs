//! Subscriptions: one stream of all servers', and a change of a list is told where the client would see it.

use serde_json::{Value, json};
use testkit::{AnswerStream, Reply};

use super::stack::{Fake, SUBSCRIPTION, dead, legacy, modern, plan};
use crate::gate::{Gate, OPEN, methods, tool};

const SOME: &str = r#"{ "version": "1", "tools": { "shown*": {} }, "resources": { "docs://a": {} } }"#;

fn changed(list: &str) -> Value {
    json!({ "jsonrpc": "2.0", "method": format!("notifications/{list}/list_changed") })
}

fn updated(uri: &str) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated", "params": { "uri": uri } })
}

async fn two(policy: &str) -> (Gate, Fake, Fake) {
    let [a, b] = [Fake::with("a", &["shown", "other"]).await, Fake::with("b", &["shown"]).await];
    let gate = plan(&[("a", &a, policy), ("b", &b, policy)]).start();
    (gate, a, b)
}

async fn listen(gate: &Gate, wanted: Value) -> Reply {
    modern(gate).start("mine", "subscriptions/listen", json!({ "notifications": wanted })).await
}

#[tokio::test]
async fn one_acknowledgement_says_what_all_servers_granted() {
    let (gate, a, b) = two(OPEN).await;
    let wanted = json!({ "toolsListChanged": true, "promptsListChanged": true,
        "resourceSubscriptions": ["toolgate://a/docs://a", "toolgate://b/docs://a"] });
    let granted = json!({ "toolsListChanged": true, "resourceSubscriptions": ["docs://a"] });
    let (mut reply, (of_a, mut from_a), (of_b, mut from_b)) = tokio::join!(
        listen(&gate, wanted),
        a.subscribed(granted),
        b.subscribed(json!({ "promptsListChanged": false }))
    );
    let asked = json!({ "toolsListChanged": true, "promptsListChanged": true, "resourceSubscriptions": ["docs://a"] });
    assert_eq!(of_a.json()["params"]["notifications"], asked);
    assert_eq!(of_b.json()["params"]["notifications"], asked);
    let first = reply.next_event().await.unwrap().json();
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    let all = json!({ "toolsListChanged": true, "resourceSubscriptions": ["toolgate://a/docs://a"] });
    assert_eq!(first["params"], json!({ "notifications": all, "_meta": { SUBSCRIPTION: "mine" } }));
    for (stream, server, id) in [(&mut from_b, "b", &of_b), (&mut from_a, "a", &of_a)] {
        let mut notice = updated("docs://a");
        notice["params"]["_meta"] = json!({ SUBSCRIPTION: id.json()["id"] });
        stream.event(&notice);
        let seen = reply.next_event().await.unwrap().json();
        let uri = format!("toolgate://{server}/docs://a");
        assert_eq!(seen["params"], json!({ "uri": uri, "_meta": { SUBSCRIPTION: "mine" } }));
    }
    drop(reply);
    from_a.hung_up().await;
    from_b.hung_up().await;
}

#[tokio::test]
async fn only_servers_that_it_concerns_hear_of_a_subscription() {
    let (gate, a, b) = two(SOME).await;
    let wanted = json!({ "resourceSubscriptions": ["toolgate://a/docs://a"] });
    let (_reply, _) =
        tokio::join!(listen(&gate, wanted), a.subscribed(json!({ "resourceSubscriptions": ["docs://a"] })));
    assert_eq!(methods(&b.recorder), [""; 0]);
    for (uri, code) in [("toolgate://a/docs://b", 1403), ("toolgate://c/docs://a", -32602), ("docs://a", -32602)] {
        let answer = listen(&gate, json!({ "resourceSubscriptions": [uri] })).await.whole().await.json();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("mine"), &json!(code)), "{uri}");
    }
    let answer = listen(&gate, json!({ "taskIds": ["a/t1"] })).await.whole().await.json();
    assert_ne!(answer["error"], Value::Null);
}

/// Tells of a change that the agent cannot see, and waits until the gateway has looked and knows. It looks again only when it has
/// done with the look before.
async fn look(fake: &Fake, stream: &mut AnswerStream) {
    let lists = || methods(&fake.recorder).iter().filter(|method| *method == "tools/list").count();
    let before = lists();
    for looks in 1..=2 {
        stream.event(&changed("tools"));
        let looked = async {
            while lists() < before + looks {
                tokio::task::yield_now().await;
            }
        };
        testkit::patiently("a look at the list", looked).await;
    }
}

#[tokio::test]
async fn a_change_that_the_agent_cannot_see_is_no_change() {
    let (gate, a, b) = two(SOME).await;
    let granted = || json!({ "toolsListChanged": true });
    let (mut reply, (of_a, mut from_a), (_, mut from_b)) =
        tokio::join!(listen(&gate, granted()), a.subscribed(granted()), b.subscribed(granted()));
    assert!(reply.next_event().await.unwrap().data.contains("acknowledged"));
    a.change(|has| has.pages[0].push(tool("hidden")));
    look(&a, &mut from_a).await;
    let mut notice = updated("docs://a");
    notice["params"]["_meta"] = json!({ SUBSCRIPTION: of_a.json()["id"] });
    from_a.event(&notice);
    assert_eq!(reply.next_event().await.unwrap().json()["method"], "notifications/resources/updated");
    b.change(|has| has.pages[0].push(tool("shown too")));
    from_b.event(&changed("tools"));
    let told = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": { "_meta": { SUBSCRIPTION: "mine" } } });
    assert_eq!(reply.next_event().await.unwrap().json(), told);
    a.change(|has| has.pages[0].push(tool("shown, at last")));
    from_a.event(&changed("tools"));
    assert_eq!(reply.next_event().await.unwrap().json(), told);
}

#[tokio::test]
async fn a_session_is_told_of_changes_of_what_it_has_listed() {
    let (gate, a, b) = two(SOME).await;
    let client = legacy(&gate).await;
    client.list_tools().await;
    let (mut reply, (_, mut from_a), _from_b) = tokio::join!(client.http().get(), a.next_stream(), b.next_stream());
    a.change(|has| has.pages[0].push(tool("hidden")));
    look(&a, &mut from_a).await;
    from_a.event(&updated("docs://a"));
    assert_eq!(reply.next_event().await.unwrap().json()["method"], "notifications/resources/updated");
    a.change(|has| drop(has.pages[0].remove(0)));
    from_a.event(&changed("tools"));
    assert_eq!(reply.next_event().await.unwrap().json(), changed("tools"));
    let of_b = methods(&b.recorder).iter().filter(|method| *method == "tools/list").count();
    assert_eq!(of_b, 1, "nothing changed there");
}

#[tokio::test]
async fn a_reload_that_changes_what_is_shown_is_told() {
    let (gate, a, b) = {
        let [a, b] = [Fake::with("a", &["shown", "other"]).await, Fake::with("b", &["shown"]).await];
        let gate = plan(&[("a", &a, SOME), ("b", &b, SOME)]).set("bounds.keepalive", "1s").start();
        (gate, a, b)
    };
    let granted = || json!({ "toolsListChanged": true });
    let (mut reply, _from_a, _from_b) =
        tokio::join!(listen(&gate, granted()), a.subscribed(granted()), b.subscribed(granted()));
    reply.next_event().await.unwrap();
    std::fs::write(gate.folder.path().join("new"), OPEN).unwrap();
    std::fs::rename(gate.folder.path().join("new"), gate.folder.path().join("a.json")).unwrap();
    assert_eq!(reply.next_event().await.unwrap().json()["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn a_server_that_is_away_or_ends_its_stream_does_not_end_the_others() {
    let [a, b] = [Fake::with("a", &["shown"]).await, Fake::with("b", &["shown"]).await];
    let gate = plan(&[("a", &a, OPEN), ("b", &b, OPEN)]).server("dead", dead(), "a.json").start();
    let granted = || json!({ "toolsListChanged": true });
    let (mut reply, (of_a, mut from_a), (_, mut from_b)) =
        tokio::join!(listen(&gate, granted()), a.subscribed(granted()), b.subscribed(granted()));
    assert!(reply.next_event().await.unwrap().data.contains("acknowledged"));
    from_a.event(&json!({ "jsonrpc": "2.0", "id": of_a.json()["id"], "result": { "resultType": "complete" } }));
    from_a.end();
    b.change(|has| has.pages[0].clear());
    from_b.event(&changed("tools"));
    assert_eq!(reply.next_event().await.unwrap().json()["method"], "notifications/tools/list_changed");
    // It is subscribed to again, and what changed meanwhile is told.
    a.change(|has| has.pages[0].clear());
    a.subscribed(granted()).await;
    assert_eq!(reply.next_event().await.unwrap().json()["method"], "notifications/tools/list_changed");
}

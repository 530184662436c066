//! The aggregate, whose servers come and go.

use serde_json::{Value, json};
use testkit::{HttpClient, McpClient};

use super::managed::Managed;
use crate::aggregate::stack::Fake;
use crate::gate::{OPEN, methods};

fn at(managed: &Managed) -> HttpClient {
    HttpClient::new(format!("http://{}/mcp", managed.gate.data))
}

async fn put(managed: &Managed, id: &str, fake: &Fake) {
    managed.put(id, json!({ "url": fake.url() }), Some("p")).await;
    managed.refresh().await;
}

async fn one() -> (Managed, Fake, Fake) {
    let [a, b] = [Fake::with("a", &["t"]).await, Fake::with("b", &["u"]).await];
    let managed = Managed::new();
    managed.policy("p", OPEN).await;
    put(&managed, "a", &a).await;
    (managed, a, b)
}

#[tokio::test]
async fn its_servers_are_those_of_now_in_sessions_of_before() {
    let (managed, a, b) = one().await;
    let client = McpClient::legacy(at(&managed)).await;
    assert_eq!(client.list_tools().await, ["a__t"]);
    put(&managed, "b", &b).await;
    assert_eq!(client.list_tools().await, ["a__t", "b__u"]);
    assert!(client.call("b__u", json!({})).await["result"].is_object());
    managed.delete("a").await;
    managed.refresh().await;
    assert_eq!(client.list_tools().await, ["b__u"]);
    assert_eq!(client.call("a__t", json!({})).await["error"]["code"], -32602, "a tool that there is not");
    let introduced = methods(&b.recorder).iter().filter(|method| *method == "initialize").count();
    assert_eq!(introduced, 1, "in one session");
    // Another server of the same id gets nothing that was the first one's.
    put(&managed, "a", &b).await;
    assert_eq!(client.list_tools().await, ["a__u", "b__u"]);
    assert!(!methods(&a.recorder).is_empty());
}

#[tokio::test]
async fn who_listens_in_a_session_is_told_when_servers_come_and_go() {
    let (managed, a, b) = one().await;
    let client = McpClient::legacy(at(&managed)).await;
    client.list_tools().await;
    let (mut stream, _of_a) = tokio::join!(client.http().get(), a.next_stream());
    put(&managed, "b", &b).await;
    let (_, mut from_b) = b.next_stream().await;
    told(&mut stream, "notifications/tools/list_changed").await;
    assert_eq!(client.list_tools().await, ["a__t", "b__u"]);
    from_b.event(
        &json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "error", "data": "of b" } }),
    );
    told(&mut stream, "notifications/message").await;
    managed.delete("b").await;
    managed.refresh().await;
    told(&mut stream, "notifications/tools/list_changed").await;
    from_b.hung_up().await;
}

#[tokio::test]
async fn who_subscribed_is_told_when_servers_come_and_go() {
    let (managed, a, b) = one().await;
    let wanted = json!({ "toolsListChanged": true });
    let client = McpClient::modern(at(&managed));
    let listen = client.start("mine", "subscriptions/listen", json!({ "notifications": wanted }));
    let (mut stream, _of_a) = tokio::join!(listen, a.subscribed(wanted.clone()));
    told(&mut stream, "notifications/subscriptions/acknowledged").await;
    put(&managed, "b", &b).await;
    let (_, from_b) = b.subscribed(wanted).await;
    let notice = told(&mut stream, "notifications/tools/list_changed").await;
    assert_eq!(notice["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "mine");
    managed.delete("b").await;
    managed.refresh().await;
    told(&mut stream, "notifications/tools/list_changed").await;
    let mut from_b = from_b;
    from_b.hung_up().await;
}

/// Waits for it; what else is said does not matter.
async fn told(stream: &mut testkit::Reply, method: &str) -> Value {
    testkit::patiently(method, async {
        loop {
            let said = stream.next_event().await.expect("the stream goes on").json();
            if said["method"] == method {
                return said;
            }
        }
    })
    .await
}

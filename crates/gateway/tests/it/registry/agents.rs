//! Agents of the store: who comes in is a matter of the same snapshot as what there is.

use gateway::NewToken;
use serde_json::{Value, json};
use store::{Agent, Token};
use testkit::{HttpClient, McpClient, Recorder};

use super::managed::{Managed, denied, only, started};
use crate::gate::{Plan, tool};

fn agent(servers: Option<&[&str]>, policies: &[(&str, &str)]) -> Agent {
    let text = |text: &&str| (*text).to_owned();
    Agent {
        labels: Default::default(),
        servers: servers.map(|servers| servers.iter().map(text).collect()),
        policies: policies.iter().map(|(server, policy)| (text(server), text(policy))).collect(),
        enabled: true,
    }
}

fn token(agent: &str) -> (NewToken, Token) {
    let new = NewToken::generate().unwrap();
    let kept = Token {
        agent: agent.to_owned(),
        prefix: new.prefix().to_owned(),
        sha256: new.sha256(),
        label: "t".to_owned(),
        expires_ms: None,
        revoked_ms: None,
        replaced_by: None,
    };
    (new, kept)
}

fn shows(managed: &Managed, server: &str, token: &NewToken) -> HttpClient {
    managed.http(server).header("Authorization", &format!("Bearer {}", token.text()))
}

async fn two() -> (Managed, Recorder) {
    let upstream = Recorder::mcp(["a", "b"].map(tool)).await;
    let managed = started(Plan::default().set("auth.mode", "tokens"));
    managed.policy("p", &only("a")).await;
    managed.policy("q", &only("b")).await;
    managed.put_before("x", &upstream, "p").await;
    managed.put_before("y", &upstream, "p").await;
    (managed, upstream)
}

fn ping() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })
}

#[tokio::test]
async fn a_token_opens_what_its_agent_may_use_until_it_is_revoked() {
    let (managed, _upstream) = two().await;
    let (shown, kept) = token("ann");
    managed.store.create("ann", agent(Some(&["x"]), &[("x", "q")])).await.unwrap();
    managed.store.create("t1", kept).await.unwrap();
    managed.refresh().await;
    let ann = McpClient::modern(shows(&managed, "x", &shown));
    assert_eq!(ann.list_tools().await, ["b"], "by a policy of her own");
    assert!(denied(&ann.call("a", json!({})).await).unwrap().contains("only b"));
    let elsewhere = shows(&managed, "y", &shown).post(&ping()).await;
    assert_eq!(elsewhere.json(), shows(&managed, "never", &shown).post(&ping()).await.json());
    managed.policy("q", &only("a")).await;
    managed.refresh().await;
    assert_eq!(ann.list_tools().await, ["a"], "by the version of now");
    managed.store.revoke_token("t1", 1, None).await.unwrap();
    managed.refresh().await;
    assert_eq!(shows(&managed, "x", &shown).post(&ping()).await.status, 401);
}

#[tokio::test]
async fn what_is_missing_of_an_agent_opens_nothing() {
    let (managed, _upstream) = two().await;
    let (of_nobody, kept) = token("nobody");
    managed.store.create("t1", kept).await.unwrap();
    let (of_ann, kept) = token("ann");
    managed.store.create("ann", agent(None, &[("x", "missing")])).await.unwrap();
    managed.store.create("t2", kept).await.unwrap();
    managed.refresh().await;
    assert_eq!(shows(&managed, "x", &of_nobody).post(&ping()).await.status, 401, "a token of no agent");
    let answer = McpClient::modern(shows(&managed, "x", &of_ann)).call("a", json!({})).await;
    assert!(denied(&answer).unwrap().contains("(no policy)"), "{answer}");
    assert_eq!(denied(&McpClient::modern(shows(&managed, "y", &of_ann)).call("a", json!({})).await), None);
    let off = Agent { enabled: false, ..agent(None, &[]) };
    managed.store.replace("ann", off, None).await.unwrap();
    managed.refresh().await;
    assert_eq!(shows(&managed, "y", &of_ann).post(&ping()).await.status, 401, "switched off");
}

#[tokio::test]
async fn a_bad_agent_keeps_all_of_it_out() {
    let (managed, _upstream) = two().await;
    managed.refresh().await;
    managed.store.create("anonymous@x", agent(None, &[])).await.unwrap();
    managed.delete("x").await;
    let why = managed.refused().await;
    assert!(why.contains("agent `anonymous@x` is not an agent id"), "{why}");
    assert!(managed.control.servers().iter().any(|server| server.id == "x"));
    let checked = managed.control.check_agent("bob", &agent(None, &[("x", "missing")]));
    assert!(checked.unwrap_err().why.contains("names the policy `missing`"));
    assert!(managed.control.check_agent("bob", &agent(None, &[("x", "p")])).is_ok());
}

/// A right that is taken away ends what goes on by it.
#[tokio::test]
async fn a_stream_ends_when_its_agent_may_not_listen_any_more() {
    let (managed, _upstream) = two().await;
    let (shown, kept) = token("ann");
    managed.store.create("ann", agent(None, &[])).await.unwrap();
    managed.store.create("t1", kept).await.unwrap();
    managed.refresh().await;
    let sse = HttpClient::new(format!("http://{}/sse/x", managed.gate.data));
    let mut stream = sse.header("Authorization", &format!("Bearer {}", shown.text())).get().await;
    assert_eq!(stream.status, 200);
    assert_eq!(stream.next_event().await.unwrap().event.as_deref(), Some("endpoint"));
    managed.store.revoke_token("t1", 1, None).await.unwrap();
    managed.refresh().await;
    testkit::patiently("the end of the stream", async { while let Ok(Some(_)) = stream.next_piece().await {} }).await;
}

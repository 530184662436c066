//! The API from the other side, as commands use it.

use console::client::{Client, ClientError, NewAgent, NewGrant, Of, Told, login};
use serde_json::json;
use testkit::patiently;

use crate::asking::{asked, waits};
use crate::relay::Relay;
use crate::stack::{STRICT, Stack};

async fn client() -> (Stack, Client) {
    let stack = Stack::start().await;
    let client = Client::new(&format!("http://{}", stack.admin), &stack.root).unwrap();
    (stack, client)
}

/// The agent made its call.
async fn used(stack: &Stack, id: &str, arguments: &str) {
    let now = console::system_clock()();
    assert!(stack.store.use_approval(id, &asked(arguments).binding, now).await.unwrap());
}

#[tokio::test]
async fn an_agent_from_its_beginning_to_its_end() {
    let (_stack, client) = client().await;
    let new = NewAgent { id: "a".into(), labels: [("team".into(), "x".into())].into(), ..NewAgent::default() };
    let told = client.add_agent(&new).await.unwrap();
    assert!(told.text().lines().last().unwrap().starts_with("tg_"), "{}", told.text());
    assert!(client.agents().await.unwrap().text().contains("team=x"));
    client.rotate("a", None, "1h", None).await.unwrap();
    assert_eq!(client.agent("a").await.unwrap().json()["tokens"].as_array().unwrap().len(), 2);
    assert_eq!(client.revoke("a", None).await.unwrap().json().as_array().unwrap().len(), 2);
    client.remove_agent("a").await.unwrap();
    let gone = client.agent("a").await.unwrap_err();
    assert!(gone.is_refusal(), "{gone}");
}

#[tokio::test]
async fn policies_and_servers() {
    let (_stack, client) = client().await;
    let bad = client.put_policy("p", "{ \"version\": \"1\",\n \"tool\": {} }", None, "").await.unwrap_err();
    assert!(bad.to_string().contains("\n  2:"), "{bad}");
    client.put_policy("p", STRICT, None, "why").await.unwrap();
    client.put_policy("p", r#"{ "version": "1" }"#, None, "").await.unwrap();
    assert_eq!(client.activate("p", 1).await.unwrap().json()[0]["active"], 1);
    assert!(!client.diff_policy("p", 1, 2).await.unwrap().text().is_empty());
    assert_eq!(client.policy("p", Some(1)).await.unwrap().text(), format!("{STRICT}\n"));
    client.add_server("s", &json!({ "url": "http://127.0.0.1:1/mcp" }), Some("p")).await.unwrap();
    assert!(client.servers().await.unwrap().text().contains("s "));
    client.server("s").await.unwrap();
    client.remove_server("s").await.unwrap();
    client.remove_policy("p").await.unwrap();
}

#[tokio::test]
async fn a_link_becomes_a_token_once() {
    let stack = Stack::without_admins("").await;
    let link = format!("http://{}{}", stack.admin, stack.console.first_login().await.unwrap().unwrap());
    let (name, token) = login(&link, "test").await.unwrap();
    assert_eq!(name, "admin");
    let client = Client::new(&format!("http://{}", stack.admin), &token).unwrap();
    assert_eq!(client.admins().await.unwrap().json().as_array().unwrap().len(), 1);
    assert!(login(&link, "test").await.unwrap_err().is_refusal());
    let told = client.add_admin("bob", console::Role::Viewer, &[], false).await.unwrap();
    let (name, token) = login(told.text().lines().last().unwrap(), "test").await.unwrap();
    assert_eq!(name, "bob", "{}", told.text());
    assert!(token.starts_with("tga_"));
    let told = client.add_admin("carl", console::Role::Viewer, &[], true).await.unwrap();
    assert!(told.text().starts_with("tga_") && told.text().lines().count() == 1, "it may go to a file as it is");
    assert!(told.aside().contains("`carl`") && !told.aside().contains("tga_"), "{}", told.aside());
}

#[tokio::test]
async fn what_is_not_there_is_said_so() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let token = format!("tga_{}", "x".repeat(43));
    let client = Client::new(&format!("http://{closed}"), &token).unwrap();
    let error = client.agents().await.unwrap_err();
    assert!(error.to_string().contains("is `toolgate serve` running there?"), "{error}");
    assert!(matches!(Client::new("http://gate.example", &token), Err(ClientError::Exposed(_))));
    assert!(matches!(Client::new("https://gate.example", "tg_x"), Err(ClientError::Token)));
}

#[tokio::test]
async fn who_watches_is_told_of_what_waits_of_what_comes_and_of_what_becomes_of_it() {
    let (stack, client) = client().await;
    let first = waits(&stack, asked("[1]")).await;
    let (say, mut said) = tokio::sync::mpsc::unbounded_channel();
    let watching = tokio::spawn(async move {
        let told = |told: Result<Told, ClientError>| {
            let told = told.unwrap();
            // Programs read one kind of object, whatever it is about.
            assert!(told.json()["arguments"].is_string() && told.json()["votes"].is_array(), "{}", told.json());
            say.send(told.text()).is_ok()
        };
        client.watch_approvals(told).await
    });
    let mut next = async || patiently("something to be told", said.recv()).await.unwrap();
    assert!(next().await.starts_with(&format!("{first} bot wants tools/call send at s")));
    let second = waits(&stack, asked("[2]")).await;
    assert!(next().await.starts_with(&second));
    stack.api().post(&format!("/api/v1/approvals/{first}/deny"), &json!({})).await;
    assert_eq!(next().await, format!("{first} is denied\n"));
    stack.api().post(&format!("/api/v1/approvals/{second}/approve"), &json!({})).await;
    assert_eq!(next().await, format!("{second} is approved\n"));
    used(&stack, &second, "[2]").await;
    assert!(next().await.starts_with(&format!("{second} was approved, and the call was made at 2")));
    // Whoever may listen no longer is told so, and it is over.
    drop(said);
    waits(&stack, asked("[3]")).await;
    patiently("the end", watching).await.unwrap().unwrap();
}

#[tokio::test]
async fn calls_are_decided_by_commands() {
    let (stack, client) = client().await;
    let (yes, no, more) =
        (waits(&stack, asked("[1]")).await, waits(&stack, asked("[2]")).await, waits(&stack, asked("[3]")).await);
    let of = Of { state: Some("pending".into()), agent: Some("bot".into()), server: Some("s".into()) };
    assert_eq!(client.approvals(&of).await.unwrap().json().as_array().unwrap().len(), 3);
    assert!(
        client
            .approvals(&Of { agent: Some("other".into()), ..of })
            .await
            .unwrap()
            .json()
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert!(client.approval(&yes).await.unwrap().text().contains("Mail leaves the house."));
    assert_eq!(client.approve(&yes, Some("fine")).await.unwrap().text(), format!("{yes} is approved\n"));
    assert_eq!(client.deny(&no, None).await.unwrap().text(), format!("{no} is denied\n"));
    assert!(client.approve(&no, None).await.unwrap_err().is_refusal());
    used(&stack, &yes, "[1]").await;
    let shown = client.approval(&yes).await.unwrap().text();
    assert!(shown.lines().any(|line| line.starts_with("made  ")) && !shown.contains("in vain"), "{shown}");
    let long = NewGrant { require: "[]".into(), uses: 2, lasting: "31d".into(), reason: None };
    let refused = client.grant(&more, &long).await.unwrap_err().to_string();
    assert_eq!(refused, "`/for`: must be a duration such as `1h` or `7d`, up to 30 days");
    let new = NewGrant { require: "[]".into(), uses: 2, lasting: "1h".into(), reason: None };
    let made = client.grant(&more, &new).await.unwrap();
    assert!(made.text().contains("any arguments"), "{}", made.text());
    let id = made.json()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(client.grants(&Of::default()).await.unwrap().json()[0]["state"], "live");
    assert_eq!(client.revoke_grant(&id).await.unwrap().json()[0]["state"], "revoked");
}

#[tokio::test]
async fn who_watches_is_told_what_came_while_the_gateway_was_not_heard() {
    let stack = Stack::start().await;
    let relay = Relay::to(stack.admin).await;
    let client = Client::new(&format!("http://{}", relay.at), &stack.root).unwrap();
    let first = waits(&stack, asked("[1]")).await;
    let (say, mut said) = tokio::sync::mpsc::unbounded_channel();
    let told = move |told: Result<Told, ClientError>| say.send(told.map(|told| told.text())).is_ok();
    let watching = tokio::spawn(async move { client.watch_approvals(told).await });
    let mut next = async || patiently("something to be told", said.recv()).await.unwrap();
    assert!(next().await.unwrap().starts_with(&first));
    relay.cut();
    let lost = next().await.unwrap_err();
    assert!(!lost.is_refusal(), "{lost}");
    let second = waits(&stack, asked("[2]")).await;
    stack.api().post(&format!("/api/v1/approvals/{first}/approve"), &json!({})).await;
    used(&stack, &first, "[1]").await;
    let (new, made) = (format!("{second} bot wants"), format!("{first} was approved, and the call was made"));
    let mut told: Vec<String> = Vec::new();
    while ![&new, &made].iter().all(|said| told.iter().any(|told| told.starts_with(*said))) {
        told.push(next().await.unwrap());
    }
    assert!(!told.iter().any(|told| told.starts_with(&format!("{first} bot wants"))), "not again: {told:?}");
    watching.abort();
}

#[tokio::test]
async fn who_may_not_watch_is_told_so_at_once() {
    let stack = Stack::start().await;
    let client = Client::new(&format!("http://{}", stack.admin), &format!("tga_{}", "x".repeat(43))).unwrap();
    let refused = patiently("an answer", client.watch_approvals(|_| true)).await.unwrap_err();
    assert!(refused.is_refusal(), "{refused}");
}

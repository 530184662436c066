//! The same through `/mcp`: states, tasks and questions wear the aggregate's names there.

use testkit::McpClient;

use super::*;
use crate::approvals::{code, runs};
use crate::duplex::legacy_call;

fn all(office: &Office) -> HttpClient {
    HttpClient::new(format!("http://{}/mcp", office.gate.data))
}

#[tokio::test]
async fn a_page_and_its_state() {
    let upstream = server().await;
    let office = Office::before(&upstream, WIRE);
    let message = call(&pages(), "s__pay", json!({ "n": 1 }));
    let asked = say(&all(&office), &message).await;
    assert_eq!(question(&asked)["mode"], "url");
    let retry = back(&message, &asked, &json!({ "action": "accept" }));
    office.approve(&about_approval(&asked)).await;
    assert_eq!(code(&say(&all(&office), &retry).await), "ran");
    assert_eq!(code(&say(&all(&office), &retry).await), "approval.used");
    let mut at_the_mount = retry.clone();
    at_the_mount["params"]["name"] = json!("pay");
    assert_ne!(
        code_or_error(&office.say(&at_the_mount).await),
        "ran",
        "a state of the aggregate is none of the mount's"
    );
    let mut changed = retry;
    changed["params"]["arguments"]["n"] = json!(2);
    assert_eq!(code(&say(&all(&office), &changed).await), "approval.changed");
    assert_eq!(runs(&upstream, "pay"), 1);
}

fn code_or_error(answer: &Value) -> String {
    match answer["error"]["code"].as_i64() {
        Some(code) => code.to_string(),
        None => code(answer).to_owned(),
    }
}

#[tokio::test]
async fn a_task() {
    let upstream = server().await;
    let office = Office::before(&upstream, WIRE);
    let made = say(&all(&office), &call(&tasks(), "s__pay", json!({}))).await;
    let task = made["result"]["taskId"].as_str().unwrap_or_else(|| panic!("{made}"));
    let get = about(task, "tasks/get");
    assert_eq!(say(&all(&office), &get).await["result"]["status"], "working");
    office.approve(&about_approval(&made)).await;
    for _ in 0..2 {
        let told = say(&all(&office), &get).await;
        assert_eq!(
            (&told["result"]["status"], &told["result"]["taskId"]),
            (&json!("completed"), &json!(task)),
            "{told}"
        );
    }
    assert_eq!(runs(&upstream, "pay"), 1);
}

#[tokio::test]
async fn rounds_of_an_approved_call() {
    let upstream = server().await;
    let office = Office::before(&upstream, ASKING);
    let message = call(&json!({ "elicitation": { "form": {}, "url": {} } }), "s__ask", json!({}));
    let asked = say(&all(&office), &message).await;
    office.approve(&about_approval(&asked)).await;
    let mut answer = say(&all(&office), &back(&message, &asked, &json!({ "action": "accept" }))).await;
    for _ in 0..2 {
        let retry = back(&message, &answer, &json!({ "action": "accept", "content": {} }));
        answer = say(&all(&office), &retry).await;
        assert_eq!(code(&say(&all(&office), &retry).await), "approval.used");
    }
    assert_eq!((code(&answer), runs(&upstream, "ask")), ("ran", 3));
}

#[tokio::test]
async fn a_legacy_client_is_named_the_page_or_asked() {
    let upstream = Recorder::mcp(["pay", "own"].map(tool)).await;
    let office = Office::before(&upstream, WIRE);
    let client = McpClient::legacy_with(all(&office), "2025-11-25", pages()).await;
    let answer = client.http().post_streamed(&legacy_call("x", "s__pay", json!({}))).await.answer_to(&json!("x")).await;
    assert_eq!((&answer["error"]["code"], code(&answer)), (&json!(-32042), "approval.required"), "{answer}");

    let client = McpClient::legacy_with(all(&office), "2025-11-25", forms()).await;
    let mut reply = client.http().post_streamed(&legacy_call("y", "s__own", json!({}))).await;
    let question = reply.next_event().await.unwrap().json();
    assert_eq!(question["method"], "elicitation/create", "{question}");
    let yes = json!({ "jsonrpc": "2.0", "id": question["id"], "result": yes() });
    assert_eq!(client.http().post(&yes).await.status, 202);
    assert_eq!((code(&reply.answer_to(&json!("y")).await), runs(&upstream, "own")), ("ran", 1));
}

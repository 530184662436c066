//! Grants: more calls like one that waits.

use console::Role;
use serde_json::{Value, json};
use store::{ApprovalState, Asked};

use crate::asking::{MINUTES, approval, asked, waits};
use crate::audit::acts;
use crate::stack::{Stack, problem, text};

const SMALL: &str = r#"{ "conditions": [{ "path": "args.n", "op": "lte", "value": 10 }] }"#;

fn grant(require: &[&str]) -> Value {
    let require: Vec<Value> = require.iter().map(|one| serde_json::from_str(one).unwrap()).collect();
    json!({ "require": require, "uses": 3, "for": "1h" })
}

#[tokio::test]
async fn a_grant_approves_the_call_and_lets_more_like_it_pass_until_it_is_revoked() {
    let stack = Stack::start().await;
    let ann = stack.as_token(&stack.token("ann", Role::Approver).await);
    let id = waits(&stack, asked(r#"{"n":7}"#)).await;
    let made = ann.post(&format!("/api/v1/approvals/{id}/grant"), &grant(&[SMALL])).await;
    assert_eq!(made.status, 201, "{}", text(&made));
    let (location, made) = (made.header("location").unwrap().to_owned(), made.json());
    for (member, expected) in [
        ("state", json!("live")),
        ("agent", json!("bot")),
        ("server", json!("s")),
        ("method", json!("tools/call")),
        ("subject", json!("send")),
        ("uses", json!(3)),
        ("used", json!(0)),
        ("made_by", json!("ann")),
        ("approval", json!(id)),
        ("policy", json!("d3".repeat(32))),
        ("definition", json!("d2".repeat(32))),
        ("require", json!([serde_json::from_str::<Value>(SMALL).unwrap()])),
    ] {
        assert_eq!(made[member], expected, "{member}");
    }
    assert_eq!(approval(&stack, &id).await.state, ApprovalState::Approved);
    let now = console::system_clock()() + 1_000;
    let live = || stack.store.matching_grants("bot", "s", "tools/call", "send", now);
    let scope: Value = serde_json::from_str(&live().await.unwrap()[0].scope).unwrap();
    assert_eq!(
        scope,
        json!({ "version": "1", "default": "deny", "tools": { "send": { "require": made["require"] } } })
    );
    let viewer = stack.as_token(&stack.token("v", Role::Viewer).await);
    assert_eq!(viewer.get("/api/v1/grants?agent=bot").await.json()["items"], json!([made]));
    assert_eq!(viewer.get(&location).await.json(), made);
    for _ in 0..2 {
        let revoked = ann.delete(&location).await;
        assert_eq!((revoked.status, &revoked.json()["state"]), (200, &json!("revoked")), "{}", text(&revoked));
    }
    assert!(live().await.unwrap().is_empty());
    let told: Vec<String> = acts(&stack).iter().map(|act| format!("{} {}", act["action"], act["outcome"])).collect();
    let deeds = ["approval.approve", "grant.create", "grant.revoke"];
    let expected = deeds.iter().flat_map(|deed| ["begun", "done"].map(|outcome| format!("\"{deed}\" \"{outcome}\"")));
    assert_eq!(told, expected.collect::<Vec<_>>());
    problem(&ann.delete("/api/v1/grants/none").await, 404, "not_found");
}

#[tokio::test]
async fn what_a_grant_says_is_looked_at_and_any_arguments_must_be_said() {
    let stack = Stack::start().await;
    let id = waits(&stack, asked(r#"{"n":7}"#)).await;
    let path = format!("/api/v1/approvals/{id}/grant");
    let large = r#"{ "conditions": [{ "path": "args.n", "op": "gt", "value": 10 }] }"#;
    let broken = r#"{ "conditions": [{ "path": "args.n", "op": "about", "value": 10 }] }"#;
    for (post, place) in [
        (grant(&[SMALL, large]), "/require/1"),
        (grant(&[SMALL, broken]), "/require/1"),
        (grant(&["7"]), "/require/0"),
        (grant(&[SMALL, r#"{ "conditions": [] }"#]), "/require/1"),
        (grant(&[r#"{ "conditions": [{ "all": [] }] }"#]), "/require/0"),
        (json!({ "uses": 3, "for": "1h" }), ""),
        (json!({ "require": [], "uses": 0, "for": "1h" }), "/uses"),
        (json!({ "require": [], "uses": 10_001, "for": "1h" }), "/uses"),
        (json!({ "require": [], "uses": 1, "for": "31d" }), "/for"),
        (json!({ "require": [], "uses": 1, "for": "0s" }), "/for"),
        (json!({ "require": vec![json!({ "conditions": [] }); 65], "uses": 1, "for": "1h" }), "/require"),
    ] {
        let refused = problem(&stack.api().post(&path, &post).await, 422, "invalid");
        let at = refused["errors"][0]["path"].as_str().unwrap();
        assert!(at == place || (!place.is_empty() && at.starts_with(&format!("{place}/"))), "{at} {refused}");
    }
    assert_eq!(approval(&stack, &id).await.state, ApprovalState::Pending, "nothing of that was done");
    let made = stack.api().post(&path, &json!({ "require": [], "uses": 1, "for": "30d" })).await;
    assert_eq!((made.status, &made.json()["require"]), (201, &json!([])), "{}", text(&made));
    problem(&stack.api().post(&path, &grant(&[])).await, 409, "decided");
}

#[tokio::test]
async fn nobody_grants_what_they_may_not_decide_alone() {
    let stack = Stack::start().await;
    let ann = stack.as_token(&stack.token("ann", Role::Approver).await);
    let two = waits(&stack, Asked { quorum: 2, ..asked("[1]") }).await;
    problem(&ann.post(&format!("/api/v1/approvals/{two}/grant"), &grant(&[])).await, 409, "quorum");
    let others = waits(&stack, Asked { approvers: vec!["leads".into()], ..asked("[2]") }).await;
    problem(&ann.post(&format!("/api/v1/approvals/{others}/grant"), &grant(&[])).await, 403, "may_not_decide");
    let over = waits(&stack, asked("[3]")).await;
    stack.later(15 * MINUTES);
    problem(&ann.post(&format!("/api/v1/approvals/{over}/grant"), &grant(&[])).await, 409, "expired");
    let none = stack.api().get("/api/v1/grants").await.json();
    assert_eq!(none["items"], json!([]));
    assert_eq!(approval(&stack, &two).await.votes, []);
}

#[tokio::test]
async fn a_name_that_is_no_plain_key_grants_itself_and_nothing_else() {
    let stack = Stack::start().await;
    for (n, subject) in ["a\"b", "a/b~c", "a{}", "x?y"].into_iter().enumerate() {
        let id = waits(&stack, Asked { subject: subject.into(), ..asked(&format!("[{n}]")) }).await;
        let made = stack.api().post(&format!("/api/v1/approvals/{id}/grant"), &grant(&[])).await;
        assert_eq!(made.status, 201, "{subject}: {}", text(&made));
        assert_eq!(made.json()["subject"], subject);
    }
    // As a key of a policy it would be every tool, and list none.
    let id = waits(&stack, Asked { subject: "*".into(), ..asked("[9]") }).await;
    problem(&stack.api().post(&format!("/api/v1/approvals/{id}/grant"), &grant(&[])).await, 422, "invalid");
    let other = waits(&stack, Asked { method: "completion/complete".into(), ..asked("[10]") }).await;
    problem(&stack.api().post(&format!("/api/v1/approvals/{other}/grant"), &grant(&[])).await, 409, "not_available");
}

#[tokio::test]
async fn what_limits_nothing_is_never_shown_as_if_it_did() {
    let stack = Stack::start().await;
    let scope =
        format!(r#"{{"version":"1","default":"deny","tools":{{"send":{{"require":[{{"conditions":[]}},{SMALL}]}}}}}}"#);
    let grant = store::Grant {
        id: "g1".into(),
        agent: "bot".into(),
        server: "s".into(),
        method: "tools/call".into(),
        subject: "send".into(),
        scope,
        definition: None,
        policy: "d3".repeat(32),
        max_uses: 3,
        used: 0,
        created_ms: 10,
        expires_ms: i64::MAX,
        revoked_ms: None,
        made_by: "root".into(),
        approval: "a1".into(),
    };
    stack.store.create_grant("g1", &grant, None).await.unwrap();
    let bare = store::Grant { scope: grant.scope.replace(&format!(",{SMALL}"), ""), ..grant };
    stack.store.create_grant("g2", &bare, None).await.unwrap();
    let small: Value = serde_json::from_str(SMALL).unwrap();
    for (id, require) in [("g1", json!([small])), ("g2", json!([]))] {
        assert_eq!(stack.api().get(&format!("/api/v1/grants/{id}")).await.json()["require"], require, "{id}");
    }
}

#[tokio::test]
async fn a_grant_goes_with_its_makers_right_to_decide() {
    let stack = Stack::start().await;
    let ann = stack.as_token(&stack.token("ann", Role::Approver).await);
    let id = waits(&stack, asked(r#"{"n":7}"#)).await;
    let made = ann.post(&format!("/api/v1/approvals/{id}/grant"), &grant(&[])).await.json();
    let at = format!("/api/v1/grants/{}", made["id"].as_str().unwrap());
    let groups = json!({ "role": "admin", "groups": ["leads"] });
    assert_eq!(stack.api().seen("*").put("/api/v1/admins/ann", &groups).await.status, 200);
    assert_eq!(stack.api().get(&at).await.json()["state"], "live");
    assert_eq!(stack.api().seen("*").put("/api/v1/admins/ann", &json!({ "role": "viewer" })).await.status, 200);
    assert_eq!(stack.api().get(&at).await.json()["state"], "revoked");
    assert_eq!(approval(&stack, &id).await.state, ApprovalState::Expired, "it was approved, and not made");
}

//! Calls that wait: who sees them, who decides, and what is said of those that cannot be decided.

use console::Role;
use serde_json::{Value, json};
use store::{ApprovalState, Asked};

use crate::asking::{MINUTES, approval, asked, waits};
use crate::audit::acts;
use crate::stack::{Api, Stack, problem, text};

async fn approver(stack: &Stack, name: &str) -> Api {
    stack.as_token(&stack.token(name, Role::Approver).await)
}

async fn says(api: &Api, id: &str, verdict: &str) -> testkit::RawResponse {
    api.post(&format!("/api/v1/approvals/{id}/{verdict}"), &json!({ "reason": "because" })).await
}

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_newest_come_first_in_pages_that_hold_everything_once() {
    let stack = Stack::start().await;
    let mut made = Vec::new();
    for n in 0..20 {
        made.push(waits(&stack, Asked { agent: format!("bot{}", n % 2), ..asked(&format!("[{n}]")) }).await);
    }
    for limit in [1, 7, 20, 200] {
        let (mut seen, mut more) = (Vec::new(), String::new());
        loop {
            let page = stack.api().get(&format!("/api/v1/approvals?state=pending&limit={limit}{more}")).await.json();
            let found: Vec<String> = ids(&page).into_iter().map(str::to_owned).collect();
            assert!(found.len() <= limit, "{page}");
            let order = page["items"].as_array().unwrap().iter().map(|item| item["created"].as_str().unwrap());
            assert!(order.is_sorted_by(|a, b| a >= b), "{page}");
            seen.extend(found);
            match page["next"].as_str() {
                Some(next) => more = format!("&cursor={next}"),
                None => break,
            }
        }
        seen.sort_unstable();
        let mut all = made.clone();
        all.sort_unstable();
        assert_eq!(seen, all, "{limit}");
    }
    let of_one = stack.api().get("/api/v1/approvals?agent=bot1&server=s").await.json();
    assert_eq!(ids(&of_one).len(), 10);
    assert!(ids(&stack.api().get("/api/v1/approvals?state=used").await.json()).is_empty());
    assert_eq!(ids(&stack.api().get("/api/v1/approvals?state=all").await.json()).len(), 20);
    for (query, path) in
        [("state=maybe", "query"), ("agent=%00", "agent"), ("limit=0", "limit"), ("cursor=x", "cursor")]
    {
        let refused = problem(&stack.api().get(&format!("/api/v1/approvals?{query}")).await, 422, "invalid");
        assert_eq!(refused["errors"][0]["path"], path, "{query}");
    }
}

#[tokio::test]
async fn all_of_the_arguments_are_seen_and_what_hides_is_written_out() {
    let stack = Stack::start().await;
    let long = "x".repeat(200_000);
    let arguments = format!("{{\"to\":\"a\u{202e}b\",\"text\":\"{long}\",\"esc\":\"\\u001b[2J\",\"n\":1.000}}");
    let id = waits(&stack, asked(&arguments)).await;
    let viewer = stack.as_token(&stack.token("v", Role::Viewer).await);
    let listed = viewer.get("/api/v1/approvals").await;
    assert!(listed.body.len() < 2_000, "no list has all of them");
    let item = &listed.json()["items"][0];
    assert!(item["preview"].as_str().unwrap().starts_with("{\"to\": \"a\\u{202e}b\""), "{item}");
    assert_eq!(item["bytes"], arguments.len());
    let seen = viewer.get(&format!("/api/v1/approvals/{id}")).await.json();
    assert_eq!(seen["arguments"], arguments.as_str());
    let shown = seen["arguments_shown"].as_str().unwrap();
    assert!(shown.contains(&long) && shown.contains("\"to\": \"a\\u{202e}b\"") && shown.contains("\"n\": 1.000"));
    assert!(!shown.contains('\u{202e}'));
    assert_eq!(seen["warnings"].as_array().unwrap().len(), 2, "{}", seen["warnings"]);
    for (member, expected) in [
        ("agent", json!("bot")),
        ("owner", json!("olga")),
        ("subject", json!("send")),
        ("rule", json!("/tools/send")),
        ("reason", json!("Mail leaves the house.")),
        ("policy", json!("d3".repeat(32))),
        ("definition", json!("d2".repeat(32))),
        ("digest", json!("d1".repeat(32))),
        ("redeemable", json!(false)),
        ("why_not_redeemable", json!("the server is not there any more, or this agent may not use it")),
        ("may_decide", json!(false)),
        ("votes", json!([])),
    ] {
        assert_eq!(seen[member], expected, "{member}");
    }
    assert!(seen["why_not"].as_str().unwrap().contains("viewer"), "{}", seen["why_not"]);
    problem(&viewer.get("/api/v1/approvals/none").await, 404, "not_found");
    problem(&viewer.get("/api/v1/approvals/%00").await, 404, "not_found");
}

#[tokio::test]
async fn an_approver_decides_once_and_on_record() {
    let stack = Stack::start().await;
    let ann = approver(&stack, "ann").await;
    let (yes, no) = (waits(&stack, asked("[1]")).await, waits(&stack, asked("[2]")).await);
    let said = says(&ann, &yes, "approve").await;
    assert_eq!((said.status, &said.json()["state"]), (200, &json!("approved")), "{}", text(&said));
    assert_eq!(says(&ann, &no, "deny").await.json()["state"], "denied");
    let kept = approval(&stack, &no).await;
    assert_eq!((kept.state, kept.votes[0].by.as_str()), (ApprovalState::Denied, "ann"));
    assert_eq!(kept.votes[0].reason.as_deref(), Some("because"));
    for (id, verdict, state) in [(&yes, "approve", "approved"), (&yes, "deny", "approved"), (&no, "approve", "denied")]
    {
        let late = problem(&says(&stack.api(), id, verdict).await, 409, "decided");
        assert_eq!(late["state"], state);
        assert!(late["detail"].as_str().unwrap().contains("`ann`"), "{late}");
    }
    assert_eq!(approval(&stack, &yes).await.state, ApprovalState::Approved, "who is late changes nothing");
    let told: Vec<String> = acts(&stack)
        .iter()
        .map(|act| format!("{} {} {} {}", act["admin"], act["action"], act["id"], act["outcome"]))
        .collect();
    let expected =
        [("approve", "begun", &yes), ("approve", "done", &yes), ("deny", "begun", &no), ("deny", "done", &no)]
            .map(|(verdict, outcome, id)| format!("\"ann\" \"approval.{verdict}\" \"{id}\" \"{outcome}\""));
    assert_eq!(told, expected);
}

#[tokio::test]
async fn what_is_over_is_not_decided_any_more() {
    let stack = Stack::start().await;
    let id = waits(&stack, asked("[1]")).await;
    stack.later(15 * MINUTES);
    assert_eq!(stack.api().get(&format!("/api/v1/approvals/{id}")).await.json()["state"], "expired");
    assert!(ids(&stack.api().get("/api/v1/approvals?state=pending").await.json()).is_empty());
    for verdict in ["approve", "deny"] {
        assert_eq!(problem(&says(&stack.api(), &id, verdict).await, 409, "expired")["state"], "expired");
    }
    assert!(approval(&stack, &id).await.votes.is_empty());
}

#[tokio::test]
async fn a_quorum_is_of_different_people_and_one_no_is_enough() {
    let stack = Stack::start().await;
    let (ann, bob) = (approver(&stack, "ann").await, approver(&stack, "bob").await);
    let two = |arguments: &str| Asked { quorum: 2, ..asked(arguments) };
    let (yes, no) = (waits(&stack, two("[1]")).await, waits(&stack, two("[2]")).await);
    let first = says(&ann, &yes, "approve").await.json();
    assert_eq!((&first["state"], &first["approvals"], &first["quorum"]), (&json!("pending"), &json!(1), &json!(2)));
    let again = problem(&says(&ann, &yes, "approve").await, 409, "voted");
    assert_eq!((&again["state"], again["detail"].as_str().unwrap().contains("1 of 2")), (&json!("pending"), true));
    assert_eq!(says(&bob, &yes, "approve").await.json()["state"], "approved");
    assert_eq!(says(&ann, &no, "approve").await.json()["state"], "pending");
    assert_eq!(says(&bob, &no, "deny").await.json()["state"], "denied");
}

#[tokio::test]
async fn only_those_decide_whom_the_rule_lets() {
    let stack = Stack::start().await;
    let ann = approver(&stack, "ann").await;
    let leads = stack.as_token(&stack.token_in("lea", Role::Approver, &["leads"]).await);
    let olga = stack.as_token(&stack.token_in("olga", Role::Admin, &["leads"]).await);
    let named = |arguments: &str| Asked { approvers: vec!["leads".into(), "zoe".into()], ..asked(arguments) };
    let id = waits(&stack, named("[1]")).await;
    for (api, why) in [(&ann, "not_an_approver"), (&stack.api(), "not_an_approver"), (&olga, "self_approval")] {
        for verdict in ["approve", "deny"] {
            let refused = problem(&says(api, &id, verdict).await, 403, "may_not_decide");
            assert_eq!(refused["why"], why, "{refused}");
        }
    }
    let seen = olga.get(&format!("/api/v1/approvals/{id}")).await.json();
    assert_eq!((&seen["may_decide"], seen["why_not"].is_string()), (&json!(false), true));
    let refused: Vec<_> = acts(&stack).into_iter().filter(|act| act["code"] == "may_not_decide").collect();
    assert_eq!(
        (refused.len(), &refused[0]["action"], &refused[0]["outcome"]),
        (6, &json!("approval.approve"), &json!("refused"))
    );
    assert_eq!(leads.get(&format!("/api/v1/approvals/{id}")).await.json()["may_decide"], true);
    assert_eq!(says(&leads, &id, "approve").await.json()["state"], "approved");
    // Where the rule lets who asks approve, that is no bar.
    let own = waits(&stack, Asked { self_approval: true, ..named("[2]") }).await;
    assert_eq!(says(&olga, &own, "approve").await.json()["state"], "approved");
    let token = stack.token("bot", Role::Approver).await;
    let same = waits(&stack, asked("[3]")).await;
    problem(&says(&stack.as_token(&token), &same, "approve").await, 403, "may_not_decide");
}

#[tokio::test]
async fn a_word_under_a_key_is_said_once_and_answered_alike() {
    let stack = Stack::start().await;
    let id = waits(&stack, asked(&format!("[\"{}\"]", "\u{202e}".repeat(80_000)))).await;
    let ann = approver(&stack, "ann").await.with("idempotency-key", "k");
    let (first, again) = (says(&ann, &id, "approve").await, says(&ann, &id, "approve").await);
    assert_eq!((first.status, &first.json()["state"]), (200, &json!("approved")), "{}", text(&first));
    assert_eq!((first.status, text(&first)), (again.status, text(&again)));
    problem(&says(&ann, &id, "deny").await, 422, "key_reused");
}

#[tokio::test]
async fn reasons_have_bounds() {
    let stack = Stack::start().await;
    let id = waits(&stack, asked("[1]")).await;
    for reason in ["x".repeat(1_001), "a\0b".into()] {
        let refused = stack.api().post(&format!("/api/v1/approvals/{id}/deny"), &json!({ "reason": reason })).await;
        assert_eq!(problem(&refused, 422, "invalid")["errors"][0]["path"], "/reason");
    }
    problem(&stack.api().post(&format!("/api/v1/approvals/{id}/deny"), &json!({ "why": "" })).await, 422, "invalid");
    let blank = stack.api().post(&format!("/api/v1/approvals/{id}/deny"), &json!({ "reason": " " })).await.json();
    assert_eq!((&blank["state"], &approval(&stack, &id).await.votes[0].reason), (&json!("denied"), &None));
}

#[tokio::test]
async fn groups_are_set_and_seen() {
    let stack = Stack::start().await;
    let put = json!({ "role": "approver", "groups": ["ml-leads", "on call", "ml-leads"] });
    let seen = stack.api().make("/api/v1/admins/ann", &put).await;
    let groups = json!(["ml-leads", "on call"]);
    assert_eq!(stack.api().get("/api/v1/admins/ann").await.json()["groups"], groups);
    assert_eq!(stack.api().get("/api/v1/admins").await.json()["items"][0]["groups"], groups);
    for wrong in [json!([""]), json!([" a"]), json!(["a\u{202e}"]), json!(["x".repeat(129)])] {
        let put = json!({ "role": "approver", "groups": wrong });
        let refused = stack.api().seen(&seen).put("/api/v1/admins/ann", &put).await;
        assert_eq!(problem(&refused, 422, "invalid")["errors"][0]["path"], "/groups/0");
    }
    let many: Vec<String> = (0..33).map(|n| n.to_string()).collect();
    let refused =
        stack.api().seen(&seen).put("/api/v1/admins/ann", &json!({ "role": "approver", "groups": many })).await;
    problem(&refused, 422, "invalid");
    let lea = stack.as_token(&stack.token_in("lea", Role::Viewer, &["a"]).await);
    assert_eq!(lea.get("/api/v1/me").await.json()["groups"], json!(["a"]));
}

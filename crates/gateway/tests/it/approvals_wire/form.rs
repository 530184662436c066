//! A form for the client's own user, where the rule lets who asks approve.

use store::ApprovalState;

use super::*;
use crate::approvals::{code, plan, runs, ticket};
use crate::identity::{Known, known};

#[tokio::test]
async fn a_yes_of_its_own_user_runs_the_call_once() {
    let upstream = server().await;
    let office = Office::before(&upstream, WIRE);
    let message = call(&forms(), "own", json!({ "to": "\u{202e}ann" }));
    let asked = office.say(&message).await;
    let (id, shown) = (about_approval(&asked), question(&asked));
    assert_eq!(shown["mode"], "form");
    assert_eq!(shown["requestedSchema"]["properties"]["approve"]["type"], "boolean");
    assert!(
        shown["message"].as_str().unwrap().contains(r#"{"to":"\u{202e}ann"}"#),
        "what would run, to the letter: {shown}"
    );
    let retry = back(&message, &asked, &yes());
    assert_eq!(code(&office.say(&retry).await), "ran");
    let approval = office.store.approval(&id).await.unwrap().unwrap();
    assert_eq!((approval.state, approval.votes[0].by.as_str()), (ApprovalState::Used, "agent:anonymous@127.0.0.1"));
    assert_eq!(code(&office.say(&retry).await), "approval.used");
    let sent = sent(&upstream);
    assert_eq!((sent.len(), &sent[0]["inputResponses"]), (1, &Value::Null));
}

#[tokio::test]
async fn a_no_denies_and_no_answer_leaves_it_open() {
    let upstream = server().await;
    let office = Office::before(&upstream, WIRE);
    for (n, response) in
        [json!({ "action": "cancel" }), json!({ "action": "accept", "content": {} }), json!({})].iter().enumerate()
    {
        let message = call(&forms(), "own", json!({ "n": n }));
        let asked = office.say(&message).await;
        let answer = office.say(&back(&message, &asked, response)).await;
        assert_eq!(ticket(&answer), about_approval(&asked));
        assert_eq!(office.state(&about_approval(&asked)).await, ApprovalState::Pending, "{response}");
    }
    for (n, response) in
        [json!({ "action": "decline" }), json!({ "action": "accept", "content": { "approve": false } })]
            .iter()
            .enumerate()
    {
        let message = call(&forms(), "own", json!({ "m": n }));
        let asked = office.say(&message).await;
        let retry = back(&message, &asked, response);
        assert_eq!(code(&office.say(&retry).await), "approval.denied", "{response}");
        // No later yes changes that.
        assert_eq!(code(&office.say(&back(&message, &asked, &yes())).await), "approval.denied");
        assert_eq!(code(&office.say(&message).await), "approval.denied");
    }
    assert_eq!(runs(&upstream, "own"), 0);
}

/// A state for a page, or for another's call, answered as if it were a form.
#[tokio::test]
async fn nobody_says_yes_where_only_others_may() {
    let upstream = server().await;
    let (alice, bob) = (Known::new("alice"), Known::new("bob"));
    let office = Office::of(known(plan(&upstream, WIRE), &[&alice, &bob]));
    let both = json!({ "elicitation": { "form": {}, "url": {} } });
    let message = call(&both, "pay", json!({}));
    let asked = say(&alice.http(&office.gate), &message).await;
    let mut retry = start(&alice.http(&office.gate), &back(&message, &asked, &yes())).await;
    assert_eq!(office.state(&about_approval(&asked)).await, ApprovalState::Pending, "that opens the page");
    office.vote(&about_approval(&asked), false, None).await;
    assert_eq!(code(&retry.next_event().await.unwrap().json()), "approval.denied");

    let message = call(&forms(), "own", json!({}));
    let asked = say(&alice.http(&office.gate), &message).await;
    let stolen = say(&bob.http(&office.gate), &back(&message, &asked, &yes())).await;
    assert_eq!(code(&stolen), "approval.changed");
    assert_eq!(office.state(&about_approval(&asked)).await, ApprovalState::Pending);
    assert_eq!(sent(&upstream).len(), 0);
}

//! A page to open, for modern clients; and what may come back with the state that they were given.

use serde_json::{Value, json};
use store::ApprovalState;

use super::*;
use crate::approvals::{ASK, code, plan, runs, ticket};
use crate::identity::{Known, known};

#[tokio::test]
async fn a_client_is_sent_to_the_page_and_comes_back_to_the_answer() {
    let upstream = server().await;
    let office = Office::before(&upstream, WIRE);
    let message = call(&pages(), "pay", json!({ "n": 1 }));
    let asked = office.say(&message).await;
    let (id, shown) = (about_approval(&asked), question(&asked));
    assert_eq!(
        (&shown["mode"], &shown["url"]),
        (&json!("url"), &json!(format!("http://{}/approvals/{id}", office.gate.admin)))
    );
    for said in ["`pay`", "`s`", "Money.", &id] {
        assert!(shown["message"].as_str().unwrap().contains(said), "{said}: {shown}");
    }
    assert_eq!((code(&asked), office.state(&id).await), ("approval.required", ApprovalState::Pending));

    let mut retry = start(&office.gate.http(), &back(&message, &asked, &json!({ "action": "accept" }))).await;
    assert_eq!(retry.header("content-type"), Some("text/event-stream"), "it waits");
    assert_eq!(runs(&upstream, "pay"), 0);
    office.approve(&id).await;
    let answer = retry.next_event().await.unwrap().json();
    assert_eq!((code(&answer), &answer["id"]), ("ran", &json!("again")));
    let sent = sent(&upstream);
    assert_eq!(sent.len(), 1);
    assert_eq!((&sent[0]["requestState"], &sent[0]["inputResponses"]), (&Value::Null, &Value::Null), "ours stays here");
    assert_eq!(office.state(&id).await, ApprovalState::Used);
}

#[tokio::test]
async fn a_state_is_good_for_one_call() {
    let upstream = server().await;
    let office = Office::before(&upstream, WIRE);
    let message = call(&pages(), "pay", json!({ "n": 1 }));
    let asked = office.say(&message).await;
    office.approve(&about_approval(&asked)).await;
    let retry = back(&message, &asked, &json!({ "action": "accept" }));
    assert_eq!(code(&office.say(&retry).await), "ran");
    for _ in 0..2 {
        assert_eq!(code(&office.say(&retry).await), "approval.used");
    }
    // Also while somebody is asked anew about an equal call.
    let anew = office.say(&message).await;
    assert_ne!(about_approval(&anew), about_approval(&asked));
    assert_eq!(code(&office.say(&retry).await), "approval.used");
    assert_eq!(runs(&upstream, "pay"), 1);
}

#[tokio::test]
async fn a_denial_and_an_end_of_time_are_told_to_who_comes_back() {
    let upstream = server().await;
    let office = Office::before(&upstream, WIRE);
    let message = call(&pages(), "pay", json!({}));
    let asked = office.say(&message).await;
    let retry = back(&message, &asked, &json!({ "action": "accept" }));
    office.vote(&about_approval(&asked), false, Some("No.")).await;
    let answer = office.say(&retry).await;
    assert_eq!((code(&answer), &decision(&answer)["reason"]), ("approval.denied", &json!("No.")));

    let message = call(&pages(), "brief", json!({}));
    let asked = office.say(&message).await;
    let retry = back(&message, &asked, &json!({ "action": "accept" }));
    let last = testkit::patiently("the time to be over", async {
        loop {
            let answer = office.say(&retry).await;
            if code(&answer) != "approval.required" {
                return answer;
            }
        }
    });
    assert_eq!(code(&last.await), "approval.expired");
    assert_eq!((runs(&upstream, "pay"), runs(&upstream, "brief")), (0, 0));
}

#[tokio::test]
async fn who_waited_in_vain_is_sent_to_the_page_again() {
    let upstream = server().await;
    let policy = WIRE.replace(r#""hold": "1m""#, r#""hold": "1s""#);
    let office = Office::before(&upstream, &policy);
    let message = call(&pages(), "pay", json!({}));
    let first = office.say(&message).await;
    let again = office.say(&back(&message, &first, &json!({ "action": "accept" }))).await;
    assert_eq!(question(&again)["url"], question(&first)["url"]);
    assert_ne!(state(&again), state(&first), "a fresh one");
    office.approve(&about_approval(&first)).await;
    // Either is for the same approval, and one of them is used.
    assert_eq!(code(&office.say(&back(&message, &again, &json!({ "action": "accept" }))).await), "ran");
    assert_eq!(code(&office.say(&back(&message, &first, &json!({ "action": "accept" }))).await), "approval.used");
}

#[tokio::test]
async fn who_does_not_open_the_page_has_the_ticket() {
    let upstream = server().await;
    let office = Office::before(&upstream, WIRE);
    let message = call(&pages(), "pay", json!({}));
    let asked = office.say(&message).await;
    for action in ["decline", "cancel"] {
        let answer = office.say(&back(&message, &asked, &json!({ "action": action }))).await;
        assert_eq!((ticket(&answer), &answer["result"]["isError"]), (about_approval(&asked), &json!(true)));
    }
    assert_eq!(office.state(&about_approval(&asked)).await, ApprovalState::Pending, "others may decide");
}

#[tokio::test]
async fn a_state_opens_for_the_very_call_that_it_was_given_for() {
    let upstream = server().await;
    let (alice, bob) = (Known::new("alice"), Known::new("bob"));
    let two = plan(&upstream, WIRE).server("z", upstream.url("/mcp"), "policy.json");
    let office = Office::of(known(two, &[&alice, &bob]));
    let message = call(&pages(), "pay", json!({ "n": 1.0, "m": [1] }));
    let asked = say(&alice.http(&office.gate), &message).await;
    office.approve(&about_approval(&asked)).await;
    let retry = back(&message, &asked, &json!({ "action": "accept" }));
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut changed = retry.clone();
        change(&mut changed["params"]);
        changed
    };
    let elsewhere = alice.shows(HttpClient::new(office.gate.url("z")));
    let here = alice.http(&office.gate);
    for (http, message) in [
        (&here, changed(&|params| params["arguments"]["n"] = json!(1))),
        (&here, changed(&|params| params["arguments"]["x"] = json!(1))),
        (&here, changed(&|params| params["name"] = json!("own"))),
        // What needs no approval is not what was approved either.
        (&here, changed(&|params| params["name"] = json!("free"))),
        (&elsewhere, retry.clone()),
        (&bob.http(&office.gate), retry.clone()),
    ] {
        assert_eq!(code(&say(http, &message).await), "approval.changed", "{message}");
    }
    let prompt = request(&pages(), "prompts/get", json!({ "name": "greet", "requestState": state(&asked) }));
    assert_eq!(code(&say(&here, &prompt).await), "approval.changed");
    assert_eq!(sent(&upstream).len(), 0);
    // Spelled otherwise, it is the same.
    assert_eq!(code(&say(&here, &changed(&|params| params["arguments"] = json!({ "m": [1], "n": 1.0 }))).await), "ran");
}

#[tokio::test]
async fn a_state_that_nobody_gave_out_is_refused() {
    let upstream = server().await;
    let office = Office::before(&upstream, WIRE);
    let message = call(&pages(), "pay", json!({}));
    let asked = office.say(&message).await;
    office.approve(&about_approval(&asked)).await;
    let ours = state(&asked).to_owned();
    let (bent, cut) = (ours.replacen(&ours[40..44], "AAAA", 1), &ours[..ours.len() - 4]);
    let other = Office::before(&upstream, WIRE);
    let others = other.say(&message).await;
    for forged in [LIKE_OURS, "tgas1.", "tgas1.!", &bent, cut, &format!("{ours}AAAA"), state(&others)] {
        for tool in ["pay", "free"] {
            let mut retry = back(&message, &asked, &json!({ "action": "accept" }));
            retry["params"]["name"] = json!(tool);
            retry["params"]["requestState"] = json!(forged);
            let answer = office.say(&retry).await;
            assert_eq!(answer["error"]["code"], -32602, "{forged}: {answer}");
        }
    }
    assert_eq!(sent(&upstream).len(), 0);
}

#[tokio::test]
async fn a_changed_policy_makes_it_another_call() {
    let upstream = server().await;
    let office = Office::before(&upstream, WIRE);
    let message = call(&pages(), "pay", json!({}));
    let asked = office.say(&message).await;
    office.approve(&about_approval(&asked)).await;
    office.gate.reload(&WIRE.replace("Money.", "More money.")).await;
    let retry = back(&message, &asked, &json!({ "action": "accept" }));
    assert_eq!(code(&office.say(&retry).await), "approval.changed");
    assert_eq!(runs(&upstream, "pay"), 0);
}

#[tokio::test]
async fn prompts_and_resources_are_waited_for_in_the_same_way() {
    let upstream = server().await;
    let office = Office::before(&upstream, WIRE);
    for (method, params, member) in [
        ("prompts/get", json!({ "name": "greet" }), "messages"),
        ("resources/read", json!({ "uri": "file:///a" }), "contents"),
    ] {
        // Tasks are for tools only.
        let message = request(&tasks(), method, params);
        let asked = office.say(&message).await;
        assert_eq!(question(&asked)["mode"], "url");
        office.approve(&about_approval(&asked)).await;
        let answer = office.say(&back(&message, &asked, &json!({ "action": "accept" }))).await;
        assert!(answer["result"][member].is_array(), "{answer}");
    }
}

/// Of calls that need nobody, states pass as they always did.
#[tokio::test]
async fn a_servers_state_comes_back_to_it_as_it_was() {
    let upstream = server().await;
    for policy in [ASK.replace("free", "mark"), ASKING.to_owned()] {
        let office = Office::before(&upstream, &policy.replace(r#""version""#, r#""default": "deny", "version""#));
        let message = call(&forms(), "mark", json!({}));
        let asked = office.say(&message).await;
        if policy != ASKING {
            assert_eq!(asked["error"]["code"], -32603, "the server may not ask: {asked}");
            continue;
        }
        assert_ne!(state(&asked), LIKE_OURS, "nobody takes it for ours");
        let answer = office.say(&back(&message, &asked, &json!({ "action": "accept", "content": {} }))).await;
        assert_eq!(code(&answer), "ran");
        let sent = sent(&upstream).pop().unwrap();
        assert_eq!(
            (&sent["requestState"], &sent["inputResponses"]["who"]["action"]),
            (&json!(LIKE_OURS), &json!("accept"))
        );
    }
}

/// Who shows neither pages nor forms nor tasks is held, as ever.
#[tokio::test]
async fn a_client_that_shows_nothing_is_held() {
    let upstream = server().await;
    let office = Office::before(&upstream, WIRE);
    for capabilities in [json!({}), forms()] {
        let reply = start(&office.gate.http(), &call(&capabilities, "pay", json!({}))).await;
        assert_eq!(reply.header("content-type"), Some("text/event-stream"), "{capabilities}");
    }
}

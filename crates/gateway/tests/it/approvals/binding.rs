//! An approval is for one call. Whatever else comes, is another.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use store::ApprovalState;

use super::{ASK, Office, answer, code, describing, plan, runs, ticket, upstream};
use crate::gate::{Plan, modern_call, modern_request, tool};
use crate::identity::{Known, known};

/// Two agents, two servers, two tools, all behind one policy: what of them is approved is said by `office.paid_for`.
const BOTH: &str = r#"{ "version": "1", "prompts": { "pay": { "action": "require_approval", "approval": { "hold": "1s" } } }, "tools": { "pay": { "action": "require_approval", "approval": { "hold": "1s" } }, "buy": { "action": "require_approval", "approval": { "hold": "1s" } } } }"#;

#[tokio::test]
async fn how_a_call_is_written_does_not_matter_and_what_it_says_does() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, ASK);
    let id = office.paid_for(json!({ "to": { "name": "x", "iban": "y" }, "sum": [1, { "a": 1.0, "b": null }] })).await;
    let call = |arguments: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"pay","arguments":{arguments},"_meta":{{
            "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
        )
    };
    let http = crate::gate::modern_headers(office.gate.http(), "tools/call", Some("pay"));
    let post = async |arguments: &str| http.post_text(&call(arguments)).await.answer_to(&json!(1)).await;
    for changed in [
        r#"{"sum":[1,{"a":1.0,"b":null}],"to":{"iban":"z","name":"x"}}"#,
        r#"{"sum":[1,{"a":1,"b":null}],"to":{"iban":"y","name":"x"}}"#,
        r#"{"sum":[1,{"a":1.00,"b":null}],"to":{"iban":"y","name":"x"}}"#,
        r#"{"sum":[1,{"a":1.0}],"to":{"iban":"y","name":"x"}}"#,
        r#"{"sum":[{"a":1.0,"b":null},1],"to":{"iban":"y","name":"x"}}"#,
        r#"{"sum":["1",{"a":1.0,"b":null}],"to":{"iban":"y","name":"x"}}"#,
        r#"{"sum":[1,{"a":1.0,"b":null}],"to":{"iban":"y","name":"x","more":0}}"#,
        "{}",
    ] {
        assert_ne!(ticket(&post(changed).await), id, "{changed}");
    }
    assert_eq!(runs(&upstream, "pay"), 0);
    let same = r#" { "to" : {"iban":"y" , "n\u0061me":"x"}, "sum":[ 1,{"b":null,"a":1.0} ] }"#;
    assert_eq!(code(&post(same).await), "ran");
    assert_eq!(office.state(&id).await, ApprovalState::Used);
}

#[tokio::test]
async fn another_agent_tool_server_or_method_needs_its_own() {
    let one = testkit::Recorder::mcp(["pay", "buy"].map(tool)).await;
    let two = testkit::Recorder::mcp(["pay", "buy"].map(tool)).await;
    let (ann, bob) = (Known::new("ann"), Known::new("bob"));
    let plan = Plan::default()
        .server("s", one.url("/mcp"), "policy.json")
        .server("t", two.url("/mcp"), "policy.json")
        .policy("policy.json", BOTH);
    let office = Office::of(known(plan, &[&ann, &bob]));
    let at = |server: &str, whose: &Known| whose.shows(testkit::HttpClient::new(office.gate.url(server)));
    let (arguments, pay) = (json!({ "n": "1" }), modern_call(1, "pay", json!({ "n": "1" })));
    let id = ticket(&answer(&at("s", &ann), &pay).await);
    office.approve(&id).await;
    let buy = modern_call(1, "buy", arguments.clone());
    let prompt = modern_request(1, "prompts/get", json!({ "name": "pay", "arguments": arguments }));
    for (what, http, call) in [
        ("another agent", at("s", &bob), &pay),
        ("another server", at("t", &ann), &pay),
        ("another tool", at("s", &ann), &buy),
        ("another method", at("s", &ann), &prompt),
    ] {
        assert_ne!(ticket(&answer(&http, call).await), id, "{what}");
    }
    assert_eq!(office.pending().await.len(), 4);
    assert_eq!((crate::gate::called(&one).len(), crate::gate::called(&two).len()), (0, 0));
    assert_eq!(code(&answer(&at("s", &ann), &pay).await), "ran");
    // The same agent in the other era: the same call.
    let id = ticket(&answer(&at("s", &ann), &pay).await);
    office.approve(&id).await;
    let session = ann.legacy(&office.gate).await;
    let legacy = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "pay", "arguments": { "n": "1" } } });
    assert_eq!(code(&answer(session.http(), &legacy).await), "ran");
    assert_eq!(runs(&one, "pay"), 2);
}

/// What was approved is the tool as its server describes it when it is called, and no list that was read before.
#[tokio::test]
async fn a_changed_definition_needs_a_new_approval() {
    let described = Arc::new(Mutex::new(tool("pay")));
    let now = Arc::clone(&described);
    let upstream = describing(move || now.lock().unwrap().clone()).await;
    let office = Office::before(&upstream, ASK);
    let id = office.paid_for(json!({})).await;
    let changed =
        json!({ "name": "pay", "description": "Pays to somebody else.", "inputSchema": { "type": "object" } });
    *described.lock().unwrap() = changed.to_string();
    let other = ticket(&office.pay(json!({})).await);
    assert_ne!(other, id);
    assert_eq!(runs(&upstream, "pay"), 0);
    // Approved as it is now; and gone since.
    office.approve(&other).await;
    *described.lock().unwrap() = tool("other");
    let gone = office.pay(json!({})).await;
    assert_eq!(gone["error"]["message"], "Unknown tool: pay", "{gone}");
    assert_eq!((runs(&upstream, "pay"), office.state(&id).await), (0, ApprovalState::Approved));
}

/// Nobody can approve what the server does not have; and where the server does not say, nobody is asked.
#[tokio::test]
async fn what_is_not_known_cannot_be_approved() {
    let upstream = upstream().await;
    let office = Office::before(
        &upstream,
        r#"{ "version": "1", "tools": { "pay": { "action": "require_approval", "approval": { "hold": "1s" } }, "gone": { "action": "require_approval", "approval": { "hold": "1s" } } } }"#,
    );
    let answer = office.answer(&modern_call(1, "gone", json!({}))).await;
    assert_eq!((&answer["error"]["code"], &answer["error"]["message"]), (&json!(-32602), &json!("Unknown tool: gone")));
    ticket(&office.pay(json!({ "n": 1 })).await);
    assert_eq!(office.pending().await.len(), 1);

    let silent = testkit::Recorder::start(|request| match request.body.is_empty() {
        false if request.json()["method"] == "server/discover" => {
            let result = json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {} });
            testkit::Answer::json(200, &json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": result }))
        }
        _ => testkit::Answer::status(500),
    })
    .await;
    let office = Office::before(&silent, ASK);
    let answer: Value = office.pay(json!({})).await;
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    assert!(office.pending().await.is_empty());
}

#[tokio::test]
async fn a_changed_policy_needs_a_new_approval() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, ASK);
    let id = office.paid_for(json!({})).await;
    office.gate.reload(&ASK.replace("Money.", "Much money.")).await;
    let other = ticket(&office.pay(json!({})).await);
    assert_ne!(other, id);
    assert_eq!(
        office.control.redeemable(&office.store.approval(&id).await.unwrap().unwrap().asked),
        gateway::Redeemable::OtherPolicy
    );
    assert_eq!(
        office.control.redeemable(&office.store.approval(&other).await.unwrap().unwrap().asked),
        gateway::Redeemable::Yes
    );
    office.gate.reload(ASK).await;
    assert_eq!(code(&office.pay(json!({})).await), "ran", "that is the policy that it was approved under");
    assert_eq!(office.state(&id).await, ApprovalState::Used);
    office.gate.reload(r#"{ "version": "1", "tools": { "pay": "deny" } }"#).await;
    assert_eq!(code(&office.pay(json!({})).await), "denied.rule");
    assert_eq!(runs(&upstream, "pay"), 1);
}

/// Consent takes the place of approval, and of nothing else.
#[tokio::test]
async fn what_is_denied_otherwise_no_approval_lets_through() {
    let upstream = upstream().await;
    let policy = r#"{ "version": "1", "tools": { "pay": { "action": "require_approval", "approval": { "hold": "1s" },
        "deny_if": [{ "conditions": [{ "path": "args.n", "op": "gt", "value": 5 }] }] } } }"#;
    let office = Office::of(plan(&upstream, policy));
    assert_eq!(code(&office.pay(json!({ "n": 6 })).await), "denied.condition");
    assert!(office.pending().await.is_empty(), "nobody is asked for what cannot be");
    office.paid_for(json!({ "n": 5 })).await;
    assert_eq!(code(&office.pay(json!({ "n": 5 })).await), "ran");
}

/// A person is shown the arguments. Nothing else of the client's may say what is done.
#[tokio::test]
async fn what_no_person_is_shown_goes_nowhere() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, ASK);
    let with = |members: Value| {
        let mut call = modern_call(1, "pay", json!({ "n": 1 }));
        call["params"].as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        call
    };
    let answers = json!({ "amount": { "action": "accept", "content": { "amount": 999 } } });
    for members in [
        json!({ "requestState": "s1" }),
        json!({ "inputResponses": answers }),
        json!({ "requestState": "s1", "inputResponses": answers }),
    ] {
        assert_eq!(code(&office.answer(&with(members.clone())).await), "approval.changed", "{members}");
    }
    assert_eq!(office.pending().await.len(), 0, "nobody is asked about it");
    office.paid_for(json!({ "n": 1 })).await;
    let unseen = with(json!({ "inputResponses": answers }));
    assert_eq!(code(&office.answer(&unseen).await), "approval.changed", "nor is it let through by what was approved");
    let mut call = modern_call(1, "pay", json!({ "n": 1 }));
    call["params"]["_meta"]["com.bank/amount"] = json!(999);
    call["params"]["_meta"]["progressToken"] = json!("p");
    assert_eq!(code(&office.answer(&call).await), "ran");
    let mut free = modern_call(2, "free", json!({}));
    free["params"]["_meta"]["com.bank/amount"] = json!(1);
    assert_eq!(code(&office.answer(&free).await), "ran");
    let requests = upstream.requests();
    let meta = |tool: &str| {
        let calls = requests.iter().map(|request| request.json()).filter(|call| call["params"]["name"] == tool);
        calls.map(|call| call["params"]["_meta"].clone()).collect::<Vec<_>>()
    };
    assert_eq!((&meta("pay")[0]["com.bank/amount"], &meta("pay")[0]["progressToken"]), (&Value::Null, &json!("p")));
    assert_eq!(meta("free")[0]["com.bank/amount"], 1, "of a call that nobody is asked about everything goes along");
    assert_eq!(meta("pay").len(), 1);
}

#[tokio::test]
async fn a_person_is_asked_about_the_definition_of_now() {
    let described = Arc::new(Mutex::new(tool("pay")));
    let now = Arc::clone(&described);
    let upstream = describing(move || now.lock().unwrap().clone()).await;
    let office = Office::before(&upstream, ASK);
    office.paid_for(json!({ "n": 1 })).await;
    *described.lock().unwrap() =
        json!({ "name": "pay", "description": "New.", "inputSchema": { "type": "object" } }).to_string();
    office.paid_for(json!({ "n": 2 })).await;
    assert_eq!(code(&office.pay(json!({ "n": 2 })).await), "ran", "one yes is enough");
}

//! Calls that a person decides about: exactly once, about exactly this call. What the upstream was told is what its recorder says.

mod binding;
mod bounds;
mod eras;
mod grants;
mod hold;
mod life;
mod notice;
mod race;

use gateway::Control;
use serde_json::{Value, json};
use store::{Approval, ApprovalFilter, ApprovalState, Store, Vote, Voted};
use testkit::{Answer, HttpClient, Recorded, Recorder, Reply, patiently};

use crate::gate::{Gate, Plan, modern_call, modern_headers, tool};

/// `pay` needs a person, `free` nobody. Who asks has a ticket as soon as can be.
pub(crate) const ASK: &str = r#"{ "version": "1", "tools": {
    "pay": { "action": "require_approval", "reason": "Money.", "approval": { "hold": "1s", "timeout": "10m" } }, "free": {} } }"#;

/// The same, and who asks waits.
pub(crate) const WAIT: &str = r#"{ "version": "1", "tools": {
    "pay": { "action": "require_approval", "reason": "Money.", "approval": { "hold": "1m", "timeout": "10m" } }, "free": {} } }"#;

/// A gateway whose store a test can read, and decide in as the admin API does.
pub(crate) struct Office {
    pub(crate) gate: Gate,
    pub(crate) control: Control,
    pub(crate) store: Store,
}

impl Office {
    pub(crate) fn of(plan: Plan) -> Self {
        let gate = plan.with_store().start();
        let control = gate.control();
        let store = control.store().unwrap().clone();
        Self { gate, control, store }
    }

    pub(crate) fn before(upstream: &Recorder, policy: &str) -> Self {
        Self::of(plan(upstream, policy))
    }

    /// What waits for a person, the oldest first.
    pub(crate) async fn pending(&self) -> Vec<Approval> {
        let filter = ApprovalFilter { state: Some(ApprovalState::Pending), ..ApprovalFilter::default() };
        let mut pending = self.store.approvals(&filter, None, 500).await.unwrap().items;
        pending.reverse();
        pending
    }

    /// The one that waits, once it does.
    pub(crate) async fn asked(&self) -> Approval {
        patiently("somebody to ask", async {
            loop {
                let mut pending = self.pending().await;
                assert!(pending.len() < 2, "{pending:?}");
                if let Some(one) = pending.pop() {
                    return one;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    pub(crate) async fn vote(&self, id: &str, approve: bool, reason: Option<&str>) -> Approval {
        let at_ms = self.control.approvals_now_ms().unwrap();
        let vote = Vote { by: "boss".to_owned(), approve, reason: reason.map(str::to_owned), at_ms };
        match self.store.vote(id, &vote, None).await.unwrap() {
            Voted::Counted(approval) => approval,
            other @ (Voted::Again(_) | Voted::Decided(_)) => panic!("{other:?}"),
        }
    }

    pub(crate) async fn approve(&self, id: &str) {
        assert_eq!(self.vote(id, true, None).await.state, ApprovalState::Approved);
    }

    pub(crate) async fn state(&self, id: &str) -> ApprovalState {
        self.store.approval(id).await.unwrap().unwrap().state
    }

    /// What a call is answered with, after its hold at the latest.
    pub(crate) async fn answer(&self, message: &Value) -> Value {
        answer(&self.gate.http(), message).await
    }

    /// The same, of a call of `pay`.
    pub(crate) async fn pay(&self, arguments: Value) -> Value {
        self.answer(&modern_call(1, "pay", arguments)).await
    }

    /// A ticket for a call of `pay`, which is approved then.
    pub(crate) async fn paid_for(&self, arguments: Value) -> String {
        let id = ticket(&self.pay(arguments).await);
        self.approve(&id).await;
        id
    }
}

pub(crate) fn plan(upstream: &Recorder, policy: &str) -> Plan {
    Plan::default().server("s", upstream.url("/mcp"), "policy.json").policy("policy.json", policy)
}

/// Two tools behind both eras.
pub(crate) async fn upstream() -> Recorder {
    Recorder::mcp(["pay", "free"].map(tool)).await
}

pub(crate) async fn answer(http: &HttpClient, message: &Value) -> Value {
    let http = match message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].is_null() {
        true => http.clone(),
        false => modern_headers(http.clone(), message["method"].as_str().unwrap(), message["params"]["name"].as_str()),
    };
    http.post_streamed(message).await.answer_to(&message["id"]).await
}

/// A modern call that may wait.
pub(crate) async fn waiting(gate: &Gate, message: &Value) -> Reply {
    let name = message["params"]["name"].as_str();
    modern_headers(gate.http(), message["method"].as_str().unwrap(), name).post_streamed(message).await
}

pub(crate) fn decision(answer: &Value) -> &Value {
    match answer["error"].is_null() {
        true => &answer["result"]["_meta"]["dev.toolgate/decision"],
        false => &answer["error"]["data"]["dev.toolgate/decision"],
    }
}

/// The code of a refusal, or `ran`.
#[track_caller]
pub(crate) fn code(answer: &Value) -> &str {
    match decision(answer)["code"].as_str() {
        Some(code) => code,
        None if answer["result"]["content"].is_array() && answer["result"]["isError"] != true => "ran",
        None => panic!("{answer}"),
    }
}

/// The id of the approval that a call waits for.
#[track_caller]
pub(crate) fn ticket(answer: &Value) -> String {
    assert_eq!(code(answer), "approval.required", "{answer}");
    decision(answer)["approval"].as_str().unwrap().to_owned()
}

/// How often a tool was called at the upstream.
pub(crate) fn runs(upstream: &Recorder, tool: &str) -> usize {
    crate::gate::called(upstream).iter().filter(|called| *called == tool).count()
}

/// Both eras, with tools whose definitions a test changes.
pub(crate) async fn describing(definition: impl Fn() -> String + Send + Sync + 'static) -> Recorder {
    Recorder::start(move |request: &Recorded| {
        let message = if request.body.is_empty() { Value::Null } else { request.json() };
        let result = match message["method"].as_str() {
            Some("server/discover") => {
                json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} } })
            }
            Some("tools/list") => {
                let tool: Value = serde_json::from_str(&definition()).unwrap();
                json!({ "resultType": "complete", "tools": [tool], "ttlMs": 0, "cacheScope": "private" })
            }
            Some("tools/call") => json!({ "resultType": "complete", "content": [] }),
            _ => return Answer::status(405),
        };
        Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
    })
    .await
}

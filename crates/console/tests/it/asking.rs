//! Calls that wait, put into the store as the gateway puts them there.

use sha2::{Digest as _, Sha256};
use store::{Approval, AskBounds, Asked, Asking};

use crate::stack::Stack;

/// How long they wait.
pub(crate) const MINUTES: i64 = 60_000;

const BOUNDS: AskBounds = AskBounds { per_agent: 1_000, per_server: 1_000, per_hour: 1_000 };

/// What the agent `bot`, whose owner is `olga`, wants to call.
pub(crate) fn asked(arguments: &str) -> Asked {
    Asked {
        binding: Sha256::digest(arguments).into(),
        agent: "bot".into(),
        owner: Some("olga".into()),
        server: "s".into(),
        method: "tools/call".into(),
        subject: "send".into(),
        arguments: arguments.into(),
        digest: "d1".repeat(32),
        definition: Some("d2".repeat(32)),
        policy: "d3".repeat(32),
        rule: "/tools/send".into(),
        reason: Some("Mail leaves the house.".into()),
        approvers: Vec::new(),
        quorum: 1,
        self_approval: false,
    }
}

/// Its id. It waits for fifteen minutes.
pub(crate) async fn waits(stack: &Stack, asked: Asked) -> String {
    let id: String = asked.binding.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    let now = console::system_clock()();
    let made = stack.store.ask_approval(&id, &asked, now + 15 * MINUTES, &BOUNDS, &[], now).await.unwrap();
    assert!(matches!(made, Asking::New(_)), "{made:?}");
    id
}

pub(crate) async fn approval(stack: &Stack, id: &str) -> Approval {
    stack.store.approval(id).await.unwrap().unwrap()
}

//! Sends a client's user to the page where a call is decided: as `input_required`, or as the error of 2025-11-25.

use mcp::meta;
use serde_json::{Value, json};
use store::Approval;

use crate::record::visible;
use crate::refusal::DECISION;

/// What we ask, among the `inputRequests` of a result; the answer comes under it.
pub(crate) const ASKED: &str = "toolgate-approval";

/// What the user is asked: to open the page.
pub(crate) fn elicitation(approval: &Approval, page: &str) -> Value {
    json!({ "mode": "url", "url": page, "message": message(approval) })
}

/// The same for 2025-11-25, which names each: the data of its error.
pub(crate) fn required(approval: &Approval, page: &str, decision: &Value) -> String {
    let mut elicitation = elicitation(approval, page);
    if let Value::Object(members) = &mut elicitation {
        members.insert("elicitationId".to_owned(), json!(approval.id));
    }
    json!({ "elicitations": [elicitation], DECISION: decision }).to_string()
}

/// The result that asks: `elicitation` are the params of an `elicitation/create`.
pub(crate) fn input_required(elicitation: &Value, state: &str, decision: &Value) -> String {
    let request = json!({ "method": "elicitation/create", "params": elicitation });
    json!({
        "resultType": "input_required", "inputRequests": { ASKED: request }, "requestState": state,
        "_meta": { DECISION: decision, meta::SERVER_INFO: server_info() },
    })
    .to_string()
}

pub(crate) fn server_info() -> Value {
    json!({ "name": "toolgate", "version": env!("CARGO_PKG_VERSION") })
}

fn message(approval: &Approval) -> String {
    let asked = &approval.asked;
    let reason = asked.reason.as_deref().map(|reason| format!(" {reason}")).unwrap_or_default();
    format!(
        "Toolgate: `{}` on server `{}`, called by agent `{}`, waits for a person's approval ({}).{reason} The page shows exactly what would run, \
         and whoever may decide it decides it there.",
        visible(&asked.subject),
        visible(&asked.server),
        visible(&asked.agent),
        approval.id
    )
}

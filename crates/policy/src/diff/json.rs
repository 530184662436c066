//! A comparison for programs. The shape is a contract: members may be added, none goes or changes what it means.

use serde_json::{Value, json};

use super::ask::hour_of;
use super::{Change, Diff, LimitTerms, NameClass, Outcome, Unknown, What, Witness};
use crate::{Algorithm, Approval, Reverse};

impl Diff {
    /// ```json
    /// { "version": "1", "widens": true, "may_widen": true,
    ///   "changes": [
    ///     { "direction": "widened", "kind": "calls", "names": NAMES,
    ///       "old": { "verdict": "refused", "code": "denied.default", "rule": "(default deny)" },
    ///       "new": { "verdict": "permitted", "code": null, "rule": "/tools/a" },
    ///       "witness": { "name": "a", "arguments": "{\"n\":5}" } },
    ///     { "direction": "narrowed", "kind": "limit", "names": [NAMES], "old": null, "new": LIMIT },
    ///     { "direction": "altered", "kind": "approval", "names": [NAMES], "old": [APPROVAL], "new": [APPROVAL] },
    ///     { "direction": "widened", "kind": "reverse", "ask": "sampling", "old": false, "new": true },
    ///     { "direction": "widened", "kind": "mode", "old": "enforce", "new": "shadow" } ],
    ///   "unknown": [ { "direction": "widened", "kind": "tool", "names": NAMES, "old": "refused", "new": "permitted",
    ///                  "reasons": ["args.n: …"] } ] }
    /// ```
    ///
    /// `direction` is `widened`, `narrowed` or `altered`; a verdict `refused`, `needs approval` or `permitted`.
    /// NAMES is `{ "kind": "tool", "name": "a" }` or `{ "kind": "tool", "patterns": ["list_*"], "example": "list_x" }`, without
    /// patterns for all other names; `kind` is `tool`, `resource` or `prompt`. In `unknown`, NAMES is null where classes of names
    /// are missing. `arguments` is JSON as text, so that no number is rounded, and null for a call without any; a witness
    /// also has `agent`, `labels`, `server` and `time` where they matter. LIMIT is `{ "counter", "per", "max", "window", "algorithm",
    /// "passes_uncounted", "cost", "is_priced", "rule" }`, `max` and `cost` in millionths, `window` in seconds; APPROVAL is `{ "approvers", "quorum",
    /// "self_approval", "timeout", "hold" }`.
    pub fn to_json(&self) -> Value {
        json!({
            "version": "1",
            "widens": self.widens(),
            "may_widen": self.may_widen(),
            "changes": self.changes.iter().map(change).collect::<Vec<_>>(),
            "unknown": self.unknown.iter().map(unknown).collect::<Vec<_>>(),
        })
    }
}

fn change(change: &Change) -> Value {
    let direction = change.direction.as_str();
    let all = |all: &[NameClass]| all.iter().map(names).collect::<Vec<_>>();
    match &change.what {
        What::Calls { names: of, old, new, witness } => json!({
            "direction": direction, "kind": "calls", "names": names(of), "old": outcome(old), "new": outcome(new),
            "witness": show(witness),
        }),
        What::Limit { names, old, new } => json!({
            "direction": direction, "kind": "limit", "names": all(names), "old": old.as_deref().map(limit),
            "new": new.as_deref().map(limit),
        }),
        What::Approval { names, old, new } => json!({
            "direction": direction, "kind": "approval", "names": all(names),
            "old": old.iter().map(approval).collect::<Vec<_>>(), "new": new.iter().map(approval).collect::<Vec<_>>(),
        }),
        What::Reverse { ask, new } => {
            json!({ "direction": direction, "kind": "reverse", "ask": asked(*ask), "old": !new, "new": new })
        }
        What::Mode { shadow } => {
            json!({ "direction": direction, "kind": "mode", "old": mode(!shadow), "new": mode(*shadow) })
        }
    }
}

fn unknown(unknown: &Unknown) -> Value {
    json!({
        "direction": unknown.direction.as_str(), "kind": unknown.kind.as_str(), "names": unknown.names.as_ref().map(names),
        "old": unknown.old.as_str(), "new": unknown.new.as_str(), "reasons": unknown.reasons,
    })
}

fn names(names: &NameClass) -> Value {
    let kind = names.kind().as_str();
    if names.is_exact() {
        json!({ "kind": kind, "name": names.example() })
    } else {
        json!({ "kind": kind, "patterns": names.patterns().collect::<Vec<_>>(), "example": names.example() })
    }
}

fn outcome(outcome: &Outcome) -> Value {
    let code = outcome.code.map(|code| code.as_str());
    json!({ "verdict": outcome.verdict.as_str(), "code": code, "rule": outcome.rule.as_str() })
}

fn show(witness: &Witness) -> Value {
    let mut shown = json!({ "name": witness.name(), "arguments": witness.arguments() });
    if let Some(members) = shown.as_object_mut() {
        let labels = witness.labels().iter().map(|(key, label)| (key.to_string(), Value::from(&**label)));
        let labels = Some(labels.collect::<serde_json::Map<_, _>>()).filter(|labels| !labels.is_empty());
        let time = witness.time().map(hour_of);
        let more = [
            ("agent", witness.agent().map(Value::from)),
            ("labels", labels.map(Value::from)),
            ("server", witness.server().map(Value::from)),
            ("time", time.map(Value::from)),
        ];
        members.extend(more.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    }
    shown
}

fn limit(limit: &LimitTerms) -> Value {
    let algorithm = match limit.algorithm {
        Algorithm::Window => "window",
        Algorithm::Smooth => "smooth",
    };
    json!({
        "counter": limit.counter.as_str(), "per": limit.per.as_str(), "max": limit.max, "window": limit.window.as_secs_f64(),
        "algorithm": algorithm, "passes_uncounted": limit.passes_uncounted, "cost": limit.cost, "is_priced": limit.is_priced, "rule": limit.pointer.as_str(),
    })
}

fn approval(approval: &Approval) -> Value {
    json!({
        "approvers": approval.approvers, "quorum": approval.quorum, "self_approval": approval.self_approval,
        "timeout": approval.timeout.as_secs_f64(), "hold": approval.hold.as_secs_f64(),
    })
}

pub(super) fn asked(ask: Reverse) -> &'static str {
    match ask {
        Reverse::Sampling => "sampling",
        Reverse::Elicitation => "elicitation",
        Reverse::Roots => "roots",
    }
}

pub(super) fn mode(shadow: bool) -> &'static str {
    if shadow { "shadow" } else { "enforce" }
}

//! Asks whoever sits before the client whether a call of its own may run. The host of the agent shows the form and may fill it in by
//! itself: this is consent, and no second pair of eyes, so it is asked for only where the rule lets who asks approve.

use mcp::Object;
use serde_json::{Value, json};
use store::{Approval, Asked};

use crate::record::visible;

/// Characters of arguments that a form shows. Nobody is asked to say yes to what is not shown.
const SHOWN: usize = 4096;

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Yes,
    No,
    /// It was put away, or says nothing that can be read.
    Nothing,
}

/// May who asks say yes itself? Where more than one must, it is one person's form and another's page, and that one might be the same.
pub(crate) fn may_consent(asked: &Asked) -> bool {
    let named = asked.approvers.is_empty() || asked.owner.as_ref().is_some_and(|owner| asked.approvers.contains(owner));
    asked.self_approval && asked.quorum <= 1 && named && fits(asked)
}

/// Does it fit on a form? What is written out to be seen counts as it is shown.
fn fits(asked: &Asked) -> bool {
    asked.arguments.len() <= SHOWN && visible(&asked.arguments).len() <= SHOWN
}

/// The params of an `elicitation/create`. `names_mode`: from 2025-11-25 on, there is more than one.
pub(crate) fn elicitation(approval: &Approval, names_mode: bool) -> Value {
    let schema = json!({ "type": "object", "required": ["approve"], "properties": { "approve": {
        "type": "boolean", "title": "Run this call", "default": false,
        "description": "Yes runs exactly this call, once. No refuses it.",
    } } });
    let mut params = json!({ "message": message(approval), "requestedSchema": schema });
    if names_mode {
        params["mode"] = json!("form");
    }
    params
}

fn message(approval: &Approval) -> String {
    let asked = &approval.asked;
    let reason = asked.reason.as_deref().map(|reason| format!(" {reason}")).unwrap_or_default();
    let arguments = match asked.arguments.as_str() {
        "" => "no arguments".to_owned(),
        arguments => format!("the arguments {}", visible(arguments)),
    };
    format!(
        "Toolgate: agent `{}` wants to run `{}` on server `{}` with {arguments}.{reason} Shall it? ({})",
        visible(&asked.agent),
        visible(&asked.subject),
        visible(&asked.server),
        approval.id
    )
}

/// The result of an `elicitation/create`.
pub(crate) fn said(result: &str) -> Said {
    let Some(result) = Object::read(result) else { return Said::Nothing };
    let approves = result.object("content").and_then(|content| content.get("approve")).map(|approve| approve.get());
    match (result.text("action").as_deref(), approves) {
        // INVARIANT: yes is an answer that was accepted with this one word in it, and nothing else
        (Some("accept"), Some("true")) => Said::Yes,
        (Some("accept"), Some("false")) | (Some("decline"), _) => Said::No,
        _ => Said::Nothing,
    }
}

/// The result of one that asked to open a page: will the user?
pub(crate) fn opens(result: &str) -> bool {
    Object::read(result).is_some_and(|result| result.text("action").as_deref() == Some("accept"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked {
        Asked {
            binding: [0; 32],
            agent: "ci".into(),
            owner: Some("ann".into()),
            server: "s".into(),
            method: "tools/call".into(),
            subject: "t".into(),
            arguments: "{}".into(),
            digest: String::new(),
            definition: None,
            policy: String::new(),
            rule: "/tools/t".into(),
            reason: None,
            approvers: Vec::new(),
            quorum: 1,
            self_approval: true,
        }
    }

    #[test]
    fn only_a_rule_that_says_so_lets_who_asks_consent_to_what_it_is_shown() {
        let check = |change: fn(&mut Asked), may: bool| {
            let mut asked = asked();
            change(&mut asked);
            assert_eq!(may_consent(&asked), may, "{asked:?}");
        };
        check(|_| {}, true);
        check(|asked| asked.approvers = vec!["bob".into(), "ann".into()], true);
        check(|asked| asked.self_approval = false, false);
        check(|asked| asked.quorum = 2, false);
        check(|asked| asked.approvers = vec!["bob".into()], false);
        check(|asked| (asked.approvers, asked.owner) = (vec!["ci".into()], None), false);
        check(|asked| asked.arguments = "x".repeat(SHOWN), true);
        check(|asked| asked.arguments = "x".repeat(SHOWN + 1), false);
        // As it is shown, it is longer.
        check(|asked| asked.arguments = "\u{202e}".repeat(SHOWN / 6), false);
    }

    #[test]
    fn only_an_accepted_true_is_a_yes() {
        for (result, expected) in [
            (r#"{"action":"accept","content":{"approve":true}}"#, Said::Yes),
            (r#"{"content":{"approve":true,"x":1},"action":"\u0061ccept"}"#, Said::Yes),
            (r#"{"action":"accept","content":{"approve":false}}"#, Said::No),
            (r#"{"action":"decline","content":{"approve":true}}"#, Said::No),
            (r#"{"action":"decline"}"#, Said::No),
            (r#"{"action":"cancel","content":{"approve":true}}"#, Said::Nothing),
            (r#"{"action":"accept","content":{"approve":"true"}}"#, Said::Nothing),
            (r#"{"action":"accept","content":{"approve":1}}"#, Said::Nothing),
            (r#"{"action":"accept","content":{}}"#, Said::Nothing),
            (r#"{"action":"accept","content":[true]}"#, Said::Nothing),
            (r#"{"action":"accept","approve":true}"#, Said::Nothing),
            (r#"{"action":["accept"],"content":{"approve":true}}"#, Said::Nothing),
            ("{}", Said::Nothing),
            ("true", Said::Nothing),
            ("", Said::Nothing),
        ] {
            assert_eq!(said(result), expected, "{result}");
        }
    }

    #[test]
    fn a_page_is_opened_by_whoever_accepts() {
        for (result, expected) in [
            (r#"{"action":"accept"}"#, true),
            (r#"{"action":"decline"}"#, false),
            (r#"{"action":"cancel"}"#, false),
            ("[]", false),
        ] {
            assert_eq!(opens(result), expected, "{result}");
        }
    }
}

//! One event per decision, in fields. Never an argument, never a token; names come from clients, so they are cut short.

use std::borrow::Cow;

use policy::Denial;

use crate::agent::Agent;
use crate::identity::Proof;
use crate::refusal::Refused;
use crate::ruling::Ruling;

/// What a decision was about.
pub(crate) struct About<'a> {
    pub(crate) server: &'a str,
    pub(crate) agent: &'a str,
    /// By what the agent was let in.
    pub(crate) proof: &'a Proof,
    pub(crate) method: &'a str,
    pub(crate) subject: Option<&'a str>,
    pub(crate) policy: &'a str,
}

const MAX_NAME: usize = 128;

impl About<'_> {
    /// `shadow`: what would have refused it, if it were in force.
    pub(crate) fn allowed(&self, rule: &str, shadow: Option<&Denial>) {
        tracing::info!(
            target: "toolgate::decision",
            server = self.server, agent = self.agent, method = self.method, subject = visible(&self.name()), rule,
            outcome = "allowed", code = "allowed", shadow = shadow.map(|_| true),
            would_code = shadow.map(|denial| denial.code.as_str()), would_rule = shadow.map(|denial| denial.rule.as_str()),
            policy = self.policy(), "decision"
        );
    }

    /// It was allowed, though its limits could not be counted: they say so themselves.
    pub(crate) fn uncounted(&self) {
        tracing::warn!(
            target: "toolgate::decision",
            server = self.server, agent = self.agent, method = self.method, subject = visible(&self.name()), policy = self.policy(),
            "not counted: the store of limits does not answer, and the rule lets the call pass"
        );
    }

    pub(crate) fn refused(&self, refused: &Refused) {
        let retry_after = refused.ruling().and_then(Ruling::retry_after);
        tracing::info!(
            target: "toolgate::decision",
            server = self.server, agent = self.agent, method = self.method, subject = visible(&self.name()), rule = refused.rule(),
            outcome = refused.outcome(), code = refused.code(), error = refused.fault().map(|error| visible(&error)), retry_after_ms = retry_after.map(|wait| wait.as_millis() as u64),
            policy = self.policy(), "decision"
        );
    }

    /// Enough of the hash to find the version by.
    fn policy(&self) -> &str {
        self.policy.get(..12).unwrap_or(self.policy)
    }

    /// The name without what may be secret in a URI (user information, query), and not longer than a log line bears.
    pub(crate) fn name(&self) -> Cow<'_, str> {
        let name = self.subject.unwrap_or_default();
        let name = name.split(['?', '#']).next().unwrap_or_default();
        let name = name.char_indices().nth(MAX_NAME).map_or(name, |(end, _)| name.get(..end).unwrap_or_default());
        let Some((scheme, rest)) = name.split_once("://") else { return name.into() };
        let authority = rest.split('/').next().unwrap_or_default();
        match authority.rsplit_once('@') {
            Some((user, _)) => format!("{scheme}://***{}", rest.get(user.len()..).unwrap_or_default()).into(),
            None => name.into(),
        }
    }
}

/// A request that was refused before any rule was asked; or one that was allowed, and the upstream failed it.
pub(crate) fn refused(server: &str, agent: &Agent, refused: &Refused) {
    let method = refused.to.method.map(mcp::Method::as_str);
    let error = visible(&refused.detail());
    if refused.is_upstream() {
        tracing::warn!(target: "toolgate::upstream", server, agent = &*agent.key, method, error, "upstream failed");
    } else {
        tracing::info!(
            target: "toolgate::decision",
            server, agent = &*agent.key, method, outcome = "refused", code = refused.code(), error, "decision"
        );
    }
}

/// So many more of a peer's requests were refused since the last of these, for want of a token that is good.
pub(crate) fn unauthorized(peer: &str, more: u64) {
    tracing::info!(
        target: "toolgate::decision",
        agent = peer, outcome = "refused", code = "unauthorized", more, "more decisions of the same kind"
    );
}

/// Text of a client's or a server's as a person may safely see it: what moves the cursor, turns the direction of writing or is not
/// seen at all is written out.
pub fn visible(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() || is_unseen(c) {
            true => seen.extend(c.escape_unicode()),
            false => seen.push(c),
        }
    }
    seen
}

/// Turns the direction of writing, or is not seen at all, without being a control character.
pub fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_hides_or_moves_other_text_is_written_out() {
        for hostile in [
            "\u{1b}[2J",
            "\u{7}",
            "\r",
            "\u{9b}",
            "\u{202e}",
            "\u{61c}",
            "\u{2066}",
            "\u{200b}",
            "\u{3164}",
            "\u{e0041}",
        ] {
            let seen = visible(&format!("a{hostile}b"));
            assert!(seen.starts_with("a\\u{") && seen.ends_with('b'), "{seen}");
        }
        assert_eq!(visible("Zürich, 東京, שלום 😀"), "Zürich, 東京, שלום 😀");
    }
}

//! What an approval is for: a digest of everything that makes a call this call.

use aws_lc_rs::digest::{Context, SHA256, digest};
use data_encoding::HEXLOWER;
use mcp::Method;
use serde_json::value::RawValue;

use crate::canonical::canonical;

const DIGEST: usize = 32;

/// Which call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binding([u8; DIGEST]);

/// A call that a person is asked about.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// As [`super::Approvals::whose`] has it.
    pub(super) agent: &'a str,
    pub(super) server: &'a str,
    pub(super) method: Method,
    pub(super) subject: &'a str,
    pub(super) arguments: Option<&'a RawValue>,
    /// The hash of the tool's definition; none for what has no definition.
    pub(super) definition: Option<&'a str>,
    /// The hash of the policy that judges it.
    pub(super) policy: &'a str,
}

impl Wanted<'_> {
    /// The arguments in the one spelling that all their spellings have. What cannot be read is bound as it stands.
    pub(super) fn meant(&self) -> String {
        let text = self.arguments.map_or("", RawValue::get);
        canonical(text).unwrap_or_else(|| text.to_owned())
    }

    pub(super) fn binding(&self, meant: &str) -> Binding {
        let definition = self.definition.unwrap_or_default();
        Binding::of(&[self.agent, self.server, self.method.as_str(), self.subject, meant, definition, self.policy])
    }
}

impl Binding {
    /// INVARIANT: each part comes after its length, so that no two lists of parts are one text
    fn of(parts: &[&str]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut bytes = [0; DIGEST];
        bytes.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; DIGEST] {
        &self.0
    }
}

/// Hexadecimal, to compare by.
pub(super) fn hash(text: &str) -> String {
    HEXLOWER.encode(digest(&SHA256, text.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Wanted<'static> = Wanted {
        agent: "ann",
        server: "s",
        method: Method::ToolsCall,
        subject: "pay",
        arguments: None,
        definition: Some("d"),
        policy: "p",
    };

    fn binding(call: Wanted<'_>) -> Binding {
        call.binding(&call.meant())
    }

    /// Also where one part ends as the next begins.
    #[test]
    fn every_part_of_a_call_is_bound() {
        let (some, other): (Box<RawValue>, Box<RawValue>) =
            (serde_json::from_str("{}").unwrap(), serde_json::from_str(r#"{"a":1}"#).unwrap());
        let calls = [
            CALL,
            Wanted { agent: "bob", ..CALL },
            Wanted { agent: "anns", server: "", ..CALL },
            Wanted { server: "t", ..CALL },
            Wanted { method: Method::PromptsGet, ..CALL },
            Wanted { subject: "pay2", ..CALL },
            Wanted { arguments: Some(&some), ..CALL },
            Wanted { arguments: Some(&other), ..CALL },
            Wanted { definition: None, ..CALL },
            Wanted { definition: Some("dp"), policy: "", ..CALL },
            Wanted { policy: "q", ..CALL },
        ];
        for (at, call) in calls.iter().enumerate() {
            assert_eq!(binding(*call), binding(*call));
            assert!(calls.iter().skip(at + 1).all(|other| binding(*call) != binding(*other)), "{at}");
        }
    }
}

//! Reads what a rule says of the approval it wants.

use std::num::NonZeroU32;

use jsonc_parser::ast::Value;
use jsonc_parser::common::Ranged;

use super::limit::read_window;
use super::object::{Keys, expect_array, expect_object, expect_string, members, span, wrong_type};
use super::operand::all;
use crate::diagnostics::Findings;
use crate::source::Spanned;
use crate::{Approval, Code};

pub(super) const APPROVAL: Keys =
    Keys { of: "`approval`", known: &["approvers", "hold", "quorum", "self_approval", "timeout"] };

pub(super) fn approval(value: &Value<'_>, findings: &mut Findings) -> Option<Spanned<Approval>> {
    let object = expect_object(value, "approval", findings)?;
    let mut approval = Approval::default();
    for (key, value) in members(object, &APPROVAL, findings) {
        match key {
            "approvers" => approval.approvers = approvers(value, findings).unwrap_or_default(),
            "quorum" => approval.quorum = quorum(value, findings).unwrap_or(approval.quorum),
            "self_approval" => match value.as_boolean_lit() {
                Some(allowed) => approval.self_approval = allowed.value,
                None => wrong_type(value, key, "true or false", findings),
            },
            "timeout" => approval.timeout = read_window(value, key, findings).unwrap_or(approval.timeout),
            "hold" => approval.hold = read_window(value, key, findings).unwrap_or(approval.hold),
            _ => {}
        }
    }
    Some(Spanned { value: approval, span: super::object::brace(object) })
}

fn approvers(value: &Value<'_>, findings: &mut Findings) -> Option<Vec<String>> {
    let elements = expect_array(value, "approvers", findings)?.elements.iter();
    all(elements.map(|element| expect_string(element, "each of approvers", findings).map(str::to_owned)))
}

fn quorum(value: &Value<'_>, findings: &mut Findings) -> Option<NonZeroU32> {
    let Some(number) = value.as_number_lit() else {
        wrong_type(value, "quorum", "a number", findings);
        return None;
    };
    let quorum = number.value.parse().ok();
    if quorum.is_none() {
        findings
            .error(Code::BadValue, span(value.range()), "`quorum` must be a whole number above zero")
            .label("not a number of people")
            .advise("write 1, or 2 where two people must agree");
    }
    quorum
}

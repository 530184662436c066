//! One layout for every document: what is said stays, where it stands is decided here.

mod flat;
mod json;

use crate::diagnostics::Findings;
use crate::{Code, PolicyErrors, read};

/// The text of a policy (or a catalogue) in the one layout: two spaces for each level, a line for each member, but on one
/// line what was on one and fits; comments stay. What the document means does not change, and only whether it can be
/// parsed is looked at. A text that cannot is refused, and so is YAML (by the name's ending) for now.
pub fn format(name: &str, text: &str) -> Result<String, PolicyErrors> {
    let mut findings = Findings::new(name, text);
    if findings.is_yaml() {
        // No printer of YAML was found that leaves the meaning alone: pretty_yaml 0.6 drops characters of some block scalars.
        findings
            .error(Code::NotYet, 0..0, "only JSON is laid out by this version; YAML is left as it is")
            .label("YAML")
            .advise("keep the layout that it has");
    } else {
        drop(read::tokens(text, &mut findings));
    }
    findings.unless_errors()?;
    // A carriage return can only be white space or within a comment, since strings have no control characters.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut findings = Findings::new(name, &text);
    let tokens = read::tokens(&text, &mut findings).unwrap_or_default();
    findings.unless_errors()?;
    Ok(json::print(&text, &tokens))
}

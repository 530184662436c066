//! Findings as SARIF 2.1.0 (OASIS), which code scanners and editors read.

use std::collections::BTreeSet;

use miette::Severity;
use policy::Finding;
use serde_json::{Value, json};

use crate::check::Checked;

pub(crate) fn log(checked: &[Checked]) -> Value {
    let codes = checked.iter().flat_map(|one| &one.findings).map(|finding| finding.code().as_str());
    let rules = codes.collect::<BTreeSet<_>>().into_iter().map(|code| json!({ "id": code })).collect::<Value>();
    let results = checked.iter().flat_map(|one| one.findings.iter().map(|finding| result(&one.file, finding)));
    json!({
        "version": "2.1.0",
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "runs": [{
            "tool": { "driver": { "name": "toolgate", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results.collect::<Value>(),
        }],
    })
}

fn result(file: &str, finding: &Finding) -> Value {
    let ((line, column), (end_line, end_column)) = (finding.position(), finding.end());
    let level = match finding.level() {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "note",
    };
    let text = match finding.help() {
        Some(help) => format!("{}. Help: {help}", finding.message()),
        None => finding.message().to_owned(),
    };
    json!({
        "ruleId": finding.code().as_str(),
        "level": level,
        "message": { "text": text },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": reference(file) },
            "region": { "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column },
        } }],
    })
}

/// A path as a URI reference (RFC 3986).
fn reference(file: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let encoded = |byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let path = file.bytes().map(encoded).collect::<String>();
    if file.starts_with('/') { format!("file://{path}") } else { path }
}

//! What the audit journal says, for people who look for something in it.

use std::io;
use std::path::Path;
use std::time::SystemTime;

pub use journal::{Bad, Dropped, KeyError, PublicKey, Report};
use serde_json::{Value, json};

/// Which records are wanted. What is not given, is not asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub agent: Option<String>,
    pub server: Option<String>,
    /// The tool, prompt or resource.
    pub subject: Option<String>,
    /// `allowed`, `denied`, `refused`.
    pub outcome: Option<String>,
    pub code: Option<String>,
    pub since: Option<SystemTime>,
    pub until: Option<SystemTime>,
}

/// The columns of a record, for tables.
pub const COLUMNS: [&str; 23] = [
    "seq",
    "time",
    "kind",
    "agent",
    "server",
    "method",
    "subject",
    "outcome",
    "code",
    "rule",
    "policy",
    "of",
    "latency_ms",
    "bytes",
    "by",
    "by_id",
    "admin",
    "action",
    "who",
    "what",
    "id",
    "from",
    "to",
];

/// Reads a journal, also while it is written.
pub struct Trail {
    reader: journal::Reader,
    filter: Filter,
}

impl Trail {
    pub fn open(folder: &Path, filter: Filter) -> Self {
        Self { reader: journal::Reader::from_start(folder), filter }
    }

    /// The next record that is wanted, as its line and its value; none when there is none yet.
    pub fn next_record(&mut self) -> io::Result<Option<(String, Value)>> {
        while let Some(line) = self.reader.next_line()? {
            let record = serde_json::from_str(&line).unwrap_or(Value::Null);
            if self.filter.wants(&record) {
                return Ok(Some((line, record)));
            }
        }
        Ok(None)
    }
}

impl Filter {
    fn wants(&self, record: &Value) -> bool {
        let text = |key: &str| record.get(key).and_then(Value::as_str);
        let is = |wanted: &Option<String>, key| wanted.as_deref().is_none_or(|wanted| text(key) == Some(wanted));
        let time = || text("time").and_then(|time| crate::replay::time(time).ok());
        is(&self.agent, "agent")
            && is(&self.server, "server")
            && is(&self.subject, "subject")
            && is(&self.outcome, "outcome")
            && is(&self.code, "code")
            && self.since.is_none_or(|since| time().is_some_and(|time| time >= since))
            && self.until.is_none_or(|until| time().is_some_and(|time| time < until))
    }
}

/// Verifies a whole journal; see the crate `journal`.
pub fn verify(folder: &Path, key: Option<&PublicKey>) -> io::Result<Report> {
    // A folder that is not there is not a journal without records.
    std::fs::read_dir(folder)?;
    journal::verify(folder, key)
}

/// A public key as an operator keeps it: its base64, or a file that holds that.
pub fn public_key(text: &str) -> Result<PublicKey, KeyError> {
    let kept = std::fs::read_to_string(text);
    PublicKey::from_base64(kept.as_deref().unwrap_or(text))
}

/// For people.
pub fn report_text(report: &Report) -> String {
    let Report { segments, records, checkpoints, last, signed, keys, dropped, bad } = report;
    let mut said = match bad {
        None => format!("{records} records in {segments} segments are as they were written; the last one is {last}\n"),
        Some(Bad { segment, line, seq, why }) => {
            let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
            format!(
                "record {seq} is not what was written: {why} ({segment}{line})\n{records} records before it are as they were written\n"
            )
        }
    };
    if let Some((oldest, newest)) = dropped.first().zip(dropped.last()) {
        let (first, last, count) = (oldest.first, newest.last, dropped.len());
        said.push_str(&format!(
            "records {first} to {last} were dropped, in {count} segments: a signed statement says so\n"
        ));
    }
    said.push_str(&match keys.as_slice() {
        [] => "no checkpoint was signed yet\n".to_owned(),
        keys => format!("{checkpoints} checkpoints are signed by {}\n", keys.join(", ")),
    });
    if let Some((signed, more)) = signed.map(|signed| (signed, last.saturating_sub(signed))) {
        said.push_str(&format!("all up to record {signed} is signed for, and nothing yet for the {more} after it\n"));
    }
    said
}

/// For programs.
pub fn report_json(report: &Report) -> Value {
    let Report { segments, records, checkpoints, last, signed, keys, dropped, bad } = report;
    let one = |dropped: &Dropped| json!({ "first": dropped.first, "last": dropped.last, "why": dropped.why.as_str() });
    let dropped: Vec<Value> = dropped.iter().map(one).collect();
    let bad = bad
        .as_ref()
        .map(|Bad { segment, line, seq, why }| json!({ "segment": segment, "line": line, "seq": seq, "why": why }));
    json!({
        "segments": segments, "records": records, "checkpoints": checkpoints, "last": last, "signed": signed, "keys": keys,
        "dropped": dropped, "bad": bad,
    })
}

/// One row of a table in CSV (RFC 4180). What a spreadsheet would take for a formula is quoted.
pub fn csv(record: &Value) -> String {
    let column = |key: &&str| match record.get(*key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => cell(text),
        Some(other) => cell(&other.to_string()),
    };
    COLUMNS.iter().map(column).collect::<Vec<_>>().join(",")
}

/// One cell of it.
pub fn cell(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@', '\t']) { format!("'{text}") } else { text.to_owned() };
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

/// One line for a terminal.
pub fn line(record: &Value) -> String {
    let text = |key: &str| match record.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => crate::record::visible(text),
        Some(other) => other.to_string(),
    };
    let or_none = |key: &str| Some(text(key)).filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned());
    match text("kind").as_str() {
        "decision" => format!(
            "{} {:>8} {:<8} {} {} {} {} {}",
            text("time"),
            text("seq"),
            text("outcome"),
            text("agent"),
            text("server"),
            text("method"),
            text("subject"),
            text("rule")
        ),
        "outcome" => format!(
            "{} {:>8} {:<8} of {} after {} ms",
            text("time"),
            text("seq"),
            text("outcome"),
            text("of"),
            text("latency_ms")
        ),
        "admin" => format!(
            "{} {:>8} {:<8} {} {} {}",
            text("time"),
            text("seq"),
            text("outcome"),
            text("admin"),
            text("action"),
            text("id")
        ),
        "change" => format!(
            "{} {:>8} changed  {} {} from {} to {} ({})",
            text("time"),
            text("seq"),
            text("what"),
            text("id"),
            or_none("from"),
            or_none("to"),
            text("who")
        ),
        kind => format!("{} {:>8} ({kind})", text("time"), text("seq")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_met_by_all_of_it() {
        let record =
            json!({ "agent": "a", "server": "s", "subject": "t", "outcome": "denied", "time": "2026-11-27T12:00:00Z" });
        let time = |text: &str| Some(crate::replay::time(text).unwrap());
        let filter =
            |agent: &str, since, until| Filter { agent: Some(agent.into()), since, until, ..Filter::default() };
        let noon = time("2026-11-27T12:00:00Z");
        assert!(filter("a", noon, None).wants(&record));
        assert!(!filter("b", None, None).wants(&record));
        assert!(!filter("a", None, noon).wants(&record));
        assert!(!filter("a", noon, None).wants(&json!({ "agent": "a" })), "what has no time is at no time");
        assert!(Filter::default().wants(&Value::Null));
    }

    #[test]
    fn nothing_leaves_its_cell() {
        let row = csv(&json!({ "seq": 7, "agent": "a,\"b\"", "subject": "=cmd()" }));
        assert_eq!(row, "7,,,\"a,\"\"b\"\"\",,,'=cmd(),,,,,,,,,,,,,,,,");
    }
}

//! One line of a file of records: what kind it is, and the record that stands in it. The form is told at [`super::Replay::play`].

use std::borrow::Cow;

use mcp::Object;
use policy::{DenyCode, Outcome};
use serde_json::value::RawValue;

use super::record::{Kind, Labels, Record, Said};
use super::summary::Side;

pub(super) enum Line<'t> {
    Call(Box<Record<'t>>),
    Empty,
    /// Nothing that a policy decides: another line of the log, another method, or what was refused before any rule was asked.
    Other,
    Bad(&'static str),
}

const DECISION: &str = "toolgate::decision";

/// Names as long as this were perhaps cut by the log (`record.rs`).
const CUT: usize = 128;

pub(super) fn read(text: &str) -> Line<'_> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return Line::Empty;
    }
    let Some(outer) = Object::read(text) else { return Line::Bad("not a JSON object with distinct keys") };
    let inner = outer.object("fields").unwrap_or_default();
    match call(&Members { outer, inner }) {
        Ok(Some(record)) => Line::Call(Box::new(record)),
        Ok(None) => Line::Other,
        Err(why) => Line::Bad(why),
    }
}

struct Members<'t> {
    outer: Object<'t>,
    inner: Object<'t>,
}

type Read<T> = Result<T, &'static str>;

fn call<'t>(members: &Members<'t>) -> Read<Option<Record<'t>>> {
    let target = members.text("target", "`target` is not text")?;
    let is_log = target.is_some();
    if target.is_some_and(|target| target != DECISION) {
        return Ok(None);
    }
    let Some((kind, name)) = subject(members)? else { return Ok(None) };
    let Some(old) = old(members)? else { return Ok(None) };
    let not_a_time = "`time` is not a time such as 2026-11-23T09:00:00Z";
    let time = match members.text("time", not_a_time)? {
        Some(time) => time,
        None => members.text("timestamp", not_a_time)?.ok_or("no `time`")?,
    };
    Ok(Some(Record {
        time: humantime::parse_rfc3339(&time).map_err(|_| not_a_time)?,
        is_whole: !is_log || is_whole(&name),
        kind,
        name,
        arguments: arguments(members)?,
        agent: match members.said("agent", Object::text) {
            Some(agent) => agent,
            None => return Err("`agent` is not text"),
        },
        labels: labels(members)?,
        session: members.text("session", "`session` is not text")?,
        server: members.text("server", "`server` is not text")?,
        old,
    }))
}

/// What was called; none where no rule is about it.
fn subject<'t>(members: &Members<'t>) -> Read<Option<(Kind, Cow<'t, str>)>> {
    if let Some(name) = members.text("tool", "`tool` is not text")? {
        return Ok(Some((Kind::Tool, name)));
    }
    let method = members.text("method", "`method` is not text")?.ok_or("no `method` and no `tool`")?;
    let kind = match &*method {
        "tools/call" => Kind::Tool,
        "prompts/get" => Kind::Prompt,
        "resources/read" | "resources/subscribe" => Kind::Resource,
        _ => return Ok(None),
    };
    let name = members.text("subject", "`subject` is not text")?.ok_or("no `subject`")?;
    Ok(Some((kind, name)))
}

/// What became of it, where that is told; none where no rule was asked.
fn old(members: &Members<'_>) -> Read<Option<Option<Side>>> {
    let Some(outcome) = members.text("outcome", "`outcome` is not text")? else { return Ok(Some(None)) };
    let code = members.text("code", "`code` is not text")?;
    let consented = ["approval", "grant"].iter().any(|key| members.holder(key).get(key).is_some());
    let outcome = match (&*outcome, code.as_deref()) {
        ("refused", _) => return Ok(None),
        // The policy asked for approval, and somebody gave it.
        ("allowed", _) if consented => Outcome::Approve,
        ("held", _) => Outcome::Approve,
        ("allowed" | "permit" | "permitted", _) => Outcome::Permit,
        ("denied" | "deny", Some(code)) if code == DenyCode::Hidden.as_str() => Outcome::Hide,
        ("denied" | "deny", Some(code)) if code.starts_with("approval.") => Outcome::Approve,
        ("denied" | "deny", _) => Outcome::Deny,
        ("approve", _) => Outcome::Approve,
        ("hide", _) => Outcome::Hide,
        _ => return Err("an unknown `outcome`"),
    };
    let rule = members.text("rule", "`rule` is not text")?.unwrap_or_default();
    let code = match (outcome, code) {
        (Outcome::Approve, Some(code)) if code == "allowed" => DenyCode::ApprovalRequired.as_str().into(),
        (_, Some(code)) => code,
        (Outcome::Permit, None) => "allowed".into(),
        (Outcome::Approve | Outcome::Hide | Outcome::Deny, None) => outcome.as_str().into(),
    };
    Ok(Some(Some(Side { outcome, code: code.into(), rule: rule.into() })))
}

fn arguments<'t>(members: &Members<'t>) -> Read<Said<&'t RawValue>> {
    members.said("arguments", |holder, key| holder.object(key).and(holder.get(key))).ok_or("`arguments` are no object")
}

fn labels(members: &Members<'_>) -> Read<Said<Labels>> {
    let read = |holder: &Object<'_>, key: &str| {
        let labels = holder.object(key)?;
        let label = |(key, _)| Some((Box::from(key), labels.text(key)?.into()));
        labels.iter().map(label).collect::<Option<Vec<_>>>()
    };
    members.said("labels", read).ok_or("`labels` are no object of texts")
}

/// Whether a name of the log is all of the name: not cut, nothing masked or written out. (The query of a URI is left out there, and
/// nobody can tell.)
fn is_whole(name: &str) -> bool {
    name.chars().nth(CUT - 1).is_none() && !name.contains("://***@") && !name.contains("\\u{")
}

impl<'t> Members<'t> {
    fn holder(&self, key: &str) -> &Object<'t> {
        if self.inner.get(key).is_some() { &self.inner } else { &self.outer }
    }

    /// None where it is there and cannot be read.
    fn said<T>(&self, key: &str, read: impl FnOnce(&Object<'t>, &str) -> Option<T>) -> Option<Said<T>> {
        let holder = self.holder(key);
        match holder.get(key).map(RawValue::get) {
            None => Some(Said::Unsaid),
            Some("null") => Some(Said::Nothing),
            Some(_) => read(holder, key).map(Said::Value),
        }
    }

    fn text(&self, key: &str, why: &'static str) -> Read<Option<Cow<'t, str>>> {
        self.said(key, Object::text).map(Said::value).ok_or(why)
    }
}

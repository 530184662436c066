//! The audit journal: every decision is in it before the call leaves, and how the call ended afterwards. No record, no call.
//!
//! Never an argument's value: a keyed digest of all of them, and their names. Names and URIs are as in the log.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use journal::{Journal, NotWritten, OpenError, Opened, SigningKey};
use mcp::Object;
use policy::Recorded as Wanted;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::act::Act;
use crate::agent::Agent;
use crate::approvals::Consent;
use crate::config;
use crate::identity::Proof;
use crate::judge::Cleared;
use crate::limits::{Charge, Fate};
use crate::random;
use crate::record::{About, visible};
use crate::refusal::{Addressee, Refused};
use crate::ruling::Ruling;

mod keep;
mod ship;
mod values;

use self::ship::Shipping;
pub(crate) use self::ship::Source;

/// Names of arguments that are recorded of one call.
const MAX_KEYS: usize = 64;

/// Bytes of one of them.
const MAX_NAME: usize = 128;

/// Where records go; nowhere, when the operator turned it off.
pub(crate) struct Audit {
    open: Option<Open>,
    /// Records that found no room, of what had happened already. Anything but 0 is an alarm.
    dropped: AtomicU64,
}

struct Open {
    opened: Opened,
    folder: PathBuf,
    /// What this journal is called where there are those of others: no two are called the same.
    node: String,
    /// Whether anything is ever dropped.
    keeps_some: bool,
    /// How old its records may become in the store.
    keep_index: Option<Duration>,
    shipping: Shipping,
    /// Of digests: without it nobody can try out arguments against a digest.
    key: hmac::Key,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("its keys cannot be used")]
    Key(#[from] journal::KeyError),
    #[error("its folder `{path}` cannot be made")]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("`{path}` cannot be read or made")]
    File { path: PathBuf, source: std::io::Error },
    #[error("`{path}` {why}")]
    Strange { path: PathBuf, why: &'static str },
}

/// What is known of a request beside what it is about.
#[derive(Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) to: &'a Addressee,
    /// The hash of the tool's definition.
    pub(crate) definition: Option<&'a str>,
    /// The arguments whose values the policy wants on record.
    pub(crate) record: &'a [&'a Wanted],
    /// What a person said to it.
    pub(crate) consent: Option<&'a Consent>,
}

/// A call whose decision is recorded. However it ends is recorded as well, once.
pub(crate) struct Recorded {
    audit: Arc<Audit>,
    /// The record of the decision.
    of: u64,
    began: Instant,
    ended: AtomicBool,
    /// Of a call that was charged.
    fate: Option<Arc<Fate>>,
}

/// A server, a policy or a binding that came, went or became another.
pub(crate) struct Change<'a> {
    /// Who decided it: `file`, or the store with its revision.
    pub(crate) who: &'a str,
    pub(crate) what: &'a str,
    pub(crate) id: &'a str,
    /// Hashes; none for what was not there, or is not any more.
    pub(crate) from: Option<&'a str>,
    pub(crate) to: Option<&'a str>,
}

impl<'a> Told<'a> {
    pub(crate) fn of(to: &'a Addressee) -> Self {
        Self { to, definition: None, record: &[], consent: None }
    }
}

impl Audit {
    pub(crate) fn open(settings: &config::Audit) -> Result<Self, AuditError> {
        let Some(folder) = &settings.dir else { return Ok(Self { open: None, dropped: AtomicU64::new(0) }) };
        journal::make_folder(folder).map_err(|source| AuditError::Folder { path: folder.clone(), source })?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &digest_key(&folder.join("digest.key"))?);
        let node = node(&settings.node, folder)?;
        let opened = Journal::open(journal::Settings {
            folder: folder.clone(),
            node: node.clone(),
            sync: settings.sync,
            segment: settings.segment as u64,
            queue: settings.queue.get(),
            patience: settings.patience,
            key: Arc::new(SigningKey::load_or_make(&folder.join("signing.key"))?),
            keep: settings.keep,
            stamp: Arc::new(|ago| stamp(SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH))),
        })?;
        if opened.torn > 0 {
            tracing::warn!(bytes = opened.torn, "the audit journal ended in the middle of a record: it was set aside");
        }
        let keeps_some = settings.keep != journal::Keep::default();
        let open = Open {
            opened,
            folder: folder.clone(),
            node,
            keeps_some,
            keep_index: settings.keep_index,
            shipping: Shipping::default(),
            key,
        };
        Ok(Self { open: Some(open), dropped: AtomicU64::new(0) })
    }

    /// The decision to let a call through, on record. The call may leave when this returns, and not before.
    pub(crate) async fn allowed(
        self: &Arc<Self>,
        about: &About<'_>,
        told: Told<'_>,
        cleared: &Cleared<'_>,
        charge: Option<Charge>,
        arguments: Option<&RawValue>,
    ) -> Result<Option<Recorded>, NotWritten> {
        let Some(open) = &self.open else { return Ok(None) };
        let began = Instant::now();
        let mut record = Text::decision(about, "allowed", "allowed", cleared.rule());
        if let Some(shadow) = cleared.shadow() {
            record.raw("shadow", &json!({ "code": shadow.code.as_str(), "rule": shadow.rule.as_str() }).to_string());
        }
        if let Some(consent) = told.consent {
            let (key, id) = consent.by.told();
            record.text(key, id);
            record.raw("approved_by", &json!(consent.approvers).to_string());
        }
        if let Some(charge) = &charge {
            record.raw("charged", charge.json());
        }
        record.told(told);
        record.arguments(open, arguments, told.record);
        let of = open.opened.journal.append(record.end()).await?;
        let fate = charge.map(Charge::fate);
        Ok(Some(Recorded { audit: Arc::clone(self), of, began, ended: AtomicBool::new(false), fate }))
    }

    /// A request that was refused after it was read.
    pub(crate) fn refused(&self, about: &About<'_>, refused: &Refused, told: Told<'_>, arguments: Option<&RawValue>) {
        let Some(open) = &self.open else { return };
        let mut record = Text::decision(about, refused.outcome(), refused.code(), refused.rule());
        if let Some(id) = refused.ruling().and_then(Ruling::approval) {
            record.text("approval", id);
        }
        if let Some(wait) = refused.ruling().and_then(Ruling::retry_after) {
            record.raw("retry_after_ms", &millis(wait));
        }
        if let Some(fault) = refused.fault() {
            record.text("error", &visible(&fault));
        }
        record.told(told);
        record.arguments(open, arguments, told.record);
        self.later(record.end());
    }

    /// A request that was refused before there was anything to judge: malformed, from a wrong origin, without a session.
    pub(crate) fn turned_away(&self, server: &str, agent: &Agent, refused: &Refused) {
        if refused.on_record || refused.is_upstream() {
            return; // what failed upstream is how an allowed call ended
        }
        let method = refused.to.method.map_or("(unknown)", mcp::Method::as_str);
        let about = About { server, agent: &agent.key, proof: &agent.proof, method, subject: None, policy: "" };
        self.refused(&about, refused, Told::of(&refused.to), None);
    }

    /// What the gateway answers itself, and by no rule.
    pub(crate) fn own(&self, about: &About<'_>, to: &Addressee) {
        if self.open.is_some() {
            let mut record = Text::decision(about, "allowed", "allowed", "(gateway)");
            record.told(Told::of(to));
            self.later(record.end());
        }
    }

    /// So many more of a peer's requests were refused since the last of these, for want of a token that is good.
    pub(crate) fn unauthorized(&self, peer: &str, more: u64) {
        let (server, method) = ("(unknown)", "(unknown)");
        let about = About { server, agent: peer, proof: &Proof::None, method, subject: None, policy: "" };
        let mut record = Text::decision(&about, "refused", "unauthorized", "(protocol)");
        record.raw("more", &more.to_string());
        self.later(record.end());
    }

    /// What an admin does, on record. It may be done when this returns, and not before.
    pub(crate) async fn act(&self, act: &Act<'_>) -> Result<(), NotWritten> {
        let Some(open) = &self.open else { return Ok(()) };
        let mut record = Text::new("admin");
        for (key, value) in act.texts() {
            record.text(key, &visible(value));
        }
        for (key, value) in act.numbers() {
            record.raw(key, &value.to_string());
        }
        open.opened.journal.append(record.end()).await.map(drop)
    }

    /// What calls are judged by is not as it was.
    pub(crate) fn changed(&self, change: &Change<'_>) {
        if self.open.is_none() {
            return;
        }
        let mut record = Text::new("change");
        for (key, value) in [("who", change.who), ("what", change.what), ("id", change.id)] {
            record.text(key, &visible(value));
        }
        for (key, hash) in [("from", change.from), ("to", change.to)] {
            if let Some(hash) = hash {
                record.text(key, &visible(hash));
            }
        }
        self.later(record.end());
    }

    /// Writes what waits, and closes the journal.
    pub(crate) fn close(self) {
        if let Some(open) = self.open {
            open.opened.close();
        }
    }

    /// Returns when what was handed over is written.
    pub(crate) async fn settle(&self) {
        if let Some(open) = &self.open {
            open.opened.journal.settle().await;
        }
    }

    /// For readiness: none where nothing is recorded.
    pub(crate) fn status(&self) -> Option<(journal::Status, u64)> {
        let open = self.open.as_ref()?;
        Some((open.opened.journal.status(), self.dropped.load(Ordering::Relaxed)))
    }

    /// For readiness: how far the store has what is recorded.
    pub(crate) fn shipped(&self) -> Option<String> {
        let open = self.open.as_ref()?;
        open.shipping.told(open.opened.journal.durable())
    }

    fn later(&self, record: String) {
        let Some(open) = &self.open else { return };
        if let Err(error) = open.opened.journal.append_later(record) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, "a record of the audit journal is lost");
        }
    }
}

/// A record being written: one JSON object, made for every call, so without a tree in between.
struct Text(String);

impl Text {
    fn new(kind: &str) -> Self {
        let mut record = Self(String::with_capacity(640));
        record.0.push('{');
        record.text("kind", kind);
        record.text("time", &now());
        record
    }

    fn decision(about: &About<'_>, outcome: &str, code: &str, rule: &str) -> Self {
        let mut record = Self::new("decision");
        record.text("agent", about.agent);
        record.text("by", about.proof.way());
        if let Some(which) = about.proof.which() {
            record.text("by_id", &visible(which));
        }
        for (key, value) in [("server", about.server), ("method", about.method)] {
            record.text(key, value);
        }
        if about.subject.is_some() {
            record.text("subject", &visible(&about.name()));
        }
        for (key, value) in [("outcome", outcome), ("code", code), ("rule", rule), ("policy", about.policy)] {
            record.text(key, value);
        }
        record
    }

    /// What a request is called elsewhere, and how large it was.
    fn told(&mut self, Told { to, definition, .. }: Told<'_>) {
        if let Some(hash) = definition {
            self.text("definition", hash);
        }
        self.key("request");
        _ = write!(self.0, "\"{}\"", to.request);
        if let Some(trace) = &to.trace {
            self.text("trace", trace.as_str());
        }
        if to.bytes > 0 {
            self.raw("bytes", &to.bytes.to_string());
        }
    }

    /// All arguments as one number, and their names; and the values that the policy wants.
    fn arguments(&mut self, open: &Open, arguments: Option<&RawValue>, wanted: &[&Wanted]) {
        let Some(arguments) = arguments else { return };
        let mut compact = Vec::with_capacity(arguments.get().len());
        mcp::compact(arguments.get(), &mut compact);
        let digest = hmac::sign(&open.key, &compact);
        let keys = Object::read(arguments.get()).unwrap_or_default();
        self.key("args");
        self.0.push_str("{\"digest\":\"");
        self.0.push_str(&HEXLOWER.encode(digest.as_ref()));
        self.0.push_str("\",\"bytes\":");
        self.0.push_str(&compact.len().to_string());
        self.0.push_str(",\"keys\":[");
        for (place, (key, _)) in keys.iter().take(MAX_KEYS).enumerate() {
            if place > 0 {
                self.0.push(',');
            }
            self.quoted(&visible(short(key)));
        }
        self.0.push(']');
        let values = values::values(wanted, arguments);
        for (place, (path, value)) in values.iter().enumerate() {
            self.0.push_str(if place == 0 { ",\"values\":{" } else { "," });
            self.quoted(path);
            self.0.push(':');
            self.0.push_str(value);
        }
        self.0.push_str(if values.is_empty() { "}" } else { "}}" });
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.quoted(value);
    }

    /// `json` as it is.
    fn raw(&mut self, key: &str, json: &str) {
        self.key(key);
        self.0.push_str(json);
    }

    /// `key` needs no escapes.
    fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(key);
        self.0.push_str("\":");
    }

    fn quoted(&mut self, text: &str) {
        let plain = text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
        if plain {
            self.0.push('"');
            self.0.push_str(text);
            self.0.push('"');
        } else {
            self.0.push_str(&mcp::string(text));
        }
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// The beginning of a name, as far as a record bears.
fn short(name: &str) -> &str {
    name.get(..name.floor_char_boundary(MAX_NAME)).unwrap_or_default()
}

impl Recorded {
    /// The answer is on its way.
    pub(crate) fn answered(&self, is_error: bool, bytes: usize) {
        self.end(if is_error { "error" } else { "result" }, Some(bytes), None);
    }

    /// A further round of a call: how that ends is told by the call's first record.
    pub(crate) fn is_a_round(&self) {
        self.end("round", None, None);
    }

    /// There was no answer, or none that may be passed on.
    pub(crate) fn failed(&self, why: &Refused) {
        self.end("failed", None, Some(why));
    }

    fn end(&self, outcome: &str, bytes: Option<usize>, why: Option<&Refused>) {
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut record = Text::new("outcome");
        record.raw("of", &self.of.to_string());
        record.text("outcome", outcome);
        record.raw("latency_ms", &millis(self.began.elapsed()));
        if self.fate.as_ref().is_some_and(|fate| fate.stayed()) {
            record.raw("sent", "false");
        }
        if let Some(bytes) = bytes {
            record.raw("bytes", &bytes.to_string());
        }
        if let Some(why) = why {
            record.text("code", why.code());
            record.text("error", &visible(&why.detail()));
        }
        self.audit.later(record.end());
    }
}

impl Drop for Recorded {
    /// Nobody waited for the end, or there was none.
    fn drop(&mut self) {
        self.end("abandoned", None, None);
    }
}

fn millis(span: Duration) -> String {
    span.as_millis().to_string()
}

fn now() -> String {
    stamp(SystemTime::now())
}

fn stamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

fn made(path: &Path, make: impl FnOnce() -> std::io::Result<Vec<u8>>) -> Result<Vec<u8>, AuditError> {
    journal::read_or_make(path, make).map_err(|source| AuditError::File { path: path.to_owned(), source })
}

/// 256 bits in a file that only its owner may read; made where there is none.
fn digest_key(path: &Path) -> Result<Vec<u8>, AuditError> {
    let random = || random::bytes::<32>().map(Vec::from).map_err(std::io::Error::other);
    let key = made(path, random)?;
    let why = "does not hold a key of 32 bytes: put back the right one; or remove it, and what is recorded from then on has other digests";
    if key.len() == 32 { Ok(key) } else { Err(AuditError::Strange { path: path.to_owned(), why }) }
}

/// Bytes of what makes a journal's name its own.
const INSTANCE: usize = 6;

/// The operator's name for it, and what makes it its own: random, and kept in the folder.
pub(crate) fn node(name: &str, folder: &Path) -> Result<String, AuditError> {
    let path = folder.join("instance");
    let random = || random::hex::<INSTANCE>().map(|hex| format!("{hex}\n").into_bytes());
    let said = made(&path, || random().map_err(std::io::Error::other))?;
    let lawful = |text: &&str| text.len() == 2 * INSTANCE && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match str::from_utf8(&said).ok().map(str::trim_end).filter(lawful) {
        Some(instance) => Ok(format!("{name}.{instance}")),
        None => {
            let why = "does not say what this journal is called: put back the right one; or remove it, and the journal is another one in the store";
            Err(AuditError::Strange { path, why })
        }
    }
}

#[cfg(test)]
mod ship_tests;
#[cfg(test)]
mod tests;

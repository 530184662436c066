//! The audit journal: every decision is in it before the call leaves, and how the call ended afterwards. No record, no call.
//!
//! Never an argument's value: a keyed digest of all of them, and their names. Names and URIs are as in the log.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use journal::{Journal, NotWritten, OpenError, Opened, SigningKey};
use mcp::Object;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::agent::Agent;
use crate::config;
use crate::judge::Cleared;
use crate::record::{About, visible};
use crate::refusal::Refused;
use crate::ruling::Ruling;

/// Names of arguments that are recorded of one call.
const MAX_KEYS: usize = 64;

/// Where records go; nowhere, when the operator turned it off.
pub(crate) struct Audit {
    open: Option<Open>,
    /// Records that found no room, of what had happened already. Anything but 0 is an alarm.
    dropped: AtomicU64,
}

struct Open {
    opened: Opened,
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
    #[error("its folder cannot be used")]
    Folder(#[from] std::io::Error),
    #[error("no randomness to make a key of")]
    Random(#[from] getrandom::Error),
}

/// A call whose decision is recorded. However it ends is recorded as well, once.
pub(crate) struct Recorded {
    audit: Arc<Audit>,
    /// The record of the decision.
    of: u64,
    began: Instant,
    ended: AtomicBool,
}

impl Audit {
    pub(crate) fn open(settings: &config::Audit) -> Result<Self, AuditError> {
        let Some(folder) = &settings.dir else { return Ok(Self { open: None, dropped: AtomicU64::new(0) }) };
        std::fs::create_dir_all(folder)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &digest_key(&folder.join("digest.key"))?);
        let opened = Journal::open(journal::Settings {
            folder: folder.clone(),
            node: settings.node.clone(),
            sync: settings.sync,
            segment: settings.segment as u64,
            queue: settings.queue.get(),
            patience: settings.patience,
            key: Arc::new(SigningKey::load_or_make(&folder.join("signing.key"))?),
            stamp: Arc::new(now),
        })?;
        if opened.torn > 0 {
            tracing::warn!(bytes = opened.torn, "the audit journal ended in the middle of a record: it was set aside");
        }
        Ok(Self { open: Some(Open { opened, key }), dropped: AtomicU64::new(0) })
    }

    /// The decision to let a call through, on record. The call may leave when this returns, and not before.
    pub(crate) async fn allowed(
        self: &Arc<Self>,
        about: &About<'_>,
        cleared: &Cleared<'_>,
        arguments: Option<&RawValue>,
    ) -> Result<Option<Recorded>, NotWritten> {
        let Some(open) = &self.open else { return Ok(None) };
        let began = Instant::now();
        let mut record = decision(about, "allowed", "allowed", cleared.rule());
        if let Some(shadow) = cleared.shadow() {
            record.insert("shadow".into(), json!({ "code": shadow.code.as_str(), "rule": shadow.rule.as_str() }));
        }
        if let Some(arguments) = arguments {
            record.insert("args".into(), open.digest(arguments));
        }
        let of = open.opened.journal.append(&Value::Object(record).to_string()).await?;
        Ok(Some(Recorded { audit: Arc::clone(self), of, began, ended: AtomicBool::new(false) }))
    }

    /// A request that was refused after it was read.
    pub(crate) fn refused(&self, about: &About<'_>, refused: &Refused, arguments: Option<&RawValue>) {
        let Some(open) = &self.open else { return };
        let outcome = if refused.ruling().is_some() { "denied" } else { "refused" };
        let mut record = decision(about, outcome, refused.code(), refused.rule());
        if let Some(wait) = refused.ruling().and_then(Ruling::retry_after) {
            record.insert("retry_after_ms".into(), millis(wait));
        }
        if let Some(fault) = refused.fault() {
            record.insert("error".into(), visible(&fault).into());
        }
        if let Some(arguments) = arguments {
            record.insert("args".into(), open.digest(arguments));
        }
        self.later(record);
    }

    /// A request that was refused before there was anything to judge: malformed, from a wrong origin, without a session.
    pub(crate) fn turned_away(&self, server: &str, agent: &Agent, refused: &Refused) {
        if self.open.is_none() || refused.is_upstream() {
            return; // what failed upstream is on record already
        }
        let method = refused.to.method.map_or("(unknown)", mcp::Method::as_str);
        let about = About { server, agent: &agent.key, method, subject: None, policy: "" };
        self.refused(&about, refused, None);
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

    fn later(&self, record: Map<String, Value>) {
        let Some(open) = &self.open else { return };
        if let Err(error) = open.opened.journal.append_later(&Value::Object(record).to_string()) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, "a record of the audit journal is lost");
        }
    }
}

impl Open {
    /// All arguments as one number, and their names.
    fn digest(&self, arguments: &RawValue) -> Value {
        let mut compact = Vec::with_capacity(arguments.get().len());
        mcp::compact(arguments.get(), &mut compact);
        let digest = hmac::sign(&self.key, &compact);
        let keys = Object::read(arguments.get()).unwrap_or_default();
        let keys: Vec<String> = keys.iter().take(MAX_KEYS).map(|(key, _)| visible(key)).collect();
        json!({ "digest": digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            "bytes": compact.len(), "keys": keys })
    }
}

impl Recorded {
    /// The answer is on its way.
    pub(crate) fn answered(&self, is_error: bool, bytes: usize) {
        self.end(if is_error { "error" } else { "result" }, Some(bytes));
    }

    /// A further round of a call: how that ends is told by the call's first record.
    pub(crate) fn is_a_round(&self) {
        self.end("round", None);
    }

    pub(crate) fn failed(&self) {
        self.end("failed", None);
    }

    fn end(&self, outcome: &str, bytes: Option<usize>) {
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut record = Map::new();
        record.insert("kind".into(), "outcome".into());
        record.insert("time".into(), now().into());
        record.insert("of".into(), self.of.into());
        record.insert("outcome".into(), outcome.into());
        record.insert("latency_ms".into(), millis(self.began.elapsed()));
        if let Some(bytes) = bytes {
            record.insert("bytes".into(), bytes.into());
        }
        self.audit.later(record);
    }
}

impl Drop for Recorded {
    /// Nobody waited for the end, or there was none.
    fn drop(&mut self) {
        self.end("abandoned", None);
    }
}

fn decision(about: &About<'_>, outcome: &str, code: &str, rule: &str) -> Map<String, Value> {
    let members = [
        ("kind", Some("decision".into())),
        ("time", Some(now().into())),
        ("agent", Some(about.agent.into())),
        ("server", Some(about.server.into())),
        ("method", Some(about.method.into())),
        ("subject", about.subject.map(|_| visible(&about.name()).into())),
        ("outcome", Some(outcome.into())),
        ("code", Some(code.into())),
        ("rule", Some(rule.into())),
        ("policy", Some(about.policy.into())),
    ];
    members.into_iter().filter_map(|(key, value): (_, Option<Value>)| Some((key.to_owned(), value?))).collect()
}

fn millis(span: Duration) -> Value {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).into()
}

fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

/// 256 bits in a file that only its owner may read; made where there is none.
fn digest_key(path: &Path) -> Result<Vec<u8>, AuditError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    match std::fs::read(path) {
        Ok(key) if key.len() == 32 => Ok(key),
        Ok(_) => Err(std::io::Error::other(format!("`{}` does not hold a key of 32 bytes", path.display())).into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut key = vec![0; 32];
            getrandom::fill(&mut key)?;
            let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(&key)?;
            file.sync_all()?;
            Ok(key)
        }
        Err(error) => Err(error.into()),
    }
}

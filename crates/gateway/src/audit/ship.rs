//! Brings records to the store, to be asked there: each once, in their order, from where it ended; never in the way of a call.
//!
//! Only what survives the death of the machine is brought: a number that the journal gives again would be two records' otherwise.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use journal::{Journal, Reader};
use serde::Deserialize;
use serde_json::value::RawValue;
use store::{AuditRecord, Store, StoreError};

use super::{Audit, Open};
use crate::policies::chain;

/// Records that are brought at once, and bytes of them.
const BATCH: usize = 1000;
const BATCH_BYTES: usize = 4 << 20;

/// How often it is looked whether there is something to bring.
const LOOK: Duration = Duration::from_millis(250);

/// How long it waits after the store did not take it: doubled, up to the second.
const PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// How far it is.
#[derive(Default)]
pub(super) struct Shipping {
    on: AtomicBool,
    /// The number of the last record that the store has.
    shipped: AtomicU64,
    trouble: Mutex<Option<String>>,
}

#[derive(Debug, thiserror::Error)]
enum ShipError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the journal cannot be read")]
    Read(#[from] std::io::Error),
    #[error(
        "another journal is called `{0}` as well, and the store has its records: remove the file `instance` from the folder of one of the two"
    )]
    NotOurs(String),
}

/// Some records, and the number of the last.
pub(crate) struct Batch {
    pub(crate) records: Vec<AuditRecord>,
    last: u64,
}

/// What is read of a journal to be brought somewhere.
pub(crate) struct Source {
    reader: Reader,
    node: String,
    /// Records up to here are there already.
    after: u64,
    /// A line that did not fit, or is not on the disk yet.
    next: Option<(u64, AuditRecord)>,
}

impl Audit {
    /// Whether records are held until the store has them. Before anything is dropped.
    pub(crate) fn ships(&self) {
        if let Some(open) = &self.open {
            open.shipping.on.store(true, Ordering::Relaxed);
        }
    }

    /// Records up to this one may be dropped.
    pub(super) fn may_go(&self) -> u64 {
        let Some(Open { shipping, .. }) = &self.open else { return 0 };
        if shipping.on.load(Ordering::Relaxed) { shipping.shipped.load(Ordering::Relaxed) } else { u64::MAX }
    }

    /// For ever.
    pub(crate) async fn ship(self: Arc<Self>, store: Store) {
        let Some(open) = &self.open else { return };
        let mut pause = PAUSE;
        loop {
            let Err(error) = open.ship(&store, &mut pause).await;
            let said = chain(&error);
            if open.shipping.note(Some(said.clone())) {
                tracing::error!(error = %said, "records of the audit journal do not get to the store");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }
}

impl Open {
    /// From where it ended, until something goes wrong.
    async fn ship(&self, store: &Store, pause: &mut Duration) -> Result<std::convert::Infallible, ShipError> {
        let last = store.last_audit_seq(&self.node).await?.and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0);
        self.is_ours(store, last).await?;
        self.shipping.shipped.store(last, Ordering::Relaxed);
        let mut source = Source::of(&self.folder, &self.node, last)?;
        loop {
            let (back, batch) = read(source, Some(self.opened.journal.clone())).await?;
            source = back;
            if batch.records.is_empty() {
                self.shipping.note(None);
                tokio::time::sleep(LOOK).await;
                continue;
            }
            store.insert_audit(&batch.records).await?;
            self.shipping.shipped.store(batch.last, Ordering::Relaxed);
            self.shipping.note(None);
            *pause = PAUSE;
        }
    }

    /// Is what the store has under this name from this journal? Another would be left out silently.
    async fn is_ours(&self, store: &Store, last: u64) -> Result<(), ShipError> {
        if last == 0 {
            return Ok(());
        }
        if last > self.opened.journal.durable() {
            return Err(ShipError::NotOurs(self.node.clone()));
        }
        let there = match store.audit_record(&self.node, last.cast_signed()).await {
            Err(StoreError::NotFound { .. }) => return Ok(()), // too old for the store
            there => there?,
        };
        let mut source = Source::of(&self.folder, &self.node, last - 1)?;
        match source.next_record()? {
            Some((seq, here)) if seq == last && here.line != there.line => Err(ShipError::NotOurs(self.node.clone())),
            _ => Ok(()), // or too old for the journal
        }
    }
}

/// Off the thread that everything else of the control plane runs on.
async fn read(mut source: Source, journal: Option<Journal>) -> Result<(Source, Batch), ShipError> {
    let read = move || {
        let up_to = journal.map_or(u64::MAX, |journal| journal.durable());
        let batch = source.batch(up_to)?;
        Ok((source, batch))
    };
    let gone = |_| ShipError::Read(std::io::Error::other("the one that reads it ended"));
    tokio::task::spawn_blocking(read).await.map_err(gone)?
}

impl Source {
    pub(crate) fn of(folder: &std::path::Path, node: &str, after: u64) -> std::io::Result<Self> {
        let reader = Reader::from_record(folder, after.saturating_add(1))?;
        Ok(Self { reader, node: node.to_owned(), after, next: None })
    }

    /// What is next, and not beyond `up_to`.
    pub(crate) fn batch(&mut self, up_to: u64) -> std::io::Result<Batch> {
        let mut batch = Batch { records: Vec::new(), last: self.after };
        let mut bytes = 0;
        while batch.records.len() < BATCH {
            let next = match self.next.take() {
                None => self.next_record()?,
                kept => kept,
            };
            let Some((seq, record)) = next else { break };
            bytes += record.line.len();
            if seq > up_to || (bytes > BATCH_BYTES && !batch.records.is_empty()) {
                self.next = Some((seq, record));
                break;
            }
            (batch.last, self.after) = (seq, seq);
            batch.records.push(record);
        }
        Ok(batch)
    }

    fn next_record(&mut self) -> std::io::Result<Option<(u64, AuditRecord)>> {
        loop {
            let line = match self.reader.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(None),
                // What is missing is nowhere any more. What comes after it is brought all the same.
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                    tracing::error!(%error, "records are missing in the audit journal");
                    continue;
                }
                Err(error) => return Err(error),
            };
            let segment = self.reader.segment().unwrap_or(0);
            let said = serde_json::from_str::<Said<'_>>(&line).unwrap_or_default();
            // What has no number is no record; `verify` says so.
            let Some(seq) = of(said.seq).filter(|seq| *seq > self.after) else { continue };
            let record = indexed(&self.node, seq, segment, &said);
            return Ok(Some((seq, AuditRecord { line, ..record })));
        }
    }
}

/// What of a record can be asked for, as it is written.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said<'l> {
    #[serde(borrow)]
    seq: Option<&'l RawValue>,
    time: Option<&'l RawValue>,
    kind: Option<&'l RawValue>,
    agent: Option<&'l RawValue>,
    server: Option<&'l RawValue>,
    method: Option<&'l RawValue>,
    subject: Option<&'l RawValue>,
    outcome: Option<&'l RawValue>,
    code: Option<&'l RawValue>,
    rule: Option<&'l RawValue>,
    policy: Option<&'l RawValue>,
    latency_ms: Option<&'l RawValue>,
}

/// None for what is not of that type: one odd member is no reason to leave out a record.
fn of<'l, T: Deserialize<'l>>(member: Option<&'l RawValue>) -> Option<T> {
    serde_json::from_str(member?.get()).ok()
}

/// A record as the store keeps it, without its line.
fn indexed(node: &str, seq: u64, segment: u64, said: &Said<'_>) -> AuditRecord {
    let time = of::<Cow<'_, str>>(said.time).and_then(|time| crate::replay::time(&time).ok());
    let since = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    AuditRecord {
        node: node.to_owned(),
        seq: seq.cast_signed(),
        segment: segment.cast_signed(),
        time_ms: since.and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(0),
        kind: of(said.kind).unwrap_or_default(),
        agent: of(said.agent),
        server: of(said.server),
        method: of(said.method),
        subject: of(said.subject),
        outcome: of(said.outcome),
        code: of(said.code),
        rule: of(said.rule),
        policy: of(said.policy),
        latency_us: of::<i64>(said.latency_ms).and_then(|latency| latency.checked_mul(1000)),
        line: String::new(),
    }
}

impl Shipping {
    /// Whether that is new.
    fn note(&self, trouble: Option<String>) -> bool {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = *known != trouble;
        *known = trouble;
        is_new
    }

    pub(super) fn told(&self, durable: u64) -> Option<String> {
        let shipped = self.shipped.load(Ordering::Relaxed);
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let trouble = trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default();
        let on = self.on.load(Ordering::Relaxed);
        on.then(|| format!("audit index {shipped} of {durable}{trouble}\n"))
    }
}

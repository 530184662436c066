//! The journal of a node as its operator reads it: with `toolgate audit`.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::oracle::{Broken, promised};
use super::stage::Stage;

/// A decision.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    pub(super) kind: String,
    pub(super) subject: String,
    pub(super) outcome: String,
    pub(super) code: String,
    pub(super) policy: String,
}

impl Default for Record {
    fn default() -> Self {
        let empty = String::new;
        Self { kind: empty(), subject: empty(), outcome: empty(), code: empty(), policy: empty() }
    }
}

impl Record {
    pub(super) fn is_allowed(&self) -> bool {
        self.outcome == "allowed"
    }
}

/// The subjects of what was allowed.
pub(super) fn allowed(records: &[Record]) -> impl Iterator<Item = &str> {
    records.iter().filter(|record| record.is_allowed()).map(|record| record.subject.as_str())
}

/// Where a node keeps it.
fn folder(node: &Path) -> String {
    node.join("data/audit").to_string_lossy().into_owned()
}

/// The chain holds, from the first record to the last.
pub(super) async fn verify(stage: &Stage, node: &Path) -> anyhow::Result<()> {
    let (code, said) = stage.toolgate(&["audit", "verify", &folder(node)]).await?;
    // Its own code for what was found; any other means that it could not look.
    ensure!(code <= 1, "`toolgate audit verify` ended with {code}: {said}");
    promised(code == 0, || format!("the journal does not verify: {said}"))?;
    Ok(())
}

/// Every decision on record.
pub(super) async fn decisions(stage: &Stage, node: &Path) -> anyhow::Result<Vec<Record>> {
    let (code, said) = stage.toolgate(&["audit", "export", &folder(node)]).await?;
    ensure!(code == 0, "`toolgate audit export` ended with {code}: {said}");
    let records = said.lines().map(serde_json::from_str::<Record>);
    let records: Result<Vec<_>, _> = records.collect();
    let records = records.context("`toolgate audit export` printed what is no record")?;
    Ok(records.into_iter().filter(|record| record.kind == "decision").collect())
}

/// No call is on record as allowed twice: each was made once.
pub(super) fn each_once(records: &[Record]) -> Result<(), Broken> {
    super::oracle::once("allowed calls are on record", allowed(records))
}

/// The number of the last record.
pub(super) async fn last(stage: &Stage, node: &Path) -> anyhow::Result<u64> {
    let (_, said) = stage.toolgate(&["audit", "verify", "--format", "json", &folder(node)]).await?;
    let report: serde_json::Value = serde_json::from_str(&said).context("the report is not JSON")?;
    report.get("last").and_then(serde_json::Value::as_u64).context("the report names no last record")
}

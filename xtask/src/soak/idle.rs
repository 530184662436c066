//! `idle`: a legacy session that nobody uses costs at most 10 KiB, as measured by `cargo xtask bench` (so of the release build).
//! Planted: a promise that nobody can keep.

use super::Played;
use super::oracle::promised;
use super::stage::Stage;
use crate::bench::{self, MAX_SESSION_BYTES};

const PLANTED: u64 = 100;

pub(super) fn play(stage: &Stage) -> Played<'_> {
    Box::pin(idle(stage))
}

async fn idle(stage: &Stage) -> anyhow::Result<String> {
    let sessions = if stage.planted { 1_000 } else { stage.of(20_000, 100_000) };
    let most = if stage.planted { PLANTED } else { MAX_SESSION_BYTES };
    let bytes = bench::session_bytes(sessions, &stage.folder).await?;
    let kib = bytes as f64 / 1024.0;
    promised(bytes <= most, || format!("{sessions} idle sessions take {kib:.1} KiB each"))?;
    Ok(format!("{sessions} idle sessions of {kib:.1} KiB each"))
}

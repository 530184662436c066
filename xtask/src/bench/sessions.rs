//! What an idle legacy session costs: resident memory before and after opening many.

use std::path::Path;

use super::message::Era;
use super::stage::Binaries;
use super::{Plan, cpu, load::Connection};

pub(super) struct SessionCost {
    pub(super) sessions: usize,
    pub(super) bytes_each: u64,
}

/// Opened over a few connections, which then go: a session is not a connection.
pub(super) async fn measure(plan: &Plan, binaries: &Binaries, folder: &Path) -> anyhow::Result<SessionCost> {
    eprintln!("{} idle sessions", plan.sessions);
    let upstream = binaries.upstream(folder)?;
    // Those of the first time around, too.
    let room = format!("[bounds]\nsessions = {}\n", plan.sessions.saturating_mul(2));
    let toolgate = binaries.toolgate_with(&room, &upstream, folder)?;
    let mut connections = Vec::new();
    for _ in 0..plan.connections {
        connections.push(Connection::open(&toolgate.url, Era::Legacy).await?);
    }
    // Once around first, so that pools, buffers and code are there before the count begins.
    open(&mut connections, plan.sessions / 10).await?;
    let before = cpu::resident(toolgate.pid())?;
    open(&mut connections, plan.sessions).await?;
    let after = cpu::resident(toolgate.pid())?;
    let bytes = after.saturating_sub(before) * 1024;
    Ok(SessionCost { sessions: plan.sessions, bytes_each: bytes / plan.sessions as u64 })
}

async fn open(connections: &mut [Connection], sessions: usize) -> anyhow::Result<()> {
    for opened in (0..sessions).step_by(connections.len()) {
        for connection in connections.iter_mut().take(sessions - opened) {
            connection.start_session().await?;
        }
    }
    Ok(())
}

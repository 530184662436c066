//! One address for many servers: how long its list of tools takes beside one server's, what a call costs, and what it all weighs.

use std::path::Path;
use std::time::Duration;

use super::calls::{cpu_per_call, median};
use super::load::{self, Connection};
use super::message::Era;
use super::stage::{Binaries, Server};
use super::{Plan, cpu};

pub(super) const SERVERS: usize = 20;
pub(super) const TOOLS: usize = 50;

pub(super) struct AggregateCost {
    /// The median time of a list: one server's own, and everything.
    pub(super) one: Duration,
    pub(super) all: Duration,
    /// CPU of a call through the aggregate against one through the server's own address.
    pub(super) call_ratio: f64,
    /// Resident memory that the gateway gained from its start to the last list, in KiB.
    pub(super) grown: u64,
}

pub(super) async fn measure(plan: &Plan, binaries: &Binaries, folder: &Path) -> anyhow::Result<AggregateCost> {
    let tools = TOOLS.to_string();
    let upstreams = (0..SERVERS).map(|_| binaries.upstream_with(&["--tools", &tools], folder));
    let upstreams = upstreams.collect::<anyhow::Result<Vec<Server>>>()?;
    let named: Vec<_> = (0..).map(|number| format!("s{number}")).zip(&upstreams).collect();
    let toolgate = binaries.toolgate_for(&named, folder)?;
    let before = cpu::resident(toolgate.pid())?;
    let (one, all) = (toolgate.at("/mcp/s0")?, toolgate.at("/mcp")?);

    eprintln!("lists of {SERVERS} servers with {TOOLS} tools each");
    let mut single = Connection::open(&one, Era::Modern).await?;
    let mut whole = Connection::open(&all, Era::Modern).await?;
    whole.writer.tool = "s0__get_issue";
    let (mut times, lists) = (Vec::new(), plan.lists);
    for _ in 0..lists {
        times.push((single.list(TOOLS).await?, whole.list(SERVERS * TOOLS).await?));
    }
    let grown = cpu::resident(toolgate.pid())?.saturating_sub(before);

    let mut ratios = Vec::new();
    for number in 1..=plan.rounds {
        eprintln!("round {number} of {}, calls through the aggregate", plan.rounds);
        let own = load::run(plan, &one, Era::Modern, toolgate.pid()).await?;
        let through = load::run_tool(plan, &all, Era::Modern, toolgate.pid(), "s0__get_issue").await?;
        ratios.push(cpu_per_call(&through) / cpu_per_call(&own));
    }
    let middle = |pick: fn(&(Duration, Duration)) -> Duration| {
        let mut sorted: Vec<_> = times.iter().map(pick).collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    };
    Ok(AggregateCost { one: middle(|pair| pair.0), all: middle(|pair| pair.1), call_ratio: median(ratios), grown })
}

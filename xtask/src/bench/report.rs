//! The result, for the terminal and for `docs/benchmarks.md`: the same text.

use std::fmt;

use super::aggregate::{self, AggregateCost};
use super::calls::{Calls, WAYS};
use super::crossing::Crossing;
use super::decisions::Decision;
use super::engines;
use super::keeping::{self, Keeping};
use super::sessions::SessionCost;
use super::wrap::WrapCost;
use crate::shell;

const DIRECT: usize = 0;
const BARE: usize = 1;
const TOOLGATE: usize = 2;

/// The goals of `docs/architecture.md`.
const MAX_CPU_RATIO: f64 = 1.5;
pub(crate) const MAX_SESSION_BYTES: u64 = 10 * 1024;
const MAX_DECISION_RATIO: f64 = 1.2;
const MAX_DECISION_NANOSECONDS: f64 = 1_000.0;

/// What was not measured is left out.
pub(super) struct Report {
    pub(super) calls: Vec<Calls>,
    pub(super) keeping: Option<Keeping>,
    pub(super) crossings: Vec<Crossing>,
    pub(super) wrap: Option<WrapCost>,
    pub(super) aggregate: Option<AggregateCost>,
    pub(super) sessions: Option<SessionCost>,
    pub(super) decisions: Vec<Decision>,
    command: String,
}

pub(super) const PAGE: &str = "docs/benchmarks.md";

impl Report {
    pub(super) fn new(command: String) -> Self {
        Self {
            calls: Vec::new(),
            keeping: None,
            crossings: Vec::new(),
            wrap: None,
            aggregate: None,
            sessions: None,
            decisions: Vec::new(),
            command,
        }
    }

    pub(super) fn write(&self) -> anyhow::Result<()> {
        let text = format!(
            "# Benchmarks\n\n\
             What Toolgate costs beside a bare hyper reverse proxy that reads nothing (`crates/testkit/src/bin/bare_proxy.rs`, the same runtime\n\
             shape), measured in alternation in one run. Ratios are what to look at: absolute figures are those of this machine with whatever else\n\
             it was doing, with client, proxy and upstream sharing its cores.\n\n\
             Toolgate runs as it comes (with mimalloc; the bare proxy with the system's allocator): a policy of 100 rules, a rate limit that is counted and never reached, every decision logged to a file, put into the audit journal and copied from there to SQLite. CPU is\n\
             user plus kernel time of the process that is called, from `/proc`; a figure is the median of the rounds, a ratio the median of the rounds' ratios.\n\n\
             ```\n{}\n```\n\n{}\n{self}{}",
            self.command,
            machine(),
            engines::written(),
        );
        Ok(std::fs::write(shell::root().join(PAGE), text)?)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.command.contains("--smoke") {
            writeln!(out, "\nA smoke run: it shows that everything runs; its figures are too short to mean much.")?;
        }
        for calls in &self.calls {
            writeln!(out, "\n## tools/call, {}\n", calls.era)?;
            writeln!(out, "| way | calls/s | p50 µs | p99 µs | CPU µs/call | CPU against bare |")?;
            writeln!(out, "|---|---:|---:|---:|---:|---:|")?;
            for (way, name) in WAYS.iter().enumerate() {
                let (per_second, cpu) = (calls.per_second(way), calls.cpu(way));
                let [p50, p99] = [0.5, 0.99].map(|share| calls.latency(way, share).as_micros());
                let ratio = match way {
                    DIRECT => "(the upstream's own)".to_owned(),
                    _ => format!("{:.2}", calls.cpu_ratio(way, BARE)),
                };
                writeln!(out, "| {name} | {per_second:.0} | {p50} | {p99} | {cpu:.1} | {ratio} |")?;
            }
            let ratio = calls.cpu_ratio(TOOLGATE, BARE);
            writeln!(
                out,
                "\nGoal: at most {MAX_CPU_RATIO} times the CPU of the bare proxy. {}",
                verdict(ratio <= MAX_CPU_RATIO)
            )?;
        }
        if let Some(keeping) = &self.keeping {
            keeping_table(out, keeping)?;
        }
        if !self.crossings.is_empty() {
            writeln!(
                out,
                "\n## Between the eras\n\n| client | own era, CPU µs/call | other era, CPU µs/call | ratio |"
            )?;
            writeln!(out, "|---|---:|---:|---:|")?;
        }
        for crossing in &self.crossings {
            let ([own, other], ratio) = (crossing.cpu(), crossing.ratio());
            writeln!(out, "| {} | {own:.1} | {other:.1} | {ratio:.2} |", crossing.client)?;
        }
        if let Some(WrapCost { direct, wrapped, ratio }) = self.wrap {
            writeln!(
                out,
                "\n## `toolgate wrap`\n\nOne call after the other: {direct:.0} µs directly, {wrapped:.0} µs wrapped, {ratio:.2} times as long; {:.0} µs a call are added.",
                wrapped - direct
            )?;
        }
        if let Some(AggregateCost { one, all, call_ratio, grown }) = self.aggregate {
            let (servers, tools) = (aggregate::SERVERS, aggregate::TOOLS);
            writeln!(
                out,
                "\n## One address for {servers} servers with {tools} tools each\n\n\
                 A whole list: {} µs; of one server at its own address: {} µs. That is {:.2} times as long for {servers} times as many tools.\n\
                 A call through it takes {call_ratio:.2} times the CPU of one at the server's own address. The gateway grew by {grown} KiB from its start to the last list.",
                all.as_micros(),
                one.as_micros(),
                all.as_secs_f64() / one.as_secs_f64()
            )?;
        }
        if let Some(SessionCost { sessions, bytes_each }) = self.sessions {
            writeln!(
                out,
                "\n## Idle legacy sessions\n\n{sessions} sessions: {:.1} KiB each.",
                bytes_each as f64 / 1024.0
            )?;
            writeln!(out, "\nGoal: at most 10 KiB. {}", verdict(bytes_each <= MAX_SESSION_BYTES))?;
        }
        if self.decisions.is_empty() {
            return Ok(());
        }
        writeln!(out, "\n## Decisions\n\n| case | 10 rules, ns | 10,000 rules, ns | ratio |\n|---|---:|---:|---:|")?;
        for Decision { case, few, many, ratio } in &self.decisions {
            writeln!(out, "| {case} | {few:.0} | {many:.0} | {ratio:.2} |")?;
        }
        let largest = |value: fn(&Decision) -> f64| self.decisions.iter().map(value).fold(0.0, f64::max);
        let (ratio, slowest) = (largest(|decision| decision.ratio), largest(|decision| decision.few));
        writeln!(
            out,
            "\nOf short batches in turn: a figure is the median of the rounds, a ratio the median of the rounds' ratios. The same call\n\
             again and again, so what it touches is in the caches.\n\n\
             Goals: at most {MAX_DECISION_RATIO} times under many rules. {} At most {MAX_DECISION_NANOSECONDS} ns, with three conditions on 300 bytes. {}",
            verdict(ratio <= MAX_DECISION_RATIO),
            verdict(slowest <= MAX_DECISION_NANOSECONDS)
        )
    }
}

fn keeping_table(out: &mut fmt::Formatter<'_>, keeping: &Keeping) -> fmt::Result {
    let Keeping { busy, alone } = keeping;
    writeln!(
        out,
        "\n## What keeping costs\n\n| way | CPU µs/call | CPU against bare | p50 µs | p99 µs | added p50 µs | added p99 µs |"
    )?;
    writeln!(out, "|---|---:|---:|---:|---:|---:|---:|")?;
    for (way, name) in Keeping::names().enumerate() {
        let (cpu, ratio) = (busy.cpu(way), busy.cpu_ratio(way, keeping::BARE));
        let [p50, p99] = [0.5, 0.99].map(|share| alone.latency(way, share).as_micros());
        let [added50, added99] = [0.5, 0.99].map(|share| keeping.added(way, share).as_micros());
        writeln!(out, "| {name} | {cpu:.1} | {ratio:.2} | {p50} | {p99} | {added50} | {added99} |")?;
    }
    writeln!(
        out,
        "\nTools are called in {}. CPU under full load; how long a call takes, of one client that asks again when it is answered.",
        busy.era
    )
}

fn verdict(met: bool) -> &'static str {
    if met { "Met." } else { "**Missed.**" }
}

/// What kind of machine this is; not which one.
pub(super) fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory =
        memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let memory = memory.unwrap_or_default() / (1024 * 1024);
    format!("Machine: {model}, {cores} cores, {memory} GiB; Linux; release build.")
}

//! `toolgate audit`: verify, read and export the journal of decisions. Needs the files, and no running gateway.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use gateway::config::{Config, ConfigFile, Layers};
use gateway::index::{Found, Index, Rebuilt};
use gateway::trail::{self, Filter, Trail};
use serde_json::Value;

use crate::serve::Signals;
use crate::{cli, exit};

/// How often a journal that is followed is looked at.
const LOOK: Duration = Duration::from_millis(200);

pub(crate) fn run(args: &cli::Audit) -> anyhow::Result<ExitCode> {
    match &args.command {
        cli::AuditCommand::Verify(args) => verify(args),
        cli::AuditCommand::Export(args) => export(args),
        cli::AuditCommand::Tail(args) => tail(args),
        cli::AuditCommand::Query(args) => query(args),
        cli::AuditCommand::Index(args) => index(args),
    }
}

fn verify(args: &cli::AuditVerify) -> anyhow::Result<ExitCode> {
    let key = match &args.key {
        None => None,
        Some(text) => Some(gateway::trail::public_key(text)?),
    };
    let report = trail::verify(&args.dir, key.as_ref()).with_context(|| cannot_read(&args.dir))?;
    let mut out = io::stdout().lock();
    match args.format {
        cli::Format::Json => writeln!(out, "{}", trail::report_json(&report))?,
        cli::Format::Human => write!(out, "{}", trail::report_text(&report))?,
    }
    Ok(if report.bad.is_none() { exit::OK } else { exit::FINDINGS }.into())
}

/// What is read of a journal for somebody. What is missing in it is told, and the rest goes on.
struct Told<'a> {
    trail: Trail,
    dir: &'a Path,
    is_whole: bool,
}

impl<'a> Told<'a> {
    fn open(dir: &'a Path, filter: &cli::AuditFilter) -> Self {
        Self { trail: Trail::open(dir, filter.read()), dir, is_whole: true }
    }

    fn next(&mut self) -> anyhow::Result<Option<(String, Value)>> {
        loop {
            match self.trail.next_record() {
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    self.is_whole = false;
                    eprintln!("warning: {error}");
                }
                read => return read.with_context(|| cannot_read(self.dir)),
            }
        }
    }

    fn code(&self) -> ExitCode {
        if self.is_whole { exit::OK } else { exit::FINDINGS }.into()
    }
}

fn export(args: &cli::AuditExport) -> anyhow::Result<ExitCode> {
    let mut found = Told::open(&args.dir, &args.filter);
    let mut out = io::BufWriter::new(io::stdout().lock());
    if matches!(args.format, cli::ExportFormat::Csv) {
        writeln!(out, "{}", trail::COLUMNS.join(","))?;
    }
    while let Some((line, record)) = found.next()? {
        match args.format {
            cli::ExportFormat::Jsonl => writeln!(out, "{line}")?,
            cli::ExportFormat::Csv => writeln!(out, "{}", trail::csv(&record))?,
        }
    }
    out.flush()?;
    Ok(found.code())
}

fn tail(args: &cli::AuditTail) -> anyhow::Result<ExitCode> {
    let mut found = Told::open(&args.dir, &args.filter);
    let mut last = std::collections::VecDeque::new();
    while let Some(record) = found.next()? {
        last.push_back(record);
        if last.len() > args.lines {
            last.pop_front();
        }
    }
    for (line, record) in &last {
        show(args, line, record)?;
    }
    if !args.follow {
        return Ok(found.code());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::listen().context("cannot listen to signals")?;
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = signals.next() => return Ok(exit::OK.into()),
                _ = looks.tick() => {}
            }
            while let Some((line, record)) = found.next()? {
                show(args, &line, &record)?;
            }
        }
    })
}

fn query(args: &cli::AuditQuery) -> anyhow::Result<ExitCode> {
    let Some(config) = config(&args.config) else { return Ok(exit::USAGE.into()) };
    let found = on_a_runtime(async {
        let index = Index::open(store(&config)?).await?;
        Ok(index.query(Some(&args.kind), &args.filter.read(), args.limit).await?)
    })?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    if matches!(args.format, cli::QueryFormat::Csv) {
        writeln!(out, "node,{}", trail::COLUMNS.join(","))?;
    }
    for Found { node, record } in &found {
        match args.format {
            cli::QueryFormat::Table => writeln!(out, "{node} {}", trail::line(record))?,
            cli::QueryFormat::Json => writeln!(out, "{}", serde_json::json!({ "node": node, "record": record }))?,
            cli::QueryFormat::Csv => writeln!(out, "{},{}", trail::cell(node), trail::csv(record))?,
        }
    }
    out.flush()?;
    Ok(exit::OK.into())
}

fn index(args: &cli::AuditIndex) -> anyhow::Result<ExitCode> {
    let Some(config) = config(&args.config) else { return Ok(exit::USAGE.into()) };
    let Rebuilt { records, first } = on_a_runtime(async {
        let index = Index::open(store(&config)?).await?;
        Ok(index.rebuild(&config.audit).await?)
    })?;
    let older = match first {
        0 | 1 => String::new(),
        first => format!("; those before {first} are in the files no more, and stay there as they were"),
    };
    writeln!(io::stdout(), "{records} records of the journal are in the store{older}")?;
    Ok(exit::OK.into())
}

fn config(args: &cli::ConfigArgs) -> Option<Config> {
    let file = match &args.config {
        None => ConfigFile::IfPresent("toolgate.toml".into()),
        Some(path) => ConfigFile::Required(path.clone()),
    };
    let layers = Layers { file, env: std::env::vars_os().collect(), flags: args.set.clone() };
    let problems = match Config::load(&layers) {
        Ok(config) => return Some(config),
        Err(problems) => problems,
    };
    for problem in problems.problems() {
        eprintln!("error: {problem}");
    }
    None
}

fn store(config: &Config) -> anyhow::Result<&str> {
    let url = config.store.url.as_ref().context("there is no store: `store.url` is empty")?;
    Ok(url.as_str())
}

fn on_a_runtime<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

fn show(args: &cli::AuditTail, line: &str, record: &serde_json::Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match args.format {
        cli::Format::Json => writeln!(out, "{line}"),
        cli::Format::Human => writeln!(out, "{}", trail::line(record)),
    }
}

fn cannot_read(dir: &Path) -> String {
    format!("cannot read the journal in `{}`", dir.display())
}

impl cli::AuditFilter {
    fn read(&self) -> Filter {
        Filter {
            agent: self.agent.clone(),
            server: self.server.clone(),
            subject: self.subject.clone(),
            outcome: self.outcome.clone(),
            code: self.code.clone(),
            since: self.since,
            until: self.until,
        }
    }
}

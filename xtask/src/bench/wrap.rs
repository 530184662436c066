//! What `toolgate wrap` adds to a call on stdin and stdout: one call after the other, directly and through it, in turn.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};

use super::Plan;
use super::calls::median;
use super::message::{CALL, ON_STDIO};
use super::stage::Binaries;

/// Medians of the rounds, in microseconds a call.
pub(super) struct WrapCost {
    pub(super) direct: f64,
    pub(super) wrapped: f64,
    pub(super) ratio: f64,
}

pub(super) fn measure(plan: &Plan, binaries: &Binaries, folder: &Path) -> anyhow::Result<WrapCost> {
    let log = folder.join("wrap.log");
    let mut direct = Program::start(&mut binaries.on_stdio(), &log)?;
    let mut wrapped = Program::start(&mut binaries.wrapped(folder)?, &log)?;
    let mut rounds = Vec::new();
    for number in 1..=plan.rounds {
        eprintln!("round {number} of {}, wrap", plan.rounds);
        rounds.push((direct.microseconds(plan)?, wrapped.microseconds(plan)?));
    }
    Ok(WrapCost {
        direct: median(rounds.iter().map(|round| round.0).collect()),
        wrapped: median(rounds.iter().map(|round| round.1).collect()),
        ratio: median(rounds.iter().map(|round| round.1 / round.0).collect()),
    })
}

/// A server on stdin and stdout, initialized; ends with us.
struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    line: String,
}

impl Program {
    fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let input = child.stdin.take().context("standard input is piped")?;
        let output = BufReader::new(child.stdout.take().context("standard output is piped")?);
        let mut program = Self { child, input, output, line: String::new() };
        for line in ON_STDIO {
            program.say(line)?;
        }
        program.hear()?;
        Ok(program)
    }

    #[expect(clippy::disallowed_methods, reason = "how long a call took is a fact about the real clock")]
    fn microseconds(&mut self, plan: &Plan) -> anyhow::Result<f64> {
        let (begin, mut calls) = (Instant::now(), 0_u32);
        while begin.elapsed() < plan.span {
            for _ in 0..16 {
                self.say(CALL)?;
                self.hear()?;
                ensure!(self.line.contains("Widgets"), "not the answer to a call: {}", self.line);
            }
            calls += 16;
        }
        Ok(begin.elapsed().as_secs_f64() * 1e6 / f64::from(calls))
    }

    fn say(&mut self, line: &str) -> anyhow::Result<()> {
        self.input.write_all(line.as_bytes())?;
        Ok(self.input.write_all(b"\n")?)
    }

    fn hear(&mut self) -> anyhow::Result<()> {
        self.line.clear();
        ensure!(self.output.read_line(&mut self.line)? > 0, "the program ended");
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

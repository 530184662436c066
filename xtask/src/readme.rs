//! Runs the commands of README.md, as written. A fenced block is run when the line before it asks for it:
//!
//! - `<!-- ci: run -->`: run it; `<!-- ci: run, prints TEXT -->`: and it must print that;
//! - `<!-- ci: start -->`: start the gateway and wait until it is ready; `<!-- ci: start, prints TEXT -->`: another program, ready when it prints that;
//! - `<!-- ci: stop -->`, without a block: stop what was started. The end of the document does the same.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Stdio};

use anyhow::{Context as _, bail, ensure};

use crate::shell::{program, read, root, sh};

const READY: &str = "toolgate ready ";

#[derive(Debug, PartialEq)]
enum Step<'a> {
    Run { script: String, prints: &'a str },
    Start { script: String, prints: Option<&'a str> },
    Stop,
}

pub(crate) fn run(_: &[String]) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(root().join("README.md")).context("cannot read README.md")?;
    let steps = steps(&text)?;
    ensure!(!steps.is_empty(), "README.md asks for no command to be run");
    let mut started = Vec::new();
    let done = steps.iter().try_for_each(|step| match step {
        Step::Run { script, prints } => {
            eprintln!("{script}");
            let printed = read(&mut sh(script))?;
            eprint!("{printed}");
            ensure!(printed.contains(prints), "it did not print `{prints}`");
            Ok(())
        }
        Step::Start { script, prints } => {
            eprintln!("{script}");
            started.push(Started::start(script, *prints)?);
            Ok(())
        }
        Step::Stop => started.drain(..).try_for_each(Started::stop),
    });
    let stopped: Vec<_> = started.into_iter().map(Started::stop).collect();
    done.and_then(|()| stopped.into_iter().collect())
}

fn steps(text: &str) -> anyhow::Result<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(asked) = line.strip_prefix("<!-- ci: ").and_then(|rest| rest.strip_suffix(" -->")) else {
            continue;
        };
        if asked == "stop" {
            steps.push(Step::Stop);
            continue;
        }
        ensure!(lines.next() == Some("```sh"), "`{line}` is not followed by a block of sh");
        let script: Vec<&str> = lines.by_ref().take_while(|&line| line != "```").collect();
        let script = script.join("\n");
        steps.push(match asked.split_once(", prints ") {
            None if asked == "run" => Step::Run { script, prints: "" },
            None if asked == "start" => Step::Start { script, prints: None },
            Some(("run", prints)) => Step::Run { script, prints },
            Some(("start", prints)) => Step::Start { script, prints: Some(prints) },
            _ => bail!("README.md asks for `{asked}`, which is not known"),
        });
    }
    Ok(steps)
}

struct Started {
    child: Child,
    is_gateway: bool,
}

impl Started {
    fn start(script: &str, prints: Option<&str>) -> anyhow::Result<Self> {
        // In the shell's place, so that the signal at the end reaches the program; and in a process group, so that it reaches
        // what the program started.
        let script = format!("exec 2>&1\nexec {script}");
        let mut child = sh(&script).process_group(0).stdout(Stdio::piped()).spawn().context("cannot start sh")?;
        let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let started = Self { child, is_gateway: prints.is_none() };
        for line in lines.by_ref() {
            let line = line?;
            eprintln!("{line}");
            if line.contains(prints.unwrap_or(READY)) {
                // What it says later has to go somewhere, or it would stand still.
                std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
                return Ok(started);
            }
        }
        started.stop()?;
        bail!("it ended before it was ready");
    }

    /// The gateway ends well when it is told to; of other programs nobody promised that.
    fn stop(mut self) -> anyhow::Result<()> {
        crate::shell::run(program("kill").args(["-TERM", "--", &format!("-{}", self.child.id())]))?;
        let status = self.child.wait()?;
        ensure!(status.success() || !self.is_gateway, "the gateway ended with {status}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_that_ask_for_it_are_run() {
        let text = "```sh\nno\n```\n<!-- ci: start -->\n```sh\na\nb\n```\n<!-- ci: stop -->\n\
                    <!-- ci: run, prints x y -->\n```sh\nc\n```\n";
        let expected = [
            Step::Start { script: "a\nb".to_owned(), prints: None },
            Step::Stop,
            Step::Run { script: "c".to_owned(), prints: "x y" },
        ];
        assert_eq!(steps(text).unwrap(), expected);
        for wrong in ["<!-- ci: dance -->\n```sh\n```\n", "<!-- ci: run -->\ntext\n"] {
            assert!(steps(wrong).is_err(), "{wrong}");
        }
    }
}

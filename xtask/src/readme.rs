//! Runs the commands of README.md, as written. A fenced block is run when the line before it asks for it:
//!
//! - `<!-- ci: start -->`: start it and wait until it says that it is ready; it is terminated at the end;
//! - `<!-- ci: run -->`: run it; `<!-- ci: run, prints TEXT -->`: and it must print that.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Stdio};

use anyhow::{Context as _, bail, ensure};

use crate::shell::{program, read, root, sh};

const READY: &str = "toolgate ready ";

#[derive(Debug, PartialEq)]
enum Ask<'a> {
    Start,
    Run { prints: Option<&'a str> },
}

pub(crate) fn run(_: &[String]) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(root().join("README.md")).context("cannot read README.md")?;
    let blocks = blocks(&text)?;
    ensure!(!blocks.is_empty(), "README.md asks for no command to be run");
    let mut started = Vec::new();
    let done = blocks.iter().try_for_each(|(ask, script)| {
        eprintln!("{}", script.trim_end());
        match ask {
            Ask::Start => started.push(start(script)?),
            Ask::Run { prints } => {
                let printed = read(&mut sh(script))?;
                eprint!("{printed}");
                ensure!(printed.contains(prints.unwrap_or_default()), "`{script}` did not print {prints:?}");
            }
        }
        Ok(())
    });
    let stopped: Vec<_> = started.into_iter().map(stop).collect();
    done.and_then(|()| stopped.into_iter().collect())
}

fn blocks(text: &str) -> anyhow::Result<Vec<(Ask<'_>, String)>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(ask) = line.strip_prefix("<!-- ci: ").and_then(|rest| rest.strip_suffix(" -->")) else {
            continue;
        };
        let ask = match ask.split_once(", prints ") {
            None if ask == "start" => Ask::Start,
            None if ask == "run" => Ask::Run { prints: None },
            Some(("run", text)) => Ask::Run { prints: Some(text) },
            _ => bail!("README.md asks for `{ask}`, which is not known"),
        };
        ensure!(lines.next() == Some("```sh"), "`{line}` is not followed by a block of sh");
        let script: Vec<&str> = lines.by_ref().take_while(|&line| line != "```").collect();
        blocks.push((ask, script.join("\n")));
    }
    Ok(blocks)
}

/// Its own process group, so that the signal at the end also reaches what the shell starts.
fn start(script: &str) -> anyhow::Result<Child> {
    let mut child = sh(script).process_group(0).stdout(Stdio::piped()).spawn().context("cannot start sh")?;
    let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
    for line in lines.by_ref() {
        let line = line?;
        eprintln!("{line}");
        if line.starts_with(READY) {
            // What it says later has to go somewhere, or it would stand still.
            std::thread::spawn(move || lines.for_each(|line| eprintln!("{}", line.unwrap_or_default())));
            return Ok(child);
        }
    }
    stop(child)?;
    bail!("`{script}` ended before it was ready");
}

fn stop(mut child: Child) -> anyhow::Result<()> {
    crate::shell::run(program("kill").args(["-TERM", "--", &format!("-{}", child.id())]))?;
    let status = child.wait()?;
    ensure!(status.success(), "ended with {status} when terminated");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_that_ask_for_it_are_run() {
        let text =
            "```sh\nno\n```\n<!-- ci: start -->\n```sh\na\nb\n```\n<!-- ci: run, prints x y -->\n```sh\nc\n```\n";
        let expected = vec![(Ask::Start, "a\nb".to_owned()), (Ask::Run { prints: Some("x y") }, "c".to_owned())];
        assert_eq!(blocks(text).unwrap(), expected);
        for wrong in ["<!-- ci: dance -->\n```sh\n```\n", "<!-- ci: run -->\ntext\n"] {
            assert!(blocks(wrong).is_err(), "{wrong}");
        }
    }
}

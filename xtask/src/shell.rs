//! Runs other programs, aloud. Tools that are not part of Rust are looked for first where `.ci/run` puts them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// A program, started at the root.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root()).env("PATH", path());
    command
}

pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = program("cargo");
    command.args(args);
    command
}

/// `sh` with a script, stopped at the first command that fails.
pub(crate) fn sh(script: &str) -> Command {
    let mut command = program("sh");
    command.args(["-euc", script]);
    command
}

/// Says what runs, runs it, and is content only with success.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = show(command);
    eprintln!("$ {shown}");
    let status = command.status().with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed: {status}");
    }
    Ok(())
}

/// Runs without a word and gives what it wrote to stdout.
pub(crate) fn read(command: &mut Command) -> anyhow::Result<String> {
    let shown = show(command);
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` failed: {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` wrote something other than UTF-8"))
}

/// A tool that is missing is an error that says how to get it.
pub(crate) fn need(tool: &str, install: &str) -> anyhow::Result<()> {
    if has(tool) {
        return Ok(());
    }
    bail!("`{tool}` is missing; install it with: {install}");
}

pub(crate) fn has(tool: &str) -> bool {
    std::env::split_paths(&path()).any(|folder| folder.join(tool).is_file())
}

fn path() -> OsString {
    let tools = root().join("target/tools/bin");
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::iter::once(tools).chain(std::env::split_paths(&inherited)).collect();
    std::env::join_paths(folders).unwrap_or(inherited)
}

fn show(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    let words: Vec<_> = words.into_iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

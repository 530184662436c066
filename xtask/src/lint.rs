//! What other people's tools find. Only here warnings become errors.

use std::path::PathBuf;

use crate::shell::{cargo, has, need, program, read, run as sh};

const DENY: &str = "cargo install --locked cargo-deny@0.20.2";
const MACHETE: &str = "cargo install --locked cargo-machete@0.9.2";
const TYPOS: &str = "pip install typos==1.52.0";

pub(crate) fn run(_: &[String]) -> anyhow::Result<()> {
    need("cargo-deny", DENY)?;
    need("cargo-machete", MACHETE)?;
    need("typos", TYPOS)?;
    sh(&mut program("typos"))?;
    // Not as `cargo machete`: inside `cargo xtask` it takes its own name for a folder.
    sh(&mut program("cargo-machete"))?;
    sh(&mut cargo(&["deny", "--all-features", "check", "bans", "licenses", "sources"]))?;
    advisories()?;
    // `-D warnings` as an argument, not in RUSTFLAGS: those would build all dependencies once more.
    sh(&mut cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))?;
    sh(cargo(&["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Needs the advisory database, which needs the network once. Without either, it says so.
fn advisories() -> anyhow::Result<()> {
    let fetched = has("git") && sh(&mut cargo(&["deny", "fetch", "db"])).is_ok();
    let Some(database) = database() else {
        eprintln!("SKIPPED advisories: no advisory database, and it cannot be fetched");
        return Ok(());
    };
    let database = database.to_string_lossy();
    let date = read(program("git").args(["-C", &database, "log", "-1", "--format=%cs"]))?;
    let state = if fetched { "fetched now" } else { "not refreshed" };
    eprintln!("advisory database of {}, {state}", date.trim());
    sh(&mut cargo(&["deny", "--offline", "--all-features", "check", "advisories"]))
}

/// Where cargo-deny keeps it: one folder for each source.
fn database() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))?;
    let mut databases = std::fs::read_dir(home.join("advisory-dbs")).ok()?;
    databases.find_map(|entry| Some(entry.ok()?.path()).filter(|path| path.join(".git").exists()))
}

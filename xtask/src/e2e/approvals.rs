//! Calls of real clients that wait for a person: approved, denied, expired, repeated, sent to a page. What is checked stands in
//! `xtask/e2e/approvals.py` and `approvals.mjs`.

use std::process::Command;

use anyhow::Context as _;

use super::stand::{self, Node, Process, Profile, build};
use super::table::{Column, Table};
use super::{Client, contract};
use crate::shell;

const CLIENTS: [(Client, &str); 6] = [
    (Client::Python("1.30.0"), "legacy"),
    (Client::Python("2.3.0"), "legacy"),
    (Client::Python("2.3.0"), "modern"),
    (Client::TypeScript("v1"), "legacy"),
    (Client::TypeScript("v2"), "legacy"),
    (Client::TypeScript("v2"), "modern"),
];

const CHECKS: [&str; 5] = ["approve", "deny", "expire", "ticket", "url"];

/// Looks at all of them, and says how many checks failed.
pub(super) fn check(profile: Profile) -> anyhow::Result<usize> {
    eprintln!("calls that wait for a person");
    let folder = stand::fresh("e2e-approvals")?;
    let node = Node::install()?;
    let (_fixture, fixture) = stand::fixture(&folder)?;
    std::fs::create_dir_all(folder.join("policies"))?;
    std::fs::copy(shell::root().join("xtask/e2e/approvals.policy.json"), folder.join("policies/policy.json"))?;
    std::fs::write(folder.join("toolgate.toml"), config(&fixture))?;
    let binary = build("proxy", "toolgate", &[], profile)?;
    let mut serve = Command::new(&binary);
    serve.args(["serve", "-c", "toolgate.toml"]).current_dir(&folder);
    // The line with the link comes after the one with the addresses, and has the admin listener's in it.
    let ready = folder.join("toolgate.stdout.log");
    let (_gateway, link) = Process::start("toolgate", &mut serve, &folder, contract::login_link)?;
    let ready = std::fs::read_to_string(ready)?;
    let data = ready.split_whitespace().find_map(|word| word.strip_prefix("data=")).context("no data address")?;
    let (admin, _) = link.split_once("/login").context("a strange login link")?;
    let token = shell::read(Command::new(&binary).args(["admins", "login", &link]))?;

    let mut table = Table::default();
    for (client, era) in CLIENTS {
        let name = client.name(era, "approvals");
        eprintln!("{name}");
        let mut command = client.script(&node, "approvals")?;
        command.args([era, &format!("{data}/mcp/s"), admin, token.trim()]);
        let output = command.output().with_context(|| format!("cannot run `{name}`"))?;
        std::fs::write(folder.join(format!("{}.log", name.replace(' ', "-"))), &output.stderr)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        table.add(Column::read(name, &said, output.status.success(), &CHECKS));
    }
    println!("{table}");
    Ok(table.failures())
}

fn config(upstream: &str) -> String {
    format!(
        "[listen]\ndata = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\n[servers.s]\nurl = {upstream:?}\npolicy = \"policies/policy.json\"\n"
    )
}

//! Tokens of a real authorization server, `oidc-provider` from npm, and the official Python SDK, which finds its way to it by itself.
//! What is checked stands in `xtask/e2e/oidc.py`.

use std::process::Command;

use anyhow::ensure;

use super::python::Python;
use super::stand::{self, Node, Process, Profile, build};
use crate::shell;

/// The release that can log in as a machine.
const SDK: &str = "2.3.0";

const POLICY: &str = r#"{ "version": "1", "tools": { "test_simple_text": {
    "require": [{ "conditions": [{ "path": "agent.id", "op": "eq", "value": "corp:robot" }] }] } } }"#;

pub(super) fn check(profile: Profile) -> anyhow::Result<()> {
    eprintln!("tokens of a real authorization server");
    let folder = stand::fresh("e2e-oidc")?;
    let node = Node::install()?;
    let mut provider = node.run();
    provider.arg(shell::root().join("xtask/e2e/oidc.mjs"));
    let (_provider, issuer) = Process::start("oidc", &mut provider, &folder, after("oidc ready "))?;
    let (_fixture, fixture) = stand::fixture(&folder)?;
    std::fs::write(folder.join("policy.json"), POLICY)?;
    std::fs::write(folder.join("toolgate.toml"), config(&issuer, &fixture))?;
    let mut serve = Command::new(build("proxy", "toolgate", &[], profile)?);
    serve.args(["serve", "-c", "toolgate.toml"]).current_dir(&folder);
    let (_gateway, gateway) = Process::start("toolgate", &mut serve, &folder, after("toolgate ready data="))?;
    let mut client = Python::install(SDK)?.run();
    client.arg(shell::root().join("xtask/e2e/oidc.py")).args([&issuer, &gateway]);
    let output = client.output()?;
    std::fs::write(folder.join("client.log"), &output.stderr)?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{said}\nthe logs are in `{}`", folder.display());
    print!("{said}");
    Ok(())
}

/// The word that follows this beginning of a line.
fn after(beginning: &'static str) -> impl Fn(&str) -> Option<String> + Clone {
    move |line| line.strip_prefix(beginning)?.split_whitespace().next().map(str::to_owned)
}

fn config(issuer: &str, upstream: &str) -> String {
    let server = |id: &str| format!("[servers.{id}]\nurl = {upstream:?}\npolicy = \"policy.json\"\n");
    format!(
        "[listen]\ndata = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[auth]\nmode = \"jwt\"\n[auth.jwt.scopes]\none = [\"tools:read\"]\n\
         [auth.jwt.issuers.corp]\nissuer = {issuer:?}\nagent = \"client_id\"\n{}{}",
        server("one"),
        server("two")
    )
}

//! The admin API against its own OpenAPI document, with schemathesis from PyPI. What is left out, and why, stands in `xtask/e2e/contract.py`.

use std::process::Command;

use anyhow::ensure;

use super::python::Python;
use super::stand::{self, Process, Profile, build};
use crate::shell;

const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// Requests for each operation and phase, at most.
const EXAMPLES: u32 = 40;
const FEW: u32 = 5;

/// No call gets to it: only what is managed is looked at.
const CONFIG: &str = "[listen]\ndata = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\n[servers.nowhere]\nurl = \"http://127.0.0.1:9/mcp\"\npolicy = \"policies/policy.json\"\n";
const POLICY: &str = r#"{ "version": "1", "tools": { "read_*": {} } }"#;

pub(super) fn check(profile: Profile, smoke: bool) -> anyhow::Result<()> {
    eprintln!("the admin API and its OpenAPI document");
    let folder = stand::fresh("e2e-contract")?;
    std::fs::create_dir_all(folder.join("policies"))?;
    std::fs::write(folder.join("policies/policy.json"), POLICY)?;
    std::fs::write(folder.join("toolgate.toml"), CONFIG)?;
    let mut serve = Command::new(build("proxy", "toolgate", &[], profile)?);
    serve.args(["serve", "-c", "toolgate.toml"]).current_dir(&folder);
    let (_gateway, link) = Process::start("toolgate", &mut serve, &folder, login_link)?;
    let python = Python::with("schemathesis", &[SCHEMATHESIS])?;
    let mut contract = python.run();
    contract.arg(shell::root().join("xtask/e2e/contract.py")).arg(link);
    contract.arg(if smoke { FEW } else { EXAMPLES }.to_string()).arg(&folder).current_dir(&folder);
    let output = contract.output()?;
    let said = [output.stdout, output.stderr].concat();
    std::fs::write(folder.join("schemathesis.log"), &said)?;
    ensure!(output.status.success(), "the API is not as it is described:\n{}", String::from_utf8_lossy(&said));
    Ok(())
}

/// The first admin's, wherever it stands in a line.
pub(super) fn login_link(line: &str) -> Option<String> {
    let link = line.split_whitespace().find(|word| word.starts_with("http") && word.contains("/login#"))?;
    Some(link.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_link_in_a_line() {
        let line = "sign in once, within an hour: http://127.0.0.1:4481/login#abc_1";
        assert_eq!(login_link(line).as_deref(), Some("http://127.0.0.1:4481/login#abc_1"));
        assert_eq!(login_link("toolgate ready data=http://127.0.0.1:1 admin=http://127.0.0.1:2"), None);
    }
}

//! Real servers from npm and PyPI, through the gateway: over stdio, and over HTTP where they have it. What is asked of each stands in
//! `xtask/e2e/real/servers.json`, its policy beside it.

mod servers;
mod site;

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use self::servers::Servers;
use self::site::Site;
use super::python::Python;
use super::stand::{self, At, Gateway, Node, Profile, Upstream};
use super::table::{Column, Table};
use crate::shell;

const FOLDER: &str = "xtask/e2e/real";

/// Each release of the Python SDK in each era that it can speak.
const CLIENTS: [(&str, &str); 3] = [("1.30.0", "legacy"), ("2.3.0", "legacy"), ("2.3.0", "modern")];

/// Without a gateway the client must find the server's era.
const DIRECT: [(&str, &str); 2] = [("1.30.0", "legacy"), ("2.3.0", "auto")];

/// What `servers.json` says, in the order in which it is checked.
const CHECKS: [(&str, &str); 4] =
    [("list", "listed"), ("call", "calls"), ("denied", "denied"), ("unharmed", "unharmed")];

/// Looks at all of them, or at those whose id contains `only`, directly or through a gateway, and gives the table.
pub(super) fn look(profile: Profile, direct: bool, only: Option<&str>) -> anyhow::Result<Table> {
    let folder = stand::fresh("e2e-real")?;
    let node = Node::install()?;
    let site = Site::start()?;
    let mut servers = Servers::start(&node, &folder)?;
    servers.keep(|id| only.is_none_or(|text| id.contains(text)));
    let gateway = if direct { None } else { Some(Gateway::start(profile, &folder, &upstreams(&servers))?) };
    let wanted = std::fs::read(shell::root().join(FOLDER).join("servers.json"))?;
    let wanted: Value = serde_json::from_slice(&wanted).context("`servers.json` is not JSON")?;

    let mut table = Table::default();
    let clients: &[_] = if direct { &DIRECT } else { &CLIENTS };
    for &(release, era) in clients {
        let name = format!("python {release} {era}{}", if direct { " direct" } else { "" });
        eprintln!("{name}, to real servers");
        let (mut targets, mut expected) = (Vec::new(), Vec::new());
        for server in servers.all() {
            let asked = wanted.get(server.of).with_context(|| format!("`{}` is not in `servers.json`", server.of))?;
            let told = asked.to_string().replace("{folder}", &server.folder.to_string_lossy());
            let told = told.replace("{port}", &site.port().to_string()).replace("{client}", &name.replace(' ', "-"));
            let mut target: Map<String, Value> = serde_json::from_str(&told)?;
            let checks = CHECKS.iter().filter(|(check, key)| asked.get(key).is_some() && (!direct || is_open(check)));
            let checks: Vec<&str> = checks.map(|(check, _)| *check).collect();
            expected.extend(checks.iter().map(|check| format!("{} {check}", server.id)));
            target.insert("name".to_owned(), json!(server.id));
            target.insert("policy".to_owned(), json!(!direct));
            target.insert("checks".to_owned(), json!(checks));
            let at = match &gateway {
                Some(gateway) => At::Url(gateway.mount(server.id)),
                None => server.at.clone(),
            };
            target.extend(way(&at, server.id));
            targets.push(Value::Object(target));
        }
        table.add(run(release, era, name, &targets, &expected, &folder)?);
    }
    Ok(table)
}

/// Whether a check can be made where there is no policy.
fn is_open(check: &str) -> bool {
    check != "denied"
}

fn upstreams(servers: &Servers) -> Vec<Upstream<'_>> {
    let policy = |of: &str| match of {
        "everything" => shell::root().join("policies/everything/policy.json"),
        of => shell::root().join(FOLDER).join(format!("{of}.policy.json")),
    };
    let all = servers.all().iter();
    all.map(|server| Upstream { id: server.id, at: server.at.clone(), policy: policy(server.of) }).collect()
}

/// How a client gets there, as `peer.py` wants it.
fn way(at: &At, id: &str) -> Map<String, Value> {
    let way = match at {
        At::Url(url) => {
            let is_old = url.ends_with("/sse") && !url.ends_with(&format!("/mcp/{id}"));
            json!({ "via": if is_old { "sse" } else { "http" }, "at": url })
        }
        At::Command(command) => {
            let env: Map<String, Value> =
                command.env.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            json!({ "via": "stdio", "at": command.words, "env": env, "cwd": command.cwd })
        }
    };
    way.as_object().cloned().unwrap_or_default()
}

fn run(
    release: &str,
    era: &str,
    name: String,
    targets: &[Value],
    expected: &[String],
    folder: &Path,
) -> anyhow::Result<Column> {
    let mut command = Python::install(release)?.run();
    command.arg(shell::root().join("xtask/e2e/real.py")).arg(era).arg(Value::from(targets).to_string());
    let output = command.stdin(Stdio::null()).output().context("cannot run `real.py`")?;
    std::fs::write(folder.join(format!("{}.log", name.replace(' ', "-"))), &output.stderr)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    if expected.is_empty() {
        bail!("nothing is asked of any server");
    }
    Ok(Column::read(name, &said, output.status.success(), &expected))
}

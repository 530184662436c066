//! `cargo xtask e2e [--smoke] [--release]`: unmodified real clients through the gateway to real servers, a column each.
//! What is checked stands in `xtask/e2e/client.py` and `client.mjs`, once for each language; then come a few cells of [`matrix`], and [`real`].
//! `--smoke` makes fewer calls; `--real` looks at real servers only, with `--direct` without a gateway. `--matrix` is another matter: see
//! [`matrix`].

mod approvals;
mod contract;
mod matrix;
mod oidc;
mod python;
mod real;
pub(crate) mod stand;
mod table;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use self::python::Python;
use self::stand::{At, Emulator, Gateway, Node, Process, Profile, Upstream};
use self::table::{Column, Table};
use crate::shell;

/// `@modelcontextprotocol/server-everything`, a legacy server that is not ours.
const EVERYTHING: &str = "@modelcontextprotocol/server-everything/dist/index.js";

#[derive(Clone, Copy)]
enum Client {
    Python(&'static str),
    TypeScript(&'static str),
}

/// A client, the era it speaks, the server it meets, and its share of the calls of two clients at once.
type Pair = (Client, &'static str, &'static str, u32);

/// The shares come to 100,000. Python makes fewer, being slower.
const PAIRS: [Pair; 19] = [
    (Client::Python("1.30.0"), "legacy", "fixture", 5_000),
    (Client::Python("2.3.0"), "legacy", "fixture", 5_000),
    (Client::Python("2.3.0"), "modern", "fixture", 5_000),
    (Client::TypeScript("v1"), "legacy", "fixture", 30_000),
    (Client::TypeScript("v2"), "legacy", "fixture", 25_000),
    (Client::TypeScript("v2"), "modern", "fixture", 30_000),
    (Client::Python("1.30.0"), "legacy", "everything", 0),
    (Client::Python("2.3.0"), "legacy", "everything", 0),
    (Client::TypeScript("v1"), "legacy", "everything", 0),
    (Client::TypeScript("v2"), "legacy", "everything", 0),
    // These ask for the modern era first, and must find their way to the server's, or be brought to it.
    (Client::Python("2.3.0"), "auto", "everything", 0),
    (Client::TypeScript("v2"), "auto", "everything", 0),
    // And these insist.
    (Client::Python("2.3.0"), "modern", "everything", 0),
    (Client::TypeScript("v2"), "modern", "everything", 0),
    // What is there when nothing is configured.
    (Client::Python("1.30.0"), "legacy", "finetuning", 0),
    (Client::Python("2.3.0"), "legacy", "finetuning", 0),
    (Client::Python("2.3.0"), "auto", "finetuning", 0),
    (Client::TypeScript("v1"), "legacy", "finetuning", 0),
    (Client::TypeScript("v2"), "modern", "finetuning", 0),
];

const USAGE: &str = "usage: cargo xtask e2e [--smoke] [--release], cargo xtask e2e --contract [--smoke] [--release], cargo xtask e2e --oidc [--release], cargo xtask e2e --approvals [--release], \
                     cargo xtask e2e --real [--direct] [--only TEXT] [--release], \
                     or cargo xtask e2e --matrix [--check] [--smoke] [--only TEXT] [--release]";

/// In a smoke run only every so many-th of the calls is made.
const SMOKE: u32 = 50;

/// Calls of two agents with equal ids to one shared program.
const ISOLATION: u32 = 100_000;

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let (mut profile, mut divisor) = (Profile::Debug, 1);
    let (mut is_matrix, mut check, mut only) = (false, false, None);
    let (mut is_real, mut direct, mut is_contract) = (false, false, false);
    let mut is_approvals = false;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--release" => profile = Profile::Release,
            "--smoke" => divisor = SMOKE,
            "--matrix" => is_matrix = true,
            "--check" => check = true,
            "--real" => is_real = true,
            "--direct" => direct = true,
            "--contract" => is_contract = true,
            "--oidc" => return oidc::check(profile),
            "--approvals" => is_approvals = true,
            "--only" => only = Some(arguments.next().context(USAGE)?.clone()),
            other => bail!("unknown argument `{other}`; {USAGE}"),
        }
    }
    if is_matrix {
        return matrix::run(&matrix::Wanted { only, smoke: divisor == SMOKE, check, profile });
    }
    if is_contract {
        return contract::check(profile, divisor == SMOKE);
    }
    if is_approvals {
        return settled(approvals::check(profile)?);
    }
    if !is_real {
        oidc::check(profile)?;
    }
    let mut failures =
        if is_real { 0 } else { pairs(profile, divisor)? + approvals::check(profile)? + matrix::smoke(profile)? };
    let real = real::look(profile, direct, only.as_deref())?;
    println!("{real}");
    failures += real.failures();
    settled(failures)
}

fn settled(failures: usize) -> anyhow::Result<()> {
    match failures {
        0 => Ok(()),
        failures => bail!("{failures} end-to-end checks failed; the logs are in `{}`", stand::target().display()),
    }
}

/// Looks at every pair, and says how many checks failed.
fn pairs(profile: Profile, divisor: u32) -> anyhow::Result<usize> {
    isolation(ISOLATION / divisor)?;
    let folder = stand::fresh("e2e")?;
    let node = Node::install()?;
    let (_fixture, fixture) = stand::fixture(&folder)?;
    let (_everything, everything) = start_everything(&node, "streamableHttp", &folder)?;
    let gateway = Gateway::start(
        profile,
        &folder,
        &[
            Upstream {
                id: "fixture",
                at: At::Url(fixture),
                policy: shell::root().join("xtask/e2e/fixture.policy.json"),
            },
            Upstream {
                id: "everything",
                at: At::Url(everything),
                policy: shell::root().join("policies/everything/policy.json"),
            },
        ],
    )?;

    let emulator = Emulator::start(profile, &folder)?;
    let by_default = Gateway::by_default(profile, &folder, emulator.url())?;

    let mut table = Table::default();
    for (client, era, server, calls) in PAIRS {
        let name = client.name(era, server);
        eprintln!("{name}");
        let mut command = client.command(&node)?;
        let mount = match server {
            "finetuning" => by_default.mount("azure-finetuning"),
            _ => gateway.mount(server),
        };
        command.args([server, era, &mount, &(calls / divisor).to_string()]);
        let output = command.output().with_context(|| format!("cannot run `{name}`"))?;
        let log = folder.join(format!("{}.log", name.replace(' ', "-")));
        std::fs::write(&log, &output.stderr)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        table.add(Column::read(name, &said, output.status.success(), &expected(client, era, server)));
    }
    println!("{table}");
    emulator.was_only_read()?;
    Ok(table.failures())
}

/// The test that every `cargo test` runs, with as many calls as were promised.
fn isolation(calls: u32) -> anyhow::Result<()> {
    // Of the whole workspace, or all would be built anew for other features.
    let test = ["test", "--workspace", "--test", "it", "nothing_crosses_between_two_agents_of_a_shared_program"];
    shell::run(shell::cargo(&test).env("TOOLGATE_ISOLATION_CALLS", calls.to_string()))
}

impl Client {
    fn name(self, era: &str, server: &str) -> String {
        match self {
            Self::Python(release) => format!("python {release} {era} {server}"),
            Self::TypeScript(release) => format!("typescript {release} {era} {server}"),
        }
    }

    /// The command without its last four arguments: server, era, address, number of calls.
    fn command(self, node: &Node) -> anyhow::Result<Command> {
        self.script(node, "client")
    }

    /// The script of this name in the client's language.
    fn script(self, node: &Node, name: &str) -> anyhow::Result<Command> {
        let scripts = shell::root().join("xtask/e2e");
        Ok(match self {
            Self::Python(release) => {
                let mut command = Python::install(release)?.run();
                command.arg(scripts.join(format!("{name}.py")));
                command
            }
            Self::TypeScript(release) => {
                let mut command = node.run();
                command.arg(scripts.join(format!("{name}.mjs"))).arg(release);
                command
            }
        })
    }
}

/// The checks that must have been made, so that a script that stops early does not pass.
fn expected(client: Client, era: &str, server: &str) -> Vec<&'static str> {
    if server == "finetuning" {
        return vec!["list", "call", "denied", "condition"];
    }
    let mut checks = vec!["list", "call", "denied", "unlisted", "hidden", "limit", "progress"];
    checks.extend(["sampling", "elicitation", "roots", "prompts"]);
    match server {
        "everything" => checks.push("appear"),
        _ => checks.extend(["credentials", "resources", "crossing"]),
    }
    if (era, server) == ("modern", "fixture") {
        checks.push("rounds");
    }
    // The 1.x releases of the Python SDK drop a cancelled call without a word to the server.
    let tells = !matches!(client, Client::Python(release) if release.starts_with("1."));
    if tells && server == "fixture" {
        checks.push("cancel");
    }
    checks
}

/// `how` is its name for a transport. It takes a port and does not say which it got, so we look for a free one first.
fn start_everything(node: &Node, how: &str, logs: &Path) -> anyhow::Result<(Process, String)> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut command = node.script(EVERYTHING);
    command.arg(how).env("PORT", port.to_string());
    let path = if how == "sse" { "sse" } else { "mcp" };
    Process::start(&format!("everything-{how}"), &mut command, logs, move |line| {
        line.contains(&format!("port {port}")).then(|| format!("http://127.0.0.1:{port}/{path}"))
    })
}

//! `cargo xtask e2e --matrix [--check] [--smoke] [--only TEXT] [--release]`: every client by every way to every server.
//! Writes `docs/compatibility.md`; with `--check` it compares instead. `--only` looks at the cells whose name contains the text
//! (`python-2-modern/http-aggregate/sse`), `--smoke` at those of [`smoke::SMOKE`]; both write nothing.

mod cell;
mod client;
mod page;
mod servers;
mod smoke;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use self::cell::{Cell, Era, Mount, Server, Way};
use self::client::{CLIENTS, Sdk};
use self::servers::Servers;
use super::stand::{self, At, Gateway, Node, Profile, Upstream};
use crate::shell;

/// Where the table is.
const PAGE: &str = "docs/compatibility.md";

const POLICY: &str = "xtask/e2e/matrix.policy.json";

/// Which cells, and what becomes of the table.
pub(super) struct Wanted {
    pub(super) only: Option<String>,
    pub(super) smoke: bool,
    pub(super) check: bool,
    pub(super) profile: Profile,
}

/// What was seen: the checks that passed, of each client and cell.
#[derive(Default)]
struct Seen {
    passed: BTreeMap<String, Vec<&'static str>>,
    failures: Vec<String>,
}

pub(super) fn run(wanted: &Wanted) -> anyhow::Result<()> {
    let seen = shown(wanted)?;
    if wanted.only.is_none() && !wanted.smoke {
        publish(&page::write(&seen, &versions()?), wanted.check)?;
    }
    match seen.failures.len() {
        0 => Ok(()),
        failures => bail!("{failures} checks of the matrix failed; the logs are in `{}`", stand::target().display()),
    }
}

/// Looks at the cells of [`smoke::SMOKE`], and says how many checks failed.
pub(super) fn smoke(profile: Profile) -> anyhow::Result<usize> {
    Ok(shown(&Wanted { only: None, smoke: true, check: false, profile })?.failures.len())
}

fn shown(wanted: &Wanted) -> anyhow::Result<Seen> {
    let seen = look(wanted, &stand::fresh("e2e-matrix")?)?;
    for failure in &seen.failures {
        println!("FAIL {failure}");
    }
    println!("{} cells, {} failed checks", seen.passed.len(), seen.failures.len());
    Ok(seen)
}

fn publish(page: &str, check: bool) -> anyhow::Result<()> {
    let file = shell::root().join(PAGE);
    if !check {
        return std::fs::write(&file, page).with_context(|| format!("cannot write `{PAGE}`"));
    }
    let committed = std::fs::read_to_string(&file).with_context(|| format!("cannot read `{PAGE}`"))?;
    match committed == page {
        true => Ok(()),
        false => bail!("`{PAGE}` is not what was seen; write it anew with `cargo xtask e2e --matrix`"),
    }
}

/// Starts all that is needed, sends every client its targets, two clients at a time, and reads what they say.
fn look(wanted: &Wanted, folder: &Path) -> anyhow::Result<Seen> {
    let node = Node::install()?;
    let chosen: Vec<(Sdk, Cell)> = cells().filter(|&(sdk, cell)| wanted.has(&full_name(sdk, cell))).collect();
    let needed = Server::ALL.into_iter().filter(|server| chosen.iter().any(|(_, cell)| cell.server == *server));
    let servers = Servers::start(&needed.collect::<Vec<_>>(), folder)?;
    let upstreams: Vec<_> = servers
        .all()
        .iter()
        .map(|(server, at)| Upstream { id: server.id(), at: at.clone(), policy: shell::root().join(POLICY) })
        .collect();
    let through = chosen.iter().any(|(_, cell)| cell.way.mount().is_some());
    let gateway = if through { Some(Gateway::start(wanted.profile, folder, &upstreams)?) } else { None };
    let is_guarded = chosen.iter().any(|(_, cell)| cell.way != Way::Direct);
    let toolgate = if is_guarded { stand::build("proxy", "toolgate", &[], wanted.profile)? } else { PathBuf::new() };
    let stage = Stage { servers: &servers, gateway: gateway.as_ref(), toolgate: &toolgate };

    let mut work = Vec::new();
    for (sdk, era) in CLIENTS {
        let own: Vec<Cell> =
            chosen.iter().filter(|&&(of, cell)| of == sdk && cell.era == era).map(|&(_, cell)| cell).collect();
        let possible = own.iter().filter(|cell| cell.impossible().is_none());
        let targets = possible.map(|cell| Ok(cell.target(&stage.at(*cell)?))).collect::<anyhow::Result<Vec<_>>>()?;
        if !targets.is_empty() {
            work.push((sdk, era, own, sdk.command(era, &node)?, targets));
        }
    }
    let (work, seen) = (Mutex::new(work), Mutex::new(Seen::default()));
    // All modern clients are one agent here, so they take turns, too.
    let modern = Mutex::new(());
    std::thread::scope(|scope| {
        let together = std::thread::available_parallelism().map_or(2, usize::from);
        let workers: Vec<_> = (0..together)
            .map(|_| {
                scope.spawn(|| -> anyhow::Result<()> {
                    while let Some((sdk, era, own, command, targets)) = locked(&work).pop() {
                        let client = format!("{}-{}", slug(sdk), era.name());
                        let _turn = (era == Era::Modern).then(|| locked(&modern));
                        let said = client::run(command, &targets, &folder.join(format!("{client}.log")))?;
                        std::fs::write(folder.join(format!("{client}.out")), &said)?;
                        locked(&seen).read(sdk, &own, &said);
                    }
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(done) => done,
            Err(_) => bail!("a thread of the matrix panicked"),
        })
    })?;
    let mut seen = seen.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    seen.failures.sort();
    Ok(seen)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Every client by every way to every server, possible or not.
fn cells() -> impl Iterator<Item = (Sdk, Cell)> {
    CLIENTS.into_iter().flat_map(|(sdk, era)| {
        let has_sse = sdk.has_sse();
        Way::ALL
            .into_iter()
            .flat_map(move |way| Server::ALL.into_iter().map(move |server| (sdk, Cell { era, has_sse, way, server })))
    })
}

fn slug(sdk: Sdk) -> String {
    sdk.title().to_lowercase().replace(" sdk ", "-")
}

fn full_name(sdk: Sdk, cell: Cell) -> String {
    format!("{}-{}/{}", slug(sdk), cell.era.name(), cell.name())
}

impl Wanted {
    fn has(&self, name: &str) -> bool {
        let is_asked = self.only.as_ref().is_none_or(|text| name.contains(text.as_str()));
        is_asked && (!self.smoke || smoke::SMOKE.contains(&name))
    }
}

/// What the cells are played on.
struct Stage<'a> {
    servers: &'a Servers,
    gateway: Option<&'a Gateway>,
    toolgate: &'a Path,
}

impl Stage<'_> {
    /// The address or the command that leads the client of this cell to the server.
    fn at(&self, cell: Cell) -> anyhow::Result<Value> {
        let (_, server) = self
            .servers
            .all()
            .iter()
            .find(|(server, _)| *server == cell.server)
            .context("a server that is not there")?;
        let mount = |kind: &str, mount| -> anyhow::Result<String> {
            let gateway = self.gateway.context("no gateway")?;
            Ok(match mount {
                Mount::Transparent => gateway.address(&format!("/{kind}/{}", cell.server.id())),
                Mount::Aggregate => gateway.address(&format!("/{kind}")),
            })
        };
        Ok(match (cell.way, server) {
            (Way::Http(to), _) => mount("mcp", to)?.into(),
            (Way::Sse(to), _) => mount("sse", to)?.into(),
            (Way::Bridge(to), _) => json!([self.toolgate, "bridge", mount("mcp", to)?]),
            (Way::Wrap, At::Command(launch)) => {
                let policy = shell::root().join(POLICY);
                let mut command = vec![json!(self.toolgate), "wrap".into(), "-p".into(), json!(policy), "--".into()];
                command.extend(launch.words.iter().map(|word| json!(word)));
                command.into()
            }
            (Way::Direct, At::Command(launch)) => json!(launch.words),
            (Way::Direct, At::Url(url)) => json!(url),
            (Way::Wrap, At::Url(_)) => bail!("an address cannot be wrapped"),
        })
    }
}

impl Seen {
    /// Reads the lines `ok CELL CHECK` and `FAIL CELL CHECK: why`. A check that was not made failed.
    fn read(&mut self, sdk: Sdk, cells: &[Cell], said: &str) {
        for &cell in cells {
            let (name, full) = (cell.name(), full_name(sdk, cell));
            let why = |check: &str| {
                let prefix = format!("FAIL {name} {check}: ");
                said.lines().find_map(|line| line.strip_prefix(&prefix)).map(str::to_owned)
            };
            let unconnected = why("connect");
            let mut passed = Vec::new();
            for check in cell.checks() {
                let ok = format!("ok {name} {check}");
                match why(check).or_else(|| unconnected.clone()) {
                    None if said.lines().any(|line| line == ok) => passed.push(check),
                    why => {
                        let why = why.unwrap_or_else(|| "was not made".to_owned());
                        self.failures.push(format!("{full} {check}: {why}"));
                    }
                }
            }
            self.passed.insert(full, passed);
        }
    }

    fn of(&self, sdk: Sdk, cell: Cell) -> &[&'static str] {
        self.passed.get(&full_name(sdk, cell)).map_or(&[], Vec::as_slice)
    }

    /// The clients in the order of the page.
    #[expect(clippy::unused_self, reason = "the page asks what was seen, and not where the list stands")]
    fn clients(&self) -> &'static [(Sdk, Era)] {
        &CLIENTS
    }
}

/// Everything that took part, with its version.
fn versions() -> anyhow::Result<Vec<(String, String)>> {
    let lock = std::fs::read_to_string(shell::root().join("xtask/npm/package-lock.json"))?;
    let lock: Value = serde_json::from_str(&lock).context("`package-lock.json` is not JSON")?;
    let npm = |name: &str| {
        let version =
            lock.get("packages").and_then(|all| all.get(format!("node_modules/{name}"))?.get("version")?.as_str());
        version.map(str::to_owned).with_context(|| format!("`{name}` is not locked"))
    };
    let python = "PyPI `mcp`; also the servers on stdio, HTTP and HTTP+SSE";
    Sdk::ALL
        .into_iter()
        .map(|sdk| {
            let (package, version) = match sdk {
                Sdk::Python1 => (format!("{python}, legacy"), client::PYTHON_1.to_owned()),
                Sdk::Python2 => {
                    ("PyPI `mcp`; also the servers on stdio and HTTP, modern".to_owned(), client::PYTHON_2.to_owned())
                }
                Sdk::TypeScript1 => ("npm `@modelcontextprotocol/sdk`".to_owned(), npm("@modelcontextprotocol/sdk")?),
                Sdk::TypeScript2 => {
                    ("npm `@modelcontextprotocol/client`".to_owned(), npm("@modelcontextprotocol/client")?)
                }
                Sdk::Rmcp => ("crates.io `rmcp`".to_owned(), rmcp()?),
            };
            Ok((format!("{} ({package})", sdk.title()), version))
        })
        .collect()
}

fn rmcp() -> anyhow::Result<String> {
    let lock = std::fs::read_to_string(shell::root().join("Cargo.lock"))?;
    let after = lock.split("name = \"rmcp\"\nversion = \"").nth(1).and_then(|rest| rest.split('"').next());
    after.map(str::to_owned).context("`rmcp` is not locked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_was_not_made_failed() {
        let cell = Cell { era: Era::Legacy, has_sse: true, way: Way::Wrap, server: Server::StdioLegacy };
        let mut seen = Seen::default();
        let most = "ok wrap/stdio-legacy allowed\nok wrap/stdio-legacy denied\nok wrap/stdio-legacy progress\nnoise\n\
                    ok wrap/stdio-legacy elicitation\nok wrap/stdio-legacy change\nFAIL wrap/stdio-legacy list: empty: none\n";
        seen.read(Sdk::Python1, &[cell], most);
        assert_eq!(
            seen.failures,
            [
                "python-1-legacy/wrap/stdio-legacy list: empty: none",
                "python-1-legacy/wrap/stdio-legacy cancel: was not made"
            ]
        );
        assert_eq!(seen.of(Sdk::Python1, cell).len(), 5);
    }

    #[test]
    fn who_cannot_connect_fails_everywhere() {
        let cell = Cell { era: Era::Legacy, has_sse: true, way: Way::Direct, server: Server::HttpLegacy };
        let mut seen = Seen::default();
        seen.read(Sdk::Python1, &[cell], "FAIL direct/http-legacy connect: refused\n");
        assert_eq!(seen.failures.len(), 6);
        assert!(seen.failures.iter().all(|why| why.ends_with(": refused")), "{:?}", seen.failures);
    }
}

//! `cargo xtask conformance [--release] [--direct]`: the official suite against the fixture, directly and through Toolgate.
//! Check for check both must give the same, and no check may fail. `--direct` leaves the gateway out. Then the suite's other half, in
//! [`client`]: `--client` is that alone, and `--bridged` adds clients of the other era to it.

mod client;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::e2e::stand::{self, At, Gateway, Node, Profile, Upstream};
use crate::shell;

/// The suite of npm's `@modelcontextprotocol/conformance`.
const SUITE: &str = "@modelcontextprotocol/conformance/dist/index.js";

/// What each revision asks for, and how many checks passed when this was written. Fewer means that the suite did not run as it should.
const REQUIREMENTS: [(&str, usize); 2] = [("2025-11-25", 84), ("2026-07-28", 197)];

const USAGE: &str = "usage: cargo xtask conformance [--release] [--direct] [--client] [--bridged]";

/// How often each (scenario, check, status) was seen.
type Outcome = BTreeMap<(String, String, String), usize>;

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let (mut profile, mut direct_only, mut client_only, mut bridged) = (Profile::Debug, false, false, false);
    for argument in arguments {
        match argument.as_str() {
            "--release" => profile = Profile::Release,
            "--direct" => direct_only = true,
            "--client" => client_only = true,
            "--bridged" => bridged = true,
            other => bail!("unknown argument `{other}`; {USAGE}"),
        }
    }
    let mut hows = vec!["direct"];
    hows.extend((!direct_only).then_some("through"));
    hows.extend(bridged.then_some("bridged"));
    let mut problems = if client_only { Vec::new() } else { server(profile, direct_only)? };
    problems.extend(client::run(profile, &hows)?);
    if problems.is_empty() {
        return Ok(());
    }
    for problem in &problems {
        eprintln!("{problem}");
    }
    bail!("{} conformance problems; every answer is in `{}`", problems.len(), stand::target().display())
}

/// The suite as a client: of the fixture, and of the gateway before it.
fn server(profile: Profile, direct_only: bool) -> anyhow::Result<Vec<String>> {
    let folder = stand::fresh("conformance")?;
    let node = Node::install()?;
    let (_fixture, fixture) = stand::fixture(&folder)?;
    let mut targets = vec![("direct", fixture.clone())];
    let gateway = if direct_only { None } else { Some(start_gateway(profile, &folder, &fixture)?) };
    targets.extend(gateway.as_ref().map(|gateway| ("through toolgate", gateway.mount("fixture"))));

    let mut problems = Vec::new();
    for (revision, least) in REQUIREMENTS {
        let mut outcomes = Vec::new();
        for (name, url) in &targets {
            let results = folder.join(revision).join(name.replace(' ', "-"));
            let outcome = run_suite(&node, url, revision, &results)?;
            println!("{revision} {name:<16} {}", totals(&outcome));
            problems.extend(wrong(&outcome, least).map(|problem| format!("{revision} {name}: {problem}")));
            outcomes.push(outcome);
        }
        if let [direct, through] = outcomes.as_slice() {
            problems.extend(differences(direct, through).map(|difference| format!("{revision}: {difference}")));
        }
    }
    Ok(problems)
}

fn start_gateway(profile: Profile, folder: &Path, fixture: &str) -> anyhow::Result<Gateway> {
    let policy = shell::root().join("policies/allow-all/policy.json");
    Gateway::start(profile, folder, &[Upstream { id: "fixture", at: At::Url(fixture.to_owned()), policy }])
}

fn run_suite(node: &Node, url: &str, revision: &str, results: &Path) -> anyhow::Result<Outcome> {
    std::fs::create_dir_all(results)?;
    let mut suite = node.script(SUITE);
    suite.args(["server", "--url", url, "--requirements", revision, "-o"]).arg(results);
    // The exit code says only whether required checks failed; the files say everything.
    let output = suite.output().context("cannot run the conformance suite")?;
    std::fs::write(results.with_extension("log"), [output.stdout, output.stderr].concat())?;
    read(results)
}

/// Every `SCENARIO-TIMESTAMP/checks.json` below `results`.
fn read(results: &Path) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::new();
    for entry in std::fs::read_dir(results)? {
        let folder = entry?.path();
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        for [id, _, status] in checks(&folder)? {
            *outcome.entry((scenario(name), id, status)).or_default() += 1;
        }
    }
    Ok(outcome)
}

/// Id, name and status of every check of one run of one scenario.
fn checks(folder: &Path) -> anyhow::Result<Vec<[String; 3]>> {
    let file = folder.join("checks.json");
    let text = std::fs::read(&file).with_context(|| format!("no `{}`", file.display()))?;
    let checks: Vec<Value> = serde_json::from_slice(&text).with_context(|| format!("bad `{}`", file.display()))?;
    let member = |check: &Value, key: &str| check.get(key).and_then(Value::as_str).unwrap_or("(none)").to_owned();
    Ok(checks.iter().map(|check| ["id", "name", "status"].map(|key| member(check, key))).collect())
}

/// `server-tools-list-2026-11-23T10-00-00-000Z` is of the scenario `tools-list`.
fn scenario(folder: &str) -> String {
    let name = folder.strip_prefix("server-").unwrap_or(folder);
    let end = name.len().saturating_sub("-2026-11-23T10-00-00-000Z".len());
    name.get(..end).unwrap_or(name).to_owned()
}

fn count(outcome: &Outcome, status: &str) -> usize {
    outcome.iter().filter(|((_, _, seen), _)| seen == status).map(|(_, times)| times).sum()
}

fn totals(outcome: &Outcome) -> String {
    let [passed, failed, warned, skipped] = ["SUCCESS", "FAILURE", "WARNING", "SKIPPED"].map(|s| count(outcome, s));
    format!("{passed} passed, {failed} failed, {warned} warnings, {skipped} skipped")
}

/// What is wrong with one run on its own.
fn wrong(outcome: &Outcome, least: usize) -> impl Iterator<Item = String> {
    let failed = outcome.keys().filter(|(_, _, status)| status == "FAILURE");
    let mut problems: Vec<_> = failed.map(|(scenario, check, _)| format!("{scenario}: {check} failed")).collect();
    let passed = count(outcome, "SUCCESS");
    if passed < least {
        problems.push(format!("only {passed} checks passed, at least {least} should"));
    }
    problems.into_iter()
}

/// Where the second run is not the first.
fn differences(direct: &Outcome, through: &Outcome) -> impl Iterator<Item = String> {
    let keys: std::collections::BTreeSet<_> = direct.keys().chain(through.keys()).collect();
    let times = |outcome: &Outcome, key| outcome.get(key).copied().unwrap_or(0);
    let differing = keys.into_iter().filter(|key| times(direct, key) != times(through, key));
    let told = differing.map(|key @ (scenario, check, status)| {
        let (before, after) = (times(direct, key), times(through, key));
        format!("{scenario}: {check} {status}: {before} times directly, {after} through toolgate")
    });
    told.collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(entries: &[(&str, &str, usize)]) -> Outcome {
        let keyed =
            entries.iter().map(|(check, status, times)| (("s".into(), (*check).into(), (*status).into()), *times));
        keyed.collect()
    }

    #[test]
    fn a_scenario_is_named_by_its_folder() {
        assert_eq!(scenario("server-tools-list-2026-11-23T14-58-05-045Z"), "tools-list");
    }

    #[test]
    fn a_failed_check_and_a_short_run_are_problems() {
        let run = outcome(&[("a", "SUCCESS", 2), ("b", "FAILURE", 1), ("c", "WARNING", 1)]);
        assert_eq!(wrong(&run, 2).collect::<Vec<_>>(), ["s: b failed"]);
        assert_eq!(wrong(&outcome(&[]), 1).collect::<Vec<_>>(), ["only 0 checks passed, at least 1 should"]);
    }

    #[test]
    fn every_difference_is_told_from_both_sides() {
        let direct = outcome(&[("a", "SUCCESS", 2), ("b", "SUCCESS", 1)]);
        let through = outcome(&[("a", "SUCCESS", 2), ("b", "WARNING", 1)]);
        assert_eq!(differences(&direct, &direct).count(), 0);
        let told: Vec<_> = differences(&direct, &through).collect();
        assert_eq!(
            told,
            [
                "s: b SUCCESS: 1 times directly, 0 through toolgate",
                "s: b WARNING: 0 times directly, 1 through toolgate"
            ]
        );
    }
}

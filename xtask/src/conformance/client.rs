//! The suite as a server, behind Toolgate: what reaches it must be as if the client were there itself. `xtask/e2e/upstream.mjs` is the
//! client that the suite starts; `upstream.json` says which scenarios there are, and how many checks of each pass.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::{Outcome, SUITE, checks, differences, totals};
use crate::e2e::stand::{self, Node, Profile};
use crate::shell;

const POLICY: &str = "policies/allow-all/policy.json";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// How many checks pass, by scenario and revision.
    scenarios: BTreeMap<String, BTreeMap<String, usize>>,
    /// The beginnings of the names of all others, and why they say nothing of a gateway.
    left_out: BTreeMap<String, String>,
    exceptions: Vec<Exception>,
}

/// A check that cannot pass, though it does directly; or, with `direct`, never.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    how: String,
    scenario: String,
    revision: String,
    check: String,
    status: String,
    #[expect(dead_code, reason = "for people; that it is there is all we ask")]
    reason: String,
}

/// What is needed for every run.
struct Suite<'a> {
    node: &'a Node,
    toolgate: PathBuf,
    folder: PathBuf,
    expected: Expected,
}

/// Runs every scenario in each way, and says what is not as it should be.
pub(super) fn run(profile: Profile, hows: &[&str]) -> anyhow::Result<Vec<String>> {
    let file = std::fs::read(shell::root().join("xtask/e2e/upstream.json"))?;
    let expected = serde_json::from_slice(&file).context("bad `upstream.json`")?;
    let is_guarded = hows.iter().any(|how| *how != "direct");
    let toolgate = if is_guarded { stand::build("proxy", "toolgate", &[], profile)? } else { PathBuf::new() };
    let node = Node::install()?;
    let suite = Suite { node: &node, toolgate, folder: stand::fresh("conformance-client")?, expected };

    let mut problems: Vec<String> = suite.unknown()?;
    let outcomes = std::thread::scope(|scope| {
        let runs: Vec<_> = hows.iter().map(|how| scope.spawn(|| suite.all(how))).collect();
        let ended = runs.into_iter().map(|run| match run.join() {
            Ok(outcome) => outcome,
            Err(_) => bail!("a thread of the suite panicked"),
        });
        ended.collect::<anyhow::Result<Vec<_>>>()
    })?;
    for (how, (outcome, own)) in hows.iter().zip(&outcomes) {
        println!("as a server, {how:<8} {}", totals(outcome));
        problems.extend(own.iter().map(|problem| format!("{how}: {problem}")));
    }
    if let Some(((direct, _), others)) = outcomes.split_first() {
        problems.extend(suite.expected.wrong(direct).map(|problem| format!("direct: {problem}")));
        for (how, (outcome, _)) in hows.iter().skip(1).zip(others) {
            let expected = suite.expected.with_exceptions(how, direct);
            problems.extend(differences(&expected, outcome).map(|difference| format!("{how}: {difference}")));
        }
    }
    Ok(problems)
}

impl Suite<'_> {
    /// Scenarios that a new release of the suite brought, and those that it took away.
    fn unknown(&self) -> anyhow::Result<Vec<String>> {
        let listed = shell::read(self.node.script(SUITE).args(["list", "--client"]))?;
        let names = listed.lines().filter_map(|line| line.trim().strip_prefix("- ")?.split(' ').next());
        let names: BTreeSet<&str> = names.collect();
        let is_known = |name: &str| {
            self.expected.scenarios.contains_key(name) || self.expected.left_out.keys().any(|out| name.starts_with(out))
        };
        let new = names.iter().filter(|name| !is_known(name));
        let new = new.map(|name| format!("`{name}` is new: name it in `upstream.json`"));
        let gone = self.expected.scenarios.keys().filter(|name| !names.contains(name.as_str()));
        Ok(new.chain(gone.map(|name| format!("the suite has no scenario `{name}`"))).collect())
    }

    /// Every scenario at each of its revisions, and what went wrong beside the checks.
    fn all(&self, how: &str) -> anyhow::Result<(Outcome, Vec<String>)> {
        let (mut outcome, mut problems) = (Outcome::new(), Vec::new());
        for (scenario, revision) in self.expected.runs() {
            let results = self.folder.join(how).join(format!("{scenario}-{revision}"));
            let log = self.one(how, scenario, revision, &results)?;
            let entries = std::fs::read_dir(&results)?.map(|entry| Ok(entry?.path()));
            for folder in entries.collect::<std::io::Result<Vec<_>>>()? {
                let checks = checks(&folder)?;
                // The suite's diary of requests is not of interest: there may be more of them.
                for [id, name, status] in checks.into_iter().filter(|[_, _, status]| status != "INFO") {
                    *outcome.entry((format!("{scenario} {revision}"), format!("{id} {name}"), status)).or_default() +=
                        1;
                }
            }
            let complaint =
                log.lines().find(|line| line.starts_with("Client exited with") || line.starts_with("Client timed"));
            problems.extend(complaint.map(|line| format!("{scenario} {revision}: {line}")));
        }
        Ok((outcome, problems))
    }

    fn one(&self, how: &str, scenario: &str, revision: &str, results: &Path) -> anyhow::Result<String> {
        std::fs::create_dir_all(results)?;
        let mut client = vec![self.node.run().get_program().to_string_lossy().into_owned()];
        client.push(shell::root().join("xtask/e2e/upstream.mjs").to_string_lossy().into_owned());
        client.extend([how.to_owned(), self.folder.join("toolgate").to_string_lossy().into_owned()]);
        let mut suite = self.node.script(SUITE);
        suite.args([
            "client",
            "--scenario",
            scenario,
            "--spec-version",
            revision,
            "--command",
            &client.join(" "),
            "-o",
        ]);
        suite.arg(results).env("TOOLGATE", &self.toolgate).env("POLICY", shell::root().join(POLICY));
        // The exit code says only whether checks failed; the files say everything.
        let output = suite.output().context("cannot run the conformance suite")?;
        let log = [output.stdout, output.stderr].concat();
        std::fs::write(results.with_extension("log"), &log)?;
        Ok(String::from_utf8_lossy(&log).into_owned())
    }
}

impl Expected {
    fn runs(&self) -> impl Iterator<Item = (&str, &str)> {
        let scenarios = self.scenarios.iter();
        scenarios.flat_map(|(name, revisions)| revisions.keys().map(move |revision| (name.as_str(), revision.as_str())))
    }

    /// What is wrong with the direct run: it must be as it was when `upstream.json` was written.
    fn wrong(&self, direct: &Outcome) -> impl Iterator<Item = String> {
        let excepted: BTreeSet<_> =
            self.exceptions.iter().filter(|at| at.how == "direct").map(Exception::key).collect();
        let seen: BTreeSet<_> = direct.keys().filter(|(_, _, status)| status != "SUCCESS").cloned().collect();
        let told = |what: &str, (scenario, check, status): &(String, String, String)| {
            format!("{scenario}: {check}: {what} {status}")
        };
        let new = seen.difference(&excepted).map(|key| told("is", key));
        let mut problems: Vec<String> =
            new.chain(excepted.difference(&seen).map(|key| told("is no longer", key))).collect();
        for (name, revision) in self.runs() {
            let wanted = self.scenarios.get(name).and_then(|revisions| revisions.get(revision)).copied().unwrap_or(0);
            let full = format!("{name} {revision}");
            let own = direct.iter().filter(|((of, _, status), _)| *of == full && status == "SUCCESS");
            let passed: usize = own.map(|(_, times)| times).sum();
            if passed != wanted {
                problems.push(format!("{full}: {passed} checks passed, not {wanted}"));
            }
        }
        problems.into_iter()
    }

    /// What another way must give, if this is what the direct one gave.
    fn with_exceptions(&self, how: &str, direct: &Outcome) -> Outcome {
        let mut outcome = direct.clone();
        for exception in self.exceptions.iter().filter(|exception| exception.how == how) {
            let (scenario, check, status) = exception.key();
            let is_it = |of: &str, seen: &str| of == scenario && seen == check;
            let times = outcome.iter().filter(|((of, seen, _), _)| is_it(of, seen)).map(|(_, times)| times).sum();
            outcome.retain(|(of, seen, _), _| !is_it(of, seen));
            outcome.insert((scenario, check, status), times);
        }
        outcome
    }
}

impl Exception {
    fn key(&self) -> (String, String, String) {
        (format!("{} {}", self.scenario, self.revision), self.check.clone(), self.status.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(entries: &[(&str, &str)]) -> Outcome {
        entries.iter().map(|(check, status)| (("s r".into(), (*check).into(), (*status).into()), 1)).collect()
    }

    fn expected(exceptions: &str) -> Expected {
        let text =
            format!(r#"{{ "scenarios": {{ "s": {{ "r": 2 }} }}, "left_out": {{}}, "exceptions": [{exceptions}] }}"#);
        serde_json::from_str(&text).unwrap()
    }

    fn exception(how: &str, check: &str) -> String {
        format!(
            r#"{{ "how": "{how}", "scenario": "s", "revision": "r", "check": "{check}", "status": "SKIPPED", "reason": "" }}"#
        )
    }

    #[test]
    fn a_check_that_fails_and_a_pass_that_is_missing_are_wrong() {
        let wrong: Vec<_> = expected("").wrong(&outcome(&[("a", "SUCCESS"), ("b", "FAILURE")])).collect();
        assert_eq!(wrong, ["s r: b: is FAILURE", "s r: 1 checks passed, not 2"]);
    }

    #[test]
    fn an_exception_excuses_one_check_and_is_wrong_when_it_is_not_needed() {
        let expected = expected(&exception("direct", "c"));
        let passed = [("a", "SUCCESS"), ("b", "SUCCESS")];
        assert_eq!(expected.wrong(&outcome(&[passed[0], passed[1], ("c", "SKIPPED")])).count(), 0);
        let wrong: Vec<_> = expected.wrong(&outcome(&passed)).collect();
        assert_eq!(wrong, ["s r: c: is no longer SKIPPED"]);
    }

    #[test]
    fn an_exception_of_another_way_changes_what_is_expected_of_it() {
        let (expected, direct) = (expected(&exception("through", "b")), outcome(&[("a", "SUCCESS"), ("b", "SUCCESS")]));
        assert_eq!(expected.wrong(&direct).count(), 0);
        assert_eq!(expected.with_exceptions("bridged", &direct), direct);
        assert_eq!(expected.with_exceptions("through", &direct), outcome(&[("a", "SUCCESS"), ("b", "SKIPPED")]));
    }
}

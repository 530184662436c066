//! `reloads`: while policies are swapped, no call is dropped, each is decided by exactly one of them, and a bad one is never in force.
//! Planted: a policy that is a mix of the two.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;

use super::client::Said;
use super::load::{Attempt, Load, Plan};
use super::oracle::{Broken, promised};
use super::stage::{Gateway, Setup, Stage};
use super::trail::{self, Record};
use super::upstream::Upstream;
use super::{Played, oracle};

const CLIENTS: usize = 10;
/// Of each client: 500 calls a second.
const PACE: Duration = Duration::from_millis(20);
/// One in so many is preceded by a file that is no policy.
const BAD: usize = 25;

pub(super) fn play(stage: &Stage) -> Played<'_> {
    Box::pin(reloads(stage))
}

async fn reloads(stage: &Stage) -> anyhow::Result<String> {
    let reloads = stage.rounds(500, 10_000);
    let upstream = Upstream::start(Duration::ZERO).await?;
    let texts = [policy(&["a"]), policy(&["b"])];
    let [first, second] = &texts;
    let node = stage.node("node", &Setup { upstream: upstream.address, policy: first, more: "" })?;
    let (gateway, file) = (stage.start(&node).await?, stage.policy());
    // What each is called, before there is any load: the hash by which records name it.
    let mut hashes = Vec::new();
    for text in [second, first] {
        hashes.push(swap(&gateway, &file, text).await?);
    }
    let began = Instant::now();
    let plan = Plan { pace: PACE, prefixes: vec!["a".into(), "b".into()], ..Plan::of(CLIENTS, "") };
    let load = Load::start(gateway.data, &plan);
    for (reload, text) in (0..reloads).zip(texts.iter().rev().cycle()) {
        if reload % BAD == 0 {
            put(&file, "{ no policy")?;
            gateway.until("a file that is refused", |_, said| said.contains("was not reloaded")).await?;
        }
        match stage.planted && reload == reloads / 2 {
            true => swap(&gateway, &file, &policy(&["a", "b"])).await?,
            false => swap(&gateway, &file, text).await?,
        };
    }
    let attempts = load.stop().await;
    let rate = attempts.len() as f64 / began.elapsed().as_secs_f64();
    gateway.stop().await?;
    trail::verify(stage, &node).await?;
    let records = trail::decisions(stage, &node).await?;
    let [of_second, of_first] = hashes.as_slice() else { anyhow::bail!("two policies have two hashes") };
    let in_force = BTreeMap::from([(of_first.as_str(), "a-"), (of_second.as_str(), "b-")]);
    explained(&attempts, &records, &in_force)?;
    let seen = upstream.seen();
    oracle::all_recorded(seen.iter().map(|call| call.tool.as_str()), trail::allowed(&records))?;
    Ok(format!(
        "{reloads} reloads at {rate:.0} calls/s: {} calls, none dropped, each decided by one policy; {} let through",
        attempts.len(),
        seen.len()
    ))
}

/// Every call has an answer and a record that agree, and the record's policy is one that decides so. `in_force`: what each lets through.
fn explained(attempts: &[Attempt], records: &[Record], in_force: &BTreeMap<&str, &str>) -> Result<(), Broken> {
    oracle::once("calls are on record", records.iter().map(|record| record.subject.as_str()))?;
    let records: BTreeMap<&str, &Record> = records.iter().map(|record| (record.subject.as_str(), record)).collect();
    for Attempt { tool, said, .. } in attempts {
        promised(*said != Said::Cut, || format!("`{tool}` was dropped"))?;
        let record = records.get(tool.as_str()).ok_or_else(|| Broken(format!("`{tool}` is not on record")))?;
        let lets = in_force.get(record.policy.as_str());
        let lets =
            lets.ok_or_else(|| Broken(format!("`{tool}` was decided by `{}`, which never was", record.policy)))?;
        let passed = *said == Said::Result;
        promised(passed == record.is_allowed(), || {
            format!("`{tool}` was answered with {said:?}, on record {record:?}")
        })?;
        promised(passed == tool.starts_with(lets), || format!("`{tool}` was not decided by its policy: {record:?}"))?;
        if let Said::No { policy: Some(policy), .. } = said {
            promised(*policy == record.policy, || format!("`{tool}` was told another policy than is on record"))?;
        }
    }
    Ok(())
}

/// Lets through what begins so, among rules enough that reading them takes a while.
fn policy(allowed: &[&str]) -> String {
    let rule = |name: &str| {
        let action = if allowed.contains(&name) { "allow" } else { "deny" };
        format!("\"{name}-*\": {{ \"action\": \"{action}\" }}")
    };
    let others = (0..200).map(|number| format!("\"service_{number}_*\": {{}}"));
    let rules: Vec<String> = ["a", "b"].into_iter().map(rule).chain(others).collect();
    format!("{{ \"version\": \"1\", \"default\": \"deny\", \"tools\": {{ {} }} }}", rules.join(", "))
}

/// Puts another policy there, and returns its hash when it is in force.
async fn swap(gateway: &Gateway, file: &Path, text: &str) -> anyhow::Result<String> {
    let before = hash(&gateway.ready().await?.1)?;
    put(file, text)?;
    gateway.until("another policy", |_, said| hash(said).is_ok_and(|now| now != before)).await?;
    hash(&gateway.ready().await?.1)
}

/// As careful people do it: whole, or not at all.
fn put(file: &Path, text: &str) -> std::io::Result<()> {
    let beside = file.with_extension("next");
    std::fs::write(&beside, text)?;
    std::fs::rename(beside, file)
}

/// The line is `policy NAME HASH`.
fn hash(ready: &str) -> anyhow::Result<String> {
    let line = ready.lines().find(|line| line.starts_with("policy ") && !line.contains("was not reloaded"));
    let hash = line.and_then(|line| line.rsplit(' ').next()).context("readiness names no policy")?;
    Ok(hash.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(subject: &str, outcome: &str, policy: &str) -> Record {
        Record { subject: subject.into(), outcome: outcome.into(), policy: policy.into(), ..Record::default() }
    }

    #[tokio::test]
    async fn what_one_policy_does_not_explain_is_found() {
        let in_force = BTreeMap::from([("A", "a-"), ("B", "b-")]);
        let no = || Said::No { code: "denied".into(), policy: None };
        let attempt = |said| [Attempt { tool: "a-1".into(), asked: Instant::now(), took: Duration::ZERO, said }];
        let check = |said, records: &[Record]| explained(&attempt(said), records, &in_force).map_err(|broken| broken.0);
        assert_eq!(check(Said::Result, &[record("a-1", "allowed", "A")]), Ok(()));
        assert_eq!(check(no(), &[record("a-1", "denied", "B")]), Ok(()));
        let broken = |said, records: &[Record]| check(said, records).unwrap_err();
        assert!(broken(Said::Result, &[record("a-1", "allowed", "B")]).contains("not decided by its policy"));
        assert!(broken(Said::Result, &[record("a-1", "allowed", "C")]).contains("which never was"));
        assert!(broken(no(), &[record("a-1", "allowed", "A")]).contains("was answered with"));
        assert!(broken(Said::Cut, &[record("a-1", "allowed", "A")]).contains("was dropped"));
        assert!(broken(Said::Result, &[]).contains("not on record"));
        let told = Said::No { code: "denied".into(), policy: Some("A".into()) };
        assert!(broken(told, &[record("a-1", "denied", "B")]).contains("another policy"));
    }
}

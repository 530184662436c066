//! `cargo xtask soak [--large] [--only NAME]… [--planted] [--release]`: the program under load, with what happens to machines: kills, full
//! disks, stores that hang. What was promised is counted at the upstream, not at the gateway. Each scenario is a file, and says in its
//! first lines what it proves; `--planted` gives each of them a gateway that breaks the promise, and is content when that is found.

mod approvals;
mod approver;
mod client;
mod drain;
mod edits;
mod full;
mod idle;
mod kills;
mod limits;
mod load;
mod nodes;
mod oracle;
mod reloads;
mod space;
mod stage;
mod stores;
mod trail;
mod upstream;

use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use tokio::time::Instant;

use self::stage::Stage;
use crate::e2e::stand::Profile;

/// What it has seen, in a line; or what was promised and did not hold.
type Played<'s> = Pin<Box<dyn Future<Output = anyhow::Result<String>> + 's>>;

type Scenario = (&'static str, for<'s> fn(&'s Stage) -> Played<'s>);

const SCENARIOS: [Scenario; 10] = [
    ("kills", kills::play),
    ("edits", edits::play),
    ("reloads", reloads::play),
    ("drain", drain::play),
    ("full", full::play),
    ("limits", limits::play),
    ("nodes", nodes::play),
    ("stores", stores::play),
    ("approvals", approvals::play),
    ("idle", idle::play),
];

const USAGE: &str = "usage: cargo xtask soak [--large] [--only NAME]… [--planted] [--release] [--seed N]";

struct Wanted {
    large: bool,
    planted: bool,
    profile: Profile,
    /// All, when there is none.
    only: Vec<&'static str>,
    seed: u64,
}

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let wanted = read(arguments)?;
    eprintln!("seed {}", wanted.seed);
    fastrand::seed(wanted.seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut failed = Vec::new();
    for (name, play) in SCENARIOS.iter().filter(|(name, _)| wanted.only.is_empty() || wanted.only.contains(name)) {
        let stage = Stage::set(name, wanted.profile, wanted.large, wanted.planted)?;
        let (began, played) = runtime.block_on(async { (Instant::now(), play(&stage).await) });
        let (held, said) = judge(played, wanted.planted);
        println!(
            "{name:<8} {:<7} {:>6.1} s  {said}",
            if held { "ok" } else { "FAILED" },
            began.elapsed().as_secs_f64()
        );
        if !held {
            failed.push(*name);
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}; what was written lies in `{}`", failed.join(", "), stage::folder().display());
    }
    Ok(())
}

/// With a planted bug, only a failure is a success.
fn judge(played: anyhow::Result<String>, planted: bool) -> (bool, String) {
    match (played, planted) {
        (Ok(said), false) => (true, said),
        (Ok(said), true) => (false, format!("the planted bug was not found: {said}")),
        (Err(error), false) => (false, format!("{error:#}")),
        // Only what an oracle says counts: a scenario that could not be played has found nothing.
        (Err(error), true) => match error.downcast_ref::<oracle::Broken>() {
            Some(broken) => (true, format!("found: {broken}")),
            None => (false, format!("not played: {error:#}")),
        },
    }
}

fn read(arguments: &[String]) -> anyhow::Result<Wanted> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seed = now.as_secs();
    let mut wanted = Wanted { large: false, planted: false, profile: Profile::Debug, only: Vec::new(), seed };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--large" => wanted.large = true,
            "--planted" => wanted.planted = true,
            "--release" => wanted.profile = Profile::Release,
            "--only" => wanted.only.push(scenario(arguments.next().context(USAGE)?)?),
            "--seed" => wanted.seed = arguments.next().and_then(|given| given.parse().ok()).context(USAGE)?,
            other => bail!("unknown argument `{other}`; {USAGE}"),
        }
    }
    Ok(wanted)
}

fn scenario(wanted: &str) -> anyhow::Result<&'static str> {
    let found = SCENARIOS.iter().map(|(name, _)| *name).find(|name| *name == wanted);
    let names = || SCENARIOS.map(|(name, _)| name).join(", ");
    found.with_context(|| format!("there is no scenario `{wanted}`, but {}", names()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let read = |line: &str| read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let wanted = read("--large --only kills --only full --seed 7").unwrap();
        assert_eq!((wanted.large, wanted.planted, wanted.only, wanted.seed), (true, false, vec!["kills", "full"], 7));
        assert!(read("--only everything").is_err());
        assert!(read("--fast").is_err());
    }

    #[test]
    fn a_planted_bug_must_be_found_and_by_an_oracle() {
        let broken = || Err(oracle::Broken("no".into()).into());
        assert!(judge(broken(), true).0);
        assert!(!judge(broken(), false).0);
        assert!(!judge(Ok("all well".into()), true).0);
        assert!(!judge(Err(anyhow::anyhow!("no program")), true).0);
    }
}

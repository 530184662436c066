//! `stores`: a Redis that hangs, that forgets, a PostgreSQL that restarts. Calls with limits, or that need a person, are denied within 250 ms;
//! those with limits pass again within 2 s; what is forgotten lets nobody beyond a limit; calls that need neither go on. Planted: a rule
//! that says `allow` for that case.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Played;
use super::client::{Client, Said};
use super::limits::spans;
use super::load::{Load, Plan};
use super::oracle::{self, promised};
use super::stage::{Gateway, LOOK, PATIENCE, Setup, Stage};
use super::upstream::Upstream;
use crate::services::{Postgres, Redis};

const POLICY: &str = r#"{
  "version": "1",
  "tools": {
    "free-*": {},
    "ask-*": { "action": "require_approval", "approval": { "hold": "1s" } },
    "many-*": { "limits": [{ "max": 1000000, "window": "3s", "per": "server" }] },
    "few-*": { "limits": [{ "max": 20, "window": "3s", "per": "server" }] }
  }
}"#;
const PLANTED: (&str, &str) = (r#""many-*": {"#, r#""many-*": { "on_store_failure": "allow", "#);
const MAX: usize = 20;
const WINDOW: Duration = Duration::from_secs(3);

/// What is promised of calls while a store hangs, and of the time after.
const DENIED_WITHIN: Duration = Duration::from_millis(250);
const BACK_WITHIN: Duration = Duration::from_secs(2);
/// A Redis that nobody knows grants nothing for so long.
const KNOWN: Duration = Duration::from_secs(3);
/// Calls at once while it hangs.
const PROBES: usize = 10;
/// So long anything is away.
const AWAY: Duration = Duration::from_millis(500);

pub(super) fn play(stage: &Stage) -> Played<'_> {
    Box::pin(stores(stage))
}

async fn stores(stage: &Stage) -> anyhow::Result<String> {
    let flaps = stage.rounds(8, 200);
    let (mut postgres, mut redis) = (Postgres::start()?, Redis::start()?);
    let upstream = Upstream::start(Duration::ZERO).await?;
    let policy = if stage.planted { POLICY.replace(PLANTED.0, PLANTED.1) } else { POLICY.to_owned() };
    let more = format!("[limits]\nstore = \"{}\"\n\n[store]\nurl = \"{}\"\n", redis.url(), postgres.url());
    let node = stage.node("node", &Setup { upstream: upstream.address, policy: &policy, more: &more })?;
    let gateway = stage.start(&node).await?;
    let (mut denials, mut returns) = (Vec::new(), Vec::new());
    for flap in 0..flaps {
        let hung = hang(&gateway, &upstream, &redis, flap).await?;
        denials.extend(hung.denials);
        returns.push(hung.back);
    }
    denials.sort_unstable();
    let p99 = denials.get(denials.len() * 99 / 100).copied().unwrap_or_default();
    promised(p99 <= DENIED_WITHIN, || format!("the 99th of 100 denials took {p99:?}"))?;
    let restart = restart(&gateway, &mut postgres).await?;
    let forgot = forget(&gateway, &upstream, &mut redis, flaps).await?;
    gateway.stop().await?;
    let back = returns.iter().max().copied().unwrap_or_default();
    Ok(format!(
        "Redis hung {flaps} times: {} calls denied (p99 {} ms), passing again after {} ms at most; {restart}; {forgot}",
        denials.len(),
        p99.as_millis(),
        back.as_millis()
    ))
}

struct Hung {
    denials: Vec<Duration>,
    back: Duration,
}

/// Redis says nothing for a while.
async fn hang(gateway: &Gateway, upstream: &Upstream, redis: &Redis, flap: usize) -> anyhow::Result<Hung> {
    pass(gateway, &format!("many-before-{flap}")).await?;
    redis.freeze()?;
    let (frozen, before, mut denials, mut free) = (Instant::now(), upstream.count(), Vec::new(), 0);
    while frozen.elapsed() < AWAY {
        let name = format!("many-{flap}-{}", denials.len());
        let attempts = Load::start(gateway.data, &Plan { calls: 1, ..Plan::of(PROBES, name) }).done().await;
        for attempt in attempts {
            promised(matches!(attempt.said, Said::No { .. }), || format!("without a count: {attempt:?}"))?;
            denials.push(attempt.took);
        }
        let said = Client::new(gateway.data).call(&format!("free-{flap}-{free}")).await;
        promised(said == Said::Result, || format!("a call without limits was answered with {said:?}"))?;
        free += 1;
    }
    let (status, said) = gateway.ready().await?;
    promised(status == 503 && said.contains("limits"), || {
        format!("readiness says {status} while Redis hangs: {said}")
    })?;
    promised(upstream.count() == before + free, || "a call passed that could not be counted".to_owned())?;
    redis.thaw()?;
    let back = pass(gateway, &format!("many-after-{flap}")).await?;
    promised(back <= BACK_WITHIN, || format!("calls pass again after {back:?}"))?;
    Ok(Hung { denials, back })
}

/// Calls until one passes; how long that took.
async fn pass(gateway: &Gateway, name: &str) -> anyhow::Result<Duration> {
    let (began, mut client) = (Instant::now(), Client::new(gateway.data));
    for call in 0.. {
        let said = client.call(&format!("{name}-{call}")).await;
        if said == Said::Result {
            break;
        }
        promised(began.elapsed() < PATIENCE, || format!("calls are still answered with {said:?}"))?;
        sleep(LOOK).await;
    }
    Ok(began.elapsed())
}

/// PostgreSQL is away for a while: what judges calls is in memory.
async fn restart(gateway: &Gateway, postgres: &mut Postgres) -> anyhow::Result<String> {
    let plan = Plan { pace: Duration::from_millis(10), ..Plan::of(2, "free-restart") };
    let load = Load::start(gateway.data, &plan);
    postgres.stop();
    let (gone, mut denials) = (Instant::now(), Vec::new());
    while gone.elapsed() < 2 * AWAY {
        let asked = Instant::now();
        let said = Client::new(gateway.data).call(&format!("ask-{}", denials.len())).await;
        promised(matches!(said, Said::No { .. }), || {
            format!("nobody could be asked, and it was answered with {said:?}")
        })?;
        denials.push(asked.elapsed());
    }
    let slowest = denials.iter().max().copied().unwrap_or_default();
    promised(slowest <= DENIED_WITHIN, || {
        format!("a call that nobody could be asked about was denied after {slowest:?}")
    })?;
    postgres.resume()?;
    let there = Instant::now();
    gateway.until("readiness", |status, _| status == 200).await?;
    let back = there.elapsed();
    let attempts = load.stop().await;
    let refused = attempts.iter().find(|attempt| attempt.said != Said::Result);
    promised(refused.is_none(), || format!("PostgreSQL was restarted, and a call was not answered: {refused:?}"))?;
    promised(back <= BACK_WITHIN, || format!("ready again {back:?} after PostgreSQL was"))?;
    Ok(format!(
        "PostgreSQL restarted under {} calls, none refused, and {} that need a person denied after {} ms at most",
        attempts.len(),
        denials.len(),
        slowest.as_millis()
    ))
}

/// Redis is emptied, again and again, while calls use their limit up.
async fn forget(gateway: &Gateway, upstream: &Upstream, redis: &mut Redis, times: usize) -> anyhow::Result<String> {
    let plan = Plan { pace: Duration::from_millis(20), ..Plan::of(4, "few") };
    let load = Load::start(gateway.data, &plan);
    for time in 0..times {
        sleep(WINDOW.mul_f64(fastrand::f64() / 2.0)).await;
        if time % 2 == 0 {
            redis.ask("FLUSHALL")?;
        } else {
            redis.stop();
            redis.resume()?;
        }
    }
    // It denies for one window after it is known to all, and then no longer.
    sleep(WINDOW + KNOWN + BACK_WITHIN).await;
    let later = Instant::now();
    sleep(WINDOW).await;
    let attempts = load.stop().await;
    let seen = upstream.seen();
    let most = oracle::most_within(WINDOW, &spans(&attempts, &seen));
    promised(most <= MAX, || {
        format!("{most} calls passed within {WINDOW:?} where Redis was emptied; the limit is {MAX}")
    })?;
    let late = attempts.iter().any(|attempt| attempt.asked >= later && attempt.said == Said::Result);
    promised(late, || "no call passes long after Redis was emptied".to_owned())?;
    Ok(format!("Redis emptied {times} times: at most {most} calls within any {WINDOW:?} (limit {MAX})"))
}

//! Marks what has expired, and forgets what is over for long.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Approvals;
use super::clock::millis;
use crate::pipeline::Shared;

/// How often what has expired is marked. A call that comes meanwhile sees by itself that it is too late.
const MARK: Duration = Duration::from_secs(5);

/// How often what is over for long is forgotten.
const FORGET: Duration = Duration::from_secs(600);

/// Keeps approvals in order, and wakes who waits for one, for ever.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let (approvals, events) = (&shared.approvals, &shared.events);
    if approvals.store.is_none() {
        return;
    }
    tokio::join!(approvals.follow(events), approvals.sweep());
}

impl Approvals {
    async fn sweep(&self) {
        let mut rounds = interval(MARK);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut forgot: Option<Instant> = None;
        loop {
            rounds.tick().await;
            self.mark().await;
            if forgot.is_none_or(|at| at.elapsed() >= FORGET) {
                forgot = Some(Instant::now());
                self.forget().await;
            }
        }
    }

    async fn mark(&self) {
        self.wire.tasks.expire(self.clock.now_ms());
        let Some(store) = &self.store else { return };
        match store.expire_approvals(self.clock.now_ms()).await {
            Ok(expired) => expired.iter().for_each(|id| self.hub.ring(id)),
            Err(error) => super::desk::silent(&error),
        }
    }

    async fn forget(&self) {
        let Some(store) = &self.store else { return };
        let before = self.clock.now_ms().saturating_sub(millis(self.live().keep));
        loop {
            match store.sweep_approvals(before).await {
                Ok(0) => return,
                Ok(_) => {} // there may be more
                Err(error) => return super::desk::silent(&error),
            }
        }
    }
}

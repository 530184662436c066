//! Whether the store of approvals answers. Its own deadlines leave room for much work; a call that only finds that nobody is there is
//! refused long before. Only single reads are given up so, and each call begins with one: what writes is never left half done.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use store::{Store, StoreError};
use tokio::time::{Instant, timeout_at};

use super::desk::silence;
use crate::ruling::Lack;

/// So long nothing at all is heard, and nothing is waited for any more.
const SILENCE: Duration = Duration::from_millis(200);

pub(super) struct Pulse {
    /// None where the store is a file: it waits for other writers, and is never gone without a word.
    silence: Option<Duration>,
    began: Instant,
    /// Microseconds after `began`, of the last answer.
    last: AtomicU64,
}

impl Pulse {
    pub(super) fn of(store: Option<&Store>) -> Self {
        let is_remote = store.is_some_and(Store::is_remote);
        Self { silence: is_remote.then_some(SILENCE), began: Instant::now(), last: AtomicU64::new(0) }
    }

    /// What the store answers to one read. As long as it answers others this one waits its turn, and no longer.
    pub(super) async fn heard<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, Lack> {
        let answer = match self.silence {
            Some(silence) => self.patiently(silence, work).await?,
            None => work.await,
        };
        answer.map_err(silence)
    }

    async fn patiently<T>(&self, silence: Duration, work: impl Future<Output = T>) -> Result<T, Lack> {
        let (mut work, mut since) = (pin!(work), Instant::now());
        loop {
            if let Ok(answer) = timeout_at(since + silence, work.as_mut()).await {
                self.last.fetch_max(micros(self.began.elapsed()), Ordering::Relaxed);
                return Ok(answer);
            }
            let last = self.began + Duration::from_micros(self.last.load(Ordering::Relaxed));
            if last <= since {
                tracing::warn!(?silence, "the store of approvals says nothing");
                return Err(Lack::Silent);
            }
            since = last;
        }
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::sync::oneshot;
    use tokio::task::yield_now;

    use super::*;

    const BRIEF: Duration = Duration::from_millis(20);

    fn pulse(silence: Option<Duration>) -> Pulse {
        Pulse { silence, began: Instant::now(), last: AtomicU64::new(0) }
    }

    #[tokio::test]
    async fn of_a_store_that_is_gone_nobody_waits_for_the_deadline() {
        let pulse = pulse(Some(BRIEF));
        pulse.heard(ready(Ok(()))).await.unwrap();
        for _ in 0..2 {
            let began = Instant::now();
            assert_eq!(pulse.heard(pending::<Result<(), _>>()).await, Err(Lack::Silent));
            assert!(began.elapsed() >= BRIEF);
        }
    }

    /// A queue is no silence.
    #[tokio::test]
    async fn while_the_store_answers_others_one_waits_its_turn() {
        let (pulse, (turn, comes)) = (pulse(Some(BRIEF)), oneshot::channel());
        let queued = pulse.heard(async {
            comes.await.unwrap();
            Ok(())
        });
        let others = async {
            let began = Instant::now();
            while began.elapsed() < BRIEF * 5 {
                pulse.heard(ready(Ok(()))).await.unwrap();
                yield_now().await;
            }
            turn.send(()).unwrap();
        };
        let ((), queued) = tokio::join!(biased; others, queued);
        queued.unwrap();
    }

    #[tokio::test]
    async fn a_file_has_the_stores_own_deadlines() {
        let slow = async {
            tokio::time::sleep(SILENCE * 2).await;
            Ok(())
        };
        pulse(None).heard(slow).await.unwrap();
    }
}

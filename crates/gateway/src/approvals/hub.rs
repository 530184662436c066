//! Who waits for which approval, and how they are woken: at once by what this process or another node decides.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::{Approval, ApprovalState, Heard};
use tokio::sync::watch;

use super::Approvals;
use super::desk::denied;
use crate::events::Events;
use crate::ruling::{Lack, Why};

/// By the approval's id; no longer than somebody waits.
#[derive(Default)]
pub(super) struct Hub(Arc<Mutex<Waiters>>);

type Waiters = HashMap<Box<str>, Bell>;

struct Bell {
    rung: watch::Sender<()>,
    ears: usize,
}

/// Waits for one approval. Dropped, it no longer does.
pub(crate) struct Watch {
    id: Box<str>,
    rung: watch::Receiver<()>,
    waiters: Arc<Mutex<Waiters>>,
}

impl Hub {
    pub(super) fn watch(&self, id: &str) -> Watch {
        let mut waiters = lock(&self.0);
        let bell = waiters.entry(id.into()).or_insert_with(|| Bell { rung: watch::Sender::new(()), ears: 0 });
        bell.ears += 1;
        Watch { id: id.into(), rung: bell.rung.subscribe(), waiters: Arc::clone(&self.0) }
    }

    /// It is not as it was.
    pub(super) fn ring(&self, id: &str) {
        if let Some(bell) = lock(&self.0).get(id) {
            bell.rung.send_replace(());
        }
    }

    fn is_awaited(&self, id: &str) -> bool {
        lock(&self.0).contains_key(id)
    }

    fn awaited(&self) -> Vec<Box<str>> {
        lock(&self.0).keys().cloned().collect()
    }
}

impl Watch {
    /// Returns when it may have been decided.
    pub(super) async fn rung(&mut self) {
        if self.rung.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut waiters = lock(&self.waiters);
        if let Some(bell) = waiters.get_mut(&self.id) {
            bell.ears -= 1;
            if bell.ears == 0 {
                waiters.remove(&self.id);
            }
        }
    }
}

fn lock(waiters: &Mutex<Waiters>) -> MutexGuard<'_, Waiters> {
    waiters.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Approvals {
    pub(super) fn watch(&self, id: &str) -> Watch {
        self.hub.watch(id)
    }

    /// Is there nothing more to wait for? While the store does not say, there is.
    pub(super) async fn is_decided(&self, id: &str) -> bool {
        matches!(self.find(id).await, Ok(Some(approval)) if is_settled(&approval))
    }

    /// Somebody's no, if there is one. It ends a wait, whatever judges the call by now.
    pub(super) async fn denial(&self, id: &str) -> Result<Option<Why>, Lack> {
        let approval = self.find(id).await?.filter(|approval| approval.state == ApprovalState::Denied);
        Ok(approval.as_ref().map(denied))
    }

    /// Wakes who waits, and tells who listens, for ever.
    pub(crate) async fn follow(&self, events: &Events) {
        let Some(store) = &self.store else { return };
        let mut changes = store.approvals_changed();
        loop {
            match changes.next().await {
                Heard::One(id) => self.heard(&id, events).await,
                // Nobody said which: those are looked at that somebody waits for.
                Heard::Any => {
                    for id in self.hub.awaited() {
                        if self.is_decided(&id).await {
                            self.hub.ring(&id);
                        }
                    }
                }
            }
        }
    }

    async fn heard(&self, id: &str, events: &Events) {
        if !self.hub.is_awaited(id) && !events.is_told_approvals() {
            return;
        }
        let Ok(Some(approval)) = self.find(id).await else { return };
        if is_settled(&approval) {
            self.hub.ring(id);
        }
        events.approval(&approval);
    }
}

fn is_settled(approval: &Approval) -> bool {
    match approval.state {
        ApprovalState::Pending => false,
        ApprovalState::Approved | ApprovalState::Denied | ApprovalState::Expired | ApprovalState::Used => true,
    }
}

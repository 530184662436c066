//! What the client still waits for. INVARIANT: an id is taken out when its answer is handed over, so none is answered twice; and what
//! ends takes out what it did not answer, so none is forgotten.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

pub(super) struct Open {
    max: usize,
    state: Mutex<State>,
    ended: Notify,
}

#[derive(Default)]
struct State {
    next: u64,
    exchanges: BTreeMap<u64, Waiting>,
}

/// One exchange with the service: a request, or the requests of a batch.
struct Waiting {
    /// As JSON text, unanswered.
    ids: Vec<Box<str>>,
    modern: bool,
    /// It has no end of its own.
    lasting: bool,
    task: Option<AbortHandle>,
}

impl Open {
    pub(super) fn new(max: usize) -> Self {
        Self { max, state: Mutex::default(), ended: Notify::new() }
    }

    /// None when too much is open already.
    pub(super) fn begin(&self, ids: &[Box<str>], modern: bool, lasting: bool) -> Option<u64> {
        let mut state = self.state();
        let open: usize = state.exchanges.values().map(|waiting| waiting.ids.len()).sum();
        if open + ids.len() > self.max {
            return None;
        }
        let n = state.next;
        state.next += 1;
        state.exchanges.insert(n, Waiting { ids: ids.to_vec(), modern, lasting, task: None });
        Some(n)
    }

    pub(super) fn runs_as(&self, n: u64, task: AbortHandle) {
        if let Some(waiting) = self.state().exchanges.get_mut(&n) {
            waiting.task = Some(task);
        }
    }

    /// The answer to `id` may be handed over: it is owed by the exchange it came on, or else by any other.
    pub(super) fn settle(&self, n: Option<u64>, id: &str) -> bool {
        let mut state = self.state();
        let owed = |waiting: &Waiting| waiting.ids.iter().position(|owed| &**owed == id);
        let own = n.filter(|n| state.exchanges.get(n).is_some_and(|waiting| owed(waiting).is_some()));
        let found =
            own.or_else(|| state.exchanges.iter().find(|(_, waiting)| owed(waiting).is_some()).map(|(n, _)| *n));
        let Some(waiting) = found.and_then(|n| state.exchanges.get_mut(&n)) else { return false };
        if let Some(at) = owed(waiting) {
            waiting.ids.swap_remove(at);
        }
        self.ended.notify_waiters();
        true
    }

    /// The one id that the exchange still owes an answer to.
    pub(super) fn sole(&self, n: u64) -> Option<Box<str>> {
        match self.state().exchanges.get(&n)?.ids.as_slice() {
            [id] => Some(id.clone()),
            _ => None,
        }
    }

    pub(super) fn is_settled(&self, n: u64) -> bool {
        self.state().exchanges.get(&n).is_none_or(|waiting| waiting.ids.is_empty())
    }

    /// The exchange is over: what it did not answer.
    pub(super) fn end(&self, n: u64) -> Vec<Box<str>> {
        let waiting = self.state().exchanges.remove(&n);
        self.ended.notify_waiters();
        waiting.map_or_else(Vec::new, |waiting| waiting.ids)
    }

    /// Hangs up on the modern requests of that id; false when there is none.
    pub(super) fn cancel(&self, id: &str) -> bool {
        self.drop_where(|waiting| waiting.modern && waiting.ids.iter().any(|owed| &**owed == id)) > 0
    }

    pub(super) fn cancel_lasting(&self) {
        self.drop_where(|waiting| waiting.lasting);
    }

    /// Hangs up on everything: what has no answer.
    pub(super) fn abort(&self) -> Vec<Box<str>> {
        let exchanges = std::mem::take(&mut self.state().exchanges);
        exchanges
            .into_values()
            .flat_map(|waiting| {
                waiting.task.inspect(AbortHandle::abort);
                waiting.ids
            })
            .collect()
    }

    /// Ends when nothing is owed.
    pub(super) async fn idle(&self) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.state().exchanges.values().all(|waiting| waiting.ids.is_empty()) {
                return;
            }
            ended.await;
        }
    }

    fn drop_where(&self, chosen: impl Fn(&Waiting) -> bool) -> usize {
        let mut state = self.state();
        let chosen: Vec<u64> = state.exchanges.iter().filter(|(_, waiting)| chosen(waiting)).map(|(n, _)| *n).collect();
        for waiting in chosen.iter().filter_map(|n| state.exchanges.remove(n)) {
            waiting.task.inspect(AbortHandle::abort);
        }
        drop(state);
        self.ended.notify_waiters();
        chosen.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

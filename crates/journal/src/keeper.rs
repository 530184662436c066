//! The journal's own thread. It writes what nobody else wrote, forces it to the disk, and closes the journal.

use std::fs::File;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::desk::{Desk, Guard};
use crate::journal::Sync;

/// How long a record may lie that nobody waits for: it is written with the next that somebody does.
const RIDE: Duration = Duration::from_millis(10);

/// How often it is tried again to write when that failed.
const RETRY: Duration = Duration::from_millis(500);

pub(crate) struct Keeper {
    desk: Arc<Desk>,
    sync: Sync,
    /// When what waits is written.
    write_by: Option<Instant>,
    /// When what is written is forced to the disk.
    sync_by: Option<Instant>,
}

impl Keeper {
    pub(crate) fn new(desk: Arc<Desk>, sync: Sync) -> Self {
        Self { desk, sync, write_by: None, sync_by: None }
    }

    /// Until the journal is closed.
    pub(crate) fn run(mut self) {
        let desk = Arc::clone(&self.desk);
        let mut state = desk.lock();
        loop {
            let now = Instant::now();
            let Some(pen) = state.pen.take() else {
                state = self.sleep(&desk, state, now);
                continue;
            };
            if self.is_due(&state, now) {
                (state.handed_over, self.write_by) = (false, None);
                state = desk.write_with(pen, state);
            } else if state.closed {
                drop(state);
                // Nobody hears of it any more; what is there is whole.
                _ = pen.finish();
                return;
            } else {
                state.pen = Some(pen);
                state = match self.sync_by.filter(|by| *by <= now).and_then(|_| state.unsynced.take()) {
                    Some(file) => self.sync(&desk, state, &file),
                    None => self.sleep(&desk, state, now),
                };
            }
        }
    }

    /// Is it the keeper who writes now? While writing fails, it does, to see whether it works again.
    fn is_due(&self, state: &Guard<'_>, now: Instant) -> bool {
        let overdue = self.write_by.is_some_and(|by| by <= now);
        let wanted = state.handed_over || state.asked || state.closed || overdue;
        state.has_work() && wanted || overdue && state.unwritable.is_some()
    }

    fn sync<'a>(&mut self, desk: &'a Desk, mut state: Guard<'a>, file: &Arc<File>) -> Guard<'a> {
        let last = state.last;
        state.syncing = Some(Instant::now());
        drop(state);
        let synced = file.sync_data();
        self.sync_by = None;
        let mut state = desk.lock();
        state.syncing = None;
        if synced.is_ok() {
            state.durable = last;
        }
        if synced.is_err() && state.unsynced.is_none() {
            state.unsynced = Some(Arc::clone(file));
        }
        state.unsyncable = synced.err().map(|error| error.to_string());
        state
    }

    fn sleep<'a>(&mut self, desk: &'a Desk, mut state: Guard<'a>, now: Instant) -> Guard<'a> {
        let pause = if state.unwritable.is_some() { RETRY } else { RIDE };
        self.write_by = match self.write_by {
            _ if !state.has_work() && state.unwritable.is_none() => None,
            Some(by) if by > now => Some(by),
            Some(_) | None => Some(now + pause),
        };
        if let (Sync::Every(span), None, Some(_)) = (self.sync, self.sync_by, &state.unsynced) {
            self.sync_by = Some(now + span);
        }
        state.fast_asleep = self.write_by.is_none();
        let until = self.write_by.into_iter().chain(self.sync_by).min();
        let mut state = match until {
            None => desk.bell.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(until) => {
                let woken = desk.bell.wait_timeout(state, until.saturating_duration_since(now));
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.fast_asleep = false;
        state
    }
}

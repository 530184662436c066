//! Where records wait, and the pen lies. A record is written by a thread that wants it written: the first to ask takes the pen and
//! writes for all who wait, without waking anybody. The journal's own thread (`keeper.rs`) does what takes long: it forces files to the
//! disk, begins segments, and writes in place of the others while the disk is slow, so that they wait no longer than they are willing to.

use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::job::Job;
use crate::journal::{NotWritten, Settings, Status, Sync};
use crate::writer::Writer;

/// Records that are written together at most.
const GROUP: usize = 1024;

/// So many records that nobody waits for are written at once, however young they are.
const ENOUGH: usize = 256;

/// Groups that one thread writes for others before it goes back to its own work.
const ROUNDS: usize = 4;

/// A write that took longer comes from a slow disk: the next ones are the keeper's.
const SLOW: Duration = Duration::from_millis(20);

/// How long a disk counts as slow.
const STAYS_SLOW: Duration = Duration::from_secs(1);

pub(crate) struct Desk {
    state: Mutex<State>,
    /// Wakes the keeper.
    pub(crate) bell: Condvar,
    /// Records that may wait to be written, of those that somebody waits for, and of the others.
    room: usize,
    patience: Duration,
    /// Every group is forced to the disk, which is the keeper's work.
    always: bool,
}

pub(crate) struct State {
    waiting: Vec<Job>,
    /// How many of them somebody waits for.
    awaited: usize,
    /// None while somebody writes.
    pub(crate) pen: Option<Writer>,
    /// Since when, and how many records.
    out: Option<(Instant, usize)>,
    /// Somebody waits for whoever holds the pen.
    pub(crate) asked: bool,
    /// The next group is the keeper's.
    pub(crate) handed_over: bool,
    slow_until: Option<Instant>,
    /// The keeper sleeps, and would not see that something waits.
    pub(crate) fast_asleep: bool,
    /// Written to, and not yet forced to the disk.
    pub(crate) unsynced: Option<Arc<File>>,
    pub(crate) closed: bool,
    /// Why the last write failed.
    pub(crate) unwritable: Option<String>,
    /// Why the disk did not take what was written.
    pub(crate) unsyncable: Option<String>,
}

pub(crate) type Guard<'a> = MutexGuard<'a, State>;

impl Desk {
    pub(crate) fn new(settings: &Settings, pen: Writer, failed: Option<io::Error>) -> Self {
        let state = State {
            waiting: Vec::new(),
            awaited: 0,
            unsynced: pen.file(),
            pen: Some(pen),
            out: None,
            asked: false,
            handed_over: false,
            slow_until: None,
            fast_asleep: false,
            closed: false,
            unwritable: failed.map(|error| error.to_string()),
            unsyncable: None,
        };
        Self {
            state: Mutex::new(state),
            bell: Condvar::new(),
            room: settings.queue,
            patience: settings.patience,
            always: settings.sync == Sync::Always,
        }
    }

    /// Never held while something is written.
    pub(crate) fn lock(&self) -> Guard<'_> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a record down. It is written by the next who writes, and by the keeper if nobody does.
    pub(crate) fn put_down(&self, job: Job) -> Result<(), NotWritten> {
        let mut state = self.lock();
        let awaited = job.done.is_some();
        let waiting = if awaited { state.awaited } else { state.waiting.len() - state.awaited };
        if state.closed {
            return Err(NotWritten::Closed);
        }
        if waiting >= self.room {
            return Err(NotWritten::Full(self.room));
        }
        state.awaited += usize::from(awaited);
        state.waiting.push(job);
        // Who waits writes as well, in a moment.
        if !awaited && std::mem::take(&mut state.fast_asleep) {
            self.bell.notify_one();
        }
        let enough = !awaited && state.waiting.len() >= ENOUGH;
        drop(state);
        if enough {
            self.write();
        }
        Ok(())
    }

    /// Writes what waits, unless that is somebody else's turn: then it is written without us.
    pub(crate) fn write(&self) {
        let mut state = self.lock();
        for _ in 0..ROUNDS {
            if state.waiting.is_empty() {
                return;
            }
            if self.is_the_keepers(&state) {
                break;
            }
            let Some(pen) = state.pen.take() else {
                state.asked = true;
                return;
            };
            state = self.write_with(pen, state);
            if !state.asked {
                return;
            }
        }
        // INVARIANT: who asked while the pen was out is served, by us or by the keeper
        state.handed_over = true;
        self.bell.notify_one();
    }

    fn is_the_keepers(&self, state: &State) -> bool {
        let slow = || state.slow_until.is_some_and(|until| Instant::now() < until);
        self.always || state.pen.as_ref().is_some_and(Writer::is_at_the_end) || slow()
    }

    /// One group, with the pen that was taken.
    pub(crate) fn write_with<'a>(&'a self, mut pen: Writer, mut state: Guard<'a>) -> Guard<'a> {
        let began = Instant::now();
        let rest = if state.waiting.len() > GROUP { state.waiting.split_off(GROUP) } else { Vec::new() };
        let group = std::mem::replace(&mut state.waiting, rest);
        state.awaited -= group.iter().filter(|job| job.done.is_some()).count();
        state.asked = !state.waiting.is_empty();
        state.out = Some((began, group.len()));
        drop(state);
        let outcome = pen.write(&group);
        let (told, mut kept): (Vec<_>, Vec<_>) = group.into_iter().partition(|job| outcome.is_ok() || job.done.is_some());
        let now = Instant::now();
        let mut state = self.lock();
        // INVARIANT: what has happened already is not forgotten because it could not be written now
        if !state.closed {
            kept.append(&mut state.waiting);
            state.waiting = kept;
        }
        state.unwritable = outcome.as_ref().err().map(ToString::to_string);
        if now - began > SLOW {
            state.slow_until = Some(now + STAYS_SLOW);
        }
        if outcome.is_ok() && !self.always {
            state.unsynced = pen.file();
        }
        state.pen = Some(pen);
        state.out = None;
        if state.handed_over || state.closed {
            self.bell.notify_one();
        }
        drop(state);
        tell(told, outcome.map_err(Arc::new));
        self.lock()
    }

    pub(crate) fn status(&self) -> Status {
        let state = self.lock();
        let (since, writing) = state.out.map_or((None, 0), |(since, records)| (Some(since), records));
        let stuck = since.map(|since| since.elapsed()).filter(|span| *span > self.patience);
        let stuck = stuck.map(|span| format!("a write takes {} s already", span.as_secs()));
        Status { waiting: state.waiting.len() + writing, trouble: stuck.or_else(|| state.unwritable.clone()).or_else(|| state.unsyncable.clone()) }
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_one();
    }
}

impl State {
    pub(crate) fn has_work(&self) -> bool {
        !self.waiting.is_empty()
    }
}

fn tell(group: Vec<Job>, outcome: Result<u64, Arc<io::Error>>) {
    let mut next = outcome;
    for job in group {
        let is_record = job.members().is_some();
        if let Some(done) = job.done {
            // Whoever waited and is gone does not act on it either.
            _ = done.send(next.clone());
        }
        if let (Ok(number), true) = (&mut next, is_record) {
            *number += 1;
        }
    }
}

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
use crate::retention::RetainError;
use crate::writer::{Failed, Writer};

/// Records that are written together at most.
const GROUP: usize = 1024;

/// So many records that nobody waits for are written at once, however young they are.
const ENOUGH: usize = 256;

/// Groups that one thread writes for others before it goes back to its own work.
const ROUNDS: usize = 4;

/// A write that took longer comes from a slow disk: the next ones are the keeper's.
const SLOW: Duration = Duration::from_millis(20);

/// Forcing to the disk takes seconds on a busy one. What takes longer is stuck.
const SYNC_PATIENCE: Duration = Duration::from_secs(10);

/// How long a disk counts as slow.
const STAYS_SLOW: Duration = Duration::from_secs(1);

pub(crate) struct Desk {
    state: Mutex<State>,
    /// Wakes the keeper, and who waits for the pen.
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
    /// So many wait for the pen itself.
    wanted: usize,
    /// The next group is the keeper's.
    pub(crate) handed_over: bool,
    slow_until: Option<Instant>,
    /// The keeper sleeps, and would not see that something waits.
    pub(crate) fast_asleep: bool,
    /// Written to, and not yet forced to the disk.
    pub(crate) unsynced: Option<Arc<File>>,
    /// The number of the last record that is written.
    pub(crate) last: u64,
    /// And of the last that is on the disk.
    pub(crate) durable: u64,
    pub(crate) closed: bool,
    /// Why the last write failed.
    pub(crate) unwritable: Option<String>,
    /// Why the disk did not take what was written.
    pub(crate) unsyncable: Option<String>,
    /// Since when what was written is being forced to the disk.
    pub(crate) syncing: Option<Instant>,
}

impl State {
    /// INVARIANT: what the disk does not take, no call leaves on.
    fn disk_trouble(&self) -> Option<String> {
        let stuck = self.syncing.map(|since| since.elapsed()).filter(|span| *span > SYNC_PATIENCE);
        let stuck = stuck.map(|span| format!("forcing records to the disk takes {} s already", span.as_secs()));
        stuck.or_else(|| self.unsyncable.clone())
    }
}

pub(crate) type Guard<'a> = MutexGuard<'a, State>;

impl Desk {
    pub(crate) fn new(settings: &Settings, pen: Writer, durable: u64, failed: Option<io::Error>) -> Self {
        let state = State {
            waiting: Vec::new(),
            awaited: 0,
            unsynced: pen.file().filter(|_| durable < pen.last()),
            last: pen.last(),
            durable,
            pen: Some(pen),
            out: None,
            asked: false,
            wanted: 0,
            handed_over: false,
            slow_until: None,
            fast_asleep: false,
            closed: false,
            unwritable: failed.map(|error| error.to_string()),
            unsyncable: None,
            syncing: None,
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
        if awaited && let Some(why) = state.disk_trouble() {
            return Err(NotWritten::Failed(Arc::new(io::Error::other(why))));
        }
        state.awaited += usize::from(awaited);
        state.waiting.push(job);
        // Who waits writes as well, in a moment.
        if !awaited && std::mem::take(&mut state.fast_asleep) {
            self.bell.notify_all();
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
        self.bell.notify_all();
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
        // INVARIANT: what is in the file already is not written again, whatever is wrong with it
        let is_there = !matches!(outcome, Err(Failed::Absent(_)));
        let outcome = outcome.map_err(Failed::into_inner);
        let (told, mut kept): (Vec<_>, Vec<_>) = group.into_iter().partition(|job| is_there || job.done.is_some());
        let mut state = self.put_back(pen, outcome.as_ref().err(), began);
        // What records suffer from is over when one is written, and not before.
        if outcome.is_ok() {
            state.unwritable = None;
        }
        // INVARIANT: what has happened already is not forgotten because it could not be written now
        if !state.closed {
            kept.append(&mut state.waiting);
            state.waiting = kept;
        }
        drop(state);
        tell(told, outcome.map_err(Arc::new));
        self.lock()
    }

    fn put_back(&self, pen: Writer, failed: Option<&io::Error>, began: Instant) -> Guard<'_> {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(error) = failed {
            state.unwritable = Some(error.to_string());
        }
        if now - began > SLOW {
            state.slow_until = Some(now + STAYS_SLOW);
        }
        state.last = pen.last();
        match self.always && failed.is_none() {
            true => state.durable = state.last,
            false => state.unsynced = pen.file(),
        }
        state.pen = Some(pen);
        state.out = None;
        if state.handed_over || state.closed || state.wanted > 0 {
            self.bell.notify_all();
        }
        state
    }

    /// For what is not a record of somebody's. Waits for the pen.
    pub(crate) fn with_pen(&self, work: impl FnOnce(&mut Writer) -> io::Result<()>) -> Result<(), RetainError> {
        let mut state = self.lock();
        state.wanted += 1;
        let mut pen = loop {
            if state.closed {
                state.wanted -= 1;
                return Err(RetainError::Closed);
            }
            match state.pen.take() {
                Some(pen) => break pen,
                None => state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        };
        let began = Instant::now();
        state.wanted -= 1;
        state.out = Some((began, 0));
        drop(state);
        let outcome = work(&mut pen);
        let mut state = self.put_back(pen, outcome.as_ref().err(), began);
        state.handed_over |= state.asked;
        self.bell.notify_all();
        drop(state);
        Ok(outcome?)
    }

    pub(crate) fn status(&self) -> Status {
        let state = self.lock();
        let (since, writing) = state.out.map_or((None, 0), |(since, records)| (Some(since), records));
        let stuck = since.map(|since| since.elapsed()).filter(|span| *span > self.patience);
        let stuck = stuck.map(|span| format!("a write takes {} s already", span.as_secs()));
        Status {
            waiting: state.waiting.len() + writing,
            trouble: stuck.or_else(|| state.unwritable.clone()).or_else(|| state.disk_trouble()),
        }
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_all();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Journal, Keep, Opened, SigningKey};

    fn open(folder: &std::path::Path, patience: Duration) -> Opened {
        open_with(folder, patience, Sync::Every(Duration::from_millis(10)))
    }

    fn open_with(folder: &std::path::Path, patience: Duration, sync: Sync) -> Opened {
        let settings = Settings {
            folder: folder.join("audit"),
            node: "n".into(),
            sync,
            segment: 1 << 20,
            queue: 2,
            patience,
            key: Arc::new(SigningKey::load_or_make(&folder.join("key")).unwrap()),
            keep: Keep::default(),
            stamp: Arc::new(|_| "2026-11-27T12:00:00Z".into()),
        };
        Journal::open(settings).unwrap()
    }

    /// Somebody took the pen, and his write does not return.
    #[tokio::test]
    async fn who_waits_for_a_stuck_write_is_told_no_and_so_is_readiness() {
        let folder = tempfile::tempdir().unwrap();
        let opened = open(folder.path(), Duration::from_millis(30));
        opened.journal.append(r#"{"a":1}"#).await.unwrap();
        let desk = opened.journal.desk();
        // Patiently: the keeper may hold it for a moment.
        let taken = || {
            let mut state = desk.lock();
            let pen = state.pen.take()?;
            state.out = Some((Instant::now(), 1));
            Some(pen)
        };
        let pen = loop {
            if let Some(pen) = taken() {
                break pen;
            }
            tokio::task::yield_now().await;
        };
        let [first, second] = [r#"{"b":1}"#, r#"{"b":2}"#].map(|record| opened.journal.append(record));
        let (first, second) = tokio::join!(first, second);
        assert!(
            matches!((&first, &second), (Err(NotWritten::Stuck(_)), Err(NotWritten::Stuck(_)))),
            "{first:?} {second:?}"
        );
        assert!(matches!(opened.journal.append(r#"{"b":3}"#).await, Err(NotWritten::Full(2))));
        assert_eq!(opened.journal.status().trouble.unwrap(), "a write takes 0 s already");
        drop(desk.put_back(pen, None, Instant::now()));
        desk.write();
        opened.journal.settle().await;
        assert!(opened.journal.append(r#"{"c":1}"#).await.unwrap() > 3);
        assert_eq!(opened.journal.status().trouble, None);
    }

    #[tokio::test]
    async fn while_the_disk_is_slow_the_keeper_writes() {
        let folder = tempfile::tempdir().unwrap();
        let opened = open(folder.path(), Duration::from_secs(20));
        opened.journal.append(r#"{"a":1}"#).await.unwrap();
        let desk = opened.journal.desk();
        assert!(!desk.is_the_keepers(&desk.lock()));
        desk.lock().slow_until = Some(Instant::now() + Duration::from_secs(3600));
        assert!(desk.is_the_keepers(&desk.lock()));
        opened.journal.append(r#"{"c":1}"#).await.unwrap();
    }

    /// `broken` takes what works away, and gives it back.
    async fn check_written_once(sync: Sync, broken: impl Fn(&mut Writer, bool)) {
        let folder = tempfile::tempdir().unwrap();
        let opened = open_with(folder.path(), Duration::from_secs(20), sync);
        let (journal, desk) = (&opened.journal, opened.journal.desk());
        let times = |what: &str| {
            let files = crate::segments(&folder.path().join("audit")).unwrap();
            let text: String = files.iter().map(|file| std::fs::read_to_string(&file.path).unwrap()).collect();
            text.matches(what).count()
        };
        let breaks = |is: bool| {
            desk.with_pen(|pen| {
                broken(pen, is);
                Ok(())
            })
            .unwrap();
        };
        let again = || desk.with_pen(|pen| pen.write(&[]).map(drop).map_err(Failed::into_inner)).is_ok();
        journal.append(r#"{"n":0}"#).await.unwrap();
        breaks(true);
        journal.append_later(r#"{"n":1}"#).unwrap();
        let refused = journal.append(r#"{"n":2}"#).await;
        assert!(matches!(refused, Err(NotWritten::Failed(_))), "{refused:?}");
        assert_eq!((times(r#""n":1,"#), times(r#""n":2,"#)), (1, 1), "they are there, and one is not to be relied on");
        for _ in 0..5 {
            journal.settle().await;
            assert!(!again());
        }
        journal.append_later(r#"{"n":3}"#).unwrap();
        assert!(journal.append(r#"{"n":4}"#).await.is_err(), "nobody is promised anything meanwhile");
        assert!(journal.status().trouble.is_some());
        assert_eq!([1, 2, 3, 4].map(|n| times(&format!(r#""n":{n},"#))), [1, 1, 0, 0], "and nothing is written");
        breaks(false);
        while journal.status().trouble.is_some() {
            tokio::task::yield_now().await;
        }
        journal.append(r#"{"n":5}"#).await.unwrap();
        opened.close();
        assert_eq!([1, 2, 3, 4, 5].map(|n| times(&format!(r#""n":{n},"#))), [1, 1, 1, 0, 1]);
        assert_eq!(crate::verify(&folder.path().join("audit"), None).unwrap().bad, None);
    }

    /// What is forced to the disk now and then may fail there only.
    #[tokio::test]
    async fn while_nothing_gets_to_the_disk_no_record_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let opened = open(folder.path(), Duration::from_secs(20));
        let (journal, desk) = (&opened.journal, opened.journal.desk());
        journal.append(r#"{"n":1}"#).await.unwrap();
        let until = async |troubled: bool| {
            while journal.status().trouble.is_some() != troubled {
                desk.bell.notify_all();
                tokio::task::yield_now().await;
            }
        };
        // It cannot be forced anywhere.
        desk.lock().unsynced = Some(Arc::new(File::open("/dev/null").unwrap()));
        until(true).await;
        assert!(matches!(journal.append(r#"{"n":2}"#).await, Err(NotWritten::Failed(_))));
        desk.lock().unsynced = Some(Arc::new(File::create(folder.path().join("good")).unwrap()));
        until(false).await;
        journal.append(r#"{"n":3}"#).await.unwrap();
        // A disk that says nothing at all.
        desk.lock().syncing = Some(Instant::now() - SYNC_PATIENCE * 2);
        assert!(journal.status().trouble.is_some_and(|why| why.contains("takes 20 s already")));
    }

    #[tokio::test]
    async fn what_the_disk_did_not_take_is_not_written_again() {
        check_written_once(Sync::Always, |pen, is| pen.with_disk(!is)).await;
    }

    #[tokio::test]
    async fn what_the_head_does_not_tell_of_is_not_written_again() {
        for sync in [Sync::Always, Sync::Every(Duration::from_millis(10))] {
            let kept = Mutex::new(None);
            let full = || File::options().write(true).open("/dev/full").unwrap();
            check_written_once(sync, |pen, is| match is {
                true => *kept.lock().unwrap() = Some(pen.with_head(full())),
                false => drop(pen.with_head(kept.lock().unwrap().take().unwrap())),
            })
            .await;
        }
    }
}

//! Which line belongs to whom, and how many there may be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::error::StdioError;
use super::handle::{Handle, Note};
use super::house::House;
use super::line::Line;
use super::nursery::Place;

/// How long somebody waits for another process to end when there is room for no more.
const ROOM: Duration = Duration::from_secs(5);

pub(super) struct Table {
    house: Arc<House>,
    place: Place,
    room: Arc<Semaphore>,
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    /// Legacy sessions. The line has the id, too, as long as the session lives there.
    sessions: HashMap<Arc<str>, Handle>,
    /// Agents that are not in a session: their modern processes, and those that were only probed.
    agents: HashMap<Arc<str>, Handle>,
    /// The shared process, as legacy clients have it.
    shared: Option<Handle>,
    /// So many sessions, and those that ended are looked for.
    crowd: usize,
}

/// The one modern agent of a shared process.
const EVERYBODY: &str = "";

/// A few sessions are never worth a look.
const CROWD: usize = 64;

impl Table {
    pub(super) fn new(house: Arc<House>, place: Place) -> Self {
        let room = Arc::new(Semaphore::new(house.command.processes.get()));
        Self { house, place, room, lines: Mutex::default() }
    }

    pub(super) fn session(&self, id: &str) -> Option<(Arc<str>, Handle)> {
        let mut lines = self.lines();
        let (id, line) = lines.sessions.get_key_value(id)?;
        let found = (Arc::clone(id), line.clone());
        if found.1.commands.is_closed() {
            lines.sessions.remove(&found.0);
            return None;
        }
        Some(found)
    }

    pub(super) fn insert(&self, id: Arc<str>, line: Handle) {
        let mut lines = self.lines();
        if lines.sessions.len() >= lines.crowd.max(CROWD) {
            lines.sessions.retain(|id, line| !line.commands.is_closed() && Arc::strong_count(id) > 1);
            lines.crowd = lines.sessions.len() * 2;
        }
        lines.sessions.insert(id, line);
    }

    pub(super) fn remove(&self, id: &str) -> Option<(Arc<str>, Handle)> {
        self.lines().sessions.remove_entry(id)
    }

    /// The line for an agent's modern messages.
    pub(super) async fn modern(&self, agent: &Arc<str>, deadline: Instant) -> Result<Handle, StdioError> {
        let agent = self.agent(agent);
        let find = |lines: &mut Lines| lines.agents.get(&agent).filter(|line| !line.commands.is_closed()).cloned();
        self.find_or_start(deadline, find, |lines, line| _ = lines.agents.insert(Arc::clone(&agent), line)).await
    }

    /// A line for a new legacy session: one that was only probed, if there is one.
    pub(super) async fn legacy(&self, agent: &Arc<str>, deadline: Instant) -> Result<Handle, StdioError> {
        let (agent, shared) = (self.agent(agent), self.house.command.shared);
        let find = |lines: &mut Lines| {
            if let Some(line) = lines.shared.as_ref().filter(|line| !line.commands.is_closed()) {
                return Some(line.clone());
            }
            let spare = |line: &Handle| line.spare.take() && !line.commands.is_closed();
            let line = lines.agents.get(&agent).filter(|line| spare(line)).cloned()?;
            lines.agents.remove(&agent);
            lines.shared = shared.then(|| line.clone());
            Some(line)
        };
        self.find_or_start(deadline, find, |lines, line| lines.shared = shared.then_some(line)).await
    }

    /// The program will not be initialized: its process is for nobody.
    pub(super) fn refused(&self, line: &Handle) {
        self.lines().shared = None;
        line.note(Note::Retire);
    }

    /// A line that nobody can find any more ends, and its process with it. A shared one is not the agent's own.
    pub(super) fn leave(&self, agent: &Arc<str>) {
        if !self.house.command.shared {
            self.lines().agents.remove(agent);
        }
    }

    fn agent(&self, agent: &Arc<str>) -> Arc<str> {
        if self.house.command.shared { EVERYBODY.into() } else { Arc::clone(agent) }
    }

    async fn find_or_start(
        &self,
        deadline: Instant,
        find: impl Fn(&mut Lines) -> Option<Handle>,
        note: impl Fn(&mut Lines, Handle),
    ) -> Result<Handle, StdioError> {
        let mut room = Arc::clone(&self.room).try_acquire_owned().ok();
        loop {
            {
                let mut lines = self.lines();
                if let Some(line) = find(&mut lines) {
                    return Ok(line);
                }
                if let Some(room) = room.take() {
                    let line = self.start(room)?;
                    note(&mut lines, line.clone());
                    lines.agents.retain(|_, line| !line.commands.is_closed());
                    return Ok(line);
                }
                make_room(&lines);
            }
            let until = deadline.min(Instant::now() + ROOM);
            let max = self.house.command.processes.get();
            let full = || StdioError::Full { server: self.house.server.as_ref().to_owned(), max };
            let freed = timeout_at(until, Arc::clone(&self.room).acquire_owned()).await.map_err(|_| full())?;
            room = freed.ok();
        }
    }

    fn start(&self, room: OwnedSemaphorePermit) -> Result<Handle, StdioError> {
        let (line, handle) = Line::new(Arc::clone(&self.house), room, self.place.stop.clone());
        match self.place.put(line) {
            true => Ok(handle),
            false => Err(StdioError::Ending),
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Processes that were only probed are kept for whoever comes next, but not when somebody is waiting for room.
fn make_room(lines: &Lines) {
    for line in lines.agents.values().filter(|line| line.spare.is_free()) {
        line.note(Note::Retire);
    }
}

//! The events of a job as one stream: each once, oldest first, none missed.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::Jobs;
use super::wait::Pace;
use crate::error::Error;
use crate::id::{EventId, JobId};
use crate::model::Event;

/// How many events are asked for at a time.
const PAGE: u32 = 100;

/// How to follow the events of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FollowOptions {
    /// The delay between two looks while something happens; each next is half as long again while nothing does.
    pub interval: Duration,
    /// The longest delay between two looks.
    pub max_interval: Duration,
    /// How many looks in a row may fail in a way that passes, each after its own retries. None may that asks for more than an
    /// hour's patience.
    pub tolerance: u32,
}

impl Default for FollowOptions {
    fn default() -> Self {
        Self { interval: Duration::from_secs(5), max_interval: Duration::from_secs(60), tolerance: 5 }
    }
}

pub(super) fn events(jobs: Jobs, id: JobId, options: FollowOptions) -> BoxStream<'static, Result<Event, Error>> {
    let pace = Pace::new(options.interval, options.max_interval, options.tolerance);
    let follower = Follower { jobs, id, pace, seen: HashSet::new(), ready: VecDeque::new(), end: End::Open };
    stream::try_unfold(follower, async |mut follower| Ok(follower.next().await?.map(|event| (event, follower)))).boxed()
}

struct Follower {
    jobs: Jobs,
    id: JobId,
    pace: Pace,
    /// As many as the job has events: thousands at most.
    seen: HashSet<EventId>,
    ready: VecDeque<Event>,
    end: End,
}

/// How much of the job's end is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// The job has ended; what it told until then is taken in.
    Seen,
    /// And so is what came after.
    Told,
}

impl Follower {
    async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            match self.end {
                End::Open => {}
                End::Seen => {
                    self.pace.quicken();
                    self.pace.rest(None).await;
                }
                End::Told => return Ok(None),
            }
            let asked = match self.look().await {
                Ok(()) if self.end != End::Open => {
                    self.pace.succeeded();
                    continue;
                }
                Ok(()) if self.ready.is_empty() => self.pace.succeeded(),
                Ok(()) => {
                    self.pace.succeeded();
                    self.pace.quicken();
                    continue;
                }
                Err(error) => self.pace.failed(error)?,
            };
            self.pace.rest(asked).await;
        }
    }

    /// Takes in what is new. A look that fails halfway takes in nothing, so that order holds.
    async fn look(&mut self) -> Result<(), Error> {
        // INVARIANT: the status is read before the events, so that what was told before the end is told, and after the end they are
        // read once more.
        let was_over = self.end == End::Seen;
        let is_over = was_over || self.jobs.get(&self.id).await?.status.is_terminal();
        let mut found = self.read(is_over).await?;
        found.sort_by_cached_key(Event::order);
        found.retain(|event| self.seen.insert(event.id.clone()));
        self.ready.extend(found);
        self.end = match (was_over, is_over) {
            (true, _) => End::Told,
            (false, true) => End::Seen,
            (false, false) => End::Open,
        };
        Ok(())
    }

    /// Reads pages until one holds nothing new. That is the end only if the newest come first, and never on the last look.
    async fn read(&self, is_last: bool) -> Result<Vec<Event>, Error> {
        let mut pages = self.jobs.events(&self.id).page_size(PAGE).pages();
        let mut found: Vec<Event> = Vec::new();
        while let Some(page) = pages.try_next().await? {
            let is_known = page.data.iter().all(|event| self.seen.contains(&event.id));
            let is_newest_first = match (page.data.first(), page.data.last()) {
                (Some(first), Some(last)) => first.created_at > last.created_at,
                _ => false,
            };
            if !page.unreadable.is_empty() {
                tracing::warn!(events = page.unreadable.len(), "events that cannot be read are left out");
            }
            found.extend(page.data);
            if is_known && is_newest_first && !is_last {
                break;
            }
        }
        Ok(found)
    }
}

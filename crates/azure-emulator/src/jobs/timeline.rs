//! When a job was in which state: a pure function of the job, of when its turn came, and of the time.

use super::{Command, Job, Method};
use crate::clock::Millis;

pub(crate) const QUEUED: Millis = 30_000;
const TURNING: Millis = 10_000;
/// One step, and one metrics event.
pub(crate) const STEP: Millis = 10_000;
/// Reinforcement costs 100 USD an hour, and pauses once by itself at 5,000 USD.
const AUTOMATIC_PAUSE: Millis = 50 * 60 * 60 * 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Pending,
    Running,
    Pausing,
    Paused,
    Resuming,
    Succeeded,
    Failed,
    Cancelled,
}

/// A job by a moment.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    /// Every state with its begin, up to the moment; pending comes first.
    pub(crate) states: Vec<(Millis, Status)>,
    /// When it ran: begin and end, the last of which may be the moment itself.
    ran: Vec<(Millis, Millis)>,
    /// When it will be done, if it runs and nothing happens to it.
    pub(crate) estimate: Option<Millis>,
}

/// The jobs of a resource run one after the other: each begins when the one before it has ended or was first paused.
pub(crate) fn all(jobs: &[Job], now: Millis) -> Vec<Timeline> {
    let mut free = Millis::MIN;
    let timeline = |job: &Job| {
        let start = free.max(job.not_before).max(job.created.saturating_add(QUEUED));
        free = free.max(released(job, start));
        at(job, start, now)
    };
    jobs.iter().map(timeline).collect()
}

/// When a job that starts then lets the next one go.
fn released(job: &Job, start: Millis) -> Millis {
    at(job, start, Millis::MAX).released().unwrap_or(Millis::MAX)
}

fn at(job: &Job, start: Millis, now: Millis) -> Timeline {
    let mut commands = job.commands.iter().copied().peekable();
    let mut timeline = Timeline { states: vec![(job.created, Status::Pending)], ran: Vec::new(), estimate: None };
    // A job that waits can only be cancelled.
    if let Some((at, Command::Cancel)) = commands.peek().copied()
        && at < start
    {
        timeline.states.push((at, Status::Cancelled));
        return timeline.until(now);
    }
    if job.trouble.is_some() {
        timeline.states.push((start, Status::Failed));
        return timeline.until(now);
    }
    let total = STEP.saturating_mul(i64::try_from(job.steps()).unwrap_or(i64::MAX));
    let (mut from, mut done, mut paused_itself) = (start, 0, job.method != Method::Reinforcement);
    loop {
        timeline.states.push((from, Status::Running));
        let end = from.saturating_add(total - done);
        let itself = (!paused_itself && total > AUTOMATIC_PAUSE).then(|| from.saturating_add(AUTOMATIC_PAUSE - done));
        let commanded = commands.next_if(|(at, _)| *at < end.min(itself.unwrap_or(end)));
        let (stop, cancelled) = match (commanded, itself) {
            (Some((at, command)), _) => (at, command == Command::Cancel),
            (None, Some(at)) => (at, false),
            (None, None) => {
                timeline.ran.push((from, end));
                timeline.estimate = Some(end);
                timeline.states.push((end, Status::Succeeded));
                return timeline.until(now);
            }
        };
        paused_itself |= commanded.is_none();
        timeline.ran.push((from, stop));
        done += stop - from;
        if cancelled {
            timeline.states.push((stop, Status::Cancelled));
            return timeline.until(now);
        }
        let paused = stop.saturating_add(TURNING);
        timeline.states.extend([(stop, Status::Pausing), (paused, Status::Paused)]);
        match commands.next() {
            Some((at, Command::Resume)) => {
                from = at.saturating_add(TURNING);
                timeline.states.push((at, Status::Resuming));
            }
            Some((at, _)) => {
                timeline.states.push((at, Status::Cancelled));
                return timeline.until(now);
            }
            None => return timeline.until(now),
        }
    }
}

impl Timeline {
    fn until(mut self, now: Millis) -> Self {
        self.states.retain(|(at, _)| *at <= now);
        self.ran.retain(|(from, _)| *from <= now);
        for (_, to) in &mut self.ran {
            *to = (*to).min(now);
        }
        if self.status() != Status::Running {
            self.estimate = None;
        }
        self
    }

    pub(crate) fn status(&self) -> Status {
        self.states.last().map_or(Status::Pending, |(_, status)| *status)
    }

    /// When it reached this state first.
    pub(crate) fn since(&self, wanted: Status) -> Option<Millis> {
        self.states.iter().find(|(_, status)| *status == wanted).map(|(at, _)| *at)
    }

    /// When it let the next one go, if it did so by the moment.
    pub(crate) fn released(&self) -> Option<Millis> {
        let ends = |status| !matches!(status, Status::Pending | Status::Running);
        self.states.iter().find(|(_, status)| ends(*status)).map(|(at, _)| *at)
    }

    pub(crate) fn ended(&self) -> Option<Millis> {
        let (at, status) = self.states.last()?;
        matches!(status, Status::Succeeded | Status::Failed | Status::Cancelled).then_some(*at)
    }

    /// How long it ran so far.
    pub(crate) fn trained(&self) -> Millis {
        self.ran.iter().map(|(from, to)| to - from).sum()
    }

    pub(crate) fn steps(&self) -> u64 {
        u64::try_from(self.trained() / STEP).unwrap_or_default()
    }

    /// When a step was done, counted from 1.
    pub(crate) fn step_at(&self, step: u64) -> Option<Millis> {
        let mut wanted = STEP.checked_mul(i64::try_from(step).ok()?)?;
        for (from, to) in &self.ran {
            if wanted <= to - from {
                return Some(from + wanted);
            }
            wanted -= to - from;
        }
        None
    }
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Pausing => "pausing",
            Self::Paused => "paused",
            Self::Resuming => "resuming",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Job {
    /// How many steps it takes in all.
    pub(crate) fn steps(&self) -> u64 {
        self.lines.div_ceil(self.batch.max(1)).max(1).saturating_mul(self.epochs.max(1)).min(20_000)
    }

    pub(crate) fn steps_of_epoch(&self) -> u64 {
        (self.steps() / self.epochs.max(1)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(steps: u64, commands: &[(Millis, Command)]) -> Job {
        Job {
            id: "ftjob-1".to_owned(),
            request: serde_json::Map::new(),
            model: "m".to_owned(),
            suffix: None,
            seed: 1,
            method: Method::Supervised,
            epochs: 1,
            batch: 1,
            lines: steps,
            created: 0,
            not_before: Millis::MIN,
            trouble: None,
            commands: commands.to_vec(),
            result_bytes: std::sync::OnceLock::new(),
        }
    }

    #[track_caller]
    fn check(jobs: &[Job], now: Millis, expected: &[(&str, u64)]) {
        let found = all(jobs, now);
        let found: Vec<_> = found.iter().map(|timeline| (timeline.status().as_str(), timeline.steps())).collect();
        assert_eq!(found, expected, "at {now}");
    }

    #[test]
    fn a_job_waits_runs_and_succeeds() {
        let jobs = [job(10, &[])];
        check(&jobs, 29_999, &[("pending", 0)]);
        check(&jobs, 30_000, &[("running", 0)]);
        check(&jobs, 129_999, &[("running", 9)]);
        check(&jobs, 130_000, &[("succeeded", 10)]);
    }

    #[test]
    fn time_stands_still_while_a_job_is_paused() {
        let jobs = [job(10, &[(55_000, Command::Pause), (1_000_000, Command::Resume)])];
        check(&jobs, 60_000, &[("pausing", 2)]);
        check(&jobs, 900_000, &[("paused", 2)]);
        check(&jobs, 1_005_000, &[("resuming", 2)]);
        check(&jobs, 1_010_000, &[("running", 2)]);
        check(&jobs, 1_084_999, &[("running", 9)]);
        check(&jobs, 1_085_000, &[("succeeded", 10)]);
    }

    #[test]
    fn one_job_runs_at_a_time_and_a_paused_or_cancelled_one_makes_room() {
        check(&[job(10, &[]), job(10, &[])], 100_000, &[("running", 7), ("pending", 0)]);
        check(&[job(10, &[]), job(10, &[])], 140_000, &[("succeeded", 10), ("running", 1)]);
        check(&[job(10, &[(50_000, Command::Pause)]), job(10, &[])], 70_000, &[("paused", 2), ("running", 2)]);
        check(&[job(10, &[(10_000, Command::Cancel)]), job(10, &[])], 40_000, &[("cancelled", 0), ("running", 1)]);
    }

    #[test]
    fn a_command_after_the_end_changes_nothing() {
        check(&[job(2, &[(60_000, Command::Cancel)])], 90_000, &[("succeeded", 2)]);
    }

    #[test]
    fn reinforcement_pauses_itself_once() {
        let mut long = job(20_000, &[]);
        long.method = Method::Reinforcement;
        check(std::slice::from_ref(&long), QUEUED + AUTOMATIC_PAUSE + TURNING, &[("paused", 18_000)]);
        long.commands.push((QUEUED + AUTOMATIC_PAUSE + 60_000, Command::Resume));
        check(&[long], 400_000_000, &[("succeeded", 20_000)]);
    }
}

//! The circuit breaker of one server. Time is a parameter.

use std::time::Duration;

use tokio::time::Instant;

use super::Class;

/// Failures in a row after which a server counts as down.
const FAILURES: u32 = 5;

/// How long it is then left alone: this long at first, twice as long each time, and not longer than that.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// The share of the wait by which it may be longer, so that gateways do not come back all at once.
const JITTER: f64 = 0.25;

/// After this long another call may be the trial, beside one that is still waiting.
const TRIAL: Duration = Duration::from_secs(10);

pub(super) struct Circuit {
    phase: Phase,
    since: Instant,
    /// Connections in a row that could not be made, and answers that did not come.
    unconnected: u32,
    silent: u32,
    /// How often in a row it was found down.
    openings: u32,
    last: Option<Class>,
}

#[derive(Clone, Copy)]
enum Phase {
    Unknown,
    Up,
    Down { why: Class, until: Instant, trial: Option<Instant> },
}

impl Circuit {
    pub(super) fn new(now: Instant) -> Self {
        Self { phase: Phase::Unknown, since: now, unconnected: 0, silent: 0, openings: 0, last: None }
    }

    /// Is this the one trial? Or how long to wait.
    pub(super) fn admit(&mut self, now: Instant) -> Result<bool, Duration> {
        let Phase::Down { until, trial, .. } = &mut self.phase else { return Ok(false) };
        let free = trial.map_or(*until, |began| began + TRIAL);
        if now < free {
            return Err(free - now);
        }
        *trial = Some(now);
        Ok(true)
    }

    pub(super) fn is_down(&self) -> bool {
        matches!(self.phase, Phase::Down { .. })
    }

    /// The trial ended, and nothing is known from it.
    pub(super) fn given_up(&mut self) {
        if let Phase::Down { trial, .. } = &mut self.phase {
            *trial = None;
        }
    }

    /// `random` is from 0 to 1. Some if the server is left alone from now on, and how long.
    pub(super) fn failed(&mut self, class: Class, trial: bool, now: Instant, random: f64) -> Option<Duration> {
        let count = if class == Class::Silent { &mut self.silent } else { &mut self.unconnected };
        *count = count.saturating_add(1);
        self.last = Some(class);
        let many = *count >= FAILURES;
        let was_down = self.is_down();
        if !(if was_down { trial } else { many }) {
            return None;
        }
        let wait = FIRST.saturating_mul(1 << self.openings.min(16)).min(LONGEST).mul_f64(1.0 + JITTER * random);
        self.openings = self.openings.saturating_add(1);
        self.phase = Phase::Down { why: class, until: now + wait, trial: None };
        if !was_down {
            self.since = now;
        }
        Some(wait)
    }

    /// Some if it was down, and how long.
    pub(super) fn answered(&mut self, now: Instant) -> Option<Duration> {
        (self.unconnected, self.silent) = (0, 0);
        self.up(now)
    }

    /// A server that connects and is silent stays down until it answers.
    pub(super) fn connected(&mut self, now: Instant) -> Option<Duration> {
        self.unconnected = 0;
        match self.phase {
            Phase::Down { why: Class::Silent, .. } => None,
            Phase::Unknown | Phase::Up | Phase::Down { .. } => self.up(now),
        }
    }

    fn up(&mut self, now: Instant) -> Option<Duration> {
        let was = std::mem::replace(&mut self.phase, Phase::Up);
        self.openings = 0;
        let since = match was {
            Phase::Up => return None,
            Phase::Unknown | Phase::Down { .. } => std::mem::replace(&mut self.since, now),
        };
        matches!(was, Phase::Down { .. }).then(|| now - since)
    }

    pub(super) fn told(&self, now: Instant) -> String {
        let since = (now - self.since).as_secs();
        match (self.phase, self.last) {
            (Phase::Unknown, None) => "unknown".to_owned(),
            (Phase::Unknown, Some(last)) => format!("unknown, last error: {last}"),
            (Phase::Up, None) => format!("up for {since}s"),
            (Phase::Up, Some(last)) => format!("up for {since}s, last error: {last}"),
            (Phase::Down { why, until, .. }, _) => {
                let left = until.saturating_duration_since(now).as_secs_f64().ceil();
                format!("down for {since}s: {why}, tried again in {left}s")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn opened(class: Class) -> (Circuit, Instant) {
        let now = Instant::now();
        let mut circuit = Circuit::new(now);
        for _ in 1..FAILURES {
            assert_eq!(circuit.failed(class, false, now, 0.0), None);
            assert_eq!(circuit.admit(now), Ok(false));
        }
        assert_eq!(circuit.failed(class, false, now, 0.0), Some(FIRST));
        (circuit, now)
    }

    #[test]
    fn it_opens_after_failures_in_a_row() {
        let (mut circuit, now) = opened(Class::Refused);
        assert_eq!(circuit.admit(now), Err(FIRST));
        assert_eq!(circuit.admit(now + FIRST / 4), Err(FIRST * 3 / 4));
        let mut circuit = Circuit::new(now);
        for _ in 0..100 {
            for _ in 1..FAILURES {
                assert_eq!(circuit.failed(Class::Refused, false, now, 0.0), None);
                assert_eq!(circuit.failed(Class::Silent, false, now, 0.0), None);
            }
            assert_eq!(circuit.answered(now), None);
        }
    }

    #[test]
    fn one_trial_at_a_time() {
        let (mut circuit, now) = opened(Class::Refused);
        let later = now + FIRST;
        assert_eq!(circuit.admit(later), Ok(true));
        assert_eq!(circuit.admit(later), Err(TRIAL));
        circuit.given_up();
        assert_eq!(circuit.admit(later), Ok(true), "the client of the trial hung up");
        assert_eq!(circuit.admit(later + TRIAL), Ok(true), "the trial takes too long");
        assert_eq!(circuit.answered(later + TRIAL), Some(FIRST + TRIAL));
        assert_eq!(circuit.admit(later + TRIAL), Ok(false));
        assert_eq!(circuit.told(later + TRIAL + SECOND), "up for 1s, last error: connection refused");
    }

    #[test]
    fn the_wait_doubles_up_to_its_bound_and_begins_anew() {
        let (mut circuit, mut now) = opened(Class::Refused);
        for seconds in [2, 4, 8, 16, 30, 30, 30] {
            now += LONGEST;
            assert_eq!(circuit.admit(now), Ok(true));
            assert_eq!(circuit.failed(Class::Refused, true, now, 0.0), Some(SECOND * seconds));
        }
        for _ in 0..100 {
            assert_eq!(circuit.failed(Class::Refused, false, now, 0.0), None, "calls that were under way");
        }
        now += LONGEST;
        assert_eq!(circuit.failed(Class::Refused, true, now, 1.0), Some(LONGEST.mul_f64(1.0 + JITTER)));
        circuit.answered(now);
        let waits: Vec<_> = (0..FAILURES).filter_map(|_| circuit.failed(Class::Refused, false, now, 0.0)).collect();
        assert_eq!(waits, [FIRST]);
    }

    #[test]
    fn a_connection_is_enough_unless_it_was_silence() {
        let (mut circuit, now) = opened(Class::Slow);
        assert_eq!(circuit.connected(now + SECOND), Some(SECOND));
        assert_eq!(circuit.admit(now), Ok(false));
        let (mut circuit, now) = opened(Class::Silent);
        assert_eq!(circuit.connected(now), None);
        assert_eq!(circuit.admit(now), Err(FIRST));
        assert_eq!(circuit.told(now), "down for 0s: no answer in time, tried again in 1s");
        assert_eq!(circuit.answered(now), Some(Duration::ZERO));
        // Each silent answer came over a connection that was made.
        let mut circuit = Circuit::new(now);
        let waits = (0..FAILURES).filter_map(|_| {
            circuit.connected(now);
            circuit.failed(Class::Silent, false, now, 0.0)
        });
        assert_eq!(waits.count(), 1);
    }
}

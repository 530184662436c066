//! A call in the words of the script.

use super::{Prefix, StoredKey, micros};
use crate::{Algorithm, Demand, Quota};
use smallvec::SmallVec;
use std::time::Duration;

/// Numbers of the script are doubles: whole up to here.
const MOST: u64 = (1 << 53) - 1;
/// Half of it, so that a sum of two spans is whole as well.
const LONGEST: u64 = 1 << 52;
/// The part of a window within which a call may leave without another word.
const GRACE: u64 = 128;
/// The form of what we keep: another one has other keys.
const FORM: u8 = b'1';

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Reserve,
    /// Counts the call as of now instead.
    Move,
    Release,
    Probe,
}

/// What a call asks; kept for as long as it may have to be said again.
#[derive(Clone, Debug, Default)]
pub(super) struct Call {
    pub(super) keys: SmallVec<[Box<[u8]>; 2]>,
    /// The number of demands, and what each says.
    words: Vec<u64>,
    /// Zero where it has no quota.
    shortest: Duration,
}

/// What the script's first words say.
pub(super) struct Head {
    pub(super) mode: Mode,
    pub(super) known: (u64, u64),
    pub(super) new_id: u64,
    pub(super) settle: Duration,
    pub(super) deadline: u64,
    /// The epoch that a reservation saw: its id, and when it had lost something.
    pub(super) seen: (u64, u64),
}

impl Call {
    pub(super) fn new<K: StoredKey>(prefix: &Prefix, demands: &[Demand<'_, K>]) -> Self {
        let mut call = Self { words: vec![demands.len() as u64], ..Self::default() };
        let quotas = demands.iter().flat_map(|demand| demand.meter.quotas());
        call.shortest = quotas.map(Quota::window).min().unwrap_or_default();
        for demand in demands {
            let key = name(prefix, &demand.key);
            let known = call.keys.iter().position(|other| *other == key);
            let index = known.unwrap_or(call.keys.len());
            if known.is_none() {
                call.keys.push(key);
            }
            let quotas = demand.meter.quotas();
            call.words.extend([index as u64 + 1, demand.cost.min(MOST), quotas.len() as u64]);
            for (index, quota) in quotas.iter().enumerate() {
                let kind = match quota.algorithm() {
                    Algorithm::Window => 0,
                    Algorithm::Smooth => 1,
                };
                let window = micros(quota.window()).min(LONGEST);
                let enforced = u64::from(demand.enforced.contains(index));
                call.words.extend([kind, window, quota.max().get().min(MOST), enforced]);
            }
        }
        call
    }

    /// How long after it was asked for it may leave without another word.
    pub(super) fn grace(&self) -> Duration {
        Duration::from_micros(micros(self.shortest).div_ceil(GRACE))
    }

    /// How often a call that is held must be counted anew, so that its count never leaves before it.
    pub(super) fn refresh(&self) -> Duration {
        self.shortest / 4
    }

    /// What follows `EVAL text` or `EVALSHA hash`.
    pub(super) fn write(&self, to: &mut redis::Cmd, prefix: &Prefix, head: &Head, nows: &[u64]) {
        to.arg(self.keys.len() + 1).arg(epoch(prefix));
        for key in &self.keys {
            to.arg(&**key);
        }
        let mode = match head.mode {
            Mode::Reserve => "reserve",
            Mode::Move => "move",
            Mode::Release => "release",
            Mode::Probe => "probe",
        };
        to.arg(mode).arg(head.known.0).arg(head.known.1).arg(head.new_id).arg(micros(head.settle));
        to.arg(head.deadline).arg(head.seen.0).arg(head.seen.1);
        for word in self.words.iter().chain(nows) {
            to.arg(*word);
        }
    }
}

fn epoch(prefix: &Prefix) -> String {
    format!("{{{}}}:epoch", prefix.as_str())
}

/// The prefix is the hash tag: all keys of a call, and the epoch, lie on one node of a cluster.
fn name(prefix: &Prefix, key: &impl StoredKey) -> Box<[u8]> {
    let mut name = Vec::with_capacity(96);
    name.push(b'{');
    name.extend_from_slice(prefix.as_str().as_bytes());
    name.extend_from_slice(b"}:");
    name.push(FORM);
    name.push(b':');
    key.store(&mut name);
    name.into()
}

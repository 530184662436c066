//! What the script answers: whole numbers, of which the first says what the others mean.

use crate::{Limited, Remaining};
use smallvec::SmallVec;
use std::time::Duration;

/// The state of the store that an answer belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Epoch {
    pub(super) id: u64,
    pub(super) sequence: u64,
    /// When it last lost something; 0 if never.
    pub(super) lost: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// `nows`: when each key counted it.
    Granted {
        epoch: Epoch,
        nows: SmallVec<[u64; 2]>,
        remaining: SmallVec<[Option<Remaining>; 2]>,
    },
    Limited(Limited),
    /// Nothing was counted, for nobody can be waiting.
    Late,
    /// It was a probe; the server's clock.
    Done {
        clock: u64,
    },
}

/// None where it is no answer of the script.
pub(super) fn read(numbers: &[i64]) -> Option<(Epoch, Reply)> {
    let mut numbers = numbers.iter().copied();
    let mut next = || numbers.next();
    let code = next()?;
    let mut whole = || u64::try_from(next()?).ok();
    let epoch = Epoch { id: whole()?, sequence: whole()?, lost: whole()? };
    let reply = match code {
        0 | 2 | 3 => {
            let (demand, quota) = (usize::try_from(whole()?).ok()?, usize::try_from(whole()?).ok()?);
            let retry_after = Duration::from_micros(whole()?);
            Reply::Limited(match code {
                0 => Limited::Exhausted { demand, quota, retry_after },
                _ => Limited::Lost { demand, quota, retry_after },
            })
        }
        1 => {
            let keys = whole()?;
            let nows = (0..keys).map(|_| whole()).collect::<Option<_>>()?;
            Reply::Granted { epoch, nows, remaining: remaining(numbers) }
        }
        4 => Reply::Done { clock: whole()? },
        5 => Reply::Late,
        _ => return None,
    };
    Some((epoch, reply))
}

/// Pairs of a quota and what it has left; negative where none is enforced.
fn remaining(mut numbers: impl Iterator<Item = i64>) -> SmallVec<[Option<Remaining>; 2]> {
    let mut remaining = SmallVec::new();
    while let (Some(quota), Some(units)) = (numbers.next(), numbers.next()) {
        let quota = usize::try_from(quota).ok();
        remaining.push(quota.zip(u64::try_from(units).ok()).map(|(quota, units)| Remaining { quota, units }));
    }
    remaining
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let epoch = Epoch { id: 7, sequence: 3, lost: 0 };
        let limited = |limited| Some((epoch, Reply::Limited(limited)));
        let retry_after = Duration::from_micros(90);
        assert_eq!(read(&[0, 7, 3, 0, 1, 2, 90]), limited(Limited::Exhausted { demand: 1, quota: 2, retry_after }));
        assert_eq!(read(&[2, 7, 3, 0, 1, 2, 90]), limited(Limited::Lost { demand: 1, quota: 2, retry_after }));
        let remaining = [Some(Remaining { quota: 0, units: 4 }), None].into_iter().collect();
        let granted = Reply::Granted { epoch, nows: [11, 12].into_iter().collect(), remaining };
        assert_eq!(read(&[1, 7, 3, 0, 2, 11, 12, 0, 4, -1, -1]), Some((epoch, granted)));
        assert_eq!(read(&[4, 7, 3, 0, 99]), Some((epoch, Reply::Done { clock: 99 })));
        for wrong in [&[][..], &[1], &[1, 7, 3, 0, 2, 11], &[9, 7, 3, 0], &[0, 7, 3, 0, -1, 2, 90]] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}

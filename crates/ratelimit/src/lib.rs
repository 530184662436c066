//! Meters how often a key may act. Knows keys, quotas and a clock; nothing else.
//!
//! A [`Meter`] is one count with one or more [`Quota`]s on it. A [`Demand`] asks to add a cost to the count that a key has on a
//! meter. [`Limiter::reserve`] grants all demands of a call in one atomic step or none; the [`Reservation`] it returns is
//! either spent (the call left, and counts from that instant) or given back (it surely never left).
//!
//! # What holds
//!
//! - **Window** (the default): for every instant `s`, the units spent in the half-open span `[s, s + window)` are at most `max`.
//!   Two spends exactly one window apart never share a span. This is a sliding log, not a calendar window or an estimate.
//! - **Smooth**: GCRA with burst `max`; over any span `d` at most `max + max * d / window` units, so close to twice `max` can
//!   fall into one window.
//! - Units that are reserved and not yet spent count in full and have no time: they can neither expire nor be given back into a
//!   later window. A caller spends right before the first byte leaves.
//! - Time never runs back for a key: a clock that jumps back stands still until it has caught up, so counts leave later, never
//!   earlier. A clock that jumps *ahead* cannot be told from time passing, which is why [`MonotonicClock`] is the one to use.
//! - Refusing is the only fallback: no room for another key, a cost above `max`, an unknown quota index are all refusals.
//!
//! # What it costs
//!
//! A key has one entry in the map and one small cell. A log holds at most 1024 exact instants; a busier one merges them into
//! slots of a 128th of the window (at most 130 of them) until it is empty again. A merged slot leaves as a whole when its youngest
//! member leaves: that can refuse a call up to one slot too long, and never lets one pass too early. Idle cells go when room is needed
//! or when [`Limiter::evict_idle`] is called.

mod bucket;
mod cell;
mod clock;
mod keys;
mod limited;
mod limiter;
mod log;
mod map;
mod meter;
mod quota;
#[cfg(not(loom))]
mod remote;
mod reservation;
mod sync;
mod tally;

pub use clock::{Clock, ManualClock, MonotonicClock};
pub use limited::Limited;
pub use limiter::{Demand, Limiter};
pub use meter::{InvalidMeter, Meter, QuotaSet};
pub use quota::{Algorithm, InvalidQuota, Quota};
#[cfg(not(loom))]
pub use remote::{Refused, Remote, RemoteReservation, Settings, Status, StoredKey};
pub use reservation::{Remaining, Reservation};

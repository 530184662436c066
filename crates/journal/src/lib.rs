//! An append-only journal of records, one JSON object a line, each chained to the one before by SHA-256. Knows bytes, files and
//! signatures; nothing of what the records say.
//!
//! [`Journal::append`] returns when the record survives the death of the process (or, by setting, of the machine): no record, no deed.
//! Segments rotate; each begins with the last hash of the one before and ends with a signed checkpoint. [`verify`] needs the files and
//! nothing else, and finds the first record that was changed, cut, swapped or dropped.

mod chain;
mod desk;
mod folder;
mod head;
mod job;
mod journal;
mod keeper;
mod key;
mod once;
mod read;
mod recover;
mod retention;
mod segment;
mod verify;
mod writer;

pub use folder::{Segment, make as make_folder, segments};
pub use journal::{Journal, NotWritten, OpenError, Opened, Settings, Status, Sync};
pub use key::{KeyError, PublicKey, SigningKey};
pub use once::read_or_make;
pub use read::Reader;
pub use retention::{Dropped, Keep, RetainError, Why};
pub use verify::{Bad, Report, verify};

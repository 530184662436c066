//! What the service answers. Every member that may be missing is optional, and members this crate does not know are kept in `extra`.
//! So are those that are not what they should be, such as an id that is none: an odd member costs itself, not what it stands in.

mod checkpoint;
mod event;
mod file;
mod job;
pub(crate) mod lenient;
mod page;
mod setting;
mod time;

pub use checkpoint::{Checkpoint, CheckpointCopy, CopiedAccount, CopyState, StepMetrics};
pub use event::{Event, EventKind, EventLevel};
pub use file::{Deleted, File, FilePurpose, FileStatus};
pub use job::{Job, JobError, JobStatus, Method, MethodKind};
pub use page::Page;
pub use setting::{Hyperparameters, Setting};
pub use time::UnixTime;

/// Members of a JSON object that this version of the crate does not know, kept as they were.
pub type Extra = serde_json::Map<String, serde_json::Value>;

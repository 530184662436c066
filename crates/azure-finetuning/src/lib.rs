//! An async client for Azure OpenAI fine-tuning. So far: what the service answers.

#![warn(missing_docs)]

mod id;
mod model;
mod open_enum;

pub use id::{CheckpointId, EventId, FileId, InvalidId, JobId, MAX_ID_BYTES, ModelId, PartId, UploadId};
pub use model::{
    Checkpoint, CheckpointCopy, CopiedAccount, CopyState, Deleted, Event, EventKind, EventLevel, Extra, File,
    FilePurpose, FileStatus, Hyperparameters, Job, JobError, JobStatus, Method, MethodKind, Page, Setting, StepMetrics,
    UnixTime,
};

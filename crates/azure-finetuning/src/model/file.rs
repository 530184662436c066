//! Files: training data, validation data, results.

use serde::{Deserialize, Serialize};

use super::lenient::{self, tolerant};
use super::{Extra, UnixTime};
use crate::id::FileId;
use crate::open_enum::open_enum;

open_enum!(
    /// What a file is for.
    FilePurpose {
        /// Training and validation data.
        FineTune = "fine-tune",
        /// Metrics of a job, written by the service.
        FineTuneResults = "fine-tune-results",
        /// Input of assistants.
        Assistants = "assistants",
        /// Output of assistants.
        AssistantsOutput = "assistants_output",
        /// Input of a batch.
        Batch = "batch",
        /// Output of a batch.
        BatchOutput = "batch_output",
        /// Input of evaluations.
        Evals = "evals",
        /// Output of evaluations.
        EvalsOutput = "evals_output",
    }
);

open_enum!(
    /// Where a file stands.
    FileStatus {
        /// Received.
        Uploaded = "uploaded",
        /// Waiting to be checked.
        Pending = "pending",
        /// Being checked.
        Running = "running",
        /// Ready for use.
        Processed = "processed",
        /// Unusable, see [`File::status_details`].
        Error = "error",
        /// About to be deleted.
        Deleting = "deleting",
        /// Gone.
        Deleted = "deleted",
    }
);

tolerant!(
    ["id"]
    /// A file the service holds (`file`).
    #[derive(Clone, Debug, PartialEq, Serialize)]
    #[non_exhaustive]
    pub struct File {
        /// The file's id.
        pub id: FileId,
        /// Its size in bytes; `None` while it is imported.
        #[serde(default, deserialize_with = "lenient::whole", skip_serializing_if = "Option::is_none")]
        pub bytes: Option<i64>,
        /// When it was uploaded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub created_at: Option<UnixTime>,
        /// When the service will delete it by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub expires_at: Option<UnixTime>,
        /// The name it was uploaded under.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub filename: Option<String>,
        /// What it is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub purpose: Option<FilePurpose>,
        /// Where it stands.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub status: Option<FileStatus>,
        /// Why it is unusable.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub status_details: Option<String>,
        /// Members this crate does not know, such as `object`.
        #[serde(flatten)]
        pub extra: Extra,
    }
);

tolerant!(
    []
    /// What the service says about something deleted. Older versions of the API say nothing: then nothing here is set.
    #[derive(Clone, Debug, Default, PartialEq, Serialize)]
    #[non_exhaustive]
    pub struct Deleted {
        /// The id of what was deleted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub id: Option<String>,
        /// Whether it is gone, where the service says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub deleted: Option<bool>,
        /// Members this crate does not know.
        #[serde(flatten)]
        pub extra: Extra,
    }
);

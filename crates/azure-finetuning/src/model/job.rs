//! Fine-tuning jobs.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use super::lenient::{self, tolerant};
use super::{Extra, Hyperparameters, UnixTime};
use crate::id::{FileId, JobId, ModelId};
use crate::open_enum::open_enum;

open_enum!(
    /// Where a job stands. The union of what both API surfaces document and what the service answers.
    JobStatus {
        /// Made, not yet looked at.
        Created = "created",
        /// Waiting for its turn.
        Pending = "pending",
        /// The files are being checked.
        ValidatingFiles = "validating_files",
        /// Waiting for jobs ahead.
        Queued = "queued",
        /// Training.
        Running = "running",
        /// About to be paused.
        Pausing = "pausing",
        /// At rest until it is resumed or cancelled; not an end.
        Paused = "paused",
        /// About to run again.
        Resuming = "resuming",
        /// Done; the model can be deployed.
        Succeeded = "succeeded",
        /// Ended by request.
        Cancelled = "cancelled" | "canceled",
        /// Ended by an error, see [`Job::error`].
        Failed = "failed",
    }
);

impl JobStatus {
    /// Whether the job has ended, well or not, and will never change again. An unknown status is not an end.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Cancelled | Self::Failed)
    }
}

tolerant!(
    ["id", "status"]
    /// A fine-tuning job (`fine_tuning.job`).
    #[derive(Clone, Debug, PartialEq, Serialize)]
    #[non_exhaustive]
    pub struct Job {
        /// The job's id.
        pub id: JobId,
        /// Where the job stands.
        pub status: JobStatus,
        /// The base model.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub model: Option<String>,
        /// When the job was created.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub created_at: Option<UnixTime>,
        /// When the job ended; `None` before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub finished_at: Option<UnixTime>,
        /// When the service expects the job to end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub estimated_finish: Option<UnixTime>,
        /// The tuned model, once the job has succeeded: what is deployed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub fine_tuned_model: Option<ModelId>,
        /// The file that is trained on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub training_file: Option<FileId>,
        /// The file that is validated against.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub validation_file: Option<FileId>,
        /// Files with the metrics; empty until the job has ended (the service writes `null` then). What is no id is left out.
        #[serde(default, deserialize_with = "lenient::readable", skip_serializing_if = "Vec::is_empty")]
        pub result_files: Vec<FileId>,
        /// Tokens that were trained on, over all epochs.
        #[serde(default, deserialize_with = "lenient::whole", skip_serializing_if = "Option::is_none")]
        pub trained_tokens: Option<i64>,
        /// The hyperparameters; the method may carry its own, see [`Job::method`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub hyperparameters: Option<Hyperparameters>,
        /// How the model is tuned; `None` where the service does not say, which means supervised.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub method: Option<Method>,
        /// The seed of the training.
        #[serde(default, deserialize_with = "lenient::whole", skip_serializing_if = "Option::is_none")]
        pub seed: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        suffix: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_provided_suffix: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        organization_id: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        organisation_id: Option<String>,
        /// Why the job failed. The service may write `{}` or `null` for a job without an error: see [`Job::failure`].
        #[serde(default, deserialize_with = "job_error", skip_serializing_if = "Option::is_none")]
        pub error: Option<JobError>,
        /// Labels given at creation; values that are no texts as their JSON.
        #[serde(default, deserialize_with = "lenient::texts", skip_serializing_if = "Option::is_none")]
        pub metadata: Option<BTreeMap<String, String>>,
        /// Members this crate does not know, such as `object`, `integrations`, `trainingType`.
        #[serde(flatten)]
        pub extra: Extra,
    }
);

impl Job {
    /// The suffix asked for at creation, whichever way the API surface spells it.
    #[must_use]
    pub fn suffix(&self) -> Option<&str> {
        self.suffix.as_deref().or(self.user_provided_suffix.as_deref())
    }

    /// The organisation, whichever way the API surface spells it; usually `None`.
    #[must_use]
    pub fn organization_id(&self) -> Option<&str> {
        self.organization_id.as_deref().or(self.organisation_id.as_deref())
    }

    /// Why the job failed: [`Job::error`], unless that is empty.
    #[must_use]
    pub fn failure(&self) -> Option<&JobError> {
        self.error.as_ref().filter(|error| error.code.is_some() || error.message.is_some())
    }
}

tolerant!(
    []
    /// Why a job failed.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
    #[non_exhaustive]
    pub struct JobError {
        /// A stable code, such as `jsonlValidationFailed`; a number as its digits.
        #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
        pub code: Option<String>,
        /// What a person reads.
        #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
        pub message: Option<String>,
        /// The member of the request that was at fault, such as `training_file`.
        #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
        pub param: Option<String>,
        /// Members this crate does not know.
        #[serde(flatten)]
        pub extra: Extra,
    }
);

/// An error's members, or the message alone.
fn job_error<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<JobError>, D::Error> {
    match Option::<serde_json::Value>::deserialize(deserializer)? {
        None => Ok(None),
        Some(members) if members.is_object() => JobError::deserialize(members).map(Some).map_err(D::Error::custom),
        Some(message) => Ok(Some(JobError { message: Some(lenient::text_of(message)), ..JobError::default() })),
    }
}

open_enum!(
    /// How a model is tuned.
    MethodKind {
        /// From examples of good answers.
        Supervised = "supervised",
        /// From pairs of a preferred and a refused answer.
        Dpo = "dpo",
        /// From grades that a grader gives.
        Reinforcement = "reinforcement",
    }
);

/// How a job's model is tuned, as the service reports it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Method {
    /// The kind of tuning.
    #[serde(rename = "type")]
    pub kind: MethodKind,
    /// The parameters, under a member named like the kind (`supervised`, `dpo`, `reinforcement`).
    #[serde(flatten)]
    pub extra: Extra,
}

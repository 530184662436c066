//! Checkpoints of a job, their metrics, and copies of them in other accounts.

use serde::{Deserialize, Serialize};

use super::lenient::{self, tolerant};
use super::{Extra, UnixTime};
use crate::id::{CheckpointId, JobId, ModelId};
use crate::open_enum::open_enum;

tolerant!(
    ["id"]
    /// A state of the model while it was tuned (`fine_tuning.job.checkpoint`). The last three epochs' are deployable.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    #[non_exhaustive]
    pub struct Checkpoint {
        /// The checkpoint's id.
        pub id: CheckpointId,
        /// When it was made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub created_at: Option<UnixTime>,
        /// The model to deploy for this state; the last one carries the plain name of the tuned model.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub fine_tuned_model_checkpoint: Option<ModelId>,
        /// The step at which it was made.
        #[serde(default, deserialize_with = "lenient::whole", skip_serializing_if = "Option::is_none")]
        pub step_number: Option<i64>,
        /// The job it belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub fine_tuning_job_id: Option<JobId>,
        /// How the model did at that step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub metrics: Option<StepMetrics>,
        /// Members this crate does not know, such as `object`.
        #[serde(flatten)]
        pub extra: Extra,
    }
);

tolerant!(
    []
    /// How the model did at one step. Losses are cross-entropies, accuracies lie between 0 and 1.
    #[derive(Clone, Debug, Default, PartialEq, Serialize)]
    #[non_exhaustive]
    pub struct StepMetrics {
        /// The step, from 1.
        #[serde(default, deserialize_with = "lenient::whole", skip_serializing_if = "Option::is_none")]
        pub step: Option<i64>,
        /// Loss on the batch.
        #[serde(default, deserialize_with = "lenient::number", skip_serializing_if = "Option::is_none")]
        pub train_loss: Option<f64>,
        /// Share of the batch's tokens that were predicted.
        #[serde(default, deserialize_with = "lenient::number", skip_serializing_if = "Option::is_none")]
        pub train_mean_token_accuracy: Option<f64>,
        /// Loss on a batch of the validation file.
        #[serde(default, deserialize_with = "lenient::number", skip_serializing_if = "Option::is_none")]
        pub valid_loss: Option<f64>,
        /// Share of that batch's tokens that were predicted.
        #[serde(default, deserialize_with = "lenient::number", skip_serializing_if = "Option::is_none")]
        pub valid_mean_token_accuracy: Option<f64>,
        /// Loss on the whole validation file.
        #[serde(default, deserialize_with = "lenient::number", skip_serializing_if = "Option::is_none")]
        pub full_valid_loss: Option<f64>,
        /// Share of the whole validation file's tokens that were predicted.
        #[serde(default, deserialize_with = "lenient::number", skip_serializing_if = "Option::is_none")]
        pub full_valid_mean_token_accuracy: Option<f64>,
        /// Members this crate does not know, and those of reinforcement (`train_reward_mean` and others).
        #[serde(flatten)]
        pub extra: Extra,
    }
);

open_enum!(
    /// How far a copy is.
    CopyState {
        /// Being copied.
        InProgress = "InProgress",
        /// There.
        Completed = "Completed",
        /// Not copied.
        Failed = "Failed",
    }
);

tolerant!(
    ["copiedAccountDetails"]
    /// Copies of a checkpoint in other accounts.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    #[serde(rename_all = "camelCase")]
    #[non_exhaustive]
    pub struct CheckpointCopy {
        /// The model that is copied.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub checkpointed_model_name: Option<ModelId>,
        /// The job it comes from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub fine_tuning_job_id: Option<JobId>,
        /// One entry per account it was copied to.
        #[serde(default, deserialize_with = "lenient::present")]
        pub copied_account_details: Vec<CopiedAccount>,
        /// Members this crate does not know.
        #[serde(flatten)]
        pub extra: Extra,
    }
);

/// The copy of a checkpoint in one account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CopiedAccount {
    /// The account, as a resource id of Azure (`/subscriptions/…/accounts/NAME`).
    pub destination_resource_id: String,
    /// The account's region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// How far the copy is.
    pub status: CopyState,
    /// Members this crate does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

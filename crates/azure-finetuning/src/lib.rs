//! An async client for Azure OpenAI fine-tuning.
//!
//! Start at [`Client`]. Both API surfaces of the service are spoken ([`ApiSurface`]); a key or a token of Microsoft Entra
//! authenticates ([`TokenProvider`] and its implementations); failures say whether repeating could help
//! ([`Error::is_retryable`]), and nothing that costs is ever done twice by itself ([`Error::Ambiguous`]).
//!
//! To cancel an operation, drop its future.

#![warn(missing_docs)]

// The README's example compiles, or the documentation's tests fail.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod api_error;
mod auth;
mod checkpoints;
mod client;
mod create_job;
mod deployments;
mod endpoint;
mod error;
mod files;
mod grader;
mod graders;
mod id;
mod jobs;
mod model;
mod models;
mod open_enum;
mod pages;
mod raw;
mod retry;
mod training_data;
mod transport;
mod uploads;

pub use api_error::ApiError;
#[cfg(feature = "azure-identity")]
pub use auth::SdkCredential;
pub use auth::{
    AccessToken, AuthError, AzureCli, Chain, ClientSecret, DATA_SCOPE, MANAGEMENT_SCOPE, ManagedIdentity,
    PUBLIC_AUTHORITY, StaticToken, TokenFuture, TokenProvider, WorkloadIdentity,
};
pub use checkpoints::Checkpoints;
pub use client::{Client, ClientBuilder};
pub use create_job::{
    CreateJob, Dpo, InvalidRequest, Metadata, Positive, ReasoningEffort, Reinforcement, Seed, Suffix, Supervised,
    TrainingType, Wandb,
};
pub use deployments::{Account, Deployment, DeploymentName, DeploymentProperties, Deployments, ProvisioningState, Sku};
pub use endpoint::{ApiSurface, ApiVersion, InvalidEndpoint};
pub use error::{ConfigError, Error, TransportError};
pub use files::{FileContent, Files};
pub use grader::{Grader, GraderMessage, SimilarityMetric, StringOperation};
pub use graders::{Grade, GradeMetadata, Graders};
pub use id::{CheckpointId, EventId, FileId, InvalidId, JobId, MAX_ID_BYTES, ModelId, PartId, UploadId};
pub use jobs::{FollowOptions, Jobs, Measured, MetricsSummary, MetricsTable, WaitOptions, WhenPaused};
pub use model::{
    Checkpoint, CheckpointCopy, CopiedAccount, CopyState, Deleted, Event, EventKind, EventLevel, Extra, File,
    FilePurpose, FileStatus, Hyperparameters, Job, JobError, JobStatus, Method, MethodKind, Page, Setting, StepMetrics,
    UnixTime,
};
pub use models::{Model, Models};
pub use pages::{List, Listed};
pub use raw::RawRequest;
pub use reqwest::Method as HttpMethod;
pub use retry::RetryPolicy;
pub use training_data::{DataFault, DataProblem, DataReport, validate_jsonl};
pub use uploads::{Upload, UploadPart, UploadStatus, Uploads};

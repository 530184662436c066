//! Every tool with its class. The annotations that clients see come from here, and a test keeps the shipped catalogue the same.

/// What a tool does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    Read,
    Write,
    Execute,
    Destructive,
    Financial,
}

/// How much can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Risk {
    Low,
    Medium,
    High,
    Critical,
}

/// A tool and its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: &'static str,
    pub category: Category,
    pub risk: Risk,
    pub reason: &'static str,
    /// What it asks of the service.
    pub evidence: &'static str,
}

use Category::{Destructive, Execute, Financial, Read, Write};
use Risk::{Critical, High, Low, Medium};

const fn entry(
    name: &'static str,
    category: Category,
    risk: Risk,
    reason: &'static str,
    evidence: &'static str,
) -> Entry {
    Entry { name, category, risk, reason, evidence }
}

/// All tools: the seven that people know first.
pub const TOOLS: [Entry; 31] = [
    entry("fetch_finetuning_status", Read, Low, "Status and metadata of one job.", "GET /fine_tuning/jobs/{job_id}"),
    entry("list_finetuning_jobs", Read, Low, "Ids and states of jobs.", "GET /fine_tuning/jobs"),
    entry(
        "get_finetuning_job_events",
        Read,
        Low,
        "The log of one job; it shows billed hours and tokens.",
        "GET /fine_tuning/jobs/{job_id}/events",
    ),
    entry(
        "get_finetuning_metrics",
        Read,
        Low,
        "Losses and accuracies of one job, from its result file.",
        "GET /files/{result_file}/content",
    ),
    entry("list_finetuning_files", Read, Low, "Names and sizes of files; names leak a little.", "GET /files?purpose=…"),
    entry(
        "list_dynamic_swagger_tools",
        Read,
        Low,
        "The operations of the OpenAPI document; asks nothing of the service.",
        "no request",
    ),
    entry(
        "execute_dynamic_swagger_action",
        Execute,
        High,
        "What it does depends on `tool_name`; Critical where the document allows more than GET.",
        "any operation of the OpenAPI document",
    ),
    entry(
        "get_finetuning_job",
        Read,
        Low,
        "One job, with all the service says of it.",
        "GET /fine_tuning/jobs/{job_id}",
    ),
    entry(
        "wait_for_finetuning_job",
        Read,
        Low,
        "Looks at one job until it has ended.",
        "GET /fine_tuning/jobs/{job_id}, again and again",
    ),
    entry(
        "create_finetuning_job",
        Financial,
        Critical,
        "Starts training, which costs money at once; reinforcement about 100 USD an hour, paused only at 5,000 USD.",
        "POST /fine_tuning/jobs",
    ),
    entry(
        "resume_finetuning_job",
        Financial,
        High,
        "Training costs again; a job that paused at its cap has no further cap.",
        "POST /fine_tuning/jobs/{job_id}/resume",
    ),
    entry(
        "pause_finetuning_job",
        Write,
        Medium,
        "Training stops until it is resumed.",
        "POST /fine_tuning/jobs/{job_id}/pause",
    ),
    entry(
        "cancel_finetuning_job",
        Destructive,
        High,
        "The work is lost, what it has cost so far is billed.",
        "POST /fine_tuning/jobs/{job_id}/cancel",
    ),
    entry("delete_finetuning_job", Destructive, Critical, "There is no undo.", "DELETE /fine_tuning/jobs/{job_id}"),
    entry(
        "list_finetuning_checkpoints",
        Read,
        Low,
        "Checkpoints of one job with their metrics.",
        "GET /fine_tuning/jobs/{job_id}/checkpoints",
    ),
    entry(
        "copy_checkpoint",
        Write,
        High,
        "Moves a tuned model's weights to another account.",
        "POST /fine_tuning/jobs/{job_id}/checkpoints/{checkpoint_id}/copy",
    ),
    entry(
        "get_checkpoint_copy_status",
        Read,
        Low,
        "How far copies of a checkpoint are.",
        "GET /fine_tuning/jobs/{job_id}/checkpoints/{checkpoint_id}/copy",
    ),
    entry("get_finetuning_file", Read, Low, "Name, size and state of one file.", "GET /files/{file_id}"),
    entry("get_file_content", Read, High, "Training data, which may hold anything.", "GET /files/{file_id}/content"),
    entry("upload_finetuning_file", Write, Medium, "Stores data that models may be tuned on.", "POST /files"),
    entry(
        "import_finetuning_file",
        Write,
        High,
        "The service fetches a URL and stores what it finds.",
        "POST /files/import",
    ),
    entry("delete_file", Destructive, Critical, "There is no undo.", "DELETE /files/{file_id}"),
    entry(
        "validate_grader",
        Execute,
        Low,
        "The service reads a grader's definition.",
        "POST /fine_tuning/alpha/graders/validate",
    ),
    entry(
        "run_grader",
        Execute,
        Medium,
        "Spends tokens, and may run Python at the service.",
        "POST /fine_tuning/alpha/graders/run",
    ),
    entry("list_models", Read, Low, "Base models and tuned models.", "GET /models"),
    entry("get_model", Read, Low, "One model.", "GET /models/{model}"),
    entry(
        "deploy_finetuned_model",
        Financial,
        High,
        "Hosting costs about 1.70 USD an hour until the deployment is deleted.",
        "PUT …/accounts/{account}/deployments/{deployment}",
    ),
    entry("get_deployment", Read, Low, "State of one deployment.", "GET …/accounts/{account}/deployments/{deployment}"),
    entry(
        "delete_deployment",
        Destructive,
        Critical,
        "Whoever calls the deployment is cut off.",
        "DELETE …/accounts/{account}/deployments/{deployment}",
    ),
    entry(
        "find_finetuning_jobs",
        Read,
        Low,
        "Jobs by suffix, model or state: what to do before a creation is repeated.",
        "GET /fine_tuning/jobs, page after page",
    ),
    entry(
        "validate_training_data",
        Read,
        Low,
        "Checks lines that are given to it; asks nothing of the service.",
        "no request",
    ),
];

impl Category {
    /// As catalogues write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Execute => "Execute",
            Self::Destructive => "Destructive",
            Self::Financial => "Financial",
        }
    }
}

impl Risk {
    /// As catalogues write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        }
    }
}

//! The tools: what each takes and gives, and which function answers it.

mod create;
mod deployments;
mod dynamic;
mod files;
mod graders;
mod jobs;
mod known;
mod models;

use serde_json::{Value, json};

use crate::Settings;
use crate::args::Args;
use crate::failure::Failure;
use crate::progress::Progress;

/// A tool as it is announced.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) input: Value,
    pub(crate) output: Value,
    /// Whether a second equal call changes nothing more.
    pub(crate) is_idempotent: bool,
}

pub(crate) type Answer = Result<Value, Failure>;

pub(crate) fn definitions() -> Vec<Definition> {
    [
        known::definitions(),
        dynamic::definitions(),
        jobs::definitions(),
        create::definitions(),
        files::definitions(),
        graders::definitions(),
        models::definitions(),
        deployments::definitions(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(crate) async fn run(settings: &Settings, name: &str, args: &Args, progress: &Progress) -> Answer {
    let client = &settings.client;
    match name {
        "fetch_finetuning_status" => known::status(client, args).await,
        "list_finetuning_jobs" => known::jobs(client, args).await,
        "get_finetuning_job_events" => known::events(client, args).await,
        "get_finetuning_metrics" => known::metrics(client, args).await,
        "list_finetuning_files" => known::files(client, args).await,
        "list_dynamic_swagger_tools" => Ok(dynamic::list(settings)),
        "execute_dynamic_swagger_action" => dynamic::execute(settings, args).await,
        "get_finetuning_job" => jobs::get(client, args).await,
        "find_finetuning_jobs" => jobs::find(client, args).await,
        "wait_for_finetuning_job" => jobs::wait(client, args, progress).await,
        "create_finetuning_job" => create::create(client, args).await,
        "resume_finetuning_job" => Ok(json!(client.jobs().resume(&args.parse("job_id")?).await?)),
        "pause_finetuning_job" => Ok(json!(client.jobs().pause(&args.parse("job_id")?).await?)),
        "cancel_finetuning_job" => Ok(json!(client.jobs().cancel(&args.parse("job_id")?).await?)),
        "delete_finetuning_job" => jobs::delete(client, args).await,
        "list_finetuning_checkpoints" => jobs::checkpoints(client, args).await,
        "copy_checkpoint" => jobs::copy(client, args).await,
        "get_checkpoint_copy_status" => jobs::copy_status(client, args).await,
        "get_finetuning_file" => Ok(json!(client.files().get(&args.parse("file_id")?).await?)),
        "get_file_content" => files::content(client, args).await,
        "upload_finetuning_file" => files::upload(settings, args, progress).await,
        "validate_training_data" => files::validate(settings, args).await,
        "import_finetuning_file" => files::import(client, args).await,
        "delete_file" => files::delete(client, args).await,
        "validate_grader" => graders::validate(client, args).await,
        "run_grader" => graders::run(client, args).await,
        "list_models" => models::list(client, args).await,
        "get_model" => Ok(json!(client.models().get(&args.parse("model")?).await?)),
        "deploy_finetuned_model" => deployments::deploy(settings, args, progress).await,
        "get_deployment" => deployments::get(settings, args).await,
        "delete_deployment" => deployments::delete(settings, args).await,
        // The caller has found the tool in the table, and a test asks each of them.
        _ => Err(Failure::Other("unknown_tool", format!("there is no tool `{name}`"))),
    }
}

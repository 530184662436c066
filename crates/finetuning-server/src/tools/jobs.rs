//! Jobs beyond what people know: whole, found, waited for, deleted; checkpoints and their copies.

use std::time::Duration;

use azure_finetuning::{Client, Error, Job, JobId, JobStatus};
use futures_util::TryStreamExt as _;
use serde_json::json;

use super::known::{brief, listed, page};
use super::{Answer, Definition};
use crate::args::Args;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::schema::{id, input, list_of, nullable, output, paging, plain, text, whole};

/// How many jobs are looked through for those that are wanted.
const SEARCHED: usize = 500;
const LOOK: Duration = Duration::from_secs(2);
const LONGEST_LOOK: Duration = Duration::from_secs(15);
const WAIT: u64 = 240;

pub(super) fn definitions() -> Vec<Definition> {
    let job = ("job_id", id("the job's id, such as ftjob-0a1b2c3d"));
    let checkpoint = ("checkpoint_id", id("the checkpoint's id, such as ftchkpt-0a1b2c3d"));
    let whole_job = || output(&[("id", plain("string")), ("status", plain("string"))]);
    let copies = || output(&[("copiedAccountDetails", list_of(&plain("object")))]);
    let on_job = |name, description, is_idempotent| Definition {
        name,
        description,
        input: input(std::slice::from_ref(&job)),
        output: whole_job(),
        is_idempotent,
    };
    let [limit, after] = paging();
    vec![
        on_job("get_finetuning_job", "One fine-tuning job with everything that the service says of it.", true),
        on_job("pause_finetuning_job", "Pauses a running job that has done at least one step.", true),
        on_job("resume_finetuning_job", "Lets a paused job run again, which costs again.", true),
        on_job("cancel_finetuning_job", "Ends a job for good; its work is lost, what it has cost is billed.", true),
        Definition {
            output: output(&[("job_id", plain("string")), ("deleted", plain("boolean"))]),
            ..on_job("delete_finetuning_job", "Deletes a job that has ended. There is no undo.", true)
        },
        Definition {
            name: "find_finetuning_jobs",
            description: "Jobs with a suffix, a model or a state, newest first. Look here before a creation is repeated whose answer was lost.",
            input: input(&[
                ("suffix?", text("exactly this suffix")),
                ("model?", text("exactly this base model")),
                ("status?", text("exactly this state, such as running")),
            ]),
            output: output(&[
                ("jobs", list_of(&plain("object"))),
                ("count", plain("integer")),
                ("searched", plain("integer")),
            ]),
            is_idempotent: true,
        },
        Definition {
            name: "wait_for_finetuning_job",
            description: "Waits until a job has ended or is paused, and tells progress meanwhile. `done` is false when the time was up first.",
            input: input(&[
                job.clone(),
                ("timeout_seconds?", whole("how long to wait at most; 240 if absent", 1, 3_600)),
            ]),
            output: output(&[("job_id", plain("string")), ("status", plain("string")), ("done", plain("boolean"))]),
            is_idempotent: true,
        },
        Definition {
            name: "list_finetuning_checkpoints",
            description: "Checkpoints of one job, newest first, with their metrics and the model name to deploy.",
            input: input(&[job.clone(), limit, after]),
            output: output(&[
                ("checkpoints", list_of(&plain("object"))),
                ("count", plain("integer")),
                ("has_more", plain("boolean")),
                ("last_id", nullable("string")),
            ]),
            is_idempotent: true,
        },
        Definition {
            name: "copy_checkpoint",
            description: "Begins to copy a checkpoint into another account.",
            input: input(&[
                job.clone(),
                checkpoint.clone(),
                (
                    "destination_resource_id",
                    text("the account: /subscriptions/…/providers/Microsoft.CognitiveServices/accounts/NAME"),
                ),
                ("region", text("the account's region, such as swedencentral")),
            ]),
            output: copies(),
            is_idempotent: false,
        },
        Definition {
            name: "get_checkpoint_copy_status",
            description: "How far the copies of a checkpoint are.",
            input: input(&[job, checkpoint]),
            output: copies(),
            is_idempotent: true,
        },
    ]
}

pub(super) async fn get(client: &Client, args: &Args) -> Answer {
    Ok(json!(client.jobs().get(&args.parse("job_id")?).await?))
}

pub(super) async fn delete(client: &Client, args: &Args) -> Answer {
    let id: JobId = args.parse("job_id")?;
    client.jobs().delete(&id).await?;
    Ok(json!({ "job_id": id, "deleted": true }))
}

pub(super) async fn find(client: &Client, args: &Args) -> Answer {
    let fits = |job: &Job| {
        args.text("suffix").is_none_or(|suffix| job.suffix() == Some(suffix))
            && args.text("model").is_none_or(|model| job.model.as_ref().is_some_and(|found| found.as_str() == model))
            && args.text("status").is_none_or(|status| job.status.as_str() == status)
    };
    let mut pages = client.jobs().list().page_size(100).pages();
    let (mut searched, mut unreadable): (Vec<Job>, usize) = (Vec::new(), 0);
    while searched.len() < SEARCHED
        && let Some(page) = pages.try_next().await?
    {
        unreadable += page.unreadable.len();
        searched.extend(page.data);
    }
    searched.truncate(SEARCHED);
    let found: Vec<_> = searched.iter().filter(|job| fits(job)).map(brief).collect();
    Ok(json!({ "count": found.len(), "jobs": found, "searched": searched.len(), "unreadable": unreadable }))
}

/// Looks less and less often. What fails in a way that passes was retried by the client already, so it ends the wait.
pub(super) async fn wait(client: &Client, args: &Args, progress: &Progress) -> Answer {
    let id: JobId = args.parse("job_id")?;
    let limit = Duration::from_secs(args.whole("timeout_seconds").unwrap_or(WAIT));
    let mut told: Option<JobStatus> = None;
    let mut seen = None;
    let looking = async {
        let mut delay = LOOK;
        loop {
            let job = client.jobs().get(&id).await?;
            if told.as_ref() != Some(&job.status) {
                progress.say(format!("the job is {}", job.status)).await;
                told = Some(job.status.clone());
            } else {
                progress.say(format!("the job is still {}", job.status)).await;
            }
            let is_done = job.status.is_terminal() || job.status == JobStatus::Paused;
            seen = Some(job);
            if is_done {
                return Ok::<_, Error>(());
            }
            tokio::time::sleep(delay).await;
            delay = delay.mul_f64(1.5).min(LONGEST_LOOK);
        }
    };
    let done = match tokio::time::timeout(limit, looking).await {
        Ok(looked) => {
            looked?;
            true
        }
        Err(_) => false,
    };
    let job = seen.ok_or_else(|| Failure::Other("deadline", "the service did not answer in time".to_owned()))?;
    let mut answer = brief(&job);
    if let Some(members) = answer.as_object_mut() {
        members.insert("done".to_owned(), json!(done));
        members.insert("error".to_owned(), json!(job.failure()));
    }
    Ok(answer)
}

pub(super) async fn checkpoints(client: &Client, args: &Args) -> Answer {
    let (page, more) = page(client.jobs().checkpoints(&args.parse("job_id")?), args).await?;
    Ok(listed("checkpoints", page.data.iter().map(|checkpoint| json!(checkpoint)).collect(), more))
}

pub(super) async fn copy(client: &Client, args: &Args) -> Answer {
    let (job, checkpoint) = (args.parse("job_id")?, args.parse("checkpoint_id")?);
    let (destination, region) = (args.needed("destination_resource_id")?, args.needed("region")?);
    Ok(json!(client.checkpoints().copy(&job, &checkpoint, destination, region).await?))
}

pub(super) async fn copy_status(client: &Client, args: &Args) -> Answer {
    Ok(json!(client.checkpoints().copy_status(&args.parse("job_id")?, &args.parse("checkpoint_id")?).await?))
}

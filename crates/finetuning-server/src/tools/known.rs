//! The tools that people know from mcp-foundry: same names, same arguments, at least the same members in the answer.

use azure_finetuning::{
    ApiSurface, Client, Event, File, FileId, FilePurpose, Job, JobStatus, List, Listed, Measured, MetricsTable, Page,
    StepMetrics,
};
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};

use super::{Answer, Definition};
use crate::args::Args;
use crate::schema::{id, input, list_of, nullable, output, paging, plain, text};

/// What is given of a result file as text; the rows have all of it.
const LARGEST_CSV: usize = 256 << 10;
/// Rows of metrics that are given; beyond that every n-th, the last always.
const MOST_ROWS: usize = 500;
/// Events that are read of a job without a result file, newest first.
const MOST_EVENTS: usize = 5_000;

pub(super) fn definitions() -> Vec<Definition> {
    let job = ("job_id", id("the job's id, such as ftjob-0a1b2c3d"));
    let [limit, after] = paging();
    let page = |items: &'static str, item: Value| {
        output(&[
            (items, list_of(&item)),
            ("count", plain("integer")),
            ("has_more", plain("boolean")),
            ("last_id", nullable("string")),
        ])
    };
    let listed_job = output(&[("job_id", plain("string")), ("status", plain("string")), ("model", nullable("string"))]);
    let event = output(&[("timestamp", plain("integer")), ("message", plain("string")), ("level", nullable("string"))]);
    let file =
        output(&[("file_id", plain("string")), ("filename", nullable("string")), ("status", nullable("string"))]);
    vec![
        Definition {
            name: "fetch_finetuning_status",
            description: "Status of one Azure OpenAI fine-tuning job: state, models, times, hyperparameters, files, error.",
            input: input(std::slice::from_ref(&job)),
            output: output(&[
                ("job_id", plain("string")),
                ("status", plain("string")),
                ("model", nullable("string")),
                ("created_at", nullable("integer")),
                ("finished_at", nullable("integer")),
                ("hyperparameters", nullable("object")),
                ("fine_tuned_model", nullable("string")),
                ("trained_tokens", nullable("integer")),
                ("result_files", plain("array")),
                ("training_files", plain("array")),
                ("validation_files", plain("array")),
                ("training_file", nullable("string")),
                ("validation_file", nullable("string")),
                ("estimated_finish", nullable("integer")),
                ("error", nullable("object")),
            ]),
            is_idempotent: true,
        },
        Definition {
            name: "list_finetuning_jobs",
            description: "Ids and states of the resource's fine-tuning jobs, newest first, a page at a time.",
            input: input(&[limit.clone(), after.clone()]),
            output: page("jobs", listed_job),
            is_idempotent: true,
        },
        Definition {
            name: "get_finetuning_job_events",
            description: "What happened to one fine-tuning job, newest first, a page at a time; what was billed stands in the messages.",
            input: input(&[job.clone(), limit.clone(), after.clone()]),
            output: page("events", event),
            is_idempotent: true,
        },
        Definition {
            name: "get_finetuning_metrics",
            description: "Losses and accuracies of a fine-tuning job, with a summary: from its result file when it has succeeded, before that from its events (`is_live`); otherwise why there are none.",
            input: input(&[job, ("ctx?", json!({ "description": "ignored; some clients send it" }))]),
            output: output(&[("job_id", plain("string")), ("status", plain("string"))]),
            is_idempotent: true,
        },
        Definition {
            name: "list_finetuning_files",
            description: "Files of the resource for one purpose, a page at a time.",
            input: input(&[("purpose?", text("which files; fine-tune if absent")), limit, after]),
            output: output(&[
                ("files", list_of(&file)),
                ("count", plain("integer")),
                ("purpose_filter", plain("string")),
                ("has_more", plain("boolean")),
                ("last_id", nullable("string")),
            ]),
            is_idempotent: true,
        },
    ]
}

pub(super) async fn status(client: &Client, args: &Args) -> Answer {
    let job = client.jobs().get(&args.parse("job_id")?).await?;
    let listed = |file: &Option<FileId>| file.iter().cloned().collect::<Vec<_>>();
    Ok(json!({
        "job_id": job.id, "status": job.status, "model": job.model, "created_at": job.created_at,
        "finished_at": job.finished_at, "hyperparameters": hyperparameters(&json!(job)),
        "fine_tuned_model": job.fine_tuned_model, "trained_tokens": job.trained_tokens,
        "result_files": job.result_files,
        // The service's names are singular, mcp-foundry's plural.
        "training_files": listed(&job.training_file), "validation_files": listed(&job.validation_file),
        "training_file": job.training_file, "validation_file": job.validation_file,
        "estimated_finish": job.estimated_finish, "error": job.failure(), "suffix": job.suffix(),
    }))
}

/// Where the job says how it is tuned: at the top, or within its method.
fn hyperparameters(job: &Value) -> Value {
    let within = || {
        let method = job.get("method")?;
        method.get(method.get("type")?.as_str()?)?.get("hyperparameters").filter(|found| found.is_object()).cloned()
    };
    job.get("hyperparameters").filter(|found| found.is_object()).cloned().or_else(within).unwrap_or_default()
}

/// One page of a list, and whether more follows.
pub(super) async fn page<T: Listed>(list: List<T>, args: &Args) -> Result<(Page<T>, Value), crate::failure::Failure> {
    let list = list.page_size(args.whole("limit").and_then(|limit| u32::try_from(limit).ok()).unwrap_or(20));
    let list = match args.maybe::<azure_finetuning::ModelId>("after")? {
        Some(after) => list.after(after.as_str()),
        None => list,
    };
    let page = list.page().await?;
    let mut more = json!({
        "count": page.data.len(), "has_more": page.has_more.unwrap_or(false),
        "last_id": page.last_id(),
    });
    // One that is odd does not cost the others; that there is one is said.
    if !page.unreadable.is_empty()
        && let Some(members) = more.as_object_mut()
    {
        members.insert("unreadable".to_owned(), json!(page.unreadable.len()));
    }
    Ok((page, more))
}

/// The page's items under a name, beside its count and cursor.
pub(super) fn listed(name: &str, items: Vec<Value>, mut more: Value) -> Value {
    if let Some(members) = more.as_object_mut() {
        members.insert(name.to_owned(), Value::Array(items));
    }
    more
}

pub(super) async fn jobs(client: &Client, args: &Args) -> Answer {
    let (page, more) = page(client.jobs().list(), args).await?;
    Ok(listed("jobs", page.data.iter().map(brief).collect(), more))
}

pub(super) fn brief(job: &Job) -> Value {
    json!({
        "job_id": job.id, "status": job.status, "model": job.model, "fine_tuned_model": job.fine_tuned_model,
        "created_at": job.created_at, "suffix": job.suffix(),
    })
}

pub(super) async fn events(client: &Client, args: &Args) -> Answer {
    let (page, more) = page(client.jobs().events(&args.parse("job_id")?), args).await?;
    let shown = |event: &Event| {
        json!({
            "timestamp": event.created_at.seconds(), "message": event.message, "level": event.level, "id": event.id,
            "type": event.kind, "data": event.data,
        })
    };
    Ok(listed("events", page.data.iter().map(shown).collect(), more))
}

pub(super) async fn files(client: &Client, args: &Args) -> Answer {
    let purpose = args.text("purpose").unwrap_or("fine-tune");
    let (page, more) = page(client.files().list(Some(FilePurpose::from(purpose))), args).await?;
    let shown = |file: &File| {
        json!({
            "file_id": file.id, "filename": file.filename, "purpose": file.purpose, "bytes": file.bytes,
            "created_at": file.created_at, "status": file.status,
        })
    };
    let mut answer = listed("files", page.data.iter().map(shown).collect(), more);
    if let Some(members) = answer.as_object_mut() {
        members.insert("purpose_filter".to_owned(), json!(purpose));
    }
    Ok(answer)
}

pub(super) async fn metrics(client: &Client, args: &Args) -> Answer {
    let job = client.jobs().get(&args.parse("job_id")?).await?;
    let Some(file) = job.result_files.first().filter(|_| job.status == JobStatus::Succeeded) else {
        return without_file(client, &job).await;
    };
    let table = client.jobs().metrics(&job).await?;
    let (csv, is_whole) = csv(&table.columns, &table.rows);
    let base = if matches!(client.surface(), ApiSurface::Dated(_)) { "/openai" } else { "/openai/v1" };
    Ok(json!({
        "job_id": job.id, "status": job.status, "result_file_id": file,
        "result_file_url": format!("{base}/files/{file}/content"),
        "result_csv_content": csv, "result_csv_is_whole": is_whole,
        "summary": summary(&table), "metrics": thinned(&table.rows),
    }))
}

/// What the events of a job tell that has not written its result file yet; otherwise why there are no metrics.
async fn without_file(client: &Client, job: &Job) -> Answer {
    let none = |message: String| Ok(json!({ "job_id": job.id, "status": job.status, "message": message }));
    if job.status == JobStatus::Succeeded {
        return none("The job has succeeded, but has no result file.".to_owned());
    }
    let mut pages = client.jobs().events(&job.id).page_size(100).pages();
    let mut events: Vec<Event> = Vec::new();
    while events.len() < MOST_EVENTS
        && let Some(page) = pages.try_next().await?
    {
        events.extend(page.data);
    }
    let table = MetricsTable::from_events(&events);
    if table.rows.is_empty() {
        let yet = if job.status.is_terminal() { "" } else { " yet" };
        return none(format!("There are no metrics{yet}: the job is {}.", job.status));
    }
    let message = format!("The job is {}: these are its metrics so far, from its events.", job.status);
    Ok(json!({
        "job_id": job.id, "status": job.status, "message": message, "is_live": true,
        "summary": summary(&table), "metrics": thinned(&table.rows),
    }))
}

/// Not more than [`MOST_ROWS`] or one more.
fn thinned(rows: &[StepMetrics]) -> Vec<&StepMetrics> {
    let kept = rows.len().div_ceil(MOST_ROWS).max(1);
    let is_kept = |(number, _): &(usize, &StepMetrics)| number % kept == 0 || number + 1 == rows.len();
    rows.iter().enumerate().filter(is_kept).map(|(_, row)| row).collect()
}

/// The table as text again, cut after a line when it is too long.
fn csv(columns: &[String], rows: &[StepMetrics]) -> (String, bool) {
    let names: Vec<_> = columns.iter().map(|column| quoted(column.clone())).collect();
    let mut text = names.join(",");
    text.push('\n');
    for row in rows {
        let row = json!(row);
        let cell = |column: &String| {
            // The rows have one spelling where files have several.
            let name = match column.as_str() {
                "validation_mean_token_accuracy" => "valid_mean_token_accuracy",
                "train_accuracy" => "train_mean_token_accuracy",
                other => other,
            };
            match row.get(name) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Null) | None => String::new(),
                Some(value) => value.to_string(),
            }
        };
        let line = columns.iter().map(cell).map(quoted).collect::<Vec<_>>().join(",");
        if text.len() + line.len() > LARGEST_CSV {
            return (text, false);
        }
        text.push_str(&line);
        text.push('\n');
    }
    (text, true)
}

/// A cell as RFC 4180 has it.
fn quoted(cell: String) -> String {
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

fn summary(table: &MetricsTable) -> Value {
    let found = table.summary();
    let point = |at: Option<Measured>| at.map(|at| json!({ "step": at.step, "loss": at.value }));
    json!({
        "steps": table.rows.len(),
        "first_train_loss": point(found.first_train_loss), "last_train_loss": point(found.last_train_loss),
        "best_train_loss": point(found.best_train_loss), "best_valid_loss": point(found.best_valid_loss),
        "last_valid_loss": point(found.last_valid_loss), "may_overfit": found.may_overfit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_member_does_not_break_the_shape_of_an_answer() {
        let odd = json!({ "id": "ftjob-1", "status": "running", "model": [5], "created_at": "soon", "suffix": {} });
        let shown = brief(&serde_json::from_value(odd).unwrap());
        for name in ["model", "created_at", "suffix"] {
            assert_eq!(shown[name], Value::Null, "{shown}");
        }
        assert_eq!(hyperparameters(&json!({ "hyperparameters": "auto" })), Value::Null);
    }

    #[test]
    fn a_batch_is_not_compared_with_the_whole_validation_file() {
        let (mut batch, mut full) = (StepMetrics::default(), StepMetrics::default());
        (batch.step, batch.valid_loss) = (Some(1), Some(0.1));
        (full.step, full.valid_loss, full.full_valid_loss) = (Some(2), Some(0.2), Some(3.0));
        let mut table = MetricsTable::default();
        table.rows = vec![batch, full];
        assert_eq!(summary(&table)["best_valid_loss"], json!({ "step": 2, "loss": 3.0 }));
    }

    #[test]
    fn a_cell_stays_one_cell() {
        let mut row = StepMetrics::default();
        (row.step, row.train_loss) = (Some(1), Some(0.5));
        row.extra.insert("note, \"odd\"".to_owned(), json!("a,b\nc"));
        let columns = ["step", "note, \"odd\"", "train_loss"].map(str::to_owned);
        let (text, is_whole) = csv(&columns, &[row]);
        assert_eq!((text.as_str(), is_whole), ("step,\"note, \"\"odd\"\"\",train_loss\n1,\"a,b\nc\",0.5\n", true));
    }
}

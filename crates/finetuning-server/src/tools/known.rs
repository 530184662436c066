//! The tools that people know from mcp-foundry: same names, same arguments, at least the same members in the answer.

use azure_finetuning::{Client, Event, File, FilePurpose, Job, JobStatus, List, Listed, Page, StepMetrics};
use serde_json::{Value, json};

use super::{Answer, Definition};
use crate::args::Args;
use crate::schema::{id, input, list_of, nullable, output, paging, plain, text};

/// What is given of a result file as text; the rows have all of it.
const LARGEST_CSV: usize = 256 << 10;
/// Rows of metrics that are given; beyond that every n-th, the last always.
const MOST_ROWS: usize = 500;

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
            description: "Losses and accuracies of a fine-tuning job that has succeeded, with a summary; for others, why there are none.",
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
    let as_json = json!(job);
    let member = |name: &str| as_json.get(name).cloned().unwrap_or_default();
    let listed = |name: &str| member(name).as_str().map(|file| vec![file.to_owned()]).unwrap_or_default();
    Ok(json!({
        "job_id": job.id, "status": job.status, "model": member("model"), "created_at": member("created_at"),
        "finished_at": member("finished_at"), "hyperparameters": hyperparameters(&as_json),
        "fine_tuned_model": member("fine_tuned_model"), "trained_tokens": member("trained_tokens"),
        "result_files": job.result_files,
        // The service's names are singular, mcp-foundry's plural.
        "training_files": listed("training_file"), "validation_files": listed("validation_file"),
        "training_file": member("training_file"), "validation_file": member("validation_file"),
        "estimated_finish": member("estimated_finish"), "error": job.failure(), "suffix": job.suffix(),
    }))
}

/// Where the job says how it is tuned: at the top, or within its method.
fn hyperparameters(job: &Value) -> Value {
    let within = || {
        let method = job.get("method")?;
        method.get(method.get("type")?.as_str()?)?.get("hyperparameters").cloned()
    };
    job.get("hyperparameters").filter(|found| !found.is_null()).cloned().or_else(within).unwrap_or_default()
}

/// One page of a list, and whether more follows.
pub(super) async fn page<T: Listed>(list: List<T>, args: &Args) -> Result<(Page<T>, Value), crate::failure::Failure> {
    let list = list.page_size(args.whole("limit").and_then(|limit| u32::try_from(limit).ok()).unwrap_or(20));
    let list = match args.maybe::<azure_finetuning::ModelId>("after")? {
        Some(after) => list.after(after.as_str()),
        None => list,
    };
    let page = list.page().await?;
    let more = json!({
        "count": page.data.len(), "has_more": page.has_more.unwrap_or(false),
        "last_id": page.data.last().map(Listed::cursor),
    });
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
    let all = json!(job);
    let member = |name: &str| all.get(name).cloned().unwrap_or_default();
    json!({
        "job_id": job.id, "status": job.status, "model": member("model"), "fine_tuned_model": member("fine_tuned_model"),
        "created_at": member("created_at"), "suffix": job.suffix(),
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
        let all = json!(file);
        let member = |name: &str| all.get(name).cloned().unwrap_or_default();
        json!({
            "file_id": file.id, "filename": member("filename"), "purpose": member("purpose"), "bytes": member("bytes"),
            "created_at": member("created_at"), "status": member("status"),
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
        let message = if job.status == JobStatus::Succeeded {
            "The job has succeeded, but has no result file.".to_owned()
        } else {
            format!("There are no metrics yet: the job is {}.", job.status)
        };
        return Ok(json!({ "job_id": job.id, "status": job.status, "message": message }));
    };
    let table = client.jobs().metrics(&job).await?;
    let (csv, is_whole) = csv(&table.columns, &table.rows);
    let kept = table.rows.len().div_ceil(MOST_ROWS).max(1);
    let rows = table.rows.iter().enumerate();
    let rows = rows.filter(|(number, _)| number % kept == 0 || number + 1 == table.rows.len()).map(|(_, row)| row);
    Ok(json!({
        "job_id": job.id, "status": job.status, "result_file_id": file,
        "result_file_url": format!("/openai/files/{file}/content"),
        "result_csv_content": csv, "result_csv_is_whole": is_whole,
        "summary": summary(&table.rows), "metrics": rows.collect::<Vec<_>>(),
    }))
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

fn summary(rows: &[StepMetrics]) -> Value {
    let with_loss = || rows.iter().filter_map(|row| Some((row.step?, row.train_loss?)));
    let best_valid = rows.iter().filter_map(|row| Some((row.step?, row.full_valid_loss.or(row.valid_loss)?)));
    let point = |(step, loss): (i64, f64)| json!({ "step": step, "loss": loss });
    json!({
        "steps": rows.len(),
        "first_train_loss": with_loss().next().map(point),
        "last_train_loss": with_loss().next_back().map(point),
        "best_valid_loss": best_valid.min_by(|a, b| a.1.total_cmp(&b.1)).map(point),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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

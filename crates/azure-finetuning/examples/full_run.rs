//! From training data to metrics: `cargo run --example full_run -- train.jsonl`, with the environment that the README names. The
//! README shows this file; a test compares the two and runs it against the emulator.

use azure_finetuning::{Client, CreateJob, FilePurpose, FollowOptions, MethodKind, Supervised, WaitOptions};
use futures_util::TryStreamExt as _;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let Err(error) = begin().await else { return std::process::ExitCode::SUCCESS };
    eprintln!("{}", told(&*error));
    std::process::ExitCode::FAILURE
}

/// An error and its causes on one line: each says its own part only.
pub(crate) fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

async fn begin() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("which training data? `full_run train.jsonl`")?;
    // AZURE_OPENAI_ENDPOINT and AZURE_OPENAI_API_KEY, or the variables of an Entra identity.
    let client = Client::from_env()?;
    run(&client, &path, FollowOptions::default(), &mut std::io::stdout()).await
}

pub(crate) async fn run(
    client: &Client,
    path: &str,
    follow: FollowOptions,
    out: &mut impl std::io::Write,
) -> Result<(), Box<dyn std::error::Error>> {
    // What the service would say after an upload and a queue is said at once.
    let data = std::io::BufReader::new(std::fs::File::open(path)?);
    let report = azure_finetuning::validate_jsonl(data, &MethodKind::Supervised)?;
    for problem in &report.problems {
        writeln!(out, "{path}: {problem}")?;
    }
    if !report.is_ok() {
        return Err("the training data is not right".into());
    }

    let file = client.files().upload(path, FilePurpose::FineTune).await?;
    client.files().wait_until_processed(&file.id, WaitOptions::default()).await?;
    let tuning = Supervised::new().epochs(3.try_into()?);
    let job = CreateJob::supervised("gpt-4.1-mini-2025-04-14".parse()?, file.id, tuning).suffix("support".parse()?);
    let job = client.jobs().create(&job).await?;
    writeln!(out, "{} {}", job.id, job.status)?;

    let mut events = client.jobs().follow_events(&job.id, follow);
    while let Some(event) = events.try_next().await? {
        writeln!(out, "{} {}", event.created_at, event.message)?;
    }
    let job = client.jobs().get(&job.id).await?;
    let model = job.fine_tuned_model.as_ref().map_or("no model", |model| model.as_str());
    writeln!(out, "{} {model}", job.status)?;

    let metrics = client.jobs().metrics(&job).await?;
    for row in &metrics.rows {
        writeln!(out, "step {:?} loss {:?}", row.step, row.train_loss)?;
    }
    writeln!(out, "{:?}", metrics.summary())?;
    Ok(())
}

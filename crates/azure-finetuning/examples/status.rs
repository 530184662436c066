//! Shows where a job stands: `cargo run --example status -- ftjob-…`, with the environment that the README names.

use azure_finetuning::Client;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let Err(error) = run().await else { return std::process::ExitCode::SUCCESS };
    eprintln!("{}", told(&*error));
    std::process::ExitCode::FAILURE
}

/// An error and its causes on one line: each says its own part only.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let id = std::env::args().nth(1).ok_or("which job? `status ftjob-…`")?.parse()?;
    let job = Client::from_env()?.jobs().get(&id).await?;
    println!("{} {}", job.id, job.status);
    if let Some(model) = &job.fine_tuned_model {
        println!("model {model}");
    }
    if let Some(error) = job.failure() {
        println!("failed: {} {}", error.code.as_deref().unwrap_or("?"), error.message.as_deref().unwrap_or_default());
    }
    Ok(())
}

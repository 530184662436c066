//! Follows a job until it has ended: `cargo run --example watch -- ftjob-…`, with the environment that the README names.

use azure_finetuning::{Client, FollowOptions};
use futures_util::TryStreamExt as _;

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
    let id = std::env::args().nth(1).ok_or("which job? `watch ftjob-…`")?.parse()?;
    let jobs = Client::from_env()?.jobs();
    let mut events = jobs.follow_events(&id, FollowOptions::default());
    while let Some(event) = events.try_next().await? {
        println!("{} {}", event.created_at, event.message);
    }
    println!("{}", jobs.get(&id).await?.status);
    Ok(())
}

//! The README's example does what the README says.

use std::collections::HashSet;
use std::time::Duration;

use azure_emulator::{Emulator, Seed};
use azure_finetuning::{Client, FollowOptions};

#[path = "../../examples/full_run.rs"]
#[expect(dead_code, reason = "an example is a program of its own")]
mod example;

const EXAMPLE: &str = include_str!("../../examples/full_run.rs");
const README: &str = include_str!("../../README.md");

async fn run(data: &str, speed: f64) -> (Result<(), String>, Vec<String>, usize) {
    let service = Emulator::builder().speed(speed).seed(Seed::Empty).start().await.unwrap();
    let client = Client::builder().endpoint(service.url()).api_key(service.key().to_owned().into()).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.jsonl");
    std::fs::write(&path, data).unwrap();
    let mut follow = FollowOptions::default();
    (follow.interval, follow.max_interval) = (Duration::from_millis(1), Duration::from_millis(5));
    let mut out = Vec::new();
    let result = example::run(&client, path.to_str().unwrap(), follow, &mut out).await;
    let lines = String::from_utf8(out).unwrap().lines().map(str::to_owned).collect();
    (result.map_err(|error| error.to_string()), lines, service.journal().len())
}

#[tokio::test]
async fn an_error_is_told_with_its_causes() {
    let client = Client::builder().endpoint("http://127.0.0.1:1").api_key("key".to_owned().into()).build().unwrap();
    let error = client.files().upload("/nowhere", azure_finetuning::FilePurpose::FineTune).await.unwrap_err();
    let told = "`files.upload` could not use a local file: No such file or directory (os error 2)";
    assert_eq!(example::told(&error), told);
}

fn examples(count: usize) -> String {
    let line = r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#;
    format!("{line}\n").repeat(count)
}

#[test]
fn the_readme_shows_the_example() {
    let (_, program) = EXAMPLE.split_once("\n\n").unwrap();
    assert!(README.contains(program), "README.md does not contain examples/full_run.rs from its first `use` on");
}

#[tokio::test]
async fn the_example_goes_from_training_data_to_metrics() {
    // Twelve steps of ten seconds and a start of thirty: some looks until all is over, each without a wait of note.
    let (result, lines, requests) = run(&examples(12), 20_000.0).await;
    result.unwrap();
    let count = |what: &str| lines.iter().filter(|line| line.contains(what)).count();
    for once in
        ["Job enqueued", "Job started.", "Job succeeded.", "succeeded gpt-4.1-mini-2025-04-14.ft-", "MetricsSummary"]
    {
        assert_eq!(count(once), 1, "{once}: {lines:#?}");
    }
    let (steps, rows) = (count("training loss="), count("step Some("));
    assert!(steps > 0 && steps == rows, "{lines:#?}");
    assert_eq!(lines.iter().collect::<HashSet<_>>().len(), lines.len(), "nothing is told twice: {lines:#?}");
    assert!(requests > 5);
}

#[tokio::test]
async fn the_example_sends_nothing_that_is_not_right() {
    let (result, lines, requests) = run(&format!("{}{{}}\n", examples(8)), 0.0).await;
    assert_eq!(result.unwrap_err(), "the training data is not right");
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].ends_with("line 9: `messages` is missing"), "{lines:#?}");
    assert!(lines[1].ends_with("there are 9 examples, 10 are needed"), "{lines:#?}");
    assert_eq!(requests, 0);
}

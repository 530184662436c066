//! What is there at the start, always the same: jobs in five states, files, checkpoints, a deployment.

use serde_json::{Map, Value, json};

use crate::clock::Millis;
use crate::deployments::Deployment;
use crate::files::{Content, File};
use crate::jobs::{Command, Job, Method};
use crate::training::Checked;
use crate::world::World;

/// What there is at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seed {
    /// What the constants of [`demo`](crate::demo) name.
    #[default]
    Demo,
    Empty,
}

/// A job that has ended well: 45 events, three checkpoints, a result file.
pub const SUCCEEDED_JOB: &str = "ftjob-0a1b2c3d4e5f60718293a4b5c6d7e8f9";
/// A job that failed over its training data.
pub const FAILED_JOB: &str = "ftjob-ffff000000000000000000000000dead";
/// A job that was cancelled while it ran.
pub const CANCELLED_JOB: &str = "ftjob-cccc000000000000000000000000cafe";
/// A job that waits to be resumed.
pub const PAUSED_JOB: &str = "ftjob-aaaa0000000000000000000000005afe";
/// A job that runs, for an hour of virtual time.
pub const RUNNING_JOB: &str = "ftjob-eeee000000000000000000000000face";

/// Training data for supervised tuning.
pub const TRAINING_FILE: &str = "file-11112222333344445555666677778888";
/// Validation data for it.
pub const VALIDATION_FILE: &str = "file-99990000aaaabbbbccccddddeeeeffff";
/// Training data whose third line is wrong.
pub const BAD_FILE: &str = "file-bad0bad0bad0bad0bad0bad0bad0bad0";
const OTHER_FILES: [(&str, &str, &str); 2] = [
    ("file-22223333444455556666777788889999", "questions.jsonl", "batch"),
    ("file-33334444555566667777888899990000", "holdout.jsonl", "evals"),
];

const MODEL: &str = "gpt-4.1-mini-2025-04-14";
const HOUR: Millis = 60 * 60 * 1000;
const MINUTE: Millis = 60 * 1000;

/// Lines for supervised tuning.
pub(crate) fn training_data(lines: usize) -> String {
    let line = |number: usize| {
        let messages = json!([
            { "role": "system", "content": "You answer in one word." },
            { "role": "user", "content": format!("What is {number} plus {number}?") },
            { "role": "assistant", "content": (number + number).to_string() },
        ]);
        format!("{}\n", json!({ "messages": messages }))
    };
    (1..=lines).map(line).collect()
}

pub(crate) fn world(seed: Seed, now: Millis) -> World {
    let mut world = World::default();
    if seed == Seed::Empty {
        return world;
    }
    let data = |id: &str, filename: &str, text: String| {
        let checked = Checked::of(text.as_bytes()).ok();
        file(id, filename, "fine-tune", text, checked, now - 30 * HOUR)
    };
    let mut bad = training_data(2);
    bad.push_str("{\"prompt\":\"an old form\"}\n");
    bad.push_str(&training_data(9));
    world.files.extend([
        data(TRAINING_FILE, "train.jsonl", training_data(13)),
        data(VALIDATION_FILE, "validation.jsonl", training_data(10)),
        data(BAD_FILE, "bad.jsonl", bad),
    ]);
    let others =
        OTHER_FILES.map(|(id, filename, purpose)| file(id, filename, purpose, training_data(3), None, now - 29 * HOUR));
    world.files.extend(others);

    let trouble = ("jsonlValidationFailed", "Line 3: 'messages' is missing.", "training_file");
    let trouble = (trouble.0.to_owned(), trouble.1.to_owned(), trouble.2.to_owned());
    world.jobs.extend([
        job(SUCCEEDED_JOB, TRAINING_FILE, "support", 13, now - 24 * HOUR),
        Job { trouble: Some(trouble), ..job(FAILED_JOB, BAD_FILE, "broken", 12, now - 20 * HOUR) },
        commanded(job(CANCELLED_JOB, TRAINING_FILE, "given-up", 13, now - 18 * HOUR), 3 * MINUTE, Command::Cancel),
        commanded(job(PAUSED_JOB, TRAINING_FILE, "later", 13, now - 10 * HOUR), 4 * MINUTE, Command::Pause),
        job(RUNNING_JOB, TRAINING_FILE, "now", 120, now - 2 * MINUTE),
    ]);
    let name = "support-1";
    let id = format!(
        "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/demo/providers/Microsoft.CognitiveServices/accounts/demo/deployments/{name}"
    );
    let tuned = format!("{MODEL}.ft-0a1b2c3d4e5f60718293a4b5c6d7e8f9-support");
    let deployment = Deployment {
        id: id.clone(),
        name: name.to_owned(),
        sku: json!({ "name": "Standard", "capacity": 1 }),
        model: json!({ "format": "OpenAI", "name": tuned, "version": "1" }),
        created: now - 20 * HOUR,
        is_known: true,
    };
    world.deployments.insert(id, deployment);
    world
}

fn file(id: &str, filename: &str, purpose: &str, text: String, checked: Option<Checked>, created: Millis) -> File {
    let (id, filename, purpose) = (id.to_owned(), filename.to_owned(), purpose.to_owned());
    File { id, filename, purpose, created, expires: None, content: Content::Memory(text.into()), checked }
}

fn job(id: &str, training: &str, suffix: &str, lines: u64, created: Millis) -> Job {
    let method = json!({ "type": "supervised", "supervised": { "hyperparameters": { "n_epochs": 3 } } });
    let request: [(&str, Value); 3] =
        [("training_file", json!(training)), ("validation_file", json!(VALIDATION_FILE)), ("method", method)];
    Job {
        id: id.to_owned(),
        request: request.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>(),
        model: MODEL.to_owned(),
        suffix: Some(suffix.to_owned()),
        seed: 105,
        method: Method::Supervised,
        epochs: 3,
        batch: 1,
        lines,
        created,
        not_before: Millis::MIN,
        trouble: None,
        commands: Vec::new(),
        result_bytes: std::sync::OnceLock::new(),
    }
}

fn commanded(mut job: Job, after: Millis, command: Command) -> Job {
    job.commands.push((job.created + after, command));
    job
}

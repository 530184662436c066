//! Numbers that look like training: the same seed gives the same ones.

use serde_json::{Map, Value, json};

use super::{Job, Method};
use crate::id;

/// What one step measured. Validation is measured every tenth step, all of it at the last step.
pub(crate) fn metrics(job: &Job, step: u64) -> Map<String, Value> {
    let progress = step as f64 / job.steps() as f64;
    let noise = |what: &str| (id::hash(&format!("{what} {step}"), job.seed) % 1_000) as f64 / 1_000.0 - 0.5;
    let loss = 0.35 + 2.0 * (-4.0 * progress).exp() + 0.05 * noise("loss");
    let accuracy = (0.95 - 0.45 * (-4.0 * progress).exp() + 0.02 * noise("accuracy")).clamp(0.0, 1.0);
    let mut found = Map::new();
    let mut put = |name: &str, value: f64| {
        found.insert(name.to_owned(), json!((value * 1_000_000.0).round() / 1_000_000.0));
    };
    put("train_loss", loss);
    put("train_mean_token_accuracy", accuracy);
    if step.is_multiple_of(10) || step == 1 || step == job.steps() {
        put("valid_loss", loss + 0.15 + 0.02 * noise("valid"));
        put("valid_mean_token_accuracy", (accuracy - 0.05).max(0.0));
    }
    if step.is_multiple_of(job.steps_of_epoch()) {
        put("full_valid_loss", loss + 0.12);
        put("full_valid_mean_token_accuracy", (accuracy - 0.04).max(0.0));
    }
    if job.method == Method::Reinforcement {
        put("train_reward_mean", (0.2 + 0.6 * progress + 0.05 * noise("reward")).clamp(0.0, 1.0));
        put("valid_reward_mean", (0.15 + 0.6 * progress).clamp(0.0, 1.0));
    }
    found.insert("step".to_owned(), json!(step));
    found
}

const COLUMNS: [(&str, &str); 6] = [
    ("train_loss", "train_loss"),
    ("train_mean_token_accuracy", "train_mean_token_accuracy"),
    ("valid_loss", "valid_loss"),
    // The file spells it otherwise than the events do.
    ("validation_mean_token_accuracy", "valid_mean_token_accuracy"),
    ("full_valid_loss", "full_valid_loss"),
    ("full_valid_mean_token_accuracy", "full_valid_mean_token_accuracy"),
];

const REWARDS: [(&str, &str); 2] =
    [("train_reward_mean", "train_reward_mean"), ("valid_reward_mean", "valid_reward_mean")];

/// The result file.
pub(crate) fn csv(job: &Job) -> String {
    let rewards: &[_] = if job.method == Method::Reinforcement { &REWARDS } else { &[] };
    let columns = || COLUMNS.iter().chain(rewards);
    let mut text = String::from("step");
    for (name, _) in columns() {
        text.push(',');
        text.push_str(name);
    }
    text.push('\n');
    for step in 1..=job.steps() {
        let found = metrics(job, step);
        text.push_str(&step.to_string());
        for (_, name) in columns() {
            text.push(',');
            if let Some(value) = found.get(*name) {
                text.push_str(&value.to_string());
            }
        }
        text.push('\n');
    }
    text
}

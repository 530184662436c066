//! Files: uploaded, imported, or written by jobs; their contents in memory or on disk.

mod content;
mod routes;
mod upload;

pub(crate) use content::{Content, Sink};
pub(crate) use routes::{add, router};
pub(crate) use upload::Form;

use serde_json::{Value, json};

use crate::clock::Millis;
use crate::training::Checked;

/// What may be tuned.
pub(crate) const BASE_MODELS: [&str; 8] = [
    "gpt-4o-2024-08-06",
    "gpt-4o-mini-2024-07-18",
    "gpt-4.1-2025-04-14",
    "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano-2025-04-14",
    "o4-mini-2025-04-16",
    "gpt-35-turbo-0125",
    "gpt-4.1-mini",
];

const PROCESSED: Millis = 2_000;

#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) id: String,
    pub(crate) filename: String,
    pub(crate) purpose: String,
    pub(crate) created: Millis,
    pub(crate) expires: Option<Millis>,
    pub(crate) content: Content,
    /// What it holds as training data, if that is its purpose.
    pub(crate) checked: Option<Checked>,
}

impl File {
    pub(crate) fn json(&self, now: Millis) -> Value {
        shown(now, &self.id, (&self.filename, &self.purpose), self.content.len(), (self.created, self.expires))
    }
}

/// A file as the service shows it: its name and purpose, its size, when it was made and when it ends.
fn shown(
    now: Millis,
    id: &str,
    (filename, purpose): (&str, &str),
    bytes: u64,
    (created, expires): (Millis, Option<Millis>),
) -> Value {
    let status = if now - created >= PROCESSED { "processed" } else { "pending" };
    json!({
        "id": id, "object": "file", "bytes": bytes, "created_at": created / 1000,
        "expires_at": expires.map(|at| at / 1000), "filename": filename, "purpose": purpose, "status": status,
    })
}

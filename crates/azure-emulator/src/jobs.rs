//! Jobs: what was asked for, what became of it by now, and the routes.

mod create;
mod curve;
mod routes;
mod timeline;
mod view;

pub(crate) use routes::{Found, page, router};
pub(crate) use view::{has_checkpoint, results, tuned};

use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::clock::Millis;

/// A job as it was created, with what was done to it since. All else follows from the time.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: String,
    /// The request, without what is a member of its own here.
    pub(crate) request: Map<String, Value>,
    pub(crate) model: String,
    pub(crate) suffix: Option<String>,
    pub(crate) seed: u64,
    pub(crate) method: Method,
    pub(crate) epochs: u64,
    pub(crate) batch: u64,
    pub(crate) lines: u64,
    pub(crate) created: Millis,
    /// When the last of the jobs before it that are deleted by now let it go.
    pub(crate) not_before: Millis,
    /// Why it fails when it starts: code, message, parameter.
    pub(crate) trouble: Option<(String, String, String)>,
    /// In order of time.
    pub(crate) commands: Vec<(Millis, Command)>,
    /// The size of its result file, once somebody has asked: the same for ever, and long to find out.
    pub(crate) result_bytes: OnceLock<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Supervised,
    Dpo,
    Reinforcement,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Pause,
    Resume,
    Cancel,
}

/// A copy of a checkpoint in another account.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    pub(crate) job: String,
    pub(crate) checkpoint: String,
    pub(crate) destination: String,
    pub(crate) region: String,
    pub(crate) began: Millis,
}

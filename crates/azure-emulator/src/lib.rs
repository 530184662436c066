//! A small Azure OpenAI fine-tuning service on a loopback port: both API surfaces, keys and tokens, files, jobs that live by
//! virtual time, deployments, faults on demand and a journal of what was asked. For tests, demos, and a gateway that nobody has
//! configured.
//!
//! Everything that is not documented by Azure and had to be chosen (delays, some error codes, wording of events) is listed in the
//! README.

mod auth;
mod clock;
mod control;
pub mod demo;
mod deployments;
mod fault;
mod files;
mod graders;
mod id;
mod jobs;
mod journal;
mod problem;
mod running;
mod serve;
mod surface;
mod training;
mod uploads;
mod world;

pub use demo::Seed;
pub use fault::{Fault, FaultAction};
pub use journal::Recorded;
pub use running::{Builder, Emulator, Running, environment};

//! Composes policy, limits and protocol into the running data plane. `pipeline.rs` is the path of a call; start there.

mod admin;
mod agent;
mod answering;
mod batch;
mod body;
mod builtin;
mod catalogue;
pub mod config;
mod era;
mod eras;
mod exchange;
mod head;
mod judge;
mod legacy;
mod limits;
mod modern;
mod patience;
mod pipeline;
mod policies;
mod record;
mod refusal;
pub mod rehearsal;
mod relay;
pub mod replay;
mod reply;
mod ruling;
mod server;
mod session;
mod stage;
mod start;
mod tasks;
mod upstream;
mod watch;
mod worker;

pub use policies::PolicyTrouble;
pub use start::{Gateway, Running, StartError};

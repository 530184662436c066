//! The built program, started and signalled as an operator would.
#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod agents;
mod approvals;
mod arguments;
mod audit;
mod bridge;
mod check;
mod connect;
mod documents;
mod drain;
mod explain;
mod finetuning;
mod limits;
mod manage;
mod migrate;
mod pages;
mod program;
mod secrets;
mod serve;
mod simulate;
mod sse;
mod stdio;
mod test;
mod wrap;

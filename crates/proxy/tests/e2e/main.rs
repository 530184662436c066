//! The built program, started and signalled as an operator would.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod arguments;
mod check;
mod drain;
mod program;
mod secrets;
mod serve;

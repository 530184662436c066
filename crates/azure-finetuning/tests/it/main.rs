//! The crate as its users see it: models against recorded answers, the client against small servers on the loopback.
#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod auth;
mod deployments;
mod emulator;
mod files;
mod full_run;
mod jobs;
mod laws;
mod models;
mod others;
mod support;
mod throughput;
mod transport;
mod watch;

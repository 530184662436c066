//! The service as a client over HTTP sees it.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that panics fails, which is what it is for; clippy only knows this of the test functions themselves"
)]

mod access;
mod faults;
mod files;
mod jobs;
mod planes;
mod support;

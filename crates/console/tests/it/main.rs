//! The admin API, asked over its listener, before a gateway that runs in this process.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod agents;
mod approvals;
mod asking;
mod audit;
mod client;
mod credentials;
mod errors;
mod events;
mod files;
mod grants;
mod idempotency;
mod login;
mod pages;
mod policies;
mod relay;
mod routes;
mod servers;
mod sessions;
mod settings;
mod sheet;
mod stack;
mod versions;

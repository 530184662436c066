//! The recorder, the clients and the fixture, tried on each other.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers of tests fail as tests do"
)]

#[cfg(feature = "fixture")]
mod fixture;
mod recorder;

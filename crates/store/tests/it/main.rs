//! The store, each test on both engines. PostgreSQL where `TOOLGATE_TEST_POSTGRES_URL` is set.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod approvals;
mod audit;
mod changes;
mod copies;
mod documents;
mod faults;
mod grants;
mod heard;
mod home;
mod notices;
mod opening;
mod policies;
mod races;
mod relay;
mod samples;
mod single_use;
mod snapshots;
mod tokens;
mod word;

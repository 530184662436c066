//! The store, each test on both engines. PostgreSQL where `TOOLGATE_TEST_POSTGRES_URL` is set.

mod audit;
mod changes;
mod documents;
mod faults;
mod home;
mod opening;
mod policies;
mod relay;
mod samples;
mod single_use;
mod snapshots;
mod tokens;

//! The admin API, asked over its listener, before a gateway that runs in this process.

mod agents;
mod audit;
mod client;
mod errors;
mod events;
mod files;
mod idempotency;
mod login;
mod pages;
mod policies;
mod routes;
mod servers;
mod sessions;
mod stack;
mod versions;

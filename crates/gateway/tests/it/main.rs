//! The proof of the data plane, in process: a gateway on port 0, recording upstreams, policies in a folder of its own.
//! What reached an upstream is what its recorder says; what did not is proved by a call after it that did.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod aggregate;
mod approvals;
mod approvals_wire;
mod audit;
mod canary;
mod credentials;
mod crossing;
mod denials;
mod drain;
mod duplex;
mod envelope;
mod eras;
mod faults;
mod gate;
mod guard;
mod head;
mod health;
mod identity;
mod isolation;
mod laws;
mod legacy;
mod legacy_hand;
mod limits;
mod limits_redis;
mod listener;
mod lists;
mod modern;
mod old_sse;
mod rebuilt;
mod registry;
mod reload;
mod reverse;
mod sessions_redis;
mod signed;
mod smuggling;
mod stdio;
mod streams;
mod tls;
mod to_legacy;
mod to_legacy_input;
mod to_legacy_listen;
mod to_legacy_tasks;
mod to_modern;
mod to_modern_rounds;
mod to_modern_streams;
mod to_modern_tasks;

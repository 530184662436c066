//! The proof of the data plane, in process: a gateway on port 0, recording upstreams, policies in a folder of its own.
//! What reached an upstream is what its recorder says; what did not is proved by a call after it that did.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod canary;
mod crossing;
mod denials;
mod drain;
mod envelope;
mod eras;
mod faults;
mod gate;
mod head;
mod isolation;
mod laws;
mod legacy;
mod legacy_hand;
mod limits;
mod lists;
mod modern;
mod rebuilt;
mod reload;
mod reverse;
mod smuggling;
mod streams;
mod to_legacy;
mod to_legacy_input;
mod to_legacy_listen;
mod to_legacy_tasks;

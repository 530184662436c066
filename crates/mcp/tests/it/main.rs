//! The proof of crate `mcp`: vectors of the threat model, transcripts, laws, mutants against foreign readers, fuzzing.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

mod fuzz;
mod helper;
mod laws;
mod mutants;
mod mutation;
mod reading;
mod rng;
mod transcripts;
mod vectors;

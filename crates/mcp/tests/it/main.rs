//! The proof of crate `mcp`: vectors of the threat model, transcripts, laws, mutants against foreign readers, fuzzing.

mod fuzz;
mod helper;
mod laws;
mod mutants;
mod reading;
mod rng;
mod transcripts;
mod vectors;

//! The tools as an MCP client sees them, before the emulated service.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics fails, which is what it is for; clippy only knows this of the test functions themselves"
)]

mod cancel;
mod defects;
mod dynamic;
mod every_tool;
mod http;
mod settings;
mod support;

//! The Azure OpenAI fine-tuning tools, as an MCP server: seven that people know by name, and one for each operation they lack.
//!
//! `table.rs` has every tool with its class, `tools.rs` the way from a call to an answer. The service is spoken to through
//! `azure-finetuning` alone.

mod args;
mod failure;
mod http;
mod openapi;
mod progress;
mod schema;
mod server;
mod settings;
mod stdio;
mod table;
mod tools;

pub use http::serve_http;
pub use server::FineTuningServer;
pub use settings::{Settings, SettingsError};
pub use stdio::{ServeError, serve_stdio};
pub use table::{Category, Entry, Risk, TOOLS};

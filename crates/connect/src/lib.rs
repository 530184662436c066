//! Edits the configuration of MCP clients: one entry for each server of the gateway, with everything else as it was, a backup before
//! and a way back. What is known of each client stands in `clients.toml`. Knows files and texts; nothing of the gateway or of policies.

mod backup;
mod client;
mod diff;
mod edit;
mod entry;
mod error;
mod file;
mod json;
mod place;
mod toml;

pub use backup::{MAX_BACKUPS, Undo};
pub use client::{Client, Format, clients};
pub use diff::diff;
pub use edit::{Change, edit};
pub use entry::{Entry, Members, Name, Request, Transport, Variable};
pub use error::Error;
pub use file::{ConfigFile, MAX_BYTES};
pub use place::{Os, Place, Surroundings};

//! A server that the API manages: what `[servers.ID]` says in a file.

use serde::{Deserialize, Serialize};

use crate::document::Document;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The keys of `[servers.ID]` but `policy`. Their meaning is not known here.
    pub document: serde_json::Value,
    /// The name of its policy; without one every call is denied.
    pub policy: Option<String>,
    pub enabled: bool,
}

impl Document for Server {
    const KIND: &'static str = "server";
    const MAX: i64 = 10_000;
}

//! Who may call, and what is known of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::document::Document;

/// An unknown member is an error: one that a newer version wrote may be one that restricts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    pub labels: BTreeMap<String, String>,
    /// None: all.
    pub servers: Option<BTreeSet<String>>,
    /// Server to policy: instead of the server's own.
    pub policies: BTreeMap<String, String>,
    pub enabled: bool,
}

impl Document for Agent {
    const KIND: &'static str = "agent";
    const MAX: i64 = 100_000;
}

//! What an upstream server wants to see: sealed before it comes here, so this crate never has the secret. One for each server, and one for each agent at a server.

use serde::{Deserialize, Deserializer, Serialize};

use crate::document::{Document, Owner};
use crate::limits::{self, MAX_NOTE};
use crate::{StoreError, hex};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    pub server: String,
    /// None: for every agent that has none of its own.
    pub agent: Option<String>,
    /// What is sealed: `headers`, `oauth`; its meaning is not known here.
    pub kind: String,
    #[serde(serialize_with = "hex::serialize", deserialize_with = "sealed")]
    pub sealed: Vec<u8>,
    /// What people may see of it.
    pub hint: String,
}

/// What is no hex opens nowhere, and must not keep anything else from being read: nothing was sealed.
fn sealed<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    String::deserialize(from).map(|text| hex::read(&text).unwrap_or_default())
}

impl Document for Credential {
    const KIND: &'static str = "credential";
    const MAX: i64 = 100_000;

    fn alias(&self) -> Option<String> {
        Some(format!("{}\n{}", self.server, self.agent.as_deref().unwrap_or_default())) // no id has a line feed, or is empty
    }

    fn owners(&self) -> [Option<Owner<'_>>; 2] {
        [Some(Owner::Server(&self.server)), self.agent.as_deref().map(Owner::Agent)]
    }

    fn check(&self) -> Result<(), StoreError> {
        limits::id("the server's id", &self.server)?;
        limits::text("the hint", &self.hint, MAX_NOTE)?;
        self.agent.as_deref().map_or(Ok(()), |agent| limits::id("the agent's id", agent))
    }
}

#[cfg(test)]
mod tests {
    use super::Credential;

    #[test]
    fn what_is_no_hex_is_a_credential_that_opens_nowhere() {
        let read = |sealed: &str| {
            let text = format!(r#"{{"server":"s","agent":null,"kind":"headers","sealed":"{sealed}","hint":"x-key"}}"#);
            serde_json::from_str::<Credential>(&text).unwrap().sealed
        };
        assert_eq!(read("00ff"), [0, 255]);
        for bad in ["", "0", "zz", "00ff0g"] {
            assert!(read(bad).is_empty(), "{bad}");
        }
    }
}

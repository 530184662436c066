//! What servers want to see. It is told once, and never shown again.

use http::Method;
use serde_json::{Value, json};

use super::{Client, ClientError, Told, When};
use crate::reply::part;

const COLUMNS: &[&str] = &["id", "server", "agent", "kind", "hint", "created", "updated"];

/// A credential to be.
pub struct NewCredential {
    pub id: String,
    pub server: String,
    /// None: of all agents who have none of their own.
    pub agent: Option<String>,
    pub kind: String,
    /// Not `Debug`.
    pub value: Value,
}

fn at(id: &str) -> String {
    format!("/api/v1/credentials/{}", part(id))
}

impl Client {
    pub async fn credentials(&self) -> Result<Told, ClientError> {
        Ok(Told::table(COLUMNS, self.all("/api/v1/credentials").await?))
    }

    /// Makes it, or puts it in the place of the one of that id.
    pub async fn set_credential(&self, new: &NewCredential) -> Result<Told, ClientError> {
        let NewCredential { id, server, agent, kind, value } = new;
        let put = json!({ "server": server, "agent": agent, "kind": kind, "value": value });
        let there = match self.get(&at(id)).await {
            Ok(there) => there.tag,
            Err(ClientError::Refused { status: 404, .. }) => None,
            Err(error) => return Err(error),
        };
        let when = there.as_deref().map_or(When::New, When::Tag);
        let kept = self.send(Method::PUT, &at(id), when, Some(&put)).await?.body;
        Ok(Told::table(COLUMNS, vec![kept]))
    }

    pub async fn remove_credential(&self, id: &str) -> Result<Told, ClientError> {
        self.remove(&at(id)).await?;
        Ok(Told::line(format!("the credential `{id}` is removed"), json!({ "removed": id })))
    }
}

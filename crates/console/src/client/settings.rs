//! Settings that may change while the gateway runs.

use http::Method;
use serde_json::{Value, json};

use super::{Client, ClientError, Told, When};
use crate::reply::part;

const COLUMNS: &[&str] = &["key", "value", "managed", "in_force", "updated"];

fn at(key: &str) -> String {
    format!("/api/v1/settings/{}", part(key))
}

impl Client {
    pub async fn settings(&self) -> Result<Told, ClientError> {
        Ok(Told::table(COLUMNS, self.all("/api/v1/settings").await?))
    }

    /// `value` is written as in `toolgate.toml`.
    pub async fn set_setting(&self, key: &str, value: &Value) -> Result<Told, ClientError> {
        let there = match self.get(&at(key)).await {
            // What nobody has said is not there yet, and has no tag.
            Ok(there) => there.tag,
            Err(ClientError::Refused { status: 404, .. }) => None,
            Err(error) => return Err(error),
        };
        let when = there.as_deref().map_or(When::New, When::Tag);
        let kept = self.send(Method::PUT, &at(key), when, Some(&json!({ "value": value }))).await?.body;
        Ok(Told::table(COLUMNS, vec![kept]))
    }

    /// Whether or not there was anything to take back.
    pub async fn unset_setting(&self, key: &str) -> Result<Told, ClientError> {
        match self.send(Method::DELETE, &at(key), When::Tag("*"), None).await {
            Ok(_) | Err(ClientError::Refused { status: 404, .. }) => {}
            Err(error) => return Err(error),
        }
        // What is none at all is told as that.
        let now = match self.get(&at(key)).await {
            Ok(there) => there.body,
            Err(ClientError::Refused { status: 404, .. }) => {
                return Ok(Told::line(format!("`{key}` is not kept"), Value::Null));
            }
            Err(error) => return Err(error),
        };
        Ok(Told::table(COLUMNS, vec![now]))
    }
}

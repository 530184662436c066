//! Policies and their versions.

use http::Method;
use serde_json::{Value, json};

use super::{Client, ClientError, Told, When};
use crate::reply::part;

const COLUMNS: &[&str] = &["name", "active", "latest", "hash", "managed", "updated"];
const VERSIONS: &[&str] = &["number", "hash", "author", "created", "note"];

fn at(name: &str) -> String {
    format!("/api/v1/policies/{}", part(name))
}

impl Client {
    pub async fn policies(&self) -> Result<Told, ClientError> {
        Ok(Told::table(COLUMNS, self.all("/api/v1/policies").await?))
    }

    /// A policy and its versions; or the text of one of them.
    pub async fn policy(&self, name: &str, version: Option<i64>) -> Result<Told, ClientError> {
        if let Some(version) = version {
            let version = self.get(&format!("{}/versions/{version}", at(name))).await?.body;
            let text = version.get("text").and_then(Value::as_str).unwrap_or_default().trim_end().to_owned();
            return Ok(Told::line(text, version));
        }
        let policy = self.get(&at(name)).await?.body;
        let of_file = policy.pointer("/managed/by").and_then(Value::as_str) == Some("file");
        let versions = if of_file { Vec::new() } else { self.all(&format!("{}/versions", at(name))).await? };
        let json = json!({ "policy": policy, "versions": versions });
        let versions = Told::table(VERSIONS, versions).text();
        Ok(Told::table(COLUMNS, vec![policy]).after(format!("\n{}", versions.trim_end()), json))
    }

    /// A new version, which judges calls at once.
    pub async fn put_policy(
        &self,
        name: &str,
        text: &str,
        catalogue: Option<&str>,
        note: &str,
    ) -> Result<Told, ClientError> {
        let put = json!({ "text": text, "catalogue": catalogue, "note": note });
        let tag = match self.get(&at(name)).await {
            Ok(answer) => answer.tag,
            Err(ClientError::Refused { status: 404, .. }) => None,
            Err(error) => return Err(error),
        };
        let when = tag.as_deref().map_or(When::New, When::Tag);
        let made = self.send(Method::PUT, &at(name), when, Some(&put)).await?.body;
        Ok(Told::table(COLUMNS, vec![made]))
    }

    pub async fn activate(&self, name: &str, version: i64) -> Result<Told, ClientError> {
        let tag = self.get(&at(name)).await?.tag.unwrap_or_default();
        let body = json!({ "version": version });
        let done = self.send(Method::POST, &format!("{}/activate", at(name)), When::Tag(&tag), Some(&body)).await?.body;
        Ok(Told::table(COLUMNS, vec![done]))
    }

    pub async fn diff_policy(&self, name: &str, from: i64, to: i64) -> Result<Told, ClientError> {
        let diff = self.get(&format!("{}/diff?from={from}&to={to}", at(name))).await?.body;
        let text = diff.get("text").and_then(Value::as_str).unwrap_or_default().trim_end().to_owned();
        Ok(Told::line(text, diff))
    }

    pub async fn remove_policy(&self, name: &str) -> Result<Told, ClientError> {
        self.remove(&at(name)).await?;
        Ok(Told::line(format!("the policy `{name}` is removed"), json!({ "removed": name })))
    }
}

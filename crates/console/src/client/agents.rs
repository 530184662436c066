//! Agents and their tokens.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde_json::{Value, json};

use super::{Client, ClientError, Told, When};
use crate::reply::part;

const COLUMNS: &[&str] = &["id", "enabled", "servers", "labels", "policies", "managed"];
const TOKENS: &[&str] = &["id", "prefix", "label", "created", "expires", "revoked", "replaced_by"];

/// An agent to be.
#[derive(Clone, Debug, Default)]
pub struct NewAgent {
    pub id: String,
    pub labels: BTreeMap<String, String>,
    /// None: all.
    pub servers: Option<BTreeSet<String>>,
    /// By server.
    pub policies: BTreeMap<String, String>,
    /// How long its token is good.
    pub expires_in: Option<String>,
}

fn at(id: &str) -> String {
    format!("/api/v1/agents/{}", part(id))
}

impl Client {
    pub async fn agents(&self) -> Result<Told, ClientError> {
        Ok(Told::table(COLUMNS, self.all("/api/v1/agents").await?))
    }

    /// An agent and its first token, which is seen here and nowhere else.
    pub async fn add_agent(&self, new: &NewAgent) -> Result<Told, ClientError> {
        let NewAgent { id, labels, servers, policies, expires_in } = new;
        let agent = json!({ "labels": labels, "servers": servers, "policies": policies });
        self.send(Method::PUT, &at(id), When::New, Some(&agent)).await?;
        self.give_token(id, &json!({ "label": "first", "expires_in": expires_in })).await
    }

    async fn give_token(&self, id: &str, post: &Value) -> Result<Told, ClientError> {
        let made = self.send(Method::POST, &format!("{}/tokens", at(id)), When::Always, Some(post)).await?.body;
        Ok(given(made))
    }

    pub async fn agent(&self, id: &str) -> Result<Told, ClientError> {
        let agent = self.get(&at(id)).await?.body;
        let of_file = agent.pointer("/managed/by").and_then(Value::as_str) == Some("file");
        let tokens = if of_file { Vec::new() } else { self.all(&format!("{}/tokens", at(id))).await? };
        let json = json!({ "agent": agent, "tokens": tokens });
        let agent = Told::table(COLUMNS, vec![agent]);
        let tokens = Told::table(TOKENS, tokens).text();
        Ok(agent.after(format!("\n{}", tokens.trim_end()), json))
    }

    /// Replaces a token; the agent's only good one, when none is named.
    pub async fn rotate(
        &self,
        id: &str,
        token: Option<&str>,
        overlap: &str,
        expires_in: Option<&str>,
    ) -> Result<Told, ClientError> {
        let token = match token {
            Some(token) => token.to_owned(),
            None => self.only_token(id).await?,
        };
        let path = format!("{}/tokens/{}/rotate", at(id), part(&token));
        let post = json!({ "overlap": overlap, "expires_in": expires_in });
        let made = self.send(Method::POST, &path, When::Always, Some(&post)).await?.body;
        // INVARIANT: whatever happens to this question, the new token is shown
        let old = self.get(&format!("{}/tokens/{}", at(id), part(&token))).await.ok();
        let until = old.as_ref().and_then(|old| old.body.get("expires")).and_then(Value::as_str);
        let until = until.map_or_else(|| format!("for {overlap}"), |until| format!("until {until}"));
        Ok(given(made).beside(format!(
            "the old token {token} is good {until}; to end it: toolgate agents revoke {id} --token {token}"
        )))
    }

    async fn only_token(&self, id: &str) -> Result<String, ClientError> {
        let tokens = self.all(&format!("{}/tokens", at(id))).await?;
        let mut good = tokens.iter().filter(|token| ["revoked", "replaced_by"].iter().all(|end| token[*end].is_null()));
        match (good.next().and_then(|token| token["id"].as_str()), good.next()) {
            (Some(token), None) => Ok(token.to_owned()),
            (Some(_), Some(_)) => Err(which(id, "has several tokens: say which one, by --token")),
            (None, _) => Err(which(id, "has no token that could be replaced")),
        }
    }

    /// Revokes one token, or all of them: it works no longer from the next request on.
    pub async fn revoke(&self, id: &str, token: Option<&str>) -> Result<Told, ClientError> {
        let tokens = match token {
            Some(token) => vec![token.to_owned()],
            None => {
                let all = self.all(&format!("{}/tokens", at(id))).await?;
                let good = all.iter().filter(|token| token["revoked"].is_null());
                good.filter_map(|token| token["id"].as_str().map(str::to_owned)).collect()
            }
        };
        let mut revoked = Vec::new();
        for token in tokens {
            revoked.push(self.remove(&format!("{}/tokens/{}", at(id), part(&token))).await?.body);
        }
        Ok(Told::table(TOKENS, revoked))
    }

    pub async fn remove_agent(&self, id: &str) -> Result<Told, ClientError> {
        self.remove(&at(id)).await?;
        Ok(Told::line(
            format!("the agent `{id}` is removed, and none of its tokens works any more"),
            json!({ "removed": id }),
        ))
    }
}

fn which(id: &str, why: &str) -> ClientError {
    let detail = format!("`{id}` {why}");
    ClientError::Refused { status: 409, code: "which_token".to_owned(), detail, errors: Vec::new() }
}

/// The token alone on the last line, to be taken from there.
fn given(made: Value) -> Told {
    let text = |member: &str| made.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    let until = match text("expires").as_str() {
        "" => String::new(),
        expires => format!(", good until {expires}"),
    };
    let said = format!(
        "token {} of `{}`{until}; this is the only time it is shown:\n{}",
        text("id"),
        text("agent"),
        text("token")
    );
    Told::line(said, made)
}

//! Admins, and what lets them in.

use http::Method;
use serde_json::{Value, json};

use super::{Client, ClientError, Told, When};
use crate::Role;
use crate::reply::part;

const COLUMNS: &[&str] = &["name", "role", "groups", "enabled", "created"];

fn at(name: &str) -> String {
    format!("/api/v1/admins/{}", part(name))
}

impl Client {
    pub async fn admins(&self) -> Result<Told, ClientError> {
        Ok(Told::table(COLUMNS, self.all("/api/v1/admins").await?))
    }

    /// An admin, and a link that lets them in once; with `token`, a token for programs instead.
    pub async fn add_admin(&self, name: &str, role: Role, groups: &[String], token: bool) -> Result<Told, ClientError> {
        self.send(Method::PUT, &at(name), When::New, Some(&json!({ "role": role, "groups": groups }))).await?;
        self.let_in(name, token).await
    }

    /// A link that lets an admin in once; with `token`, a token for programs instead.
    pub async fn let_in(&self, name: &str, token: bool) -> Result<Told, ClientError> {
        let (what, post) = if token { ("tokens", json!({ "label": "first" })) } else { ("links", json!({})) };
        let made = self.send(Method::POST, &format!("{}/{what}", at(name)), When::Always, Some(&post)).await?.body;
        let text = |member: &str| made.get(member).and_then(Value::as_str).unwrap_or_default();
        if token {
            let aside = format!("a token of `{name}`; this is the only time it is shown:");
            return Ok(Told::line(text("token"), made.clone()).beside(aside));
        }
        let link = self.base.join(text("path")).map(String::from).unwrap_or_default();
        let said = format!("a link that lets `{name}` in once, until {}:\n{link}", text("expires"));
        Ok(Told::line(said, made))
    }

    /// Changes what is said, and leaves the rest as it is.
    pub async fn set_admin(
        &self,
        name: &str,
        role: Option<Role>,
        groups: Option<&[String]>,
        enabled: Option<bool>,
    ) -> Result<Told, ClientError> {
        let there = self.get(&at(name)).await?;
        let is = |member: &str| there.body.get(member).cloned().unwrap_or_default();
        let put = json!({
            "role": role.map_or_else(|| is("role"), |role| json!(role)),
            "groups": groups.map_or_else(|| is("groups"), |groups| json!(groups)),
            "enabled": enabled.map_or_else(|| is("enabled"), Value::Bool),
        });
        let tag = there.tag.unwrap_or_default();
        let made = self.send(Method::PUT, &at(name), When::Tag(&tag), Some(&put)).await?.body;
        Ok(Told::table(COLUMNS, vec![made]))
    }

    pub async fn remove_admin(&self, name: &str) -> Result<Told, ClientError> {
        self.remove(&at(name)).await?;
        Ok(Told::line(format!("the admin `{name}` is removed"), json!({ "removed": name })))
    }
}

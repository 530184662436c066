//! Servers.

use http::Method;
use serde_json::{Value, json};

use super::{Client, ClientError, Told, When};
use crate::reply::part;

const COLUMNS: &[&str] = &["id", "enabled", "policy", "managed", "created"];

fn at(id: &str) -> String {
    format!("/api/v1/servers/{}", part(id))
}

impl Client {
    pub async fn servers(&self) -> Result<Told, ClientError> {
        Ok(Told::table(COLUMNS, self.all("/api/v1/servers").await?))
    }

    pub async fn server(&self, id: &str) -> Result<Told, ClientError> {
        let server = self.get(&at(id)).await?.body;
        let health = self.get(&format!("{}/health", at(id))).await?.body;
        let json = json!({ "server": server, "health": health });
        let document = format!("{:#}", server.get("document").unwrap_or(&Value::Null));
        let doing = health.get("health").and_then(Value::as_str).unwrap_or("not known");
        Ok(Told::table(COLUMNS, vec![server]).after(format!("health  {doing}\n{document}"), json))
    }

    /// `document` has the keys of `[servers.ID]`.
    pub async fn add_server(&self, id: &str, document: &Value, policy: Option<&str>) -> Result<Told, ClientError> {
        let put = json!({ "document": document, "policy": policy });
        let made = self.send(Method::PUT, &at(id), When::New, Some(&put)).await?.body;
        Ok(Told::table(COLUMNS, vec![made]))
    }

    pub async fn remove_server(&self, id: &str) -> Result<Told, ClientError> {
        self.remove(&at(id)).await?;
        Ok(Told::line(format!("the server `{id}` is removed"), json!({ "removed": id })))
    }
}

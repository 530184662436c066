//! Secrets in the documents of servers: never shown, and not lost when what was shown comes back.

use serde_json::Value;

use crate::problem::Problem;

/// Stands for a value that may be a secret.
const MASK: &str = "***";

/// Members of a server's document, and of what it says of an agent, whose values may be secrets.
const TABLES: [&str; 2] = ["headers", "env"];

/// Members that say who gets to see them.
const TARGETS: [&str; 6] = ["url", "command", "builtin", "resolve", "tls", "transport"];

/// A client's secret, and who gets to see that.
const CLIENT: (&str, &str) = ("/oauth/client_secret", "/oauth/token_url");

/// A value that may be a secret, by JSON Pointer.
struct Secret {
    at: String,
    /// What says who gets to see it, if it is not the document's own address.
    target: Option<String>,
}

/// The document without what may be secret: values of headers and of variables and clients' secrets, but not the place where they are to
/// be found.
pub(crate) fn masked(document: &Value) -> Value {
    let mut shown = document.clone();
    for Secret { at, .. } in secrets(document) {
        if let Some(value) = shown.pointer_mut(&at) {
            *value = MASK.into();
        }
    }
    if let Some(Value::String(url)) = shown.get_mut("url") {
        *url = url_masked(url);
    }
    shown
}

/// Puts the values that are there in the place of their masks. A mask of nothing is refused: it is no value that anybody meant.
/// Nor is one taken along to another server: whoever may change where it is could have it sent anywhere, and read it there.
pub(crate) fn restore(document: &mut Value, there: Option<&Value>) -> Result<(), Problem> {
    if let Some(Value::String(url)) = document.get_mut("url")
        && url.contains(MASK)
    {
        let known = there.and_then(|there| there.get("url")?.as_str()).filter(|known| url_masked(known) == *url);
        let none =
            || Problem::invalid("/document/url", "has a mask in it that is not that of the address that is there");
        *url = known.ok_or_else(none)?.to_owned();
    }
    let there = there.filter(|there| TARGETS.iter().all(|target| there.get(*target) == document.get(*target)));
    for Secret { at, target } in secrets(document) {
        if document.pointer(&at).and_then(Value::as_str) != Some(MASK) {
            continue;
        }
        let there =
            there.filter(|there| target.is_none_or(|target| there.pointer(&target) == document.pointer(&target)));
        let known = there.and_then(|there| there.pointer(&at)).filter(|known| known.is_string()).cloned();
        if let Some(value) = document.pointer_mut(&at) {
            let why = "is masked, and for this address or command there is no value yet";
            *value = known.ok_or_else(|| Problem::invalid(&format!("/document{at}"), why))?;
        }
    }
    Ok(())
}

/// All that may be secret, wherever it stands.
fn secrets(document: &Value) -> Vec<Secret> {
    let mut found = secrets_below("", document);
    for (agent, own) in members(document.get("agents")) {
        found.extend(secrets_below(&format!("/agents/{}", escaped(agent)), own));
    }
    found
}

fn secrets_below(above: &str, table: &Value) -> Vec<Secret> {
    let in_table = |name: &&'static str| {
        let values = members(table.get(*name)).filter(|(_, value)| value.is_string());
        values.map(|(key, _)| format!("{above}/{name}/{}", escaped(key))).collect::<Vec<_>>()
    };
    let mut found: Vec<Secret> = TABLES.iter().flat_map(in_table).map(|at| Secret { at, target: None }).collect();
    let (secret, target) = CLIENT;
    if table.pointer(secret).is_some_and(Value::is_string) {
        found.push(Secret { at: format!("{above}{secret}"), target: Some(format!("{above}{target}")) });
    }
    found
}

fn members(table: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    table.and_then(Value::as_object).into_iter().flatten()
}

/// As part of a JSON Pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// User information and queries hold passwords and keys.
fn url_masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (rest, query) = match rest.split_once(['?', '#']) {
        Some((rest, _)) => (rest, "?***"),
        None => (rest, ""),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}{path}{query}"),
        None => format!("{scheme}://{authority}{path}{query}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{masked, restore};

    #[test]
    fn what_may_be_secret_is_not_shown_and_not_lost() {
        let there = json!({
            "url": "https://u:canary-1@h/mcp?key=canary-2",
            "headers": { "Authorization": "canary-3", "X": { "file": "/run/secret" } },
            "env": { "TOKEN": "canary-4" },
            "oauth": { "token_url": "https://id/t", "client_id": "gate", "client_secret": "canary-5" },
            "agents": {
                "a/~b": { "headers": { "Authorization": "canary-6", "Y": { "env": "NAME" } } },
                "c": { "oauth": { "token_url": "https://id/t", "client_id": "c", "client_secret": "canary-7" } },
                "d": { "oauth": { "client_secret": { "file": "/run/secret" } } },
            },
        });
        let mut shown = masked(&there);
        assert!(!shown.to_string().contains("canary"), "{shown}");
        assert_eq!(shown["headers"]["X"]["file"], "/run/secret");
        restore(&mut shown, Some(&there)).unwrap();
        assert_eq!(shown, there);
        let mut other = json!({ "headers": { "Cookie": "***" } });
        assert!(restore(&mut other, Some(&there)).is_err());
        // A mask does not carry a password to another host.
        let mut moved = json!({ "url": "https://***@evil/mcp?***" });
        assert!(restore(&mut moved, Some(&there)).is_err());
        let mut moved = json!({ "url": "https://evil/", "headers": { "Authorization": "***" } });
        assert!(restore(&mut moved, Some(&there)).is_err());
    }

    #[test]
    fn a_secret_stays_where_it_was_given_to() {
        let there = json!({
            "url": "https://h/mcp",
            "headers": { "X": "canary-1" },
            "oauth": { "token_url": "https://id/t", "client_id": "gate", "client_secret": "canary-2" },
            "agents": { "a": {
                "headers": { "X": "canary-3" },
                "oauth": { "token_url": "https://id/t", "client_id": "a", "client_secret": "canary-4" },
            } },
        });
        let shown = masked(&there);
        assert!(!shown.to_string().contains("canary"), "{shown}");
        let elsewhere = |at: &str, value: serde_json::Value| {
            let mut moved = shown.clone();
            let (above, key) = at.rsplit_once('/').unwrap();
            moved.pointer_mut(above).unwrap()[key] = value;
            format!("{:?}", restore(&mut moved, Some(&there)))
        };
        assert_eq!(elsewhere("/networks", json!(["10.0.0.0/8"])), "Ok(())");
        for (at, value) in [
            ("/url", json!("https://evil/mcp")),
            ("/resolve", json!({ "h": "192.0.2.1" })),
            ("/tls", json!({ "server_name": "evil" })),
            ("/transport", json!("sse")),
            ("/oauth/token_url", json!("https://evil/t")),
            ("/agents/a/oauth/token_url", json!("https://evil/t")),
        ] {
            let refused = elsewhere(at, value);
            assert!(refused.contains("is masked") && !refused.contains("canary"), "{at}: {refused}");
        }
    }
}

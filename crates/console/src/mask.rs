//! Secrets in the documents of servers: never shown, and not lost when what was shown comes back.

use serde_json::Value;

use crate::problem::Problem;

/// Stands for a value that may be a secret.
const MASK: &str = "***";

/// Members of a server's document whose values may be secrets.
const TABLES: [&str; 2] = ["headers", "env"];

/// Members that say who gets to see them.
const TARGETS: [&str; 3] = ["url", "command", "builtin"];

/// The document without what may be secret: values of headers and of variables, but not the place where they are to be found.
pub(crate) fn masked(document: &Value) -> Value {
    let mut shown = document.clone();
    for table in TABLES {
        for value in shown.get_mut(table).into_iter().flat_map(values).filter(|value| value.is_string()) {
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
    for table in TABLES {
        let Some(Value::Object(values)) = document.get_mut(table) else { continue };
        for (name, value) in values {
            if value.as_str() != Some(MASK) {
                continue;
            }
            let known = there.and_then(|there| there.get(table)?.get(name)).filter(|known| known.is_string());
            let none = || {
                Problem::invalid(
                    &format!("/document/{table}/{name}"),
                    "is masked, and for this address or command there is no value yet",
                )
            };
            *value = known.ok_or_else(none)?.clone();
        }
    }
    Ok(())
}

fn values(table: &mut Value) -> impl Iterator<Item = &mut Value> {
    table.as_object_mut().into_iter().flat_map(|table| table.values_mut())
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
}

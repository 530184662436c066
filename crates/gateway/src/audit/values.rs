//! The values of arguments that a policy wants on record, and nothing that looks like a secret.

use mcp::Object;
use policy::Recorded;
use serde_json::Value;
use serde_json::value::RawValue;

/// Values of one record.
const MAX_VALUES: usize = 32;

/// Bytes of one of them.
const MAX_VALUE: usize = 1 << 10;

/// A value that is longer is not even looked at.
const MAX_READ: usize = 64 << 10;

const REDACTED: &str = "[redacted]";

/// What the names of secrets have in them, in lower case and without anything between letters.
const SECRET_KEYS: [&str; 12] = [
    "accesskey",
    "apikey",
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "token",
];

/// How secrets themselves begin, of those that say what they are.
const SECRET_TEXTS: [&str; 8] = ["-----BEGIN", "Basic ", "Bearer ", "eyJ", "ghp_", "github_pat_", "sk-", "tg_"];

/// Those that are there, as the members of a JSON object, by path.
pub(super) fn values(wanted: &[&Recorded], arguments: &RawValue) -> Vec<(String, String)> {
    let told = |recorded: &&Recorded| Some((recorded.path().to_owned(), told(recorded, find(recorded, arguments)?)));
    wanted.iter().take(MAX_VALUES).filter_map(told).collect()
}

fn find<'a>(recorded: &Recorded, arguments: &'a RawValue) -> Option<&'a RawValue> {
    recorded.keys().iter().try_fold(arguments, |value, key| Object::read(value.get())?.get(key))
}

/// JSON text, short enough.
fn told(recorded: &Recorded, value: &RawValue) -> String {
    if recorded.keys().iter().any(|key| is_secret(key)) {
        return mcp::string(REDACTED);
    }
    let length = value.get().len();
    if length > MAX_READ {
        return mcp::string(&format!("[{length} bytes]"));
    }
    let Ok(mut value) = serde_json::from_str::<Value>(value.get()) else { return mcp::string("[too deep]") };
    redact(&mut value);
    let text = value.to_string();
    match (text.len() > MAX_VALUE, value) {
        (false, _) => text,
        (true, Value::String(words)) => mcp::string(&cut(&words)),
        (true, _) => mcp::string(&cut(&text)),
    }
}

fn cut(text: &str) -> String {
    format!("{}…", text.get(..text.floor_char_boundary(MAX_VALUE)).unwrap_or_default())
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match is_secret(key) {
                    true => *value = REDACTED.into(),
                    false => redact(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::String(text) if SECRET_TEXTS.iter().any(|start| text.trim_start().starts_with(start)) => {
            *text = REDACTED.to_owned();
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_secret(key: &str) -> bool {
    let plain: String = key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    plain == "auth" || SECRET_KEYS.iter().any(|secret| plain.contains(secret))
}

#[cfg(test)]
mod tests {
    use policy::{Policy, Subject};
    use serde_json::json;

    use super::*;

    /// What a record says under a policy that wants these.
    #[track_caller]
    fn check(record: Value, arguments: &Value, expected: Value) {
        let policy = json!({ "version": "1", "tools": { "t": { "record": record } } }).to_string();
        let policy = Policy::parse("policy.json", &policy).unwrap();
        let arguments = RawValue::from_string(arguments.to_string()).unwrap();
        let found = values(&policy.recorded(Subject::Tool("t")), &arguments);
        let found = found.into_iter().map(|(path, text)| (path, serde_json::from_str(&text).unwrap()));
        assert_eq!(Value::Object(found.collect()), expected);
    }

    #[test]
    fn what_is_wanted_is_told_and_nothing_else() {
        let arguments =
            json!({ "model": "m", "to": { "name": "n", "age": 7 }, "odd.key": [1, true, null], "other": "canary" });
        let told = json!({ "args.model": "m", "args.to.name": "n", "args[\"odd.key\"]": [1, true, null] });
        check(
            json!(["args.model", "args.to.name", "args[\"odd.key\"]", "args.none", "args.model.deeper"]),
            &arguments,
            told,
        );
    }

    #[test]
    fn what_looks_like_a_secret_is_never_told() {
        let secrets = json!({
            "password": "canary", "API-Key": "canary", "x": { "clientSecret": "canary", "name": "n", "auth": 1 },
            "list": [{ "access_token": "canary" }, "Bearer canary", "sk-canary"],
        });
        check(
            json!(["args.password", "args[\"API-Key\"]", "args.x", "args.list", "args.x.clientSecret"]),
            &secrets,
            json!({
                "args.password": "[redacted]", "args.API-Key": "[redacted]", "args.x.clientSecret": "[redacted]",
                "args.x": { "clientSecret": "[redacted]", "name": "n", "auth": "[redacted]" },
                "args.list": [{ "access_token": "[redacted]" }, "[redacted]", "[redacted]"],
            }),
        );
    }

    #[test]
    fn a_record_stays_short() {
        let long = "ä".repeat(700);
        let arguments = json!({ "text": long, "list": vec![1; 2000], "huge": "x".repeat(70_000) });
        check(
            json!(["args.text", "args.list", "args.huge"]),
            &arguments,
            json!({
                "args.text": format!("{}…", "ä".repeat(512)),
                "args.list": format!("[{}…", "1,".repeat(600)).get(..1024).unwrap().to_owned() + "…",
                "args.huge": "[70002 bytes]",
            }),
        );
    }
}

//! Whatever the file says, it says it afterwards.

use std::path::Path;

use connect::{Change, edit};
use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::{client, request};

fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]", Just("toolgate".to_owned()), Just("mcpServers".to_owned()), ".{0,4}"]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map(key(), value(), 0..4).prop_map(|map| map.into_iter().collect())
}

const MARK: &str = " //#";

/// As people write it: with comments between any two lines.
fn commented(text: &str, comment: &str) -> String {
    text.lines().map(|line| format!("{line}{MARK}{comment}\n")).collect()
}

proptest! {
    #[test]
    fn json_says_the_same_apart_from_the_entry(mut file in object(), servers in object(), comment in "[a-z ]{0,5}", is_pretty: bool) {
        file.insert("mcpServers".to_owned(), Value::Object(servers));
        let file = Value::Object(file);
        let text = if is_pretty { commented(&format!("{file:#}"), &comment) } else { file.to_string() };
        let client = client("cursor");
        let set = request(&[]).entries(&client).unwrap().into_iter().map(Change::Set).collect::<Vec<_>>();
        let there = edit(&client, Path::new("f"), Some(&text), &set).unwrap();
        if file["mcpServers"].get("toolgate").is_none() {
            prop_assert_eq!(there.matches(MARK).count(), text.matches(MARK).count(), "{}", there);
        }
        let gone = edit(&client, Path::new("f"), Some(&there), &[Change::Remove("toolgate".parse().unwrap())]).unwrap();
        let mut expected = file.clone();
        expected["mcpServers"].as_object_mut().unwrap().remove("toolgate");
        let gone: Value = jsonc_value(&gone);
        prop_assert_eq!(gone, expected);
    }

    #[test]
    fn no_text_makes_it_panic_or_change_twice(text in "[\\[\\]{}\"':,=#/*a\\n \\r.]{0,24}", id in prop_oneof![Just("cursor"), Just("codex")]) {
        let client = client(id);
        let set = request(&[]).entries(&client).unwrap().into_iter().map(Change::Set).collect::<Vec<_>>();
        if let Ok(once) = edit(&client, Path::new("f"), Some(&text), &set) {
            prop_assert_eq!(&edit(&client, Path::new("f"), Some(&once), &set).unwrap(), &once);
        }
    }
}

fn jsonc_value(text: &str) -> Value {
    let lines = text.lines().map(|line| line.rsplit_once(MARK).map_or(line, |(before, _)| before));
    serde_json::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap()
}

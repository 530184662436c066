//! The commands that compare, lay out and describe policies: `diff`, `fmt`, `schema`.

use crate::program::{run, toolgate};

const OLD: &str = r#"{ "version": "1", "tools": { "read": {}, "refund": { "require": [{ "conditions": [{ "path": "args.amount", "op": "lte", "value": 100 }] }] } } }"#;
const NEW: &str = r#"{ "version": "1", "tools": { "read": "require_approval", "refund": { "require": [{ "conditions": [{ "path": "args.amount", "op": "lte", "value": 150 }] }] } } }"#;

fn with(files: &[(&str, &str)], args: &[&str]) -> (i32, String, String, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let (code, stdout, stderr) = run(&mut toolgate(folder.path(), args));
    let after = files.iter().map(|(name, _)| std::fs::read_to_string(folder.path().join(name)).unwrap()).collect();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), files.len(), "nothing is left behind");
    (code, stdout, stderr, after)
}

#[test]
fn a_wider_policy_fails_where_that_is_asked() {
    let files = [("old.json", OLD), ("new.json", NEW)];
    let (code, stdout, stderr, _) = with(&files, &["diff", "old.json", "new.json"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    insta::assert_snapshot!(stdout);
    assert_eq!(with(&files, &["diff", "old.json", "new.json", "--fail-on", "widen"]).0, 1);
    assert_eq!(with(&files, &["diff", "old.json", "old.json", "--fail-on", "change"]).0, 0);
    let narrower = [("old.json", OLD), ("new.json", r#"{ "version": "1", "tools": { "read": {} } }"#)];
    assert_eq!(with(&narrower, &["diff", "old.json", "new.json", "--fail-on", "widen"]).0, 0);
    assert_eq!(with(&narrower, &["diff", "old.json", "new.json", "--fail-on", "change"]).0, 1);
}

#[test]
fn programs_get_the_difference_as_json() {
    let (code, stdout, ..) =
        with(&[("old.json", OLD), ("new.json", NEW)], &["diff", "old.json", "new.json", "--format", "json"]);
    let diff: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &diff["widens"], &diff["unknown"]), (0, &true.into(), &serde_json::json!([])));
}

#[test]
fn a_bad_policy_is_compared_with_nothing() {
    let (code, stdout, stderr, _) = with(&[("old.json", OLD), ("new.json", "{}")], &["diff", "old.json", "new.json"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("policy::missing_key"), "{stderr}");
}

const UGLY: &str = "{ \"version\" : \"1\", // one\n\n\n\"tools\":{\"a\":{  }}}";
const NEAT: &str = "{\n  \"version\": \"1\", // one\n\n  \"tools\": { \"a\": {} }\n}\n";

#[test]
fn files_are_laid_out() {
    let (code, stdout, stderr, after) = with(&[("p.json", UGLY)], &["fmt", "--check", "p.json"]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (1, "p.json: not in the layout of `toolgate fmt`\n", ""));
    assert_eq!(after, [UGLY]);
    let (code, stdout, stderr, after) = with(&[("p.json", UGLY)], &["fmt", "p.json"]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "", ""));
    assert_eq!(after, [NEAT]);
    assert_eq!(with(&[("p.json", NEAT)], &["fmt", "--check", "p.json"]).0, 0);
}

#[test]
fn what_is_no_policy_text_stays_as_it_is() {
    let (code, stdout, stderr, after) = with(&[("bad.json", "{"), ("p.json", UGLY)], &["fmt", "bad.json", "p.json"]);
    assert_eq!((code, stdout.as_str(), after[0].as_str(), after[1].as_str()), (1, "", "{", NEAT));
    assert!(stderr.contains("policy::syntax"), "{stderr}");
    assert_eq!(with(&[], &["fmt", "none.json"]).0, 3);
}

#[test]
fn shipped_policies_are_laid_out() {
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let folders = std::fs::read_dir(shipped).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.flat_map(|folder| ["policy.json", "catalog.json"].map(|name| folder.join(name)));
    let files = files.filter(|file| file.exists()).map(|file| file.display().to_string()).collect::<Vec<_>>();
    let files = files.iter().map(String::as_str).collect::<Vec<_>>();
    assert!(files.len() >= 4);
    let (code, stdout, stderr, _) = with(&[], &[&["fmt", "--check"], files.as_slice()].concat());
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "", ""));
}

#[test]
fn the_schemas_are_the_published_ones() {
    let published = |name: &str| {
        std::fs::read_to_string(format!("{}/../../docs/schema/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    assert_eq!(with(&[], &["schema"]).1, published("policy.v1.schema.json"));
    assert_eq!(with(&[], &["schema", "--catalog"]).1, published("catalog.v1.schema.json"));
}

//! `toolgate check`.

use crate::program::{run, toolgate};

const GOOD: &str = r#"{ "version": "1", "tools": { "get_issue": {} } }"#;
const BAD: &str = r#"{ "version": "1", "tols": {}, "default": "maybe" }"#;

/// Checks these files, written into a folder: exit code, stdout, stderr.
fn check(files: &[(&str, &str)], args: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    run(&mut toolgate(folder.path(), &[&["check"], args].concat()))
}

#[test]
fn a_good_policy_is_ok() {
    assert_eq!(check(&[("p.json", GOOD)], &["p.json"]), (0, "p.json: ok\n".to_owned(), String::new()));
}

#[test]
fn all_errors_of_all_files_are_shown() {
    let (code, stdout, stderr) = check(&[("good.json", GOOD), ("bad.json", BAD)], &["bad.json", "good.json"]);
    assert_eq!((code, stdout.as_str()), (1, "bad.json: 2 errors\ngood.json: ok\n"));
    for shown in ["policy::unknown_key", "bad.json:1:19", "policy::unknown_value", "did you mean"] {
        assert!(stderr.contains(shown), "no {shown} in {stderr}");
    }
}

#[test]
fn programs_get_json() {
    let (code, stdout, stderr) = check(&[("bad.json", BAD)], &["--format", "json", "bad.json"]);
    assert_eq!((code, stderr.as_str()), (1, ""));
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report.pointer("/0/file").unwrap(), "bad.json");
    assert_eq!(report.pointer("/0/ok").unwrap(), false);
    assert_eq!(report.pointer("/0/errors/0/code").unwrap(), "policy::unknown_key");
    assert_eq!(report.pointer("/0/errors/0/column").unwrap(), 19);
}

#[test]
fn what_cannot_be_read_is_a_runtime_error() {
    let (code, stdout, stderr) = check(&[], &["none.json"]);
    assert_eq!((code, stdout.as_str()), (3, ""));
    assert_eq!(stderr, "error: cannot read `none.json`: No such file or directory (os error 2)\n");
}

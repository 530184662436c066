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

const ODD: &str =
    "{ \"version\": \"1\",\n  \"tools\": { \"é, x\": { \"action\": \"deny\", \"rate_limit\": \"5/minute\" } } }";

#[test]
fn the_others_are_checked_when_one_cannot_be_read() {
    let (code, stdout, stderr) = check(&[("good.json", GOOD)], &["none.json", "good.json"]);
    assert_eq!((code, stdout.as_str()), (3, "good.json: ok\n"));
    assert!(stderr.starts_with("error: cannot read `none.json`"), "{stderr}");
}

#[test]
fn warnings_fail_when_they_are_denied() {
    let (code, stdout, _) = check(&[("odd.json", ODD)], &["odd.json"]);
    assert_eq!((code, stdout.as_str()), (0, "odd.json: ok, 2 warnings\n"));
    let (code, stdout, _) = check(&[("odd.json", ODD)], &["--deny", "warnings", "odd.json"]);
    assert_eq!((code, stdout.as_str()), (1, "odd.json: ok, 2 warnings\n"));
    let notes = r#"{ "version": "1", "tools": { "a": { "rules": [{ "rate_limit": "5/minute" }] } } }"#;
    let (code, stdout, _) = check(&[("notes.json", notes)], &["--deny", "warnings", "notes.json"]);
    assert_eq!((code, stdout.as_str()), (0, "notes.json: ok, 1 note\n"));
}

#[test]
fn code_scanners_get_sarif() {
    let (code, stdout, stderr) =
        check(&[("a b.json", BAD), ("odd.json", ODD)], &["--format", "sarif", "a b.json", "odd.json"]);
    assert_eq!((code, stderr.as_str()), (1, ""));
    let log: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let results = log.pointer("/runs/0/results").unwrap().as_array().unwrap();
    let shown = results.iter().map(|result| {
        let place = &result["locations"][0]["physicalLocation"];
        let (region, file) = (&place["region"], &place["artifactLocation"]["uri"]);
        let region = ["startLine", "startColumn", "endLine", "endColumn"].map(|key| region[key].as_u64().unwrap());
        format!("{} {} {file} {region:?}", result["level"], result["ruleId"])
    });
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            r#""error" "policy::unknown_key" "a%20b.json" [1, 19, 1, 25]"#,
            r#""error" "policy::unknown_value" "a%20b.json" [1, 42, 1, 49]"#,
            r#""warning" "policy::non_ascii" "odd.json" [2, 14, 2, 20]"#,
            r#""warning" "policy::never_applies" "odd.json" [2, 56, 2, 66]"#,
        ]
    );
    let rules = log.pointer("/runs/0/tool/driver/rules").unwrap().as_array().unwrap();
    assert!(results.iter().all(|result| rules.iter().any(|rule| rule["id"] == result["ruleId"])));
}

#[test]
fn pull_requests_get_annotations() {
    let (code, stdout, stderr) =
        check(&[("a,b.json", BAD), ("odd.json", ODD)], &["--format", "github", "a,b.json", "odd.json"]);
    assert_eq!((code, stderr.as_str()), (1, ""));
    insta::assert_snapshot!(stdout);
}

#[test]
fn the_native_form_is_printed() {
    let yaml = "version: '1'\ntools:\n  a:\n    rules:\n      - rate_limit: 5/minute\n";
    let (code, stdout, stderr) = check(&[("c.yaml", yaml)], &["--print", "c.yaml"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    insta::assert_snapshot!(stdout);
    let (code, stdout, stderr) = check(&[("bad.json", BAD)], &["--print", "bad.json"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("policy::unknown_key"), "{stderr}");
}

#[test]
fn names_are_held_against_the_servers_tools() {
    let tools = r#"{ "tools": [{ "name": "get_issues", "inputSchema": { "type": "object" } }] }"#;
    let (code, stdout, stderr) = check(&[("p.json", GOOD), ("tools.json", tools)], &["p.json"]);
    assert_eq!((code, stdout.as_str()), (0, "p.json: ok, 1 warning\n"));
    assert!(stderr.contains("did you mean `get_issues`?"), "{stderr}");
    let (code, stdout, _) = check(&[("p.json", GOOD), ("t.json", tools)], &["--tools", "t.json", "p.json"]);
    assert_eq!((code, stdout.as_str()), (0, "p.json: ok, 1 warning\n"));
    let (code, _, stderr) = check(&[("p.json", GOOD), ("t.json", "{}")], &["--tools", "t.json", "p.json"]);
    assert_eq!(code, 3);
    assert!(
        stderr.starts_with("error: cannot use `t.json`: expected what a server answers to `tools/list`"),
        "{stderr}"
    );
}

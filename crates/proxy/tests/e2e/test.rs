//! `toolgate test`.

use std::path::Path;

use crate::program::{run, toolgate};

const POLICY: &str = r#"{ "version": "1", "tools": { "get_issue": { "rate_limit": "2/minute" }, "other": {} } }"#;
const GOOD: &str = r#"[
  { "tool": "get_issue", "times": 2, "expect": { "outcome": "permit" } },
  { "tool": "get_issue", "after": "15s", "expect": { "code": "limited", "retry_after": "45s" } }
]"#;
const BAD: &str = r#"[{ "tool": "get_issue", "expect": { "outcome": "deny" } }]"#;

/// Tests these files, written into a folder: exit code, stdout, stderr.
fn test(files: &[(&str, &str)], args: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    run(&mut toolgate(folder.path(), &[&["test"], args].concat()))
}

#[test]
fn cases_are_played_and_counted() {
    let files = [("policies/github/policy.json", POLICY), ("policies/github/cases.json", GOOD)];
    let (code, stdout, stderr) = test(&files, &[]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    insta::assert_snapshot!("test_human", stdout);
    assert_eq!(test(&files, &["--fail-under", "66"]).0, 0);
    assert_eq!(test(&files, &["--fail-under", "67", "policies/github/policy.json"]).0, 1);
}

#[test]
fn a_case_that_goes_another_way_fails() {
    let files =
        [("policy.json", POLICY), ("cases.json", BAD), ("sub/policy.yaml", "version: '1'\n"), ("sub/cases.json", GOOD)];
    let (code, stdout, _) = test(&files, &["--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(code, 1);
    assert_eq!(report.pointer("/ok").unwrap(), false);
    assert_eq!(report.pointer("/policies/0/cases").unwrap(), "cases.json");
    assert_eq!(report.pointer("/policies/0/results/0/failures/0/got").unwrap(), "permit");
    assert_eq!(report.pointer("/policies/1/policy").unwrap(), "sub/policy.yaml");
}

/// Whether it is well-formed is asked of a parser that is not ours, where there is one.
#[test]
fn build_servers_get_junit() {
    let (code, stdout, _) = test(&[("policy.json", POLICY), ("cases.json", BAD)], &["--format", "junit"]);
    assert_eq!(code, 1);
    insta::assert_snapshot!("test_junit", stdout);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("report.xml"), stdout).unwrap();
    let script = "import sys, xml.dom.minidom as m; print(len(m.parse(sys.argv[1]).getElementsByTagName('failure')))";
    let mut python = std::process::Command::new("python3");
    match python.args(["-c", script, "report.xml"]).current_dir(folder.path()).output() {
        Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1", "{output:?}"),
        Err(error) => eprintln!("skipped: no python3 to read the report: {error}"),
    }
}

#[test]
fn what_cannot_be_played_never_passes() {
    for (files, args, code, said) in [
        (&[][..], &[][..], 2, "error: no folder in `.` has both a `policy.json` and a `cases.json`"),
        (&[("policy.json", POLICY)], &["policy.json"], 2, "error: no cases beside `policy.json`: write a `cases.json`"),
        (&[("policy.json", POLICY), ("cases.json", "[]")], &[], 2, "the list of cases is empty"),
        (&[("policy.json", POLICY), ("cases.json", r#"[{ "tol": "" }]"#)], &[], 2, "cases.json:1:4"),
        (&[("policy.json", "{}"), ("cases.json", GOOD)], &[], 1, "policy::missing_key"),
        (&[], &["none"], 3, "error: cannot look into `none`: No such file"),
        (&[], &["--fail-under", "101"], 2, "101"),
    ] {
        let (exit, _, stderr) = test(files, args);
        assert_eq!(exit, code, "{files:?}: {stderr}");
        assert!(stderr.contains(said), "{files:?}: {stderr}");
    }
}

#[test]
fn shipped_policies_pass() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (code, stdout, stderr) = run(&mut toolgate(&root, &["test"]));
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
}

//! `toolgate wrap`: what stands on its command line.

use crate::program::{run, toolgate};

#[test]
fn a_policy_that_is_wrong_is_shown_and_nothing_starts() {
    let folder = tempfile::tempdir().unwrap();
    let policy = "{ \"version\": \"1\",\n  \"tools\": { \"t\": { \"alow\": true } } }";
    std::fs::write(folder.path().join("policy.json"), policy).unwrap();
    let touched = folder.path().join("touched");
    let command = ["wrap", "-p", "policy.json", "--", "touch", touched.to_str().unwrap()];
    let (code, stdout, stderr) = run(&mut toolgate(folder.path(), &command));
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("policy.json:2") && stderr.contains("alow"), "{stderr}");
    assert!(!touched.exists());
}

#[test]
fn nonsense_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.json"), r#"{ "version": "1" }"#).unwrap();
    for args in [
        &["wrap", "-p", "p.json"][..],
        &["wrap", "--", "true"],
        &["wrap", "-p", "p.json", "true"],
        &["wrap", "-p", "p.json", "--name", "no__name", "--", "true"],
        &["wrap", "-p", "p.json", "--env", "NOVALUE", "--", "true"],
    ] {
        let (code, stdout, _) = run(&mut toolgate(folder.path(), args));
        assert_eq!((code, stdout.as_str()), (2, ""), "{args:?}");
    }
}

#[test]
fn a_policy_that_is_not_there_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = run(&mut toolgate(folder.path(), &["wrap", "-p", "none.json", "--", "true"]));
    assert_eq!((code, stdout.as_str()), (3, ""));
    assert!(stderr.contains("cannot read `none.json`"), "{stderr}");
}

//! What can be written on the command line.

use crate::program::{run, toolgate};

fn asked(args: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = run(&mut toolgate(folder.path(), args));
    (code, stdout + &stderr)
}

#[test]
fn help() {
    insta::assert_snapshot!("help", asked(&["--help"]).1);
    insta::assert_snapshot!("help_bridge", asked(&["bridge", "--help"]).1);
    insta::assert_snapshot!("help_wrap", asked(&["wrap", "--help"]).1);
    insta::assert_snapshot!("help_check", asked(&["check", "--help"]).1);
    insta::assert_snapshot!("help_test", asked(&["test", "--help"]).1);
    insta::assert_snapshot!("help_simulate", asked(&["simulate", "--help"]).1);
}

#[test]
fn nonsense_is_a_usage_error() {
    for args in
        [&["dance"][..], &["check"], &["--set", "listen.data"], &["--log-format", "xml"], &["--config", "a", "serve"]]
    {
        assert_eq!(asked(args).0, 2, "{args:?}");
    }
}

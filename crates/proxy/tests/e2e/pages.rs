//! The policies in the documents do what the cases beside them say.

use std::path::Path;

use crate::program::{run, toolgate};

/// The fenced blocks of a page, each with its language.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    page.split("```").skip(1).step_by(2).map(|block| block.split_once('\n').unwrap()).collect()
}

/// Every policy of the page with the cases that follow it, if any; each policy in a folder.
fn lay_out(folder: &Path, page: &str) -> (usize, usize) {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page)).unwrap();
    let (mut policies, mut with_cases) = (0, 0);
    let mut last = None;
    for (language, block) in blocks(&text) {
        let is_cases = language == "json" && block.starts_with('[');
        let name = match language {
            "json" | "jsonc" => "policy.json",
            "yaml" => "policy.yaml",
            _ => continue,
        };
        if is_cases {
            let beside: std::path::PathBuf =
                last.take().unwrap_or_else(|| panic!("cases without a policy in {page}: {block}"));
            std::fs::write(beside.join("cases.json"), block).unwrap();
            with_cases += 1;
        } else {
            let beside = folder.join(policies.to_string());
            std::fs::create_dir(&beside).unwrap();
            std::fs::write(beside.join(name), block).unwrap();
            std::fs::write(beside.join("catalog.json"), r#"{ "version": "1", "tools": {
                "get_file": { "category": "Read", "risk": "Low" }, "read_salary": { "category": "Read", "risk": "High" }, "drop_table": { "category": "Destructive", "risk": "High" },
                "pay": { "category": "Financial", "risk": "High" } } }"#).unwrap();
            policies += 1;
            last = Some(beside);
        }
    }
    (policies, with_cases)
}

#[track_caller]
fn check(page: &str, expected: (usize, usize), coverage: &str) {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(lay_out(folder.path(), page), expected, "policies and cases of {page}");
    let (code, stdout, stderr) = run(&mut toolgate(folder.path(), &["test", ".", "--fail-under", coverage]));
    assert_eq!(code, 0, "{page}\n{stdout}\n{stderr}");
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let file = ["policy.json", "policy.yaml"].map(|name| entry.as_ref().unwrap().path().join(name));
        let file = file.iter().find(|file| file.exists()).unwrap().display().to_string();
        let (code, stdout, stderr) = run(&mut toolgate(folder.path(), &["check", "--deny", "warnings", &file]));
        assert_eq!(code, 0, "{page}\n{stdout}\n{stderr}");
    }
}

#[test]
fn the_cookbook() {
    check("cookbook.md", (7, 7), "100");
}

#[test]
fn the_operators() {
    check("operators.md", (7, 7), "100");
}

#[test]
fn the_dialects() {
    check("dialects.md", (3, 1), "80");
}

#[test]
fn the_language() {
    check("policy.md", (6, 6), "90");
}

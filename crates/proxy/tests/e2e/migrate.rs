//! `toolgate migrate`: a store into another, by the program.

use std::path::Path;

use crate::program::{run, toolgate};

fn migrate(folder: &Path, args: &[&str]) -> (i32, String, String) {
    run(&mut toolgate(folder, &[&["migrate"], args].concat()))
}

fn filled(folder: &Path, file: &str) {
    let url = format!("sqlite:{}", folder.join(file).display());
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let store = store::Store::open(&url).await.unwrap();
        store.create("theme", store::Setting(serde_json::json!("dark"))).await.unwrap();
        store.close().await;
    });
}

#[test]
fn what_is_copied_is_counted_and_a_second_time_refused() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), "old.db");
    let args = ["--from", "sqlite:old.db", "--to", "sqlite:new/toolgate.db"];
    let (code, out, err) = migrate(folder.path(), &[&args[..], &["--format", "json"]].concat());
    assert_eq!((code, &*err), (0, ""));
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["revision"], &report["tables"]["tg_documents"]), (&1.into(), &1.into()), "{report}");
    assert_eq!(report["tables"].as_object().unwrap().len(), 12, "{report}");

    let (code, out, err) = migrate(folder.path(), &args);
    assert_eq!((code, &*out), (3, ""));
    assert_eq!(err, "error: the store to copy to is not empty: it has 1 rows in `tg_documents`\n");
}

#[test]
fn people_get_a_table() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), "old.db");
    let (code, out, _) = migrate(folder.path(), &["--from", "sqlite:old.db", "--to", "sqlite:new.db"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("         1 tg_documents\n         0 tg_policies\n"), "{out}");
    assert!(out.ends_with("copied and compared, at revision 1\n"), "{out}");
}

#[test]
fn a_url_that_cannot_be_is_a_usage_error_and_its_password_is_not_said() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), "old.db");
    let (code, out, err) = migrate(folder.path(), &["--from", "sqlite:old.db", "--to", "postgres://root:hush@h:x/y"]);
    assert_eq!((code, &*out), (2, ""));
    assert!(err.contains("cannot open what `--to` names") && !err.contains("hush"), "{err}");
}

#[test]
fn a_file_that_is_not_there_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, err) = migrate(folder.path(), &["--from", "sqlite:typo.db", "--to", "sqlite:new.db"]);
    assert_eq!(code, 3);
    assert!(err.contains("cannot open what `--from` names"), "{err}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "neither of them");
}

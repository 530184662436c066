//! A disk that takes no more: nothing is promised, nothing half-written stays, and it goes on when there is room.

use std::process::{Command, Stdio};
use std::time::Duration;

use journal::{Journal, NotWritten, Settings, verify};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::settings;

/// Set for the process whose files may not grow.
const FOLDER: &str = "JOURNAL_TEST_FULL";

/// Files of this process may grow so far; `None`: as far as they like.
fn room(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum }).unwrap();
}

/// Not a test of its own: what happens in a process of its own, since its limit would be that of all tests.
#[tokio::test]
async fn in_little_room() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let large = Settings { segment: 1 << 30, patience: Duration::from_secs(20), ..settings(folder.as_ref()) };
    let audit = large.folder.clone();
    let opened = Journal::open(large).unwrap();
    opened.journal.append(r#"{"a":1}"#).await.unwrap();
    room(Some(20_000));
    let record = format!(r#"{{"kind":"decision","filler":"{}"}}"#, "x".repeat(600));
    let mut written = 0;
    let refused = loop {
        match opened.journal.append(record.as_str()).await {
            Ok(number) => written = number,
            Err(why) => break why,
        }
        assert!(written < 1000, "there is room");
    };
    assert!(matches!(refused, NotWritten::Failed(_)), "{refused}");
    assert!(written > 10 && opened.journal.status().trouble.is_some());
    opened.journal.append_later(r#"{"kind":"outcome","of":2}"#).unwrap();
    let report = verify(&audit, None).unwrap();
    assert_eq!((report.bad, report.last >= written), (None, true));
    room(None);
    // Nobody writes: the keeper notices by itself, and what had happened meanwhile is not forgotten.
    while opened.journal.status().trouble.is_some() {
        tokio::task::yield_now().await;
    }
    opened.journal.append(record.as_str()).await.unwrap();
    opened.close();
    assert_eq!(verify(&audit, None).unwrap().bad, None);
    let text: String = crate::tamper::files(&audit).iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    assert_eq!(text.matches(r#""kind":"outcome","of":2,"#).count(), 1, "{text}");
    println!("it went on");
}

#[test]
fn a_full_disk_refuses_and_recovers_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("sh")
        // Beyond the limit comes a signal, which would end it.
        .args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "full::in_little_room", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("it went on"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

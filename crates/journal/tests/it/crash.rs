//! Crashes: the process that writes is killed at any moment, and starts again.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use journal::verify;

use crate::open;

/// Set for the process that is to be killed.
const VICTIM: &str = "JOURNAL_TEST_FOLDER";

/// Not a test of its own: what the killed process does. It says the number of every record that it was told is written.
#[tokio::test]
async fn victim() {
    let Some(folder) = std::env::var_os(VICTIM) else { return };
    let opened = open(folder.as_ref());
    loop {
        let number = opened.journal.append(r#"{"kind":"decision","tool":"t","outcome":"allowed"}"#).await.unwrap();
        println!("written {number}");
    }
}

#[test]
fn a_killed_process_loses_nothing_that_it_was_told_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 0..20_usize {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::victim", "--nocapture"])
            .env(VICTIM, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut numbers = lines.filter_map(|line| line.split("written ").nth(1)?.trim().parse::<u64>().ok());
        // Killed while it writes, after more records each time.
        last = numbers.by_ref().nth(round * 7).unwrap();
        child.kill().unwrap();
        last = numbers.last().unwrap_or(last);
        child.wait().unwrap();
    }
    let opened = open(folder.path());
    assert!(opened.last >= last, "record {last} was promised, {} is the last", opened.last);
    opened.close();
    assert_eq!(verify(&folder.path().join("audit"), None).unwrap().bad, None);
}

#[tokio::test]
async fn half_a_line_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    crate::filled(folder.path(), 2).await;
    let audit = folder.path().join("audit");
    let segment = std::fs::read_dir(&audit).unwrap().map(|entry| entry.unwrap().path());
    let segment = segment.filter(|path| path.extension().is_some_and(|found| found == "jsonl")).max().unwrap();
    let whole = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, [whole.as_slice(), br#"{"seq":99,"ki"#].concat()).unwrap();
    let opened = open(folder.path());
    assert_eq!(opened.torn, 13);
    opened.close();
    assert!(segment.with_extension("torn").is_file());
    let text = std::fs::read_to_string(&segment).unwrap();
    assert!(text.contains(r#""kind":"recovered""#), "{text}");
    assert_eq!(verify(&audit, None).unwrap().bad, None);
}

/// A crash between making a file and writing its first line.
#[tokio::test]
async fn an_empty_segment_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    crate::filled(folder.path(), 2).await;
    let audit = folder.path().join("audit");
    let last = verify(&audit, None).unwrap().last;
    std::fs::write(audit.join(format!("journal-{:020}.jsonl", last + 1)), "").unwrap();
    let opened = open(folder.path());
    assert_eq!(opened.last, last);
    opened.journal.append(r#"{"a":1}"#).await.unwrap();
    opened.close();
    assert_eq!(verify(&audit, None).unwrap().bad, None);
}

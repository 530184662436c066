//! Appending: numbers, groups, rotation, room, failures.

use std::time::Duration;

use journal::{Journal, NotWritten, OpenError, Settings, verify};

use crate::tamper::files;
use crate::{filled, open, settings};

#[tokio::test]
async fn what_is_appended_is_there_and_numbered() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    let journal = opened.journal.clone();
    assert_eq!(journal.append(r#"{"a":1}"#).await.unwrap(), 3, "after the segment's own first line and its signature");
    let many = (0..500).map(|number| {
        let journal = journal.clone();
        tokio::spawn(async move { journal.append(&format!(r#"{{"b":{number}}}"#)).await.unwrap() })
    });
    let mut numbers = Vec::new();
    for one in many.collect::<Vec<_>>() {
        numbers.push(one.await.unwrap());
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 500);
    drop(journal);
    opened.close();
    let report = verify(&folder.path().join("audit"), None).unwrap();
    assert_eq!(report.bad, None);
    assert!(report.records > 501 && report.checkpoints == 1 + report.segments as u64, "{report:?}");
}

#[tokio::test]
async fn it_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 3).await;
    filled(folder.path(), 60).await;
    let report = verify(&folder.path().join("audit"), None).unwrap();
    assert_eq!(report.bad, None);
    assert!(report.segments > 2 && report.records > 63, "{report:?}");
    let opened = open(folder.path());
    assert_eq!((opened.last, opened.torn), (report.last, 0));
}

#[tokio::test]
async fn one_process_writes() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path());
    assert!(matches!(Journal::open(settings(folder.path())), Err(OpenError::Locked(_))));
}

#[tokio::test]
async fn a_record_is_one_object_on_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    for bad in ["", "{}", "[1]", "{\"a\":\n1}", "7"] {
        assert!(matches!(opened.journal.append(bad).await, Err(NotWritten::Unwritable)), "{bad:?}");
    }
    assert!(matches!(opened.journal.append_later("x"), Err(NotWritten::Unwritable)));
}

/// A folder that cannot be written to any more: whoever waits is told, nothing half-written stays, and it goes on when there is room.
#[tokio::test]
async fn what_cannot_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut small = settings(folder.path());
    small.segment = 1; // a new file for every record
    let opened = Journal::open(small).unwrap();
    opened.journal.append(r#"{"a":1}"#).await.unwrap();
    let moved = folder.path().join("elsewhere");
    std::fs::rename(folder.path().join("audit"), &moved).unwrap();
    let refused = opened.journal.append(r#"{"a":2}"#).await;
    assert!(matches!(refused, Err(NotWritten::Failed(_))), "{refused:?}");
    assert!(opened.journal.status().trouble.is_some());
    std::fs::rename(&moved, folder.path().join("audit")).unwrap();
    opened.journal.append(r#"{"a":3}"#).await.unwrap();
    assert_eq!(opened.journal.status().trouble, None);
    opened.close();
    let report = verify(&folder.path().join("audit"), None).unwrap();
    assert_eq!(report.bad, None);
}

/// A checkpoint is written, and the next file cannot be made.
#[tokio::test]
async fn a_rotation_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit");
    let opened = Journal::open(Settings { segment: 500, ..settings(folder.path()) }).unwrap();
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(500));
    opened.journal.append(&*long).await.unwrap();
    let moved = folder.path().join("elsewhere");
    std::fs::rename(&audit, &moved).unwrap();
    for _ in 0..5 {
        assert!(matches!(opened.journal.append(r#"{"a":2}"#).await, Err(NotWritten::Failed(_))));
    }
    std::fs::rename(&moved, &audit).unwrap();
    opened.journal.append(r#"{"a":3}"#).await.unwrap();
    let first = std::fs::read_to_string(&files(&audit)[0]).unwrap();
    let after = first.split_once("xxx").unwrap().1;
    assert_eq!(after.matches(r#""kind":"checkpoint""#).count(), 1, "{after}");
    opened.close();
    assert_eq!(verify(&audit, None).unwrap().bad, None);
}

/// A file whose first line was cut off, and which could not be cut to nothing.
#[tokio::test]
async fn half_a_first_line_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit");
    let opened = Journal::open(Settings { segment: 500, ..settings(folder.path()) }).unwrap();
    let last = opened.journal.append(format!(r#"{{"a":"{}"}}"#, "x".repeat(500))).await.unwrap();
    // After the checkpoint.
    std::fs::write(audit.join(format!("journal-{:020}.jsonl", last + 2)), r#"{"seq":"#).unwrap();
    opened.journal.append(r#"{"a":3}"#).await.unwrap();
    opened.close();
    assert_eq!(verify(&audit, None).unwrap().bad, None);
}

#[tokio::test]
async fn room_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let mut small = settings(folder.path());
    (small.queue, small.patience) = (1, Duration::from_millis(1));
    let opened = Journal::open(small).unwrap();
    let mut refused = 0;
    for _ in 0..10_000 {
        match opened.journal.append_later(r#"{"a":1}"#) {
            Ok(()) => {}
            Err(NotWritten::Full(1)) => refused += 1,
            Err(other) => assert!(matches!(other, NotWritten::Full(_)), "{other}"),
        }
    }
    assert!(refused > 0);
}

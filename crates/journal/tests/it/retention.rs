//! Old segments go with a statement; without one they are missing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use journal::{Dropped, Journal, Keep, Opened, Reader, Report, RetainError, Settings, Why, verify};

use crate::settings;
use crate::tamper::files;

/// Everything may go.
const ALL: u64 = u64::MAX;

const MINUTE: Duration = Duration::from_secs(60);

/// A journal whose clock is set by hand, in minutes.
struct Stand {
    folder: tempfile::TempDir,
    minutes: Arc<AtomicU64>,
}

impl Stand {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), minutes: Arc::new(AtomicU64::new(1000)) }
    }

    fn open(&self, keep: Keep) -> Opened {
        let minutes = Arc::clone(&self.minutes);
        let stamp = move |ago: Duration| {
            let now = minutes.load(Ordering::Relaxed) - ago.as_secs() / 60;
            format!("2026-11-27T{:02}:{:02}:00Z", now / 60, now % 60)
        };
        Journal::open(Settings { keep, stamp: Arc::new(stamp), ..settings(self.folder.path()) }).unwrap()
    }

    /// Some segments full.
    async fn fill(&self, opened: &Opened) {
        for number in 0..60 {
            let filler = "x".repeat(200);
            let record = format!(r#"{{"kind":"decision","filler":"{filler}","number":{number}}}"#);
            opened.journal.append(record).await.unwrap();
        }
    }

    fn audit(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    fn verified(&self) -> Report {
        verify(&self.audit(), None).unwrap()
    }
}

fn bytes(bytes: u64) -> Keep {
    Keep { bytes: Some(bytes), ..Keep::default() }
}

fn size(folder: &Path) -> u64 {
    files(folder).iter().map(|file| std::fs::metadata(file).unwrap().len()).sum()
}

#[tokio::test]
async fn what_takes_too_much_room_goes_and_the_journal_says_so() {
    let stand = Stand::new();
    let opened = stand.open(bytes(9_000));
    stand.fill(&opened).await;
    let before = size(&stand.audit());
    let dropped = opened.journal.retain(ALL).unwrap();
    assert!(before > 9_000 && !dropped.is_empty(), "{before} bytes, {dropped:?}");
    assert!(size(&stand.audit()) <= 9_000 + 1_000, "but for the statement");
    assert_eq!(opened.journal.retain(ALL).unwrap_or_default().len() + dropped.len(), stand.verified().dropped.len());
    stand.fill(&opened).await;
    opened.close();
    let report = stand.verified();
    assert_eq!(report.bad, None);
    assert!(report.dropped.starts_with(&dropped), "{report:?}");
    assert_eq!((dropped[0].first, dropped[0].why), (1, Why::Bytes));
    let first = Reader::from_start(&stand.audit()).next_line().unwrap().unwrap();
    let next = report.dropped.last().unwrap().last + 1;
    assert!(first.starts_with(&format!(r#"{{"seq":{next},"kind":"segment""#)), "{first}");
}

#[tokio::test]
async fn what_is_too_old_goes_and_no_segment_is_written_for_ever() {
    let stand = Stand::new();
    let keep = Keep { age: Some(100 * MINUTE), ..Keep::default() };
    let opened = stand.open(keep);
    opened.journal.append(r#"{"a":1}"#).await.unwrap();
    assert_eq!(opened.journal.retain(ALL).unwrap(), []);
    stand.minutes.fetch_add(11, Ordering::Relaxed);
    assert_eq!(opened.journal.retain(ALL).unwrap(), [], "closed, but not old enough");
    assert_eq!(files(&stand.audit()).len(), 2);
    stand.minutes.fetch_add(101, Ordering::Relaxed);
    let dropped = opened.journal.retain(ALL).unwrap();
    assert!(matches!(dropped[..], [Dropped { first: 1, last: 4, why: Why::Age, .. }]), "{dropped:?}");
    opened.close();
    assert_eq!((stand.verified().bad, stand.verified().dropped), (None, dropped));
}

/// A statement goes with its file, and what it said is said again: however often that happens, all is accounted for.
#[tokio::test]
async fn what_was_dropped_is_known_when_its_statement_was_dropped_too() {
    let stand = Stand::new();
    let opened = stand.open(bytes(9_000));
    let mut dropped = Vec::new();
    for round in 0..3 {
        stand.fill(&opened).await;
        dropped.extend(opened.journal.retain(ALL).unwrap());
        let report = stand.verified();
        assert_eq!((report.bad, report.dropped[0].first), (None, 1), "round {round}");
        let follows = report.dropped.windows(2).all(|two| two[0].last + 1 == two[1].first);
        assert!(follows && report.dropped.last() == dropped.last(), "round {round}: {:?}", report.dropped);
    }
    let earlier = &stand.verified().dropped[0];
    assert_eq!(earlier.why, Why::Earlier);
    assert!(dropped.iter().any(|gone| gone.last == earlier.last && gone.why == Why::Bytes), "{earlier:?}");
    opened.close();
}

#[tokio::test]
async fn what_is_still_to_be_shipped_stays() {
    let stand = Stand::new();
    let opened = stand.open(bytes(1));
    stand.fill(&opened).await;
    let segments = files(&stand.audit());
    let second: u64 = segments[1].file_stem().unwrap().to_str().unwrap()[8..].parse().unwrap();
    assert_eq!(opened.journal.retain(second - 2).unwrap(), [], "one record of the first is not shipped");
    let dropped = opened.journal.retain(second - 1).unwrap();
    assert_eq!((dropped.len(), dropped[0].last), (1, second - 1));
}

#[tokio::test]
async fn a_segment_that_nobody_dropped_is_missing() {
    let stand = Stand::new();
    let opened = stand.open(bytes(9_000));
    stand.fill(&opened).await;
    let dropped = opened.journal.retain(ALL).unwrap();
    stand.fill(&opened).await;
    opened.close();
    let last = dropped.last().unwrap().last;
    for file in files(&stand.audit()) {
        let text = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let bad = stand.verified().bad.unwrap();
        assert!(bad.seq > last, "{bad:?}");
        std::fs::write(&file, text).unwrap();
    }
    // Two by hand, and with them the statement that speaks of the others.
    for file in files(&stand.audit()).iter().take(2) {
        std::fs::remove_file(file).unwrap();
    }
    assert!(stand.verified().bad.unwrap().why.contains("no statement says"));
}

/// Steps: the statement is written, it is on the disk, each file is removed. Before the first, nothing happened.
#[tokio::test]
async fn a_crash_between_any_two_steps_loses_nothing() {
    let stand = Stand::new();
    let opened = stand.open(Keep::default());
    stand.fill(&opened).await;
    opened.close();
    let kept: Vec<_> = files(&stand.audit()).into_iter().map(|file| (std::fs::read(&file).unwrap(), file)).collect();
    let opened = stand.open(bytes(4_000));
    let dropped = opened.journal.retain(ALL).unwrap();
    assert!(dropped.len() > 2, "{dropped:?}");
    opened.close();
    let after: Vec<_> = files(&stand.audit()).into_iter().map(|file| (std::fs::read(&file).unwrap(), file)).collect();
    let head = std::fs::read(stand.audit().join("head")).unwrap();
    // So many files were removed when it crashed.
    for removed in 0..=dropped.len() {
        for file in files(&stand.audit()) {
            std::fs::remove_file(file).unwrap();
        }
        for (text, file) in kept[removed..dropped.len()].iter().chain(&after) {
            std::fs::write(file, text).unwrap();
        }
        std::fs::write(stand.audit().join("head"), &head).unwrap();
        let report = stand.verified();
        assert_eq!(report.bad, None, "{removed} removed");
        assert_eq!(report.dropped, dropped[..removed]);
        // It goes on where it was.
        let opened = stand.open(bytes(4_000));
        opened.journal.retain(ALL).unwrap();
        stand.fill(&opened).await;
        opened.journal.retain(ALL).unwrap();
        opened.close();
        let report = stand.verified();
        assert_eq!(report.bad, None, "{removed} removed");
        assert!(report.dropped.iter().any(|known| known.last >= dropped.last().unwrap().last), "{report:?}");
    }
}

#[tokio::test]
async fn what_was_tampered_with_is_not_dropped() {
    let stand = Stand::new();
    let opened = stand.open(bytes(1));
    stand.fill(&opened).await;
    let first = files(&stand.audit()).remove(0);
    let text = std::fs::read_to_string(&first).unwrap();
    std::fs::write(
        &first,
        text.replace(r#""number":3}"#, r#""number":4}"#).replace(r#""number":3,"#, r#""number":4,"#),
    )
    .unwrap();
    let refused = opened.journal.retain(ALL);
    assert!(matches!(refused, Err(RetainError::Broken { .. })), "{refused:?}");
    opened.close();
    assert!(first.exists());
    assert!(stand.verified().bad.is_some());
}

/// A statement under another key, or a changed one, proves nothing.
#[tokio::test]
async fn a_statement_is_signed() {
    let stand = Stand::new();
    let opened = stand.open(bytes(9_000));
    stand.fill(&opened).await;
    opened.journal.retain(ALL).unwrap();
    opened.close();
    let other = journal::SigningKey::load_or_make(&stand.folder.path().join("other")).unwrap().public();
    let bad = verify(&stand.audit(), Some(&other)).unwrap().bad.unwrap();
    assert!(bad.why.contains("another key"), "{bad:?}");
}

#[tokio::test]
async fn a_reader_goes_on_when_what_it_reads_is_dropped() {
    let stand = Stand::new();
    let opened = stand.open(bytes(9_000));
    stand.fill(&opened).await;
    let mut reader = Reader::from_start(&stand.audit());
    assert!(reader.next_line().unwrap().is_some());
    opened.journal.retain(ALL).unwrap();
    opened.close();
    let mut last = None;
    while let Some(line) = reader.next_line().unwrap() {
        last = Some(line);
    }
    assert!(last.unwrap().contains("checkpoint"));
}

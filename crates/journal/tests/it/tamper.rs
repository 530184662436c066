//! A thousand edits of a journal, and every one of them is found.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use journal::{PublicKey, SigningKey, verify};
use proptest::test_runner::{Config, TestRunner};

use crate::{filled, open};

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    files
}

#[derive(Clone, Copy, Debug)]
enum Edit {
    Flip,
    Cut,
    Swap,
    Drop,
}

/// The text with one edit in it; none when the edit would change nothing.
fn edited(text: &[u8], edit: Edit, at: usize, by: u8) -> Option<Vec<u8>> {
    let mut lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let line = at % lines.len();
    let changed = match edit {
        Edit::Flip => {
            let mut bytes = text.to_vec();
            let place = at % bytes.len();
            bytes[place] ^= by.max(1);
            bytes
        }
        Edit::Cut => text[..at % text.len()].to_vec(),
        Edit::Swap => {
            let other = (line + 1 + by as usize) % lines.len();
            lines.swap(line, other);
            lines.concat()
        }
        Edit::Drop => {
            lines.remove(line);
            lines.concat()
        }
    };
    (changed != text).then_some(changed)
}

#[tokio::test]
async fn every_edit_is_found() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 60).await;
    let audit = folder.path().join("audit");
    let files = files(&audit);
    assert!(files.len() > 2, "edits fall into several segments");
    assert_eq!(verify(&audit, None).unwrap().bad, None);
    let texts: Vec<_> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();

    let edits = [Edit::Flip, Edit::Cut, Edit::Swap, Edit::Drop];
    let mut runner = TestRunner::new(Config { cases: 1_000, failure_persistence: None, ..Config::default() });
    let any = (0..files.len(), 0..edits.len(), 0..100_000_usize, 0..=255_u8);
    let outcome = runner.run(&any, |(file, edit, at, by)| {
        let Some(changed) = edited(&texts[file], edits[edit], at, by) else { return Ok(()) };
        std::fs::write(&files[file], changed).unwrap();
        let report = verify(&audit, None).unwrap();
        std::fs::write(&files[file], &texts[file]).unwrap();
        proptest::prop_assert!(report.bad.is_some(), "{:?} at {at} of file {file} by {by} was not found", edits[edit]);
        Ok(())
    });
    outcome.unwrap();
}

#[tokio::test]
async fn a_missing_file_is_found() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 60).await;
    let audit = folder.path().join("audit");
    for file in files(&audit).into_iter().chain([audit.join("head")]) {
        let text = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(verify(&audit, None).unwrap().bad.is_some(), "{}", file.display());
        std::fs::write(&file, text).unwrap();
    }
}

/// Whoever writes everything anew can chain it anew, but not sign it.
#[tokio::test]
async fn a_journal_written_anew_is_not_signed_by_the_true_key() {
    let [truth, forged] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    filled(truth.path(), 5).await;
    filled(forged.path(), 5).await;
    let key = SigningKey::load_or_make(&truth.path().join("key")).unwrap().public();
    let key = PublicKey::from_base64(&key.to_base64()).unwrap();
    assert_eq!(verify(&truth.path().join("audit"), Some(&key)).unwrap().bad, None);
    let bad = verify(&forged.path().join("audit"), Some(&key)).unwrap().bad.unwrap();
    assert!(bad.why.contains("another key"), "{bad:?}");
}

#[tokio::test]
async fn a_journal_that_was_cut_is_not_continued() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 5).await;
    let last = files(&folder.path().join("audit")).pop().unwrap();
    let text = std::fs::read(&last).unwrap();
    let cut = text[..text.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    std::fs::write(&last, &text[..cut]).unwrap();
    let refused = journal::Journal::open(crate::settings(folder.path()));
    assert!(refused.err().unwrap().to_string().contains("cannot be continued"));
    std::fs::write(&last, &text).unwrap();
    open(folder.path()).close();
    std::fs::remove_file(folder.path().join("audit/head")).unwrap();
    assert!(
        journal::Journal::open(crate::settings(folder.path())).is_err(),
        "without its head, a cut would go unnoticed"
    );
}

/// Numbered and chained anew, without what the key would have to sign.
fn unsigned(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let (mut seq, mut hash, mut lines) = (0, [0; 32].to_vec(), String::new());
    for file in files(from) {
        for line in std::fs::read_to_string(file).unwrap().lines().filter(|line| !line.contains("checkpoint")) {
            seq += 1;
            let (_, rest) = line.split_once(',').unwrap();
            let (said, _) = rest.rsplit_once(r#","hash":"#).unwrap();
            let said = format!(r#"{{"seq":{seq},{said}"#);
            hash = digest(&SHA256, &[&*hash, said.as_bytes()].concat()).as_ref().to_vec();
            lines.push_str(&format!("{said},\"hash\":\"{}\"}}\n", HEXLOWER.encode(&hash)));
        }
    }
    std::fs::write(to.join("journal-00000000000000000001.jsonl"), lines).unwrap();
    std::fs::write(to.join("head"), format!("{seq:020} {}\n", HEXLOWER.encode(&hash))).unwrap();
}

#[tokio::test]
async fn what_nobody_signed_is_nothing_to_whoever_has_the_key() {
    let [truth, forged] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    filled(truth.path(), 5).await;
    let key = SigningKey::load_or_make(&truth.path().join("key")).unwrap().public();
    let whole = verify(&truth.path().join("audit"), Some(&key)).unwrap();
    assert_eq!((whole.bad, whole.signed), (None, Some(whole.last)), "it is signed as it ends");
    unsigned(&truth.path().join("audit"), forged.path());
    let alone = verify(forged.path(), None).unwrap();
    assert_eq!((alone.bad, alone.signed), (None, None), "by itself it is as good as any");
    let bad = verify(forged.path(), Some(&key)).unwrap().bad.unwrap();
    assert!(bad.why.contains("nothing is signed by the key"), "{bad:?}");
    let emptied = tempfile::tempdir().unwrap();
    let bad = verify(emptied.path(), Some(&key)).unwrap().bad.unwrap();
    assert!(bad.why.contains("nothing is signed by the key"), "{bad:?}");
}

/// Checkpoints can be left out of one file only: a file that has a successor ends with one.
#[tokio::test]
async fn a_segment_that_nobody_closed_has_no_successor() {
    let [truth, forged] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    filled(truth.path(), 5).await;
    unsigned(&truth.path().join("audit"), forged.path());
    let head = std::fs::read_to_string(forged.path().join("head")).unwrap();
    let (seq, hash) = head.trim_end().split_once(' ').unwrap();
    let (seq, mut before) = (seq.parse::<u64>().unwrap() + 1, HEXLOWER.decode(hash.as_bytes()).unwrap());
    let said = format!(r#"{{"seq":{seq},"kind":"segment","previous":"{hash}""#);
    before.extend_from_slice(said.as_bytes());
    let hash = HEXLOWER.encode(digest(&SHA256, &before).as_ref());
    let next = forged.path().join(format!("journal-{seq:020}.jsonl"));
    std::fs::write(next, format!("{said},\"hash\":\"{hash}\"}}\n")).unwrap();
    std::fs::write(forged.path().join("head"), format!("{seq:020} {hash}\n")).unwrap();
    let bad = verify(forged.path(), None).unwrap().bad.unwrap();
    assert_eq!((bad.seq, &*bad.why), (seq, "the segment before it does not end with a checkpoint"));
}

/// Killed, and started again: what it finds is signed, and once.
#[tokio::test]
async fn a_journal_is_signed_when_it_goes_on() {
    let [first, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (audit, copy) = (first.path().join("audit"), other.path().join("audit"));
    let opened = open(first.path());
    opened.journal.append(r#"{"kind":"decision"}"#).await.unwrap();
    std::fs::create_dir(&copy).unwrap();
    std::fs::copy(first.path().join("key"), other.path().join("key")).unwrap();
    for file in files(&audit).into_iter().chain([audit.join("head")]) {
        std::fs::copy(&file, copy.join(file.file_name().unwrap())).unwrap();
    }
    let signed = || (verify(&copy, None).unwrap().signed, verify(&copy, None).unwrap().last);
    assert_eq!(signed(), (Some(2), 3));
    let again = open(other.path());
    assert_eq!((again.last, again.journal.durable(), signed()), (3, 4, (Some(4), 4)));
    again.close();
    open(other.path()).close();
    assert_eq!(signed(), (Some(4), 4));
    opened.close();
}

/// A number that no record of a journal has.
#[test]
fn a_checkpoint_before_any_record_is_bad() {
    let folder = tempfile::tempdir().unwrap();
    let said = r#"{"seq":0,"kind":"checkpoint""#;
    let hash = HEXLOWER.encode(digest(&SHA256, &[&[0; 32], said.as_bytes()].concat()).as_ref());
    let line = format!("{said},\"hash\":\"{hash}\"}}\n");
    std::fs::write(folder.path().join("journal-00000000000000000000.jsonl"), line).unwrap();
    let bad = verify(folder.path(), None).unwrap().bad.unwrap();
    assert_eq!(bad.why, "no record is before the checkpoint");
}

/// From its very first record on, whenever it is killed.
#[tokio::test]
async fn a_young_journal_is_signed() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    opened.journal.append(r#"{"kind":"decision"}"#).await.unwrap();
    let key = SigningKey::load_or_make(&folder.path().join("key")).unwrap().public();
    let young = verify(&folder.path().join("audit"), Some(&key)).unwrap();
    assert_eq!((young.bad, young.signed, young.last), (None, Some(2), 3));
    opened.close();
}

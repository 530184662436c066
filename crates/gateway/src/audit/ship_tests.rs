//! Records get to the store, each once, whatever happens in between.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use store::{AuditQuery, AuditRecord, Store};

use super::tests::settings;
use super::{Audit, node};
use crate::agent::Agent;
use crate::config::Audit as Settings;
use crate::index::Index;
use crate::refusal::{Refusal, Refused};
use crate::trail::Filter;

fn url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("toolgate.db").display())
}

async fn store(folder: &Path) -> Store {
    Store::open(&url(folder)).await.unwrap()
}

fn open(settings: &Settings) -> Arc<Audit> {
    let audit = Arc::new(Audit::open(settings).unwrap());
    audit.ships();
    audit
}

/// So many refusals.
async fn fill(audit: &Audit, count: usize) {
    let agent = Agent::peer(std::net::Ipv4Addr::LOCALHOST.into());
    for _ in 0..count {
        audit.turned_away("s", &agent, &Refused::from(Refusal::NoServer));
    }
    audit.settle().await;
}

async fn all(store: &Store) -> Vec<AuditRecord> {
    let mut found = Vec::new();
    let mut query = AuditQuery::default();
    loop {
        let page = store.audit(&query, 100).await.unwrap();
        found.extend(page.records);
        query.after = page.next;
        if query.after.is_none() {
            found.sort_by_key(|record| record.seq);
            return found;
        }
    }
}

fn lines(folder: &Path) -> Vec<String> {
    let mut reader = journal::Reader::from_start(&folder.join("audit"));
    std::iter::from_fn(|| reader.next_line().unwrap()).collect()
}

fn aged(seq: i64, age: Duration) -> AuditRecord {
    let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap() - age;
    AuditRecord { node: "gone".to_owned(), seq, time_ms: at.as_millis() as i64, ..AuditRecord::default() }
}

#[tokio::test]
async fn records_that_are_too_old_leave_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { keep_index: Some(Duration::from_hours(1)), ..settings(folder.path()) };
    let (audit, store) = (open(&settings), store(folder.path()).await);
    let records: Vec<_> =
        (1..=5_000).map(|seq| aged(seq, Duration::from_mins(if seq > 4_990 { 50 } else { 70 }))).collect();
    for batch in records.chunks(1_000) {
        store.insert_audit(batch).await.unwrap();
    }
    tokio::select! {
        () = Arc::clone(&audit).sweep(store.clone()) => {}
        () = testkit::patiently("the old ones to go", async {
            while all(&store).await.len() > 10 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }) => {}
    }
    assert!(all(&store).await.iter().all(|record| record.seq > 4_990));
    // Without the setting it ends, and nothing goes.
    let kept = Settings { keep_index: None, ..settings };
    Arc::into_inner(audit).unwrap().close();
    open(&kept).sweep(store.clone()).await;
    assert_eq!(all(&store).await.len(), 10);
}

/// What brings records, until the store has so many.
async fn shipped(audit: &Arc<Audit>, store: &Store, count: usize) {
    let shipping = Arc::clone(audit).ship(store.clone());
    tokio::select! {
        () = shipping => {}
        () = testkit::patiently("records in the store", async {
            while all(store).await.len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }) => {}
    }
}

#[tokio::test]
async fn each_record_is_brought_once_however_often_it_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let settings = settings(folder.path());
    let mut expected = 0;
    // It is cut off in the middle of its work, in a process that goes on, and in one that starts again.
    for round in 0..4 {
        let audit = open(&settings);
        fill(&audit, 700).await;
        expected += 700;
        for part in [expected / 2, expected] {
            shipped(&audit, &store, part).await;
        }
        let seen = all(&store).await;
        let here = lines(folder.path());
        let there: Vec<_> = seen.iter().map(|record| record.line.clone()).collect();
        assert_eq!(there, here[..there.len()], "round {round}");
        Arc::into_inner(audit).unwrap().close();
    }
    let audit = open(&settings);
    let total = lines(folder.path()).len();
    shipped(&audit, &store, total).await;
    let records = all(&store).await;
    assert!(records.iter().map(|record| record.seq).eq(1..=i64::try_from(total).unwrap()), "each once, none left out");
    let refusal = records.iter().find(|record| record.kind == "decision").unwrap();
    let node = node("n", &folder.path().join("audit")).unwrap();
    assert_eq!((&refusal.node, refusal.segment), (&node, 1));
    assert_eq!((refusal.server.as_deref(), refusal.code.as_deref()), (Some("s"), Some("refused")));
    assert!(refusal.time_ms > 1_700_000_000_000, "{refusal:?}");
}

#[tokio::test]
async fn what_is_not_in_the_store_yet_is_not_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let mut settings = settings(folder.path());
    settings.segment = 1 << 10;
    settings.keep.bytes = Some(1);
    let audit = open(&settings);
    for _ in 0..20 {
        fill(&audit, 5).await;
    }
    let journal = &audit.open.as_ref().unwrap().opened.journal;
    assert_eq!(journal.retain(audit.may_go()).unwrap(), []);
    let total = lines(folder.path()).len();
    shipped(&audit, &store, total).await;
    let dropped = journal.retain(audit.may_go()).unwrap();
    assert!(!dropped.is_empty());
    assert!(all(&store).await.len() >= total, "the store has them still");
}

/// Two journals of one name: one would be left out silently.
#[tokio::test]
async fn a_journal_that_is_another_ones_copy_says_so() {
    let [one, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let store = store(one.path()).await;
    for folder in [&one, &other] {
        std::fs::create_dir_all(folder.path().join("audit")).unwrap();
        std::fs::write(folder.path().join("audit/instance"), "00112233aabb\n").unwrap();
    }
    let first = open(&settings(one.path()));
    fill(&first, 3).await;
    shipped(&first, &store, 4).await;
    let second = open(&settings(other.path()));
    fill(&second, 3).await;
    let shipping = Arc::clone(&second).ship(store.clone());
    tokio::select! {
        () = shipping => {}
        () = testkit::patiently("trouble", async {
            while !second.shipped().unwrap().contains("another journal is called") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }) => {}
    }
    let theirs = lines(one.path());
    assert!(all(&store).await.iter().all(|record| theirs.contains(&record.line)));
}

#[tokio::test]
async fn a_store_that_is_down_holds_up_nobody_and_gets_all_later() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let audit = open(&settings(folder.path()));
    store.close().await;
    let shipping = tokio::spawn(Arc::clone(&audit).ship(store));
    fill(&audit, 50).await;
    testkit::patiently("trouble", async {
        while !audit.shipped().unwrap().contains("the store is unavailable") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    fill(&audit, 50).await;
    shipping.abort();
    let again = self::store(folder.path()).await;
    shipped(&audit, &again, 101).await;
    assert!(!audit.shipped().unwrap().contains("unavailable"), "{:?}", audit.shipped());
}

#[tokio::test]
async fn the_index_is_built_anew_at_will_and_asked() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let audit = open(&settings);
    fill(&audit, 600).await;
    Arc::into_inner(audit).unwrap().close();
    let store = store(folder.path()).await;
    let name = node("n", &folder.path().join("audit")).unwrap();
    // What is there is wrong, and more than there is.
    let wrong = AuditRecord { node: name.clone(), seq: 2, line: "{}".into(), ..AuditRecord::default() };
    let foreign = AuditRecord {
        node: "other.1".into(),
        seq: 1,
        kind: "decision".into(),
        line: "{}".into(),
        ..AuditRecord::default()
    };
    store.insert_audit(&[wrong.clone(), AuditRecord { seq: 9999, ..wrong }, foreign]).await.unwrap();
    let index = Index::open(&url(folder.path())).await.unwrap();
    for _ in 0..2 {
        let rebuilt = index.rebuild(&settings).await.unwrap();
        assert_eq!((rebuilt.records as usize, rebuilt.first), (lines(folder.path()).len(), 1));
    }
    let here = lines(folder.path());
    let there: Vec<_> =
        all(&store).await.into_iter().filter(|record| record.node == name).map(|record| record.line).collect();
    assert_eq!(there, here);
    let filter = Filter { server: Some("s".into()), ..Filter::default() };
    let found = index.query(Some("decision"), &filter, 450).await.unwrap();
    assert_eq!(found.len(), 450, "more than one page");
    assert!(
        found.windows(2).all(|pair| pair[0].record["seq"].as_u64() > pair[1].record["seq"].as_u64()),
        "the newest first"
    );
    let none = Filter { server: Some("t".into()), ..Filter::default() };
    assert!(index.query(None, &none, 10).await.unwrap().is_empty());
}

/// Somebody edited it: `verify` finds that, and the store has what can be asked for all the same.
#[test]
fn an_odd_member_of_a_record_is_left_out_and_the_record_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let odd = r#"{"seq":1,"time":"2026-11-27T12:00:00.250Z","kind":"decision","agent":7,"server":"s\u0041","method":null,"code":["x"],"latency_ms":"1"}"#;
    let text = format!("{odd}\n{{\"seq\":\"2\"}}\nnot JSON\n{{\"seq\":3,\"latency_ms\":2}}\n");
    std::fs::write(folder.path().join("journal-00000000000000000001.jsonl"), text).unwrap();
    let records = super::Source::of(folder.path(), "n", 0).unwrap().batch(u64::MAX).unwrap().records;
    let expected = [
        AuditRecord {
            node: "n".into(),
            seq: 1,
            segment: 1,
            time_ms: 1_795_780_800_250,
            kind: "decision".into(),
            server: Some("sA".into()),
            line: odd.into(),
            ..AuditRecord::default()
        },
        AuditRecord {
            node: "n".into(),
            seq: 3,
            segment: 1,
            latency_us: Some(2000),
            line: "{\"seq\":3,\"latency_ms\":2}".into(),
            ..AuditRecord::default()
        },
    ];
    assert_eq!(records, expected);
}

/// They were dropped because the store had them.
#[tokio::test]
async fn what_is_in_the_files_no_more_stays_in_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, files) = (settings(folder.path()), folder.path().join("audit"));
    std::fs::create_dir(&files).unwrap();
    let name = node("n", &files).unwrap();
    let index = Index::open(&url(folder.path())).await.unwrap();
    let (store, kept) = (store(folder.path()).await, |seq: i64, line: &str| AuditRecord {
        node: name.clone(),
        seq,
        line: line.into(),
        ..AuditRecord::default()
    });
    let old = [kept(1, "{\"seq\":1}"), kept(4, "{\"seq\":4}"), kept(5, "wrong"), kept(9, "wrong")];
    store.insert_audit(&old).await.unwrap();
    assert!(index.rebuild(&settings).await.is_err(), "no files, and nothing is forgotten");
    assert_eq!(all(&store).await.len(), 4);
    std::fs::write(files.join("journal-00000000000000000005.jsonl"), "{\"seq\":5}\n{\"seq\":6}\n").unwrap();
    let rebuilt = index.rebuild(&settings).await.unwrap();
    assert_eq!((rebuilt.records, rebuilt.first), (2, 5));
    let there: Vec<_> = all(&store).await.into_iter().map(|record| record.line).collect();
    assert_eq!(there, [1, 4, 5, 6].map(|seq| format!("{{\"seq\":{seq}}}")));
    assert_eq!(store.last_audit_seq(&name).await.unwrap(), Some(6));
}

#[test]
fn what_is_missing_keeps_nothing_else_from_the_store() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("journal-00000000000000000001.jsonl"), "{\"seq\":1}\n{\"seq\":5}\n").unwrap();
    std::fs::write(folder.path().join("journal-00000000000000000009.jsonl"), "{\"seq\":9}\n").unwrap();
    let records = super::Source::of(folder.path(), "n", 0).unwrap().batch(u64::MAX).unwrap().records;
    assert_eq!(records.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 5, 9]);
}

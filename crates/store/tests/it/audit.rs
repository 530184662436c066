//! Audit records: each once, found by what they say, gone when they are old.

use std::collections::BTreeSet;

use store::{AuditQuery, AuditRecord, Store, StoreError};

use crate::home::{Home, both};
use crate::samples::record;

both!(
    a_record_that_is_brought_again_is_kept_once,
    two_who_bring_the_same_records_keep_them_once,
    how_far_a_node_is_outlives_its_records,
    a_record_comes_back_as_it_was_brought,
    what_postgresql_cannot_keep_stops_no_journal,
    filters_hold_together,
    pages_neither_skip_nor_repeat_while_records_come,
    a_cursor_survives_being_text,
    too_much_at_once_is_refused,
    a_forgotten_node_starts_anew,
);

async fn a_record_that_is_brought_again_is_kept_once(home: Home) {
    let store = home.open().await;
    let records: Vec<_> = (1..=10).map(|seq| record("a", seq, seq)).collect();
    assert_eq!(store.insert_audit(&records[..6]).await.unwrap(), 6);
    let changed: Vec<_> =
        records.iter().map(|record| AuditRecord { kind: "forged".to_owned(), ..record.clone() }).collect();
    assert_eq!(store.insert_audit(&changed[..6]).await.unwrap(), 0);
    assert_eq!(store.insert_audit(&records).await.unwrap(), 4);
    assert_eq!(store.insert_audit(&[record("b", 1, 1)]).await.unwrap(), 1, "another node's numbers are its own");
    let kept = all(&store, AuditQuery::default()).await;
    assert_eq!(kept.len(), 11);
    assert!(kept.iter().all(|record| record.kind == "decision"));
}

async fn two_who_bring_the_same_records_keep_them_once(home: Home) {
    let (one, two) = (home.open().await, home.open().await);
    let records: Vec<_> = (1..=200).map(|seq| record("a", seq, seq)).collect();
    let (first, second) = tokio::join!(one.insert_audit(&records), two.insert_audit(&records));
    assert_eq!(first.unwrap() + second.unwrap(), 200);
}

async fn how_far_a_node_is_outlives_its_records(home: Home) {
    let store = home.open().await;
    assert_eq!(store.last_audit_seq("a").await.unwrap(), None);
    store.insert_audit(&[record("a", 8, 1), record("a", 9, 2), record("b", 3, 9)]).await.unwrap();
    store.insert_audit(&[record("a", 2, 1)]).await.unwrap();
    assert_eq!(store.last_audit_seq("a").await.unwrap(), Some(9));
    assert_eq!(store.sweep_audit(9).await.unwrap(), 3);
    assert_eq!(store.sweep_audit(9).await.unwrap(), 0);
    assert_eq!(store.last_audit_seq("a").await.unwrap(), Some(9));
    assert_eq!(all(&store, AuditQuery::default()).await.len(), 1);
}

async fn a_record_comes_back_as_it_was_brought(home: Home) {
    let store = home.open().await;
    let full = AuditRecord {
        node: "näme".to_owned(),
        seq: i64::MAX,
        segment: 7,
        time_ms: 1_700_000_000_000,
        kind: "completion".to_owned(),
        agent: Some("alice".to_owned()),
        server: Some("github".to_owned()),
        method: Some("tools/call".to_owned()),
        subject: Some("get \"issue\" \\ ü".to_owned()),
        outcome: Some("denied".to_owned()),
        code: Some("argument_denied".to_owned()),
        rule: Some("/tools/create_refund/deny_if/0".to_owned()),
        policy: Some("cafe".to_owned()),
        latency_us: Some(1234),
        line: "{\"a\":\"\\u0000 \\\" ü\"}".to_owned(),
    };
    store.insert_audit(std::slice::from_ref(&full)).await.unwrap();
    assert_eq!(store.audit_record("näme", i64::MAX).await.unwrap(), full);
    assert!(matches!(store.audit_record("näme", 1).await, Err(StoreError::NotFound { .. })));
}

async fn what_postgresql_cannot_keep_stops_no_journal(home: Home) {
    let store = home.open().await;
    let odd = AuditRecord { method: Some("a\0b".to_owned()), subject: Some("ü".repeat(9000)), ..record("a", 1, 1) };
    store.insert_audit(&[odd]).await.unwrap();
    let kept = store.audit_record("a", 1).await.unwrap();
    assert_eq!(kept.method.as_deref(), Some("a\u{fffd}b"));
    assert_eq!(kept.subject.unwrap(), "ü".repeat(2048));
}

async fn filters_hold_together(home: Home) {
    let store = home.open().await;
    let mut records: Vec<_> = (0..60).map(|seq| record("a", seq, 100 + seq)).collect();
    records[5].rule = Some("/tools/x".to_owned());
    store.insert_audit(&records).await.unwrap();
    store.insert_audit(&[AuditRecord { agent: None, server: None, ..record("b", 1, 1) }]).await.unwrap();
    let text = |text: &str| Some(text.to_owned());
    let numbers = async |query| all(&store, query).await.iter().map(|record| record.seq).collect::<Vec<_>>();

    let by_agent = AuditQuery { agent: text("agent-1"), until_ms: Some(110), ..AuditQuery::default() };
    assert_eq!(numbers(by_agent.clone()).await, [7, 4, 1]);
    assert_eq!(numbers(AuditQuery { server: text("server-0"), ..by_agent }).await, [4]);
    let by_server = AuditQuery { server: text("server-1"), since_ms: Some(155), ..AuditQuery::default() };
    assert_eq!(numbers(by_server).await, [59, 57, 55]);
    assert_eq!(numbers(AuditQuery { rule: text("/tools/x"), ..AuditQuery::default() }).await, [5]);
    assert_eq!(numbers(AuditQuery { node: text("b"), ..AuditQuery::default() }).await, [1]);
    for nothing in [
        AuditQuery { kind: text("x"), ..AuditQuery::default() },
        AuditQuery { method: text("x"), ..AuditQuery::default() },
        AuditQuery { subject: text("x"), ..AuditQuery::default() },
        AuditQuery { outcome: text("x"), ..AuditQuery::default() },
        AuditQuery { code: text("x"), ..AuditQuery::default() },
        AuditQuery { policy: text("x"), ..AuditQuery::default() },
        AuditQuery { agent: text("' OR '1'='1"), ..AuditQuery::default() },
    ] {
        assert!(numbers(nothing).await.is_empty());
    }
}

async fn pages_neither_skip_nor_repeat_while_records_come(home: Home) {
    let store = home.open().await;
    // Many of one time, of several nodes: the time alone orders nothing.
    for node in ["a", "b", "c"] {
        let records: Vec<_> = (0..40).map(|seq| record(node, seq, seq / 10)).collect();
        store.insert_audit(&records).await.unwrap();
    }
    let (mut query, mut seen, mut pages) = (AuditQuery::default(), Vec::new(), 0);
    loop {
        let page = store.audit(&query, 7).await.unwrap();
        seen.extend(page.records.iter().map(|record| (record.time_ms, record.node.clone(), record.seq)));
        store.insert_audit(&[record("d", pages, 1000)]).await.unwrap(); // newer than all
        pages += 1;
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 120);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 120);
    assert!(seen.is_sorted_by(|a, b| a > b));
}

async fn a_cursor_survives_being_text(home: Home) {
    let store = home.open().await;
    store.insert_audit(&[record("a.ü", -1, 5), record("a.ü", 2, 6)]).await.unwrap();
    let cursor = store.audit(&AuditQuery::default(), 1).await.unwrap().next.unwrap();
    let text = cursor.to_string();
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)), "{text}");
    assert_eq!(text.parse::<store::AuditCursor>().unwrap(), cursor);
    for odd in ["", "1", "1.2", "x.2.61", "1.2.6", "1.2.zz", "1.2.ff", "1.2.00", "1.2.61.61"] {
        assert!(matches!(odd.parse::<store::AuditCursor>(), Err(StoreError::Invalid { .. })), "{odd}");
    }
}

async fn too_much_at_once_is_refused(home: Home) {
    let store = home.open().await;
    let many: Vec<_> = (0..1001).map(|seq| record("a", seq, seq)).collect();
    assert!(matches!(store.insert_audit(&many).await, Err(StoreError::Invalid { what: "a batch", .. })));
    let large = AuditRecord { line: "x".repeat(17 << 20), ..record("a", 1, 1) };
    assert!(matches!(store.insert_audit(&[large]).await, Err(StoreError::Invalid { what: "a batch", .. })));
    assert_eq!(store.insert_audit(&[]).await.unwrap(), 0);
    assert_eq!(store.insert_audit(&many[..1000]).await.unwrap(), 1000);
}

async fn a_forgotten_node_starts_anew(home: Home) {
    let store = home.open().await;
    store.insert_audit(&[record("a", 1, 1), record("a", 2, 2), record("b", 3, 9)]).await.unwrap();
    assert_eq!(store.forget_audit("a", 1).await.unwrap(), 2);
    assert_eq!(store.last_audit_seq("a").await.unwrap(), Some(2), "not while some may be left");
    assert_eq!(store.forget_audit("a", 1).await.unwrap(), 0);
    assert_eq!(store.last_audit_seq("a").await.unwrap(), None);
    assert_eq!(store.last_audit_seq("b").await.unwrap(), Some(3));
    // From a number on.
    store.insert_audit(&[record("b", 5, 5), record("b", 6, 6)]).await.unwrap();
    assert_eq!(store.forget_audit("b", 5).await.unwrap(), 2);
    assert_eq!(store.forget_audit("b", 5).await.unwrap(), 0);
    assert_eq!(store.last_audit_seq("b").await.unwrap(), Some(4));
    assert_eq!(store.audit_record("b", 3).await.unwrap(), record("b", 3, 9));
}

async fn all(store: &Store, mut query: AuditQuery) -> Vec<AuditRecord> {
    let mut records = Vec::new();
    loop {
        let page = store.audit(&query, 1000).await.unwrap();
        records.extend(page.records);
        query.after = page.next;
        if query.after.is_none() {
            return records;
        }
    }
}

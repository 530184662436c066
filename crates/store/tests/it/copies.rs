//! One store into another: all of it, once, into nothing.

use store::{CopyError, Options, Role, Server, Session, Setting, Store, StoreError, copy};

use crate::home::{Home, both, on_sqlite};
use crate::samples::{WIDE, admin, agent, asked, credential, draft, grant, record, server, token, vote};

both!(a_store_moves_to_another_whole, a_store_that_is_not_empty_is_not_copied_to, a_copy_that_fails_leaves_nothing,);

/// There from SQLite, and back to another SQLite: on PostgreSQL, that is both ways.
async fn a_store_moves_to_another_whole(home: Home) {
    on_sqlite(async |first: Home| {
        let (old, new) = (first.open().await, home.open().await);
        fill(&old).await;
        let copied = copy(&old, &new).await.unwrap();
        assert_eq!(
            copied.tables.iter().map(|(_, rows)| rows).sum::<u64>(),
            5 + 2 + 3 + 1 + 1 + 1 + 2 + 2 + 1 + 4 + 1 + 450,
            "{copied:?}"
        );
        same(&old, &new).await;
        let made = new.create("next", server("https://b.example")).await.unwrap();
        assert_eq!(made.version, copied.revision + 1, "versions go on where they were");
        new.delete::<Server>("next", None).await.unwrap();
        on_sqlite(async |last: Home| {
            let back = last.open().await;
            assert_eq!(copy(&new, &back).await.unwrap().tables, copied.tables);
            same(&new, &back).await;
        })
        .await;
    })
    .await;
}

async fn a_store_that_is_not_empty_is_not_copied_to(home: Home) {
    on_sqlite(async |first: Home| {
        let (old, new) = (first.open().await, home.open().await);
        fill(&old).await;
        let setting = new.create("theme", Setting(serde_json::json!(1))).await.unwrap();
        let refused = copy(&old, &new).await.unwrap_err();
        assert!(matches!(refused, CopyError::NotEmpty { table: "tg_documents", rows: 1 }), "{refused:?}");
        assert_eq!(new.revision().await.unwrap(), setting.version);
        let itself = copy(&old, &old).await.unwrap_err();
        assert!(matches!(itself, CopyError::NotEmpty { .. }), "{itself:?}");
    })
    .await;
}

/// A row that the target does not take stops everything, be it the last.
async fn a_copy_that_fails_leaves_nothing(home: Home) {
    on_sqlite(async |first: Home| {
        let (old, new) = (first.open().await, home.open().await);
        fill(&old).await;
        home.meddle("CREATE UNIQUE INDEX forged ON tg_audit (kind)").await;
        let refused = copy(&old, &new).await.unwrap_err();
        assert!(matches!(refused, CopyError::To(StoreError::Unavailable { .. })), "{refused:?}");
        assert!(!format!("{refused:?}").contains("decision"), "no value of a row is said: {refused:?}");
        home.meddle("DROP INDEX forged").await;
        assert_eq!(new.revision().await.unwrap(), 0);
        copy(&old, &new).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_the_target_alters_is_noticed() {
    on_sqlite(async |first: Home| {
        on_sqlite(async |second: Home| {
            let (old, new) = (first.open().await, second.open().await);
            fill(&old).await;
            second.meddle("CREATE TRIGGER forged AFTER INSERT ON tg_audit BEGIN UPDATE tg_audit SET agent = 'x' WHERE seq = 7; END").await;
            let refused = copy(&old, &new).await.unwrap_err();
            assert!(matches!(refused, CopyError::Differs { table: "tg_audit" }), "{refused:?}");
            assert_eq!(new.count::<Server>().await.unwrap(), 0);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_file_that_must_be_there_is_not_made() {
    on_sqlite(async |home| {
        let options = Options { create: false, ..Options::default() };
        let error = Store::open_with(&home.url, options).await.map(drop).unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert!(!home.file().unwrap().parent().unwrap().exists());
    })
    .await;
}

async fn fill(store: &Store) {
    store.create("github", server("https://a.example/ü")).await.unwrap();
    store.create("alice", agent()).await.unwrap();
    store.create("t1", token("alice", 1)).await.unwrap();
    store.create("c1", credential("github", None)).await.unwrap();
    store.create("root", admin(Role::Admin)).await.unwrap();
    store.add_policy_version("github", &draft("one"), true, None).await.unwrap();
    store.add_policy_version("github", &draft("two"), false, None).await.unwrap();
    store.add_policy_version("files", &draft("three"), false, None).await.unwrap();
    let session = Session { admin: "root".to_owned(), csrf: "c".to_owned(), expires_ms: 1000 };
    store.open_session(&[1; 32], &session, 10).await.unwrap();
    store.make_login_link(&[1; 32], "root", 1000, 0).await.unwrap();
    store.claim("root", "k1", "digest", 10).await.unwrap();
    for (id, number) in [("a1", 1), ("a2", 2)] {
        store.ask_approval(id, &asked("alice", number), 1000, &WIDE, &["mail", "slack"], 10).await.unwrap();
    }
    store.vote("a1", &vote("root", true, 20), None).await.unwrap();
    store.create_approval_link(&[2; 32], "a2", "root", 1000).await.unwrap();
    store.create_grant("g1", &grant("alice", 5), None).await.unwrap();
    store.use_grant("g1", 20).await.unwrap();
    for node in ["a", "b"] {
        let records: Vec<_> = (0..225).map(|seq| record(node, seq, seq)).collect();
        store.insert_audit(&records).await.unwrap();
    }
}

async fn same(one: &Store, two: &Store) {
    let (a, b) = (one.snapshot().await.unwrap(), two.snapshot().await.unwrap());
    assert_eq!(format!("{a:?}"), format!("{b:?}"));
    assert_eq!(one.policy("files").await.unwrap(), two.policy("files").await.unwrap());
    assert_eq!(one.policy_version("github", 2).await.unwrap(), two.policy_version("github", 2).await.unwrap());
    assert_eq!(one.audit_record("b", 224).await.unwrap(), two.audit_record("b", 224).await.unwrap());
    assert_eq!(two.last_audit_seq("b").await.unwrap(), Some(224));
    assert!(two.session(&[1; 32], 10).await.unwrap().is_some());
    for id in ["a1", "a2"] {
        assert_eq!(one.approval(id).await.unwrap(), two.approval(id).await.unwrap());
    }
    assert_eq!(one.grant("g1").await.unwrap(), two.grant("g1").await.unwrap());
    assert_eq!(one.approval_link(&[2; 32], 20).await.unwrap(), two.approval_link(&[2; 32], 20).await.unwrap());
}

//! Documents: made, found, changed and deleted, by many at once.

use serde_json::json;
use store::{Agent, Credential, Document, Owner, Role, Server, Setting, Store, StoreError, Token, Unreadable};

use crate::home::{Home, both};
use crate::samples::{admin, agent, credential, server, token};

both!(
    a_record_comes_back_as_it_was_kept,
    a_second_record_with_an_id_is_refused,
    an_unknown_record_is_not_found,
    only_one_of_two_nodes_that_saw_the_same_version_wins,
    a_version_is_never_given_twice,
    put_makes_or_replaces_but_with_a_version_only_replaces,
    an_owner_takes_along_what_it_owns,
    aliases_are_unique,
    pages_neither_skip_nor_repeat,
    what_is_too_long_or_odd_is_refused,
    what_has_a_nul_is_refused_by_both_engines_alike,
    an_unknown_member_is_corrupt_and_not_quoted,
    ids_are_ordered_by_their_bytes,
);

async fn a_record_comes_back_as_it_was_kept(home: Home) {
    let store = home.open().await;
    let made = store.create("github", server("https://a.example/\u{0}ü")).await.unwrap();
    store.create("alice", agent()).await.unwrap();
    store.create("t1", token("alice", 7)).await.unwrap();
    store.create("c1", credential("github", Some("alice"))).await.unwrap();
    store.create("theme", Setting(json!({ "dark": true }))).await.unwrap();
    store.create("root", admin(Role::PolicyManager)).await.unwrap();
    store.close().await;

    let store = home.open().await;
    assert_eq!(store.get::<Server>("github").await.unwrap(), made);
    assert_eq!(made.value, server("https://a.example/\u{0}ü"));
    assert!(made.created_ms > 1_700_000_000_000 && made.updated_ms == made.created_ms);
    assert_eq!(store.get::<Agent>("alice").await.unwrap().value, agent());
    assert_eq!(store.get::<Token>("t1").await.unwrap().value, token("alice", 7));
    assert_eq!(store.get::<Credential>("c1").await.unwrap().value, credential("github", Some("alice")));
    assert_eq!(store.get::<Setting>("theme").await.unwrap().value, Setting(json!({ "dark": true })));
    assert_eq!(store.get::<store::Admin>("root").await.unwrap().value, admin(Role::PolicyManager));
}

async fn a_second_record_with_an_id_is_refused(home: Home) {
    let store = home.open().await;
    store.create("github", server("https://a.example")).await.unwrap();
    let revision = store.revision().await.unwrap();
    let refused = store.create("github", server("https://b.example")).await;
    assert!(matches!(refused, Err(StoreError::Exists { id }) if id == "github"));
    assert_eq!(store.get::<Server>("github").await.unwrap().value, server("https://a.example"));
    assert_eq!(store.revision().await.unwrap(), revision, "what was refused is no change");
    store.create("github", agent()).await.unwrap(); // another kind
}

async fn an_unknown_record_is_not_found(home: Home) {
    let store = home.open().await;
    fn missing<T: std::fmt::Debug>(outcome: Result<T, StoreError>) {
        match outcome {
            Err(StoreError::NotFound { what, id }) => assert_eq!((what, &*id), ("server", "github")),
            other => panic!("{other:?}"),
        }
    }
    missing(store.get::<Server>("github").await);
    missing(store.replace("github", server("https://a.example"), None).await);
    missing(store.put("github", server("https://a.example"), Some(1)).await);
    missing(store.amend("github", None, |_: &mut Server| ()).await);
    missing(store.delete::<Server>("github", None).await);
    assert_eq!(store.revision().await.unwrap(), 0);
}

async fn only_one_of_two_nodes_that_saw_the_same_version_wins(home: Home) {
    let (one, two) = (home.open().await, home.open().await);
    let mut seen = one.create("github", server("https://0.example")).await.unwrap().version;
    for round in 0..20 {
        let (a, b) = (format!("https://a{round}.example"), format!("https://b{round}.example"));
        let (first, second) =
            tokio::join!(one.replace("github", server(&a), Some(seen)), two.replace("github", server(&b), Some(seen)),);
        let (winner, loser) = if first.is_ok() { (first, second) } else { (second, first) };
        let winner = winner.unwrap();
        assert!(matches!(loser, Err(StoreError::Stale { version }) if version == winner.version), "{loser:?}");
        assert_eq!(two.get::<Server>("github").await.unwrap(), winner);
        seen = winner.version;
    }
    let stale = one.delete::<Server>("github", Some(seen - 1)).await;
    assert!(matches!(stale, Err(StoreError::Stale { version }) if version == seen));
    one.delete::<Server>("github", Some(seen)).await.unwrap();
}

async fn a_version_is_never_given_twice(home: Home) {
    let store = home.open().await;
    let first = store.create("github", server("https://a.example")).await.unwrap();
    store.delete::<Server>("github", None).await.unwrap();
    let again = store.create("github", server("https://b.example")).await.unwrap();
    assert!(again.version > first.version);
    let stale = store.replace("github", server("https://c.example"), Some(first.version)).await;
    assert!(matches!(stale, Err(StoreError::Stale { .. })));
}

async fn put_makes_or_replaces_but_with_a_version_only_replaces(home: Home) {
    let store = home.open().await;
    let made = store.put("theme", Setting(json!(1)), None).await.unwrap();
    let replaced = store.put("theme", Setting(json!(2)), None).await.unwrap();
    assert_eq!((replaced.created_ms, replaced.value), (made.created_ms, Setting(json!(2))));
    store.put("theme", Setting(json!(3)), Some(replaced.version)).await.unwrap();
    assert!(matches!(store.put("theme", Setting(json!(4)), Some(made.version)).await, Err(StoreError::Stale { .. })));
    assert!(matches!(store.put("other", Setting(json!(4)), Some(1)).await, Err(StoreError::NotFound { .. })));
}

async fn an_owner_takes_along_what_it_owns(home: Home) {
    let store = home.open().await;
    for name in ["alice", "bob"] {
        store.create(name, agent()).await.unwrap();
    }
    for (id, owner, byte) in [("t1", "alice", 1), ("t2", "alice", 2), ("t3", "bob", 3)] {
        store.create(id, token(owner, byte)).await.unwrap();
    }
    store.create("c1", credential("github", Some("alice"))).await.unwrap();
    store.create("c2", credential("github", None)).await.unwrap();
    store.create("c3", credential("files", Some("bob"))).await.unwrap();
    assert_eq!(owned::<Token>(&store, Owner::Agent("alice")).await, ["t1", "t2"]);
    assert_eq!(owned::<Credential>(&store, Owner::Server("github")).await, ["c1", "c2"]);

    store.delete::<Agent>("alice", None).await.unwrap();
    assert_eq!(ids::<Token>(&store).await, ["t3"]);
    assert_eq!(ids::<Credential>(&store).await, ["c2", "c3"]);
    assert!(store.token_by_hash(&[1; 32]).await.unwrap().is_none());
}

async fn aliases_are_unique(home: Home) {
    let store = home.open().await;
    store.create("t1", token("alice", 1)).await.unwrap();
    store.create("t2", token("alice", 2)).await.unwrap();
    assert!(matches!(store.create("t3", token("bob", 1)).await, Err(StoreError::Exists { id }) if id == "t1"));
    assert!(matches!(store.replace("t2", token("bob", 1), None).await, Err(StoreError::Exists { id }) if id == "t1"));
    store.replace("t2", token("bob", 2), None).await.unwrap(); // its own
    store.create("c1", credential("github", None)).await.unwrap();
    assert!(
        matches!(store.create("c2", credential("github", None)).await, Err(StoreError::Exists { id }) if id == "c1")
    );
    store.create("c2", credential("github", Some("alice"))).await.unwrap();
}

async fn pages_neither_skip_nor_repeat(home: Home) {
    let store = home.open().await;
    for number in (0..25).rev() {
        store.create(&format!("s{number:02}"), server("https://a.example")).await.unwrap();
    }
    let (mut after, mut seen, mut sizes): (Option<String>, _, _) = (None, Vec::new(), Vec::new());
    loop {
        let page = store.list::<Server>(after.as_deref(), 10).await.unwrap();
        sizes.push(page.items.len());
        seen.extend(page.items.into_iter().map(|kept| kept.id));
        // What comes or goes before the cursor moves nothing after it.
        if let Some(first) = seen.first() {
            _ = store.delete::<Server>(first, None).await;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [10, 10, 5]);
    assert_eq!(seen, (0..25).map(|number| format!("s{number:02}")).collect::<Vec<_>>());
    assert_eq!(store.list::<Server>(None, 0).await.unwrap().items.len(), 1, "a page is never empty by wish");
}

async fn what_is_too_long_or_odd_is_refused(home: Home) {
    let store = home.open().await;
    for id in ["", "a\nb", "nul\0", &"x".repeat(257)] {
        let refused = store.create(id, server("https://a.example")).await;
        assert!(matches!(refused, Err(StoreError::Invalid { what: "the id", .. })), "{id:?}");
    }
    let long = store.create("github", server(&"x".repeat(300_000))).await;
    assert!(matches!(long, Err(StoreError::Invalid { what: "server", .. })));
    store.create(&"x".repeat(256), server(&"x".repeat(200_000))).await.unwrap();
}

async fn what_has_a_nul_is_refused_by_both_engines_alike(home: Home) {
    let store = home.open().await;
    assert!(matches!(store.get::<Server>("a\0").await, Err(StoreError::Invalid { .. })));
    assert!(matches!(store.list::<Server>(Some("a\0"), 10).await, Err(StoreError::Invalid { .. })));
    assert!(matches!(store.delete::<Server>("a\0", None).await, Err(StoreError::Invalid { .. })));
}

async fn an_unknown_member_is_corrupt_and_not_quoted(home: Home) {
    let store = home.open().await;
    store.create("alice", agent()).await.unwrap();
    home.meddle("UPDATE tg_documents SET body = '{\"hush\":1}'").await;
    let error = store.get::<Agent>("alice").await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { what: "agent", id, .. } if id == "alice"));
    assert!(!format!("{error:?} {error}").contains("hush"), "{error:?}");
    let snapshot = store.snapshot().await.unwrap();
    let Unreadable { kind, id, why } = &snapshot.unreadable[0];
    assert_eq!((snapshot.agents.len(), snapshot.unreadable.len(), *kind, &**id), (0, 1, "agent", "alice"));
    assert!(why.contains("not what this version writes") && !why.contains("hush"), "{why}");
    let version = store.version::<Agent>("alice").await.unwrap();
    store.delete::<Agent>("alice", version).await.unwrap();
    assert_eq!(store.version::<Agent>("alice").await.unwrap(), None);
    assert!(store.snapshot().await.unwrap().unreadable.is_empty());
}

async fn ids_are_ordered_by_their_bytes(home: Home) {
    let store = home.open().await;
    for id in ["b", "B", "a", "ä", "_", "a-b", "a b"] {
        store.create(id, server("https://a.example")).await.unwrap();
    }
    assert_eq!(ids::<Server>(&store).await, ["B", "_", "a", "a b", "a-b", "b", "ä"]);
}

async fn ids<D: Document>(store: &Store) -> Vec<String> {
    store.list::<D>(None, 100).await.unwrap().items.into_iter().map(|kept| kept.id).collect()
}

async fn owned<D: Document>(store: &Store, owner: Owner<'_>) -> Vec<String> {
    store.list_of::<D>(owner, None, 100).await.unwrap().items.into_iter().map(|kept| kept.id).collect()
}

//! Tokens: found by their hash, revoked for good, replaced once.

use store::{Agent, Role, StoreError, Token};

use crate::home::{Home, both};
use crate::samples::{admin, agent, token};

both!(
    a_token_is_found_by_its_hash,
    a_revoked_token_stays_revoked_and_leaves_the_snapshot,
    a_rotated_token_overlaps_and_is_not_rotated_twice,
    tokens_that_are_good_for_nothing_are_swept,
    two_who_rotate_at_once_make_one_token,
    an_admins_token_is_good_while_both_are,
);

async fn a_token_is_found_by_its_hash(home: Home) {
    let store = home.open().await;
    store.create("t1", token("alice", 1)).await.unwrap();
    assert_eq!(store.token_by_hash(&[1; 32]).await.unwrap().unwrap().id, "t1");
    assert!(store.token_by_hash(&[2; 32]).await.unwrap().is_none());
}

async fn a_revoked_token_stays_revoked_and_leaves_the_snapshot(home: Home) {
    let store = home.open().await;
    store.create("alice", agent()).await.unwrap();
    store.create("t1", token("alice", 1)).await.unwrap();
    assert_eq!(store.snapshot().await.unwrap().tokens.len(), 1);
    store.revoke_token("t1", 1000, None).await.unwrap();
    assert_eq!(store.revoke_token("t1", 2000, None).await.unwrap().value.revoked_ms, Some(1000));
    assert!(store.snapshot().await.unwrap().tokens.is_empty());
    let dead = store.rotate_token("t1", "t2", token("alice", 2), 5000, None).await;
    assert!(matches!(dead, Err(StoreError::Invalid { what: "the token", .. })));
    assert_eq!(store.count::<Token>().await.unwrap(), 1);
    assert_eq!(store.count::<Agent>().await.unwrap(), 1);
}

async fn a_rotated_token_overlaps_and_is_not_rotated_twice(home: Home) {
    let store = home.open().await;
    store.create("t1", token("alice", 1)).await.unwrap();
    store.create("t5", Token { expires_ms: Some(50), ..token("alice", 5) }).await.unwrap();
    let stranger = store.rotate_token("t1", "t2", token("bob", 2), 5000, None).await;
    assert!(matches!(stranger, Err(StoreError::Invalid { what: "the new token", .. })));

    store.rotate_token("t1", "t2", token("alice", 2), 5000, None).await.unwrap();
    let old = store.get::<Token>("t1").await.unwrap().value;
    assert_eq!((old.expires_ms, old.replaced_by.as_deref()), (Some(5000), Some("t2")));
    let again = store.rotate_token("t1", "t3", token("alice", 3), 5000, None).await;
    assert!(matches!(again, Err(StoreError::Exists { id }) if id == "t2"));

    store.rotate_token("t5", "t6", token("alice", 6), 5000, None).await.unwrap();
    assert_eq!(store.get::<Token>("t5").await.unwrap().value.expires_ms, Some(50), "an overlap prolongs nothing");
}

async fn tokens_that_are_good_for_nothing_are_swept(home: Home) {
    let store = home.open().await;
    let of = |byte, revoked_ms, expires_ms| Token { revoked_ms, expires_ms, ..token("alice", byte) };
    store.create("t1", of(1, Some(99), None)).await.unwrap();
    store.create("t2", of(2, None, Some(99))).await.unwrap();
    store.create("t3", of(3, Some(100), Some(100))).await.unwrap();
    store.create("t4", of(4, None, None)).await.unwrap();
    assert_eq!(store.sweep_tokens(100).await.unwrap(), 2);
    let revision = store.revision().await.unwrap();
    assert_eq!(store.sweep_tokens(100).await.unwrap(), 0);
    assert_eq!(store.revision().await.unwrap(), revision, "nothing gone is no change");
    let left: Vec<_> = store.list::<Token>(None, 10).await.unwrap().items.into_iter().map(|kept| kept.id).collect();
    assert_eq!(left, ["t3", "t4"]);
}

async fn two_who_rotate_at_once_make_one_token(home: Home) {
    let (one, two) = (home.open().await, home.open().await);
    one.create("t1", token("alice", 1)).await.unwrap();
    let (first, second) = tokio::join!(
        one.rotate_token("t1", "t2", token("alice", 2), 5000, None),
        two.rotate_token("t1", "t3", token("alice", 3), 5000, None),
    );
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    assert_eq!(one.count::<Token>().await.unwrap(), 2, "what lost left nothing behind");
}

async fn an_admins_token_is_good_while_both_are(home: Home) {
    let store = home.open().await;
    let key = |sha256| store::AdminToken {
        admin: "root".to_owned(),
        prefix: "tga_abcdef".to_owned(),
        sha256,
        label: String::new(),
        expires_ms: Some(1000),
    };
    store.create("root", admin(Role::Admin)).await.unwrap();
    store.create("k1", key([1; 32])).await.unwrap();
    assert_eq!(store.admin_by_token(&[1; 32], 999).await.unwrap().unwrap().value.role, Role::Admin);
    assert!(store.admin_by_token(&[1; 32], 1000).await.unwrap().is_none(), "expired");
    assert!(store.admin_by_token(&[2; 32], 0).await.unwrap().is_none(), "unknown");
    store.amend("root", None, |admin: &mut store::Admin| admin.enabled = false).await.unwrap();
    assert!(store.admin_by_token(&[1; 32], 0).await.unwrap().is_none(), "disabled");
    store.delete::<store::Admin>("root", None).await.unwrap();
    store.create("root", admin(Role::Admin)).await.unwrap();
    assert!(store.admin_by_token(&[1; 32], 0).await.unwrap().is_none(), "a new admin has none of the old one's tokens");
}

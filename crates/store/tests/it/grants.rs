//! Grants: good for their calls, in their time, as often as they say, until they are revoked.

use store::{Grant, GrantFilter, StoreError};

use crate::home::{Home, both};
use crate::samples::grant;

both!(
    a_grant_is_found_for_its_calls_in_its_time,
    a_used_up_or_revoked_grant_is_good_for_nothing,
    grants_are_listed_the_newest_first,
    there_are_so_many_and_no_more,
    old_grants_are_forgotten,
);

async fn a_grant_is_found_for_its_calls_in_its_time(home: Home) {
    let store = home.open().await;
    let later = Grant { created_ms: 70_000, expires_ms: 100_000, ..grant("alice", 2) };
    let made = store.create_grant("g1", &later, None).await.unwrap();
    assert_eq!(made, Grant { id: "g1".to_owned(), used: 0, revoked_ms: None, ..later }, "it starts anew");
    assert_eq!(store.grant("g1").await.unwrap(), Some(made.clone()));
    assert_eq!(store.grant("g2").await.unwrap(), None);
    let found = async |agent, server, method, subject, now_ms| {
        store.matching_grants(agent, server, method, subject, now_ms).await.unwrap().len()
    };
    assert_eq!(found("alice", "github", "tools/call", "delete_repo", 70_000).await, 1);
    assert_eq!(found("bob", "github", "tools/call", "delete_repo", 70_000).await, 0);
    assert_eq!(found("alice", "gitlab", "tools/call", "delete_repo", 70_000).await, 0);
    assert_eq!(found("alice", "github", "prompts/get", "delete_repo", 70_000).await, 0);
    assert_eq!(found("alice", "github", "tools/call", "Delete_repo", 70_000).await, 0);
    // Another node's clock may be a minute behind.
    for (now_ms, good) in [(9_999, false), (10_000, true), (99_999, true), (100_000, false)] {
        assert_eq!(found("alice", "github", "tools/call", "delete_repo", now_ms).await, usize::from(good), "{now_ms}");
        assert_eq!(store.use_grant("g1", now_ms).await.unwrap(), good, "{now_ms}");
    }
    let taken = store.create_grant("g1", &grant("alice", 2), None).await;
    assert!(matches!(taken, Err(StoreError::Exists { .. })), "{taken:?}");
}

async fn a_used_up_or_revoked_grant_is_good_for_nothing(home: Home) {
    let store = home.open().await;
    store.create_grant("g1", &grant("alice", 1), None).await.unwrap();
    store.create_grant("g2", &grant("alice", 9), None).await.unwrap();
    assert!(store.use_grant("g1", 20).await.unwrap());
    assert!(!store.use_grant("g1", 20).await.unwrap(), "used up");
    assert_eq!(store.revoke_grant("g2", 30).await.unwrap().revoked_ms, Some(30));
    assert_eq!(store.revoke_grant("g2", 40).await.unwrap().revoked_ms, Some(30), "it stays as it was");
    assert!(!store.use_grant("g2", 20).await.unwrap(), "revoked, whatever the clock says");
    assert!(!store.use_grant("g3", 20).await.unwrap(), "there is none");
    assert_eq!(store.matching_grants("alice", "github", "tools/call", "delete_repo", 20).await.unwrap(), []);
    let missing = store.revoke_grant("g3", 40).await;
    assert!(matches!(missing, Err(StoreError::NotFound { what: "grant", .. })), "{missing:?}");
}

async fn grants_are_listed_the_newest_first(home: Home) {
    let store = home.open().await;
    for number in 0..5 {
        let agent = if number % 2 == 0 { "alice" } else { "bob" };
        let made = Grant { created_ms: 10 + number / 2, ..grant(agent, 1) };
        store.create_grant(&format!("g{number}"), &made, None).await.unwrap();
    }
    let page = store.grants(&GrantFilter::default(), None, 3).await.unwrap();
    let rest = store.grants(&GrantFilter::default(), page.next.as_deref(), 3).await.unwrap();
    let ids = |grants: Vec<Grant>| grants.into_iter().map(|grant| grant.id).collect::<Vec<_>>().join(" ");
    assert_eq!((ids(page.items), ids(rest.items), rest.next), ("g4 g3 g2".to_owned(), "g1 g0".to_owned(), None));
    let of = GrantFilter { agent: Some("bob".to_owned()), server: Some("github".to_owned()) };
    assert_eq!(ids(store.grants(&of, None, 9).await.unwrap().items), "g3 g1");
}

async fn there_are_so_many_and_no_more(home: Home) {
    let store = home.open().await;
    for number in 0..100 {
        store.create_grant(&format!("g{number}"), &grant("alice", 1), None).await.unwrap();
    }
    let full = store.create_grant("late", &grant("alice", 1), None).await;
    assert!(matches!(full, Err(StoreError::Full { max: 100, .. })), "{full:?}");
    store.create_grant("other", &grant("bob", 1), None).await.unwrap();
    store.revoke_grant("g7", 20).await.unwrap();
    store.create_grant("late", &grant("alice", 1), None).await.unwrap();
    let refused = store.create_grant("x", &Grant { subject: "x".repeat(9000), ..grant("bob", 1) }, None).await;
    assert!(matches!(refused, Err(StoreError::Invalid { what: "the subject", .. })), "{refused:?}");
}

async fn old_grants_are_forgotten(home: Home) {
    let store = home.open().await;
    for id in ["g1", "g2"] {
        store.create_grant(id, &grant("alice", 1), None).await.unwrap();
    }
    store.revoke_grant("g2", 20).await.unwrap();
    store.sweep_approvals(20).await.unwrap();
    assert!(store.grant("g2").await.unwrap().is_some());
    store.sweep_approvals(21).await.unwrap();
    assert!(store.grant("g2").await.unwrap().is_none());
    store.sweep_approvals(1000).await.unwrap();
    assert!(store.grant("g1").await.unwrap().is_some());
    store.sweep_approvals(1001).await.unwrap();
    assert!(store.grant("g1").await.unwrap().is_none());
}

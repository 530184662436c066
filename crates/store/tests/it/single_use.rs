//! What is there once: login links, idempotency keys, sessions.

use store::{Admin, Answer, Claim, Role, Session, Store, StoreError};

use crate::home::{Home, both};
use crate::samples::admin;

both!(
    of_fifty_who_use_a_link_one_gets_in,
    a_link_is_good_until_its_end,
    of_fifty_who_claim_a_key_one_has_it,
    a_repeated_request_gets_the_first_ones_answer,
    a_key_that_is_given_back_or_swept_is_free,
    a_session_is_good_until_its_end_and_while_its_admin_is,
    sessions_and_links_change_no_revision,
);

async fn of_fifty_who_use_a_link_one_gets_in(home: Home) {
    let nodes = [home.open().await, home.open().await];
    nodes[0].make_login_link(&[1; 32], "root", 1000, 0).await.unwrap();
    let let_in = race(&nodes, |store| async move { store.use_login_link(&[1; 32], 10).await }).await;
    assert_eq!(let_in.into_iter().flatten().collect::<Vec<_>>(), ["root"]);
}

async fn a_link_is_good_until_its_end(home: Home) {
    let store = home.open().await;
    store.make_login_link(&[1; 32], "root", 1000, 0).await.unwrap();
    assert_eq!(store.use_login_link(&[2; 32], 10).await.unwrap(), None, "another");
    assert_eq!(store.use_login_link(&[1; 32], 1000).await.unwrap(), None, "too late");
    assert_eq!(store.use_login_link(&[1; 32], 10).await.unwrap(), None, "it was used up by coming too late");
}

async fn of_fifty_who_claim_a_key_one_has_it(home: Home) {
    let nodes = [home.open().await, home.open().await];
    let claims = race(&nodes, |store| async move { store.claim("root", "k1", "digest", 10).await }).await;
    assert_eq!(claims.iter().filter(|claim| **claim == Claim::Yours).count(), 1);
    assert_eq!(claims.iter().filter(|claim| **claim == Claim::Busy { since_ms: 10 }).count(), 49);
}

async fn a_repeated_request_gets_the_first_ones_answer(home: Home) {
    let store = home.open().await;
    let answer = Answer { status: 201, body: "{\"id\":\"github\"}".to_owned() };
    assert_eq!(store.claim("root", "k1", "digest", 10).await.unwrap(), Claim::Yours);
    store.answer("root", "k1", &answer).await.unwrap();
    assert_eq!(store.claim("root", "k1", "digest", 20).await.unwrap(), Claim::Answered(answer));
    assert_eq!(store.claim("root", "k1", "other", 20).await.unwrap(), Claim::Other);
    assert_eq!(store.claim("alice", "k1", "other", 20).await.unwrap(), Claim::Yours, "keys are each caller's own");
    let late = store.answer("root", "k1", &Answer { status: 500, body: String::new() }).await;
    assert!(matches!(late, Err(StoreError::NotFound { .. })), "an answer stays");
}

async fn a_key_that_is_given_back_or_swept_is_free(home: Home) {
    let store = home.open().await;
    store.claim("root", "k1", "digest", 10).await.unwrap();
    store.unclaim("root", "k1").await.unwrap();
    assert_eq!(store.claim("root", "k1", "other", 20).await.unwrap(), Claim::Yours);
    store.answer("root", "k1", &Answer { status: 200, body: String::new() }).await.unwrap();
    store.unclaim("root", "k1").await.unwrap();
    assert_eq!(
        store.claim("root", "k1", "digest", 30).await.unwrap(),
        Claim::Other,
        "what was answered is not given back"
    );
    assert_eq!(store.sweep_idempotency(20).await.unwrap(), 0);
    assert_eq!(store.sweep_idempotency(21).await.unwrap(), 1);
    assert_eq!(store.claim("root", "k1", "digest", 30).await.unwrap(), Claim::Yours);
}

async fn a_session_is_good_until_its_end_and_while_its_admin_is(home: Home) {
    let store = home.open().await;
    let session = Session { admin: "root".to_owned(), csrf: "c".to_owned(), expires_ms: 1000 };
    store.create("root", admin(Role::Viewer)).await.unwrap();
    for byte in 1..=4 {
        store.open_session(&[byte; 32], &session, 10).await.unwrap();
    }
    let (found, who) = store.session(&[1; 32], 999).await.unwrap().unwrap();
    assert_eq!((found, who.value.role), (session.clone(), Role::Viewer));
    assert!(store.session(&[1; 32], 1000).await.unwrap().is_none(), "over");
    assert!(store.session(&[9; 32], 10).await.unwrap().is_none(), "unknown");
    store.amend("root", None, |admin: &mut Admin| admin.role = Role::Admin).await.unwrap();
    assert_eq!(store.session(&[1; 32], 10).await.unwrap().unwrap().1.value.role, Role::Admin, "a role holds at once");
    store.close_session(&[1; 32]).await.unwrap();
    assert!(store.session(&[1; 32], 10).await.unwrap().is_none(), "signed out");
    store.create("other", admin(Role::Admin)).await.unwrap();
    let off = Admin { enabled: false, ..admin(Role::Admin) };
    store.replace_admin("root", off, None).await.unwrap();
    assert!(store.session(&[2; 32], 10).await.unwrap().is_none(), "disabled");
    store.replace_admin("root", admin(Role::Admin), None).await.unwrap();
    assert!(store.session(&[2; 32], 10).await.unwrap().is_none(), "a session ends for good");
    store.open_session(&[6; 32], &session, 10).await.unwrap();
    store.delete::<Admin>("root", None).await.unwrap();
    store.create("root", admin(Role::Admin)).await.unwrap();
    assert!(store.session(&[6; 32], 10).await.unwrap().is_none(), "a new admin has none of the old one's sessions");
}

async fn sessions_and_links_change_no_revision(home: Home) {
    let store = home.open().await;
    store.create("root", admin(Role::Admin)).await.unwrap();
    let revision = store.revision().await.unwrap();
    let session = Session { admin: "root".to_owned(), csrf: "c".to_owned(), expires_ms: 1000 };
    store.open_session(&[1; 32], &session, 10).await.unwrap();
    store.make_login_link(&[1; 32], "root", 1000, 0).await.unwrap();
    store.claim("root", "k1", "digest", 10).await.unwrap();
    assert_eq!(store.revision().await.unwrap(), revision);
}

/// Fifty at once, on all nodes.
async fn race<T: Send + 'static, F: Future<Output = Result<T, StoreError>> + Send + 'static>(
    nodes: &[Store],
    step: impl Fn(Store) -> F,
) -> Vec<T> {
    let tasks: Vec<_> = nodes.iter().cycle().take(50).map(|store| tokio::spawn(step(store.clone()))).collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap().unwrap());
    }
    outcomes
}

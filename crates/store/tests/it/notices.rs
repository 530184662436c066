//! Who is to be told of an approval, and the one-time links in what they are told.

use store::{Admin, Notice, Role, Store, StoreError};

use crate::home::{Home, both};
use crate::samples::{WIDE, admin, asked};

both!(
    a_notice_is_claimed_by_one_and_due_again_when_nothing_is_heard,
    a_new_approval_is_told_to_each_target_once,
    a_notice_that_failed_is_due_later,
    many_who_claim_at_once_get_each_notice_once,
    a_link_is_looked_at_often_and_used_once,
    a_link_is_for_an_approval_and_goes_with_its_admin,
    a_link_goes_with_any_change_of_its_admin,
);

async fn ask(store: &Store, id: &str, number: u16, targets: &[&str]) {
    store.ask_approval(id, &asked("alice", number), 1000, &WIDE, targets, 10).await.unwrap();
}

fn names(mut notices: Vec<Notice>) -> Vec<String> {
    notices.sort_by(|a, b| (&a.approval.id, &a.target).cmp(&(&b.approval.id, &b.target)));
    notices.into_iter().map(|due| format!("{} {} {}", due.approval.id, due.target, due.attempt)).collect()
}

async fn a_notice_is_claimed_by_one_and_due_again_when_nothing_is_heard(home: Home) {
    let (one, two) = (home.open().await, home.open().await);
    ask(&one, "a1", 1, &["slack"]).await;
    assert_eq!(names(one.due_notices("slack", 9, 100, 10).await.unwrap()), [""; 0], "not yet");
    assert_eq!(names(one.due_notices("slack", 10, 100, 10).await.unwrap()), ["a1 slack 1"]);
    assert_eq!(names(two.due_notices("slack", 109, 100, 10).await.unwrap()), [""; 0], "it is the other's");
    assert_eq!(names(two.due_notices("slack", 110, 100, 10).await.unwrap()), ["a1 slack 2"], "the other died");
    two.notice_done("a1", "slack").await.unwrap();
    assert_eq!(names(one.due_notices("slack", 9999, 100, 10).await.unwrap()), [""; 0]);
    two.notice_done("a1", "slack").await.unwrap(); // twice is as good
}

async fn a_new_approval_is_told_to_each_target_once(home: Home) {
    let store = home.open().await;
    ask(&store, "a1", 1, &["mail", "slack", "mail"]).await;
    ask(&store, "a2", 1, &["mail", "slack"]).await; // joins
    ask(&store, "a3", 2, &[]).await;
    let notices = store.due_notices("slack", 20, 100, 10).await.unwrap();
    assert_eq!(notices[0].approval, store.approval("a1").await.unwrap().unwrap());
    assert_eq!(names(notices), ["a1 slack 1"]);
    assert_eq!(names(store.due_notices("mail", 20, 100, 10).await.unwrap()), ["a1 mail 1"]);
    assert_eq!(names(store.due_notices("other", 20, 100, 10).await.unwrap()), [""; 0]);
}

async fn a_notice_that_failed_is_due_later(home: Home) {
    let store = home.open().await;
    ask(&store, "a1", 1, &["slack"]).await;
    let first = store.due_notices("slack", 10, 100, 10).await.unwrap().remove(0);
    store.notice_failed(&first, 50, "it answered 503\0").await.unwrap();
    assert_eq!(names(store.due_notices("slack", 49, 100, 10).await.unwrap()), [""; 0]);
    let second = store.due_notices("slack", 50, 100, 10).await.unwrap();
    // Who had it before and comes late changes nothing for who has it now.
    store.notice_failed(&first, 60, "late").await.unwrap();
    assert_eq!(names(store.due_notices("slack", 60, 100, 10).await.unwrap()), [""; 0]);
    assert_eq!(names(second), ["a1 slack 2"]);
}

async fn many_who_claim_at_once_get_each_notice_once(home: Home) {
    let nodes = [home.open().await, home.open().await];
    for number in 0..80 {
        ask(&nodes[0], &format!("a{number:02}"), number, &["mail", "slack"]).await;
    }
    let claim = |store: Store| tokio::spawn(async move { store.due_notices("slack", 20, 1000, 7).await.unwrap() });
    let tasks: Vec<_> = nodes.iter().cycle().take(24).map(|store| claim(store.clone())).collect();
    let mut claimed = Vec::new();
    for task in tasks {
        claimed.extend(task.await.unwrap());
    }
    let expected: Vec<_> = (0..80).map(|number| format!("a{number:02} slack 1")).collect();
    assert_eq!(names(claimed), expected);
}

async fn a_link_is_looked_at_often_and_used_once(home: Home) {
    let store = home.open().await;
    ask(&store, "a1", 1, &[]).await;
    store.create_approval_link(&[1; 32], "a1", "root", 1000).await.unwrap();
    let for_root = Some(("a1".to_owned(), "root".to_owned()));
    for _ in 0..2 {
        assert_eq!(store.approval_link(&[1; 32], 999).await.unwrap(), for_root);
    }
    assert_eq!(store.approval_link(&[1; 32], 1000).await.unwrap(), None, "too late");
    assert_eq!(store.approval_link(&[2; 32], 20).await.unwrap(), None, "another");
    assert_eq!(store.use_approval_link(&[1; 32], 1000).await.unwrap(), None, "too late");
    assert_eq!(store.use_approval_link(&[2; 32], 20).await.unwrap(), None, "another");
    assert_eq!(store.spent_approval_link(&[1; 32], 999).await.unwrap(), None);
    assert_eq!(store.spent_approval_link(&[1; 32], 1000).await.unwrap().as_deref(), Some("a1"), "too late");
    assert_eq!(store.use_approval_link(&[1; 32], 20).await.unwrap(), for_root);
    assert_eq!(store.use_approval_link(&[1; 32], 0).await.unwrap(), None, "twice, by a clock that is behind");
    assert_eq!(store.spent_approval_link(&[1; 32], 0).await.unwrap().as_deref(), Some("a1"));
    assert_eq!(store.spent_approval_link(&[2; 32], 20).await.unwrap(), None, "another");
    assert_eq!(store.approval_link(&[1; 32], 20).await.unwrap(), None);
}

async fn a_link_is_for_an_approval_and_goes_with_its_admin(home: Home) {
    let store = home.open().await;
    let missing = store.create_approval_link(&[1; 32], "a1", "root", 1000).await;
    assert!(matches!(missing, Err(StoreError::NotFound { what: "approval", .. })), "{missing:?}");
    ask(&store, "a1", 1, &[]).await;
    store.create("root", admin(Role::Approver)).await.unwrap();
    store.create_approval_link(&[1; 32], "a1", "root", 1000).await.unwrap();
    store.delete::<Admin>("root", None).await.unwrap();
    store.create("root", admin(Role::Approver)).await.unwrap();
    assert_eq!(store.approval_link(&[1; 32], 20).await.unwrap(), None, "a new admin has none of the old one's");
    for number in 0..256_u32 {
        let mut hash = [2; 32];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        store.create_approval_link(&hash, "a1", "root", 1000).await.unwrap();
    }
    let full = store.create_approval_link(&[9; 32], "a1", "root", 1000).await;
    assert!(matches!(full, Err(StoreError::Full { max: 256, .. })), "{full:?}");
}

async fn a_link_goes_with_any_change_of_its_admin(home: Home) {
    let store = home.open().await;
    ask(&store, "a1", 1, &[]).await;
    store.create("root", admin(Role::Approver)).await.unwrap();
    store.create("bob", admin(Role::Approver)).await.unwrap();
    store.create_approval_link(&[9; 32], "a1", "bob", 1000).await.unwrap();
    let changes = [
        admin(Role::Admin),
        admin(Role::Viewer),
        Admin { enabled: false, ..admin(Role::Viewer) },
        admin(Role::Approver),
        Admin { groups: vec!["ops".to_owned()], ..admin(Role::Approver) },
    ];
    for (byte, changed) in (1..).zip(changes) {
        store.create_approval_link(&[byte; 32], "a1", "root", 1000).await.unwrap();
        match byte % 3 {
            0 => drop(store.put("root", changed, None).await.unwrap()),
            1 => drop(store.replace("root", changed, None).await.unwrap()),
            _ => drop(store.amend("root", None, |admin: &mut Admin| *admin = changed).await.unwrap()),
        }
        assert_eq!(store.approval_link(&[byte; 32], 20).await.unwrap(), None, "{byte}");
        assert_eq!(store.use_approval_link(&[byte; 32], 20).await.unwrap(), None, "{byte}");
    }
    store.create_approval_link(&[8; 32], "a1", "root", 1000).await.unwrap();
    store.amend("root", None, |_: &mut Admin| ()).await.unwrap();
    assert!(store.approval_link(&[8; 32], 20).await.unwrap().is_some(), "nothing changed");
    assert!(store.approval_link(&[9; 32], 20).await.unwrap().is_some(), "it is another's");
}

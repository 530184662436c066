//! What hangs on an admin's word goes with their right to give it.

use store::{Admin, Agent, Approval, ApprovalState, Asked, Asking, Grant, Heard, Role, Store, StoreError};

use crate::home::{Home, both};
use crate::samples::{WIDE, admin, agent, asked, grant, vote};

both!(
    who_is_removed_leaves_no_word_behind,
    who_is_switched_off_leaves_no_word_behind,
    who_may_decide_no_more_leaves_no_word_behind,
    who_may_still_decide_keeps_their_word,
    what_somebody_waits_for_is_told,
    who_was_changed_since_is_not_heard,
    who_gets_the_id_of_an_agent_gets_nothing_else_of_it,
);

/// Bob has said yes to `waits`, `passes` and `used`, and no to `denied`; and made a grant.
async fn said(home: &Home) -> Store {
    let store = home.open().await;
    for name in ["bob", "ann"] {
        store.create(name, admin(Role::Approver)).await.unwrap();
    }
    for (number, id) in (1..).zip(["waits", "passes", "used", "denied", "others"]) {
        let asked = Asked { quorum: if id == "waits" { 3 } else { 1 }, ..asked("alice", number) };
        store.ask_approval(id, &asked, 1000, &WIDE, &[], 10).await.unwrap();
        let by = if id == "others" { "ann" } else { "bob" };
        store.vote(id, &vote(by, id != "denied", 20), None).await.unwrap();
    }
    store.vote("waits", &vote("ann", true, 21), None).await.unwrap();
    store.use_approval("used", &asked("alice", 3).binding, 30).await.unwrap();
    store.create_grant("bobs", &Grant { made_by: "bob".to_owned(), ..grant("alice", 9) }, None).await.unwrap();
    store.create_grant("anns", &Grant { made_by: "ann".to_owned(), ..grant("alice", 9) }, None).await.unwrap();
    store
}

async fn read(store: &Store, id: &str) -> Approval {
    store.approval(id).await.unwrap().unwrap()
}

async fn left_nothing(store: &Store) {
    let waits = read(store, "waits").await;
    assert_eq!((waits.state, waits.votes), (ApprovalState::Pending, vec![vote("ann", true, 21)]));
    let binding = asked("alice", 2).binding;
    assert!(!store.use_approval("passes", &binding, 40).await.unwrap(), "nothing passes by it");
    for (id, state) in [
        ("passes", ApprovalState::Expired),
        ("used", ApprovalState::Used),
        ("denied", ApprovalState::Denied),
        ("others", ApprovalState::Approved),
    ] {
        assert_eq!(read(store, id).await.state, state, "{id}");
    }
    assert!(!store.use_grant("bobs", 40).await.unwrap());
    assert!(store.grant("bobs").await.unwrap().unwrap().revoked_ms.is_some());
    assert!(store.use_grant("anns", 40).await.unwrap());
    // It takes as many others as it says, and what is over is told once and asked anew.
    store.vote("waits", &vote("carl", true, 40), None).await.unwrap();
    assert_eq!(read(store, "waits").await.state, ApprovalState::Pending);
    let again = async || store.ask_approval("again", &asked("alice", 2), 1000, &WIDE, &[], 40).await.unwrap();
    assert!(matches!(again().await, Asking::Expired(_)));
    assert!(matches!(again().await, Asking::New(_)));
}

async fn who_is_removed_leaves_no_word_behind(home: Home) {
    let store = said(&home).await;
    store.delete::<Admin>("bob", None).await.unwrap();
    left_nothing(&store).await;
}

async fn who_is_switched_off_leaves_no_word_behind(home: Home) {
    let store = said(&home).await;
    store.amend("bob", None, |admin: &mut Admin| admin.enabled = false).await.unwrap();
    store.amend("bob", None, |admin: &mut Admin| admin.enabled = true).await.unwrap();
    left_nothing(&store).await;
}

async fn who_may_decide_no_more_leaves_no_word_behind(home: Home) {
    let store = said(&home).await;
    store.put("bob", admin(Role::PolicyManager), None).await.unwrap();
    left_nothing(&store).await;
}

async fn who_may_still_decide_keeps_their_word(home: Home) {
    let store = said(&home).await;
    let changed = Admin { groups: vec!["ops".to_owned()], ..admin(Role::Admin) };
    store.replace("bob", changed, None).await.unwrap();
    assert_eq!(read(&store, "waits").await.votes.len(), 2);
    assert!(store.use_approval("passes", &asked("alice", 2).binding, 40).await.unwrap());
    assert!(store.use_grant("bobs", 40).await.unwrap());
}

async fn what_somebody_waits_for_is_told(home: Home) {
    let store = home.open().await;
    store.create("bob", admin(Role::Approver)).await.unwrap();
    for (number, id) in [(1, "word-1"), (2, "word-2")] {
        let asked = Asked { quorum: u32::from(number), ..asked("alice", number) };
        store.ask_approval(id, &asked, 1000, &WIDE, &[], 10).await.unwrap();
        store.vote(id, &vote("bob", true, 20), None).await.unwrap();
    }
    let mut changes = store.approvals_changed();
    store.delete::<Admin>("bob", None).await.unwrap();
    let mut told = Vec::new();
    while told.len() < 2 {
        match tokio::time::timeout(std::time::Duration::from_secs(30), changes.next()).await.expect("it is heard") {
            // Other tests use the same channel of PostgreSQL.
            Heard::One(id) if id.starts_with("word-") => told.push(id),
            Heard::One(_) | Heard::Any => {}
        }
    }
    assert_eq!(told, ["word-1", "word-2"], "in the order of their ids");
}

async fn who_was_changed_since_is_not_heard(home: Home) {
    let store = home.open().await;
    let before = store.create("bob", admin(Role::Approver)).await.unwrap().version;
    store.ask_approval("a", &asked("alice", 1), 1000, &WIDE, &[], 10).await.unwrap();
    let made = Grant { made_by: "bob".to_owned(), ..grant("alice", 9) };
    let unheard = async |seen| {
        let voted = store.vote("a", &vote("bob", true, 20), Some(seen)).await;
        assert!(matches!(voted, Err(StoreError::Stale { .. })), "{voted:?}");
        let granted = store.create_grant("g", &made, Some(seen)).await;
        assert!(matches!(granted, Err(StoreError::Stale { .. })), "{granted:?}");
        assert_eq!(read(&store, "a").await.votes, []);
    };
    let after = store.amend("bob", None, |admin: &mut Admin| admin.groups = vec!["leads".to_owned()]).await.unwrap();
    unheard(before).await;
    store.delete::<Admin>("bob", None).await.unwrap();
    unheard(after.version).await;
    let again = store.create("bob", admin(Role::Approver)).await.unwrap().version;
    store.create_grant("g", &made, Some(again)).await.unwrap();
    store.vote("a", &vote("bob", true, 20), Some(again)).await.unwrap();
    assert_eq!(read(&store, "a").await.state, ApprovalState::Approved);
}

async fn who_gets_the_id_of_an_agent_gets_nothing_else_of_it(home: Home) {
    let store = said(&home).await;
    for id in ["alice", "carl"] {
        store.create(id, agent()).await.unwrap();
    }
    store.ask_approval("carls", &asked("carl", 50), 1000, &WIDE, &[], 10).await.unwrap();
    store.create_grant("for carl", &grant("carl", 9), None).await.unwrap();
    store.delete::<Agent>("alice", None).await.unwrap();
    store.create("alice", agent()).await.unwrap();
    for (id, state) in [
        ("waits", ApprovalState::Expired),
        ("passes", ApprovalState::Expired),
        ("used", ApprovalState::Used),
        ("denied", ApprovalState::Denied),
        ("carls", ApprovalState::Pending),
    ] {
        assert_eq!(read(&store, id).await.state, state, "{id}");
    }
    assert!(!store.use_approval("passes", &asked("alice", 2).binding, 40).await.unwrap());
    assert!(!store.use_grant("bobs", 40).await.unwrap());
    assert!(store.use_grant("for carl", 40).await.unwrap());
}

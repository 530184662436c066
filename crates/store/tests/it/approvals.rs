//! Approvals: who asks the same joins, what was decided stands, what is over stays over.

use store::{
    Approval, ApprovalFilter, ApprovalState, AskBounds, Asking, Role, Store, StoreError, TooMany, Vote, Voted,
};

use crate::home::{Home, both};
use crate::samples::{WIDE, admin, asked, vote};

both!(
    who_asks_the_same_joins_what_is_open,
    an_approval_is_used_in_its_time_by_its_call_and_once,
    a_quorum_is_of_different_admins,
    one_deny_denies_and_stands_until_it_expires,
    a_vote_that_comes_again_or_too_late_changes_nothing,
    that_it_expired_is_told_once,
    what_expired_stays_expired_whatever_a_clock_says,
    an_approved_one_expires_too,
    a_round_is_had_once,
    an_hour_has_so_many_new_ones_and_no_more,
    they_are_listed_the_newest_first,
    what_is_decided_and_old_is_forgotten,
    too_many_old_ones_are_forgotten,
    a_restart_keeps_them_and_they_change_no_revision,
    what_cannot_be_kept_is_refused,
    an_admin_keeps_its_groups,
);

/// A new one: it expires at 1000.
async fn ask(store: &Store, id: &str, number: u16, now_ms: i64) -> Asking {
    store.ask_approval(id, &asked("alice", number), 1000, &WIDE, &[], now_ms).await.unwrap()
}

async fn approve(store: &Store, id: &str) {
    assert!(matches!(store.vote(id, &vote("root", true, 20), None).await.unwrap(), Voted::Counted(_)));
}

async fn state(store: &Store, id: &str) -> ApprovalState {
    store.approval(id).await.unwrap().unwrap().state
}

fn binding(number: u16) -> [u8; 32] {
    asked("alice", number).binding
}

async fn who_asks_the_same_joins_what_is_open(home: Home) {
    let store = home.open().await;
    assert_eq!(store.standing_approval(&binding(1), 10).await.unwrap(), None);
    let Asking::New(made) = ask(&store, "a1", 1, 10).await else { panic!("it is new") };
    assert_eq!(made.asked, asked("alice", 1));
    assert_eq!(store.approval("a1").await.unwrap(), Some(made.clone()));
    let Asking::Open(joined) = ask(&store, "a2", 1, 11).await else { panic!("it is open") };
    assert_eq!(joined, Approval { asks: 2, ..made.clone() });
    store.expire_approvals(12).await.unwrap(); // writes down how many there were
    assert_eq!(store.standing_approval(&binding(1), 12).await.unwrap(), Some(joined));
    assert_eq!(store.approval("a2").await.unwrap(), None);
    assert!(matches!(ask(&store, "a3", 2, 12).await, Asking::New(_)), "another call");

    approve(&store, "a1").await;
    let Asking::Open(found) = ask(&store, "a4", 1, 30).await else { panic!("it is open") };
    assert_eq!(
        (found.state, found.votes, found.decided_ms),
        (ApprovalState::Approved, vec![vote("root", true, 20)], Some(20))
    );
    assert!(store.use_approval("a1", &binding(1), 40).await.unwrap());
    assert_eq!(store.standing_approval(&binding(1), 41).await.unwrap(), None);
    assert!(matches!(ask(&store, "a5", 1, 41).await, Asking::New(_)), "what is used is no answer");
}

async fn an_approval_is_used_in_its_time_by_its_call_and_once(home: Home) {
    let store = home.open().await;
    store.ask_approval("a1", &asked("alice", 1), 100_000, &WIDE, &[], 70_000).await.unwrap();
    assert!(!store.use_approval("a1", &binding(1), 20).await.unwrap(), "nobody decided");
    approve(&store, "a1").await;
    assert!(!store.use_approval("a1", &binding(2), 20).await.unwrap(), "another call");
    assert!(!store.use_approval("a2", &binding(1), 20).await.unwrap(), "another approval");
    assert!(!store.use_approval("a1", &binding(1), 9_999).await.unwrap(), "by a clock that is over a minute behind");
    assert!(!store.use_approval("a1", &binding(1), 100_000).await.unwrap(), "after its end");
    assert!(store.use_approval("a1", &binding(1), 10_000).await.unwrap(), "by a clock that is a minute behind");
    assert!(!store.use_approval("a1", &binding(1), 99_999).await.unwrap(), "twice");
    let used = store.approval("a1").await.unwrap().unwrap();
    assert_eq!((used.state, used.used_ms), (ApprovalState::Used, Some(10_000)));
}

async fn a_quorum_is_of_different_admins(home: Home) {
    let store = home.open().await;
    let two = store::Asked { quorum: 2, ..asked("alice", 1) };
    store.ask_approval("a1", &two, 1000, &WIDE, &[], 10).await.unwrap();
    approve(&store, "a1").await;
    assert!(matches!(store.vote("a1", &vote("root", true, 30), None).await.unwrap(), Voted::Again(_)));
    assert_eq!(state(&store, "a1").await, ApprovalState::Pending);
    assert!(!store.use_approval("a1", &binding(1), 40).await.unwrap());
    let Voted::Counted(decided) = store.vote("a1", &vote("bob", true, 50), None).await.unwrap() else {
        panic!("it counts")
    };
    assert_eq!((decided.state, decided.decided_ms), (ApprovalState::Approved, Some(50)));
    assert_eq!(decided.votes, [vote("root", true, 20), vote("bob", true, 50)]);
    assert_eq!(store.approval("a1").await.unwrap(), Some(decided));

    // Who approved may still think better of it.
    let two = store::Asked { quorum: 2, ..asked("alice", 2) };
    store.ask_approval("a2", &two, 1000, &WIDE, &[], 10).await.unwrap();
    approve(&store, "a2").await;
    let Voted::Counted(denied) = store.vote("a2", &vote("root", false, 50), None).await.unwrap() else {
        panic!("it counts")
    };
    assert_eq!((denied.state, denied.votes), (ApprovalState::Denied, vec![vote("root", false, 50)]));
}

async fn one_deny_denies_and_stands_until_it_expires(home: Home) {
    let store = home.open().await;
    let three = store::Asked { quorum: 3, ..asked("alice", 1) };
    store.ask_approval("a1", &three, 1000, &WIDE, &[], 10).await.unwrap();
    approve(&store, "a1").await;
    let Voted::Counted(denied) = store.vote("a1", &vote("bob", false, 30), None).await.unwrap() else {
        panic!("it counts")
    };
    assert_eq!(denied.state, ApprovalState::Denied);
    assert!(!store.use_approval("a1", &binding(1), 40).await.unwrap());
    assert!(matches!(store.vote("a1", &vote("carol", true, 40), None).await.unwrap(), Voted::Decided(_)));
    for time in [40, 999] {
        let Asking::Denied(found) = ask(&store, "a2", 1, time).await else { panic!("it stands") };
        assert_eq!((&*found.id, &found.votes), ("a1", &denied.votes));
        assert_eq!(store.standing_approval(&binding(1), time).await.unwrap().unwrap().state, ApprovalState::Denied);
    }
    assert_eq!(store.standing_approval(&binding(1), 1000).await.unwrap(), None);
    assert!(matches!(ask(&store, "a2", 1, 1000).await, Asking::New(_)), "it stood long enough");
    assert_eq!(state(&store, "a1").await, ApprovalState::Denied, "what was decided stays so");
}

async fn a_vote_that_comes_again_or_too_late_changes_nothing(home: Home) {
    let store = home.open().await;
    let missing = store.vote("a1", &vote("root", true, 20), None).await;
    assert!(matches!(missing, Err(StoreError::NotFound { what: "approval", .. })), "{missing:?}");
    ask(&store, "a1", 1, 10).await;
    approve(&store, "a1").await;
    let decided = store.approval("a1").await.unwrap().unwrap();
    assert_eq!(store.vote("a1", &vote("root", true, 30), None).await.unwrap(), Voted::Again(decided.clone()));
    assert_eq!(store.vote("a1", &vote("root", false, 30), None).await.unwrap(), Voted::Decided(decided.clone()));
    assert_eq!(store.vote("a1", &vote("bob", false, 30), None).await.unwrap(), Voted::Decided(decided.clone()));
    assert_eq!(store.approval("a1").await.unwrap(), Some(decided));
}

async fn that_it_expired_is_told_once(home: Home) {
    let store = home.open().await;
    ask(&store, "a1", 1, 10).await;
    ask(&store, "a2", 2, 10).await;
    assert_eq!(store.expire_approvals(999).await.unwrap(), Vec::<String>::new());
    // One that nobody marked, and one that was.
    assert_eq!(store.standing_approval(&binding(1), 1000).await.unwrap().unwrap().state, ApprovalState::Expired);
    let Asking::Expired(told) = ask(&store, "a3", 1, 1000).await else { panic!("it is told") };
    assert_eq!((&*told.id, told.state), ("a1", ApprovalState::Expired));
    assert_eq!(store.expire_approvals(1000).await.unwrap(), ["a2"]);
    assert_eq!(store.standing_approval(&binding(2), 2000).await.unwrap().unwrap().state, ApprovalState::Expired);
    assert!(matches!(ask(&store, "a3", 2, 2000).await, Asking::Expired(_)));
    for number in [1, 2] {
        assert_eq!(store.standing_approval(&binding(number), 2000).await.unwrap(), None);
        let (id, asked) = (format!("b{number}"), asked("alice", number));
        let again = store.ask_approval(&id, &asked, 3000, &WIDE, &[], 2000).await.unwrap();
        assert!(matches!(again, Asking::New(_)));
    }
    assert_eq!(store.expire_approvals(2000).await.unwrap(), Vec::<String>::new(), "those are marked already");
}

async fn what_expired_stays_expired_whatever_a_clock_says(home: Home) {
    let store = home.open().await;
    ask(&store, "a1", 1, 10).await;
    assert!(matches!(store.vote("a1", &vote("root", true, 1000), None).await.unwrap(), Voted::Decided(_)), "too late");
    let two = store::Asked { quorum: 2, ..asked("alice", 2) };
    store.ask_approval("b1", &two, 1000, &WIDE, &[], 10).await.unwrap();
    approve(&store, "b1").await;
    let again = store.vote("b1", &vote("root", true, 1000), None).await.unwrap();
    assert!(matches!(again, Voted::Decided(_)), "too late, though it is the same: {again:?}");
    store.expire_approvals(1000).await.unwrap();
    let Voted::Decided(late) = store.vote("a1", &vote("root", true, 20), None).await.unwrap() else {
        panic!("it is over")
    };
    assert_eq!((late.state, late.votes), (ApprovalState::Expired, Vec::<Vote>::new()));
    assert!(!store.use_approval("a1", &binding(1), 20).await.unwrap());
    assert!(matches!(ask(&store, "a2", 1, 20).await, Asking::Expired(_)));
    assert_eq!(state(&store, "a1").await, ApprovalState::Expired);
}

async fn an_approved_one_expires_too(home: Home) {
    let store = home.open().await;
    ask(&store, "a1", 1, 10).await;
    approve(&store, "a1").await;
    assert_eq!(store.expire_approvals(1000).await.unwrap(), ["a1"]);
    assert!(!store.use_approval("a1", &binding(1), 30).await.unwrap());
}

async fn a_round_is_had_once(home: Home) {
    let store = home.open().await;
    ask(&store, "a1", 1, 10).await;
    approve(&store, "a1").await;
    let round = async |round, number, now_ms| store.use_round("a1", &binding(number), round, now_ms).await.unwrap();
    assert!(!round(0, 1, 30).await, "it was not used");
    store.use_approval("a1", &binding(1), 30).await.unwrap();
    assert!(!round(1, 1, 30).await, "not that far");
    assert!(!round(0, 2, 30).await, "another call");
    assert!(!round(0, 1, 1000).await, "too late");
    assert!(round(0, 1, 30).await);
    assert!(!round(0, 1, 30).await, "twice");
    assert!(round(1, 1, 30).await);
    assert_eq!(store.approval("a1").await.unwrap().unwrap().round, 2);
}

async fn an_hour_has_so_many_new_ones_and_no_more(home: Home) {
    const HOUR: i64 = 3_600_000;
    let store = home.open().await;
    let bounds = AskBounds { per_hour: 2, ..WIDE };
    let ask = async |number: u16, now_ms: i64| {
        let (id, end) = (format!("a{number}"), now_ms + 10);
        store.ask_approval(&id, &asked("alice", number), end, &bounds, &[], now_ms).await.unwrap()
    };
    assert!(matches!(ask(1, 1000).await, Asking::New(_)));
    assert!(matches!(ask(2, 5000).await, Asking::New(_)));
    assert!(matches!(ask(2, 5001).await, Asking::Open(_)), "what is open costs nothing");
    assert_eq!(ask(3, 6000).await, Asking::TooMany(TooMany::Often { retry_after_ms: HOUR - 5000 }));
    assert_eq!(ask(3, HOUR + 999).await, Asking::TooMany(TooMany::Often { retry_after_ms: 1 }));
    assert!(matches!(ask(3, HOUR + 1000).await, Asking::New(_)));
    let other = store.ask_approval("b1", &asked("bob", 4), HOUR + 2000, &bounds, &[], HOUR + 1000).await.unwrap();
    assert!(matches!(other, Asking::New(_)), "each agent has its own");
    let bounds = AskBounds { per_hour: 0, ..WIDE };
    let none = store.ask_approval("b2", &asked("bob", 5), HOUR * 9, &bounds, &[], HOUR * 8).await;
    assert_eq!(none.unwrap(), Asking::TooMany(TooMany::Often { retry_after_ms: HOUR }));
}

async fn they_are_listed_the_newest_first(home: Home) {
    let store = home.open().await;
    for number in 0..7 {
        let agent = if number % 2 == 0 { "alice" } else { "bob" };
        let made = store::Asked { server: format!("s{}", number % 3), ..asked(agent, number) };
        // Two at a time have the same time.
        store.ask_approval(&format!("a{number}"), &made, 1000, &WIDE, &[], i64::from(10 + number / 2)).await.unwrap();
    }
    approve(&store, "a3").await;
    let all = async |filter: ApprovalFilter, size| {
        let (mut ids, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = store.approvals(&filter, after.as_deref(), size).await.unwrap();
            ids.extend(page.items.into_iter().map(|found| found.id));
            after = page.next;
            if after.is_none() {
                return ids.join(" ");
            }
        }
    };
    let filter = |agent: Option<&str>, server: Option<&str>, state| ApprovalFilter {
        agent: agent.map(str::to_owned),
        server: server.map(str::to_owned),
        state,
    };
    for size in [1, 2, 100, 1000] {
        assert_eq!(all(filter(None, None, None), size).await, "a6 a5 a4 a3 a2 a1 a0");
    }
    assert_eq!(all(filter(Some("alice"), None, None), 3).await, "a6 a4 a2 a0");
    assert_eq!(all(filter(None, Some("s0"), None), 3).await, "a6 a3 a0");
    assert_eq!(all(filter(Some("bob"), Some("s0"), None), 3).await, "a3");
    assert_eq!(all(filter(None, None, Some(ApprovalState::Approved)), 3).await, "a3");
    assert_eq!(all(filter(Some("bob"), None, Some(ApprovalState::Pending)), 3).await, "a5 a1");
    assert_eq!(all(filter(None, Some("s0"), Some(ApprovalState::Pending)), 3).await, "a6 a0");
    assert_eq!(all(filter(Some("nobody"), None, None), 3).await, "");
    for forged in ["", "x", "x.y", "."] {
        let refused = store.approvals(&ApprovalFilter::default(), Some(forged), 3).await;
        assert!(matches!(refused, Err(StoreError::Invalid { what: "the cursor", .. })), "{forged}: {refused:?}");
    }
}

async fn what_is_decided_and_old_is_forgotten(home: Home) {
    let store = home.open().await;
    for (id, number) in [("pending", 1), ("used", 2), ("denied", 3), ("late", 4)] {
        let end = if id == "late" { 2000 } else { 1000 };
        store.ask_approval(id, &asked("alice", number), end, &WIDE, &["slack"], 10).await.unwrap();
        store.create_approval_link(&[number as u8; 32], id, "root", 9000).await.unwrap();
    }
    for id in ["used", "late"] {
        approve(&store, id).await;
    }
    store.use_approval("used", &binding(2), 30).await.unwrap();
    store.use_approval("late", &binding(4), 30).await.unwrap();
    store.vote("denied", &vote("root", false, 20), None).await.unwrap();
    assert_eq!(store.sweep_approvals(1000).await.unwrap(), 0, "they end at 1000");
    assert_eq!(store.sweep_approvals(1001).await.unwrap(), 2);
    for (id, number, there) in [("pending", 1, true), ("used", 2, false), ("denied", 3, false), ("late", 4, true)] {
        assert_eq!(store.approval(id).await.unwrap().is_some(), there, "{id}");
        assert_eq!(store.approval_link(&[number; 32], 30).await.unwrap().is_some(), there, "{id}");
    }
    let mut owed: Vec<_> =
        store.due_notices("slack", 30, 10, 9).await.unwrap().into_iter().map(|due| due.approval.id).collect();
    owed.sort();
    assert_eq!(owed, ["late", "pending"]);
}

async fn too_many_old_ones_are_forgotten(home: Home) {
    let store = home.open().await;
    ask(&store, "pending", 1, 1).await;
    ask(&store, "denied", 2, 1).await;
    store.vote("denied", &vote("root", false, 20), None).await.unwrap();
    home.meddle(if home.is_postgres() {
        "INSERT INTO tg_approvals (id, binding, agent, server, state, live, created_ms, expires_ms, asks, round, asked, votes) \
         SELECT 'x' || n, 'b' || n, 'a', 's', 'used', 0, n, 9000, 1, 0, '{}', '[]' FROM generate_series(100, 100702) AS n"
    } else {
        "INSERT INTO tg_approvals (id, binding, agent, server, state, live, created_ms, expires_ms, asks, round, asked, votes) \
         WITH RECURSIVE c (n) AS (SELECT 100 UNION ALL SELECT n + 1 FROM c WHERE n < 100702) \
         SELECT 'x' || n, 'b' || n, 'a', 's', 'used', 0, n, 9000, 1, 0, '{}', '[]' FROM c"
    })
    .await;
    let gone = [500, 103, 0];
    for expected in gone {
        assert_eq!(store.sweep_approvals(0).await.unwrap(), expected);
    }
    assert_eq!(state(&store, "pending").await, ApprovalState::Pending);
    assert_eq!(state(&store, "denied").await, ApprovalState::Denied);
    assert!(store.approval("x702").await.unwrap().is_none());
    let kept = store.approval("x703").await;
    assert!(matches!(kept, Err(StoreError::Corrupt { what: "approval", .. })), "it is there, if unreadable: {kept:?}");
}

async fn a_restart_keeps_them_and_they_change_no_revision(home: Home) {
    let store = home.open().await;
    ask(&store, "a1", 1, 10).await;
    approve(&store, "a1").await;
    ask(&store, "a2", 2, 10).await;
    let before = (store.approval("a1").await.unwrap(), store.approval("a2").await.unwrap());
    drop(store); // not even closed
    let store = home.open().await;
    assert_eq!((store.approval("a1").await.unwrap(), store.approval("a2").await.unwrap()), before);
    assert!(store.use_approval("a1", &binding(1), 30).await.unwrap());
    assert_eq!(store.revision().await.unwrap(), 0);
}

async fn what_cannot_be_kept_is_refused(home: Home) {
    let store = home.open().await;
    let targets: Vec<String> = (0..65).map(|number| format!("t{number}")).collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let large = store::Asked { arguments: "x".repeat(4 << 20), ..asked("alice", 1) };
    let nameless = asked("", 1);
    for (asked, targets) in [(&large, &[][..]), (&nameless, &[]), (&asked("alice", 1), &*targets)] {
        let refused = store.ask_approval("a1", asked, 1000, &WIDE, targets, 10).await;
        assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{refused:?}");
    }
    ask(&store, "a1", 1, 10).await;
    let taken = store.ask_approval("a1", &asked("alice", 2), 1000, &WIDE, &[], 10).await;
    assert!(matches!(taken, Err(StoreError::Exists { .. })), "{taken:?}");
    let long = Vote { reason: Some("x".repeat(5000)), ..vote("root", true, 20) };
    let refused = store.vote("a1", &long, None).await;
    assert!(matches!(refused, Err(StoreError::Invalid { what: "the reason", .. })), "{refused:?}");
    assert_eq!(state(&store, "a1").await, ApprovalState::Pending);
}

async fn an_admin_keeps_its_groups(home: Home) {
    let store = home.open().await;
    let grouped = store::Admin { groups: vec!["ops".to_owned()], ..admin(Role::Approver) };
    store.create("bob", grouped.clone()).await.unwrap();
    assert_eq!(store.get::<store::Admin>("bob").await.unwrap().value, grouped);
    // As a version that knew of none wrote it.
    home.meddle("UPDATE tg_documents SET body = '{\"role\":\"admin\",\"enabled\":true}' WHERE id = 'bob'").await;
    assert_eq!(store.get::<store::Admin>("bob").await.unwrap().value, admin(Role::Admin));
    let nameless = store::Admin { groups: vec![String::new()], ..admin(Role::Approver) };
    assert!(matches!(store.put("bob", nameless, None).await, Err(StoreError::Invalid { .. })));
}

//! Many at once, on two nodes: as many succeed as may.

use std::future::Future;

use store::{
    Admin, ApprovalFilter, ApprovalState, AskBounds, Asked, Asking, Grant, GrantFilter, Role, Store, StoreError,
    TooMany, Voted,
};

use crate::home::{Home, both};
use crate::samples::{WIDE, admin, asked, grant, vote};

both!(
    of_two_hundred_who_use_an_approval_one_does,
    a_hundred_who_ask_the_same_are_one_and_counted,
    no_bound_is_exceeded,
    of_twenty_who_approve_as_many_count_as_are_needed,
    who_denies_and_who_uses_do_not_both_succeed,
    a_grant_is_used_as_often_as_it_says,
    a_round_is_won_by_one,
    of_fifty_who_use_a_link_one_does,
    those_who_expire_and_sweep_at_once_do_not_hinder_each_other,
    who_is_switched_off_and_decides_at_once_leaves_no_word_behind,
    of_two_last_admins_who_go_at_once_one_stays,
    of_fifty_who_would_be_the_first_admin_one_is,
);

async fn nodes(home: &Home) -> [Store; 2] {
    [home.open().await, home.open().await]
}

/// `count` at once, on all nodes, each with its number.
async fn race<T: Send + 'static, F: Future<Output = Result<T, StoreError>> + Send + 'static>(
    nodes: &[Store],
    count: u16,
    step: impl Fn(Store, u16) -> F,
) -> Vec<T> {
    let all = nodes.iter().cycle().zip(0..count);
    let tasks: Vec<_> = all.map(|(store, number)| tokio::spawn(step(store.clone(), number))).collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap().unwrap());
    }
    outcomes
}

fn won(outcomes: Vec<bool>) -> usize {
    outcomes.into_iter().filter(|won| *won).count()
}

async fn approved(store: &Store, id: &str, number: u16) -> [u8; 32] {
    let asked = asked("alice", number);
    store.ask_approval(id, &asked, 1000, &WIDE, &[], 10).await.unwrap();
    store.vote(id, &vote("root", true, 20), None).await.unwrap();
    asked.binding
}

async fn of_two_hundred_who_use_an_approval_one_does(home: Home) {
    let nodes = nodes(&home).await;
    for round in 0..5 {
        let id = format!("a{round}");
        let binding = approved(&nodes[0], &id, round).await;
        let used = race(&nodes, 200, |store, _| {
            let id = id.clone();
            async move { store.use_approval(&id, &binding, 30).await }
        });
        assert_eq!(won(used.await), 1);
    }
}

async fn a_hundred_who_ask_the_same_are_one_and_counted(home: Home) {
    let nodes = nodes(&home).await;
    let outcomes = race(&nodes, 100, |store, number| async move {
        let asked = asked("alice", 1);
        store.ask_approval(&format!("a{number}"), &asked, 1000, &WIDE, &[], 10).await
    })
    .await;
    let new = outcomes.iter().filter(|outcome| matches!(outcome, Asking::New(_))).count();
    let open = outcomes.iter().filter(|outcome| matches!(outcome, Asking::Open(_))).count();
    assert_eq!((new, open), (1, 99));
    for node in &nodes {
        node.expire_approvals(10).await.unwrap(); // writes down how many there were
    }
    let all = nodes[1].approvals(&ApprovalFilter::default(), None, 100).await.unwrap().items;
    assert_eq!((all.len(), all[0].asks), (1, 100));
}

async fn no_bound_is_exceeded(home: Home) {
    let nodes = nodes(&home).await;
    let bounds = AskBounds { per_agent: 5, per_server: 12, per_hour: 9 };
    let ask = |server: &'static str, agents: u16| {
        race(&nodes, 60, move |store, number| async move {
            let agent = format!("{server}-{}", number % agents);
            let asked = Asked { server: server.to_owned(), ..asked(&agent, server.len() as u16 * 100 + number) };
            store.ask_approval(&format!("{server}-{number}"), &asked, 1000, &bounds, &[], 10).await
        })
    };
    let count = |outcomes: &[Asking], what: &Asking| outcomes.iter().filter(|outcome| *outcome == what).count();
    let one = ask("s", 1).await;
    assert_eq!(count(&one, &Asking::TooMany(TooMany::Agent)), 55);
    let six = ask("ss", 6).await;
    assert_eq!(count(&six, &Asking::TooMany(TooMany::Server)) + count(&six, &Asking::TooMany(TooMany::Agent)), 48);
    // Nothing waits any more, but four of the hour's nine are left to the one agent.
    while !nodes[0].expire_approvals(1000).await.unwrap().is_empty() {}
    let often = race(&nodes, 60, |store, number| async move {
        let (id, asked) = (format!("late-{number}"), asked("s-0", 5000 + number));
        let asking = store.ask_approval(&id, &asked, 5000, &AskBounds { per_agent: 99, ..bounds }, &[], 1001).await?;
        Ok(matches!(asking, Asking::New(_)))
    });
    assert_eq!(won(often.await), 4);
}

async fn of_twenty_who_approve_as_many_count_as_are_needed(home: Home) {
    let nodes = nodes(&home).await;
    let three = Asked { quorum: 3, ..asked("alice", 1) };
    nodes[0].ask_approval("a1", &three, 1000, &WIDE, &[], 10).await.unwrap();
    let counted = race(&nodes, 20, |store, number| async move {
        store
            .vote("a1", &vote(&format!("admin-{number}"), true, 20), None)
            .await
            .map(|voted| matches!(voted, Voted::Counted(_)))
    });
    assert_eq!(won(counted.await), 3);
    let decided = nodes[1].approval("a1").await.unwrap().unwrap();
    assert_eq!((decided.state, decided.votes.len()), (ApprovalState::Approved, 3));
}

/// With a quorum of one, whichever vote is first decides. If it is the deny nobody gets through.
async fn who_denies_and_who_uses_do_not_both_succeed(home: Home) {
    let nodes = nodes(&home).await;
    for round in 0..10 {
        let id = format!("a{round}");
        let asked = asked("alice", round);
        let binding = asked.binding;
        nodes[0].ask_approval(&id, &asked, 1000, &WIDE, &[], 10).await.unwrap();
        let used = race(&nodes, 12, |store, number| {
            let id = id.clone();
            async move {
                match number % 3 {
                    0 => store.vote(&id, &vote("root", true, 20), None).await.map(|_| false),
                    1 => store.vote(&id, &vote("bob", false, 20), None).await.map(|_| false),
                    _ => store.use_approval(&id, &binding, 30).await,
                }
            }
        });
        let used = won(used.await);
        let state = nodes[1].approval(&id).await.unwrap().unwrap().state;
        match state {
            ApprovalState::Used => assert_eq!(used, 1),
            ApprovalState::Approved | ApprovalState::Denied => assert_eq!(used, 0),
            ApprovalState::Pending | ApprovalState::Expired => panic!("somebody decided"),
        }
    }
}

async fn a_grant_is_used_as_often_as_it_says(home: Home) {
    let nodes = nodes(&home).await;
    nodes[0].create_grant("g1", &grant("alice", 7), None).await.unwrap();
    let used = race(&nodes, 60, |store, _| async move { store.use_grant("g1", 20).await });
    assert_eq!(won(used.await), 7);
    assert_eq!(nodes[1].grant("g1").await.unwrap().unwrap().used, 7);
}

async fn a_round_is_won_by_one(home: Home) {
    let nodes = nodes(&home).await;
    let binding = approved(&nodes[0], "a1", 1).await;
    nodes[0].use_approval("a1", &binding, 30).await.unwrap();
    for round in 0..3 {
        let had = race(&nodes, 30, |store, _| async move { store.use_round("a1", &binding, round, 30).await });
        assert_eq!(won(had.await), 1);
    }
}

async fn of_fifty_who_use_a_link_one_does(home: Home) {
    let nodes = nodes(&home).await;
    approved(&nodes[0], "a1", 1).await;
    nodes[0].create_approval_link(&[1; 32], "a1", "root", 1000).await.unwrap();
    let used = race(&nodes, 50, |store, _| async move { store.use_approval_link(&[1; 32], 30).await }).await;
    assert_eq!(used.into_iter().flatten().collect::<Vec<_>>(), [("a1".to_owned(), "root".to_owned())]);
}

/// Each is expired once and forgotten once, whoever else is at it.
async fn those_who_expire_and_sweep_at_once_do_not_hinder_each_other(home: Home) {
    let nodes = nodes(&home).await;
    for number in 0..300 {
        let asked = asked(&format!("agent-{number}"), number);
        nodes[0].ask_approval(&format!("a{number}"), &asked, 1000, &WIDE, &["slack"], 10).await.unwrap();
    }
    let gone = race(&nodes, 20, |store, number| async move {
        match number % 2 {
            0 => store.expire_approvals(1000).await.map(|ids| (ids.len() as u64, 0)),
            _ => store.sweep_approvals(1001).await.map(|gone| (0, gone)),
        }
    });
    let (mut expired, mut swept) = gone.await.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    expired += nodes[0].expire_approvals(1000).await.unwrap().len() as u64;
    swept += nodes[0].sweep_approvals(1001).await.unwrap();
    assert_eq!((expired, swept), (300, 300));
}

async fn who_is_switched_off_and_decides_at_once_leaves_no_word_behind(home: Home) {
    let nodes = nodes(&home).await;
    for round in 0..20 {
        let (name, call) = (format!("bob-{round}"), asked("alice", round));
        let seen = nodes[0].create(&name, admin(Role::Approver)).await.unwrap().version;
        let id = format!("a{round}");
        nodes[0].ask_approval(&id, &call, 1000, &WIDE, &[], 10).await.unwrap();
        let said = race(&nodes, 9, |store, number| {
            let (name, id) = (name.clone(), id.clone());
            async move {
                let grant = Grant { made_by: name.clone(), ..grant("alice", 9) };
                let outcome = match number {
                    4 => store.amend(&name, None, |admin: &mut Admin| admin.enabled = false).await.map(drop),
                    number if number % 2 == 0 => store.vote(&id, &vote(&name, true, 20), Some(seen)).await.map(drop),
                    number => store.create_grant(&format!("{id}-{number}"), &grant, Some(seen)).await.map(drop),
                };
                match outcome {
                    Ok(()) | Err(StoreError::Stale { .. }) => Ok(()),
                    Err(error) => Err(error),
                }
            }
        });
        assert_eq!(said.await.len(), 9);
        assert!(!nodes[1].use_approval(&id, &call.binding, 30).await.unwrap(), "{id}");
        let grants = nodes[1].grants(&GrantFilter::default(), None, 200).await.unwrap().items;
        assert!(grants.iter().all(|grant| grant.revoked_ms.is_some()), "{grants:?}");
    }
}

async fn of_two_last_admins_who_go_at_once_one_stays(home: Home) {
    let nodes = nodes(&home).await;
    for round in 0..10 {
        for name in ["ann", "bob"] {
            nodes[0].put(name, admin(Role::Admin), None).await.unwrap();
        }
        let gone = race(&nodes, 2, move |store, number| async move {
            let name = ["ann", "bob"][usize::from(number)];
            let gone = match round % 2 {
                0 => store.replace_admin(name, admin(Role::Viewer), None).await.map(drop),
                _ => store.delete_admin(name, None).await,
            };
            match gone {
                Ok(()) => Ok(true),
                Err(StoreError::LastAdmin { id }) if id == name => Ok(false),
                Err(error) => Err(error),
            }
        });
        assert_eq!(won(gone.await), 1, "round {round}");
    }
    nodes[0].put("ann", admin(Role::Admin), None).await.unwrap();
    nodes[0].put("bob", Admin { enabled: false, ..admin(Role::Admin) }, None).await.unwrap();
    let off = nodes[0].replace_admin("ann", Admin { enabled: false, ..admin(Role::Admin) }, None).await;
    assert!(matches!(off, Err(StoreError::LastAdmin { .. })), "who is switched off manages nothing: {off:?}");
    assert!(nodes[0].get::<Admin>("ann").await.unwrap().value.enabled);
}

async fn of_fifty_who_would_be_the_first_admin_one_is(home: Home) {
    let nodes = nodes(&home).await;
    for byte in 1..=3 {
        nodes[0].make_login_link(&[byte; 32], "admin", 1000, 0).await.unwrap();
    }
    assert_eq!(nodes[0].use_login_link(&[1; 32], 10).await.unwrap().as_deref(), Some("admin"));
    let first = race(&nodes, 50, |store, _| async move {
        match store.create_first_admin("admin", admin(Role::Admin)).await {
            Ok(_) => Ok(true),
            Err(StoreError::Exists { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    });
    assert_eq!(won(first.await), 1);
    assert_eq!(nodes[1].use_login_link(&[2; 32], 10).await.unwrap(), None, "what was for the first is for nobody");
}

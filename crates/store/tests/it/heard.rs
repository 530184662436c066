//! Who waits for an approval hears of it: at once in its own process and on PostgreSQL's other nodes, and twice a second it is told to look.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use store::{ApprovalChanges, Heard, Store};
use tokio::time::{Instant, timeout};

use crate::home::{Home, both, on_postgres};
use crate::samples::{WIDE, asked, vote};

both!(
    who_waits_in_the_same_process_hears_each_step_at_once,
    another_node_hears_within_a_second,
    all_who_wait_hear,
    who_lags_behind_is_told_to_look,
    who_waits_is_told_to_look_however_much_it_hears,
    a_store_can_be_closed_while_somebody_waits,
);

async fn ask(store: &Store, id: &str, number: u16) {
    store.ask_approval(id, &asked("alice", number), 1000, &WIDE, &[], 10).await.unwrap();
}

/// What is heard of one of this test's, which are named after it: on PostgreSQL all tests' stores use the same channel.
async fn next(changes: &mut ApprovalChanges, mine: &str) -> String {
    let one = async {
        loop {
            match changes.next().await {
                Heard::One(id) if id.starts_with(mine) => return id,
                Heard::One(_) | Heard::Any => {}
            }
        }
    };
    timeout(Duration::from_secs(30), one).await.expect("it is heard")
}

async fn who_waits_in_the_same_process_hears_each_step_at_once(home: Home) {
    let store = home.open().await;
    let mut changes = store.approvals_changed();
    let binding = asked("alice", 1).binding;
    ask(&store, "same-a1", 1).await;
    assert_eq!(next(&mut changes, "same").await, "same-a1", "it is new");
    ask(&store, "same-a2", 1).await; // joins, which is no news
    store.vote("same-a1", &vote("root", true, 20), None).await.unwrap();
    assert_eq!(next(&mut changes, "same").await, "same-a1", "it is decided");
    store.vote("same-a1", &vote("root", true, 20), None).await.unwrap(); // again, which is no news
    store.use_approval("same-a1", &binding, 30).await.unwrap();
    assert_eq!(next(&mut changes, "same").await, "same-a1", "it is used");
    store.use_approval("same-a1", &binding, 30).await.unwrap(); // in vain
    for (id, number) in [("same-a3", 3), ("same-a4", 4)] {
        ask(&store, id, number).await;
        assert_eq!(next(&mut changes, "same").await, id);
    }
    let expired = store.expire_approvals(1000).await.unwrap();
    assert_eq!([next(&mut changes, "same").await, next(&mut changes, "same").await], *expired);
    ask(&store, "same-last", 5).await;
    assert_eq!(next(&mut changes, "same").await, "same-last", "nothing was told twice");
}

/// On PostgreSQL, of the approval itself. Of nine times, the fifth slowest counts: a machine that is busy with other things may stop a test for a second.
async fn another_node_hears_within_a_second(home: Home) {
    let (one, two) = (home.open().await, home.open().await);
    let mut changes = two.approvals_changed();
    let mut delays = Vec::new();
    for round in 0..9 {
        let id = format!("other-a{round}");
        let waiting = tokio::spawn({
            let (two, id) = (two.clone(), id.clone());
            async move {
                // Told or not, it looks.
                while two.approval(&id).await.unwrap().is_none() {
                    changes.next().await;
                }
                (changes, Instant::now())
            }
        });
        ask(&one, &id, round).await;
        let made = Instant::now();
        let (back, at) = timeout(Duration::from_secs(30), waiting).await.expect("it hears").unwrap();
        delays.push(at.saturating_duration_since(made));
        changes = back;
    }
    delays.sort_unstable();
    assert!(delays[4] < Duration::from_secs(1), "{delays:?}");
}

async fn all_who_wait_hear(home: Home) {
    let store = home.open().await;
    let mut all: Vec<_> = (0..20).map(|_| store.approvals_changed()).collect();
    ask(&store, "all-a1", 1).await;
    for changes in &mut all {
        assert_eq!(next(changes, "all").await, "all-a1");
    }
}

async fn who_lags_behind_is_told_to_look(home: Home) {
    let store = home.open().await;
    let mut changes = store.approvals_changed();
    let binding = asked("alice", 1).binding;
    for round in 0..400 {
        let id = format!("lag-a{round}");
        ask(&store, &id, 1).await;
        store.vote(&id, &vote("root", true, 20), None).await.unwrap();
        store.use_approval(&id, &binding, 30).await.unwrap();
    }
    let mut ones = 0;
    ask(&store, "lag-last", 1).await;
    while next(&mut changes, "lag").await != "lag-last" {
        ones += 1;
    }
    assert!((1..1024).contains(&ones), "not all 1200 were kept for it, but what is new was: {ones}");
}

async fn who_waits_is_told_to_look_however_much_it_hears(home: Home) {
    let store = home.open().await;
    let mut changes = store.approvals_changed();
    let noise = tokio::spawn({
        let store = store.clone();
        async move {
            for number in 0..u16::MAX {
                ask(&store, &format!("noise-a{number}"), number).await;
                store.expire_approvals(1000).await.unwrap();
            }
        }
    });
    let mut looks = 0;
    let started = Instant::now();
    while looks < 4 {
        looks += usize::from(timeout(Duration::from_secs(30), changes.next()).await.unwrap() == Heard::Any);
    }
    noise.abort();
    assert!(started.elapsed() >= Duration::from_millis(1400), "not more often than that");
}

async fn a_store_can_be_closed_while_somebody_waits(home: Home) {
    let (store, other) = (home.open().await, home.open().await);
    let mut changes = store.approvals_changed();
    if home.is_postgres() {
        ask(&other, "close-a1", 1).await;
    }
    let waiting = tokio::spawn(async move { while changes.next().await == Heard::Any {} });
    timeout(Duration::from_secs(30), store.close()).await.expect("it closes");
    waiting.abort();
}

/// The look twice a second would hide it if nobody were told. And however many wait, they take one connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgresql_tells_other_nodes_by_one_connection() {
    on_postgres(async |home: Home| {
        let (one, two) = (home.open().await, home.open().await);
        let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
        for number in 0..10_usize {
            let (mut changes, told) = (two.approvals_changed(), told.clone());
            tokio::spawn(async move { while told.send((number, next(&mut changes, "wire").await)).is_ok() {} });
        }
        let mut connection = PgConnection::connect(&home.url).await.unwrap();
        let listens = "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = current_schema() \
            AND query = 'LISTEN \"toolgate_approvals\"' AND pid <> pg_backend_pid()";
        let mut count = async || sqlx::query_scalar::<_, i64>(listens).fetch_one(&mut connection).await.unwrap();
        let listening = async { while count().await == 0 {} };
        timeout(Duration::from_secs(20), listening).await.expect("somebody listens");
        ask(&one, "wire-a1", 1).await;
        // What it did itself is told to those who wait there once, though PostgreSQL tells it too.
        ask(&two, "wire-b1", 2).await;
        ask(&one, "wire-end", 3).await;
        let mut heard: Vec<Vec<String>> = vec![Vec::new(); 10];
        while heard.iter().any(|ids| ids.last().is_none_or(|last| last != "wire-end")) {
            let (number, id) = timeout(Duration::from_secs(20), hears.recv()).await.expect("all hear").unwrap();
            heard[number].push(id);
        }
        for mut ids in heard {
            ids.sort(); // what came by wire and what did not may overtake each other
            assert_eq!(ids, ["wire-a1", "wire-b1", "wire-end"]);
        }
        assert_eq!(count().await, 1);
    })
    .await;
}

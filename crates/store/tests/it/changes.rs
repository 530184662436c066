//! Who waits hears of a change: at once in its own process, within a second on another node.

use std::time::Duration;

use store::Changes;
use tokio::time::timeout;

use crate::home::{Home, both};
use crate::samples::server;

both!(
    another_node_hears_of_a_change_within_a_second,
    a_change_before_anybody_listened_is_not_missed,
    many_changes_are_one,
    nothing_is_told_when_nothing_changed,
    a_waiter_that_gave_up_misses_nothing,
);

async fn another_node_hears_of_a_change_within_a_second(home: Home) {
    let (one, two) = (home.open().await, home.open().await);
    let (mut here, mut there) = (one.changed(0), two.changed(0));
    for round in 1..=5 {
        let waiting = async { tokio::join!(next(&mut here), next(&mut there)) };
        let id = format!("s{round}");
        let writing = one.create(&id, server("https://a.example"));
        let (heard, made) = tokio::join!(waiting, writing);
        assert_eq!(heard, (round, round));
        assert_eq!(made.unwrap().version, round);
    }
}

async fn a_change_before_anybody_listened_is_not_missed(home: Home) {
    let store = home.open().await;
    let seen = store.snapshot().await.unwrap().revision;
    store.create("github", server("https://a.example")).await.unwrap();
    assert_eq!(next(&mut store.changed(seen)).await, 1);
}

async fn many_changes_are_one(home: Home) {
    let store = home.open().await;
    let mut changes = store.changed(0);
    for number in 0..10 {
        store.create(&format!("s{number}"), server("https://a.example")).await.unwrap();
    }
    assert_eq!(next(&mut changes).await, 10);
}

async fn nothing_is_told_when_nothing_changed(home: Home) {
    let store = home.open().await;
    let mut changes = store.changed(0);
    _ = store.create("", server("https://a.example")).await.unwrap_err();
    _ = store.delete::<store::Server>("github", None).await.unwrap_err();
    assert!(timeout(Duration::from_millis(1200), changes.next()).await.is_err());
}

async fn a_waiter_that_gave_up_misses_nothing(home: Home) {
    let (one, two) = (home.open().await, home.open().await);
    let mut changes = two.changed(0);
    for round in 1..=5 {
        for _ in 0..20 {
            _ = timeout(Duration::from_millis(3), changes.next()).await;
        }
        one.create(&format!("s{round}"), server("https://a.example")).await.unwrap();
        assert_eq!(next(&mut changes).await, round);
    }
}

async fn next(changes: &mut Changes) -> i64 {
    timeout(Duration::from_secs(1), changes.next()).await.expect("a change is heard of within a second")
}

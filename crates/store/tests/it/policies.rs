//! Policies: versions that never change, one of them active.

use store::{Draft, Policy, StoreError};

use crate::home::{Home, both};
use crate::samples::draft;

both!(
    versions_are_numbered_and_stay_as_they_were,
    going_back_is_activating_an_older_version,
    many_who_add_a_version_get_a_number_each,
    a_deleted_policy_takes_its_versions_along,
    versions_are_listed_newest_first_in_pages,
    what_a_policy_must_not_have_is_refused,
);

async fn versions_are_numbered_and_stay_as_they_were(home: Home) {
    let store = home.open().await;
    let one = store.add_policy_version("github", &draft("one"), false, Some(0)).await.unwrap();
    assert_eq!(one.value, Policy { latest: 1, active: None });
    assert!(store.snapshot().await.unwrap().policies.is_empty(), "a draft judges nothing");
    let two = store.add_policy_version("github", &draft("two"), true, Some(one.version)).await.unwrap();
    assert_eq!(two.value, Policy { latest: 2, active: Some(2) });
    let kept = store.policy_version("github", 1).await.unwrap();
    assert_eq!((&*kept.text, &*kept.hash, &*kept.author, kept.catalogue), ("one", "hash of one", "alice", None));
    assert!(matches!(
        store.add_policy_version("github", &draft("x"), true, Some(one.version)).await,
        Err(StoreError::Stale { version }) if version == two.version
    ));
    assert!(matches!(
        store.add_policy_version("github", &draft("x"), true, Some(0)).await,
        Err(StoreError::Exists { .. })
    ));
    assert!(matches!(
        store.add_policy_version("new", &draft("x"), true, Some(1)).await,
        Err(StoreError::NotFound { .. })
    ));
}

async fn going_back_is_activating_an_older_version(home: Home) {
    let store = home.open().await;
    for text in ["one", "two", "three"] {
        store.add_policy_version("github", &draft(text), true, None).await.unwrap();
    }
    let before = store.policy("github").await.unwrap();
    let back = store.activate_policy("github", 1, Some(before.version)).await.unwrap();
    assert_eq!(back.value, Policy { latest: 3, active: Some(1) });
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!((&*snapshot.policies[0].text, snapshot.policies[0].number), ("one", 1));
    for number in [0, 4, -1] {
        assert!(matches!(store.activate_policy("github", number, None).await, Err(StoreError::NotFound { .. })));
    }
    let stale = store.activate_policy("github", 2, Some(before.version)).await;
    assert!(matches!(stale, Err(StoreError::Stale { version }) if version == back.version));
}

async fn many_who_add_a_version_get_a_number_each(home: Home) {
    let (one, two) = (home.open().await, home.open().await);
    let tasks: Vec<_> = (0..20)
        .map(|number| {
            let store = if number % 2 == 0 { one.clone() } else { two.clone() };
            tokio::spawn(
                async move { store.add_policy_version("github", &draft(&number.to_string()), true, None).await },
            )
        })
        .collect();
    let mut numbers = Vec::new();
    for task in tasks {
        numbers.push(task.await.unwrap().unwrap().value.latest);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
}

async fn a_deleted_policy_takes_its_versions_along(home: Home) {
    let store = home.open().await;
    let kept = store.add_policy_version("github", &draft("one"), true, None).await.unwrap();
    assert!(matches!(store.delete_policy("github", Some(kept.version + 1)).await, Err(StoreError::Stale { .. })));
    store.delete_policy("github", Some(kept.version)).await.unwrap();
    assert!(matches!(store.policy("github").await, Err(StoreError::NotFound { .. })));
    assert!(matches!(store.policy_version("github", 1).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(store.policy_versions("github", None, 10).await, Err(StoreError::NotFound { .. })));
}

async fn versions_are_listed_newest_first_in_pages(home: Home) {
    let store = home.open().await;
    for number in 0..5 {
        store.add_policy_version("github", &draft(&number.to_string()), true, None).await.unwrap();
    }
    store.add_policy_version("files", &draft("x"), true, None).await.unwrap();
    let (mut before, mut seen) = (None, Vec::new());
    loop {
        let page = store.policy_versions("github", before, 2).await.unwrap();
        assert!(page.items.iter().all(|version| version.text.is_empty()));
        seen.extend(page.items.iter().map(|version| version.number));
        before = page.next.map(|next| next.parse().unwrap());
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
    let page = store.policies(None, 1).await.unwrap();
    assert_eq!((&*page.items[0].id, page.next.as_deref()), ("files", Some("files")));
    let page = store.policies(page.next.as_deref(), 1).await.unwrap();
    assert_eq!((&*page.items[0].id, page.next), ("github", None));
}

async fn what_a_policy_must_not_have_is_refused(home: Home) {
    let store = home.open().await;
    let of = |text: &str| Draft { hash: "cafe".to_owned(), ..draft(text) };
    for text in ["nul \0", &"x".repeat((4 << 20) + 1)] {
        let refused = store.add_policy_version("github", &of(text), true, None).await;
        assert!(matches!(refused, Err(StoreError::Invalid { what: "the policy", .. })));
    }
    assert!(matches!(store.add_policy_version("", &draft("x"), true, None).await, Err(StoreError::Invalid { .. })));
    store.add_policy_version("github", &of(&"x".repeat(4 << 20)), true, None).await.unwrap();
}

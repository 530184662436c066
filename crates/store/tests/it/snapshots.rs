//! A snapshot is of one moment, whatever is written meanwhile.

use std::collections::BTreeSet;

use store::{Agent, Server};

use crate::home::{Home, both};
use crate::samples::{agent, draft, server};

both!(a_snapshot_is_of_one_moment, a_snapshot_has_all_that_judges);

/// One writer makes server, policy and agent `N` in turn: what a snapshot of one moment has of each follows from its revision.
async fn a_snapshot_is_of_one_moment(home: Home) {
    let (writer, reader) = (home.open().await, home.open().await);
    let writing = tokio::spawn(async move {
        for number in 0.. {
            let name = format!("n{number}");
            writer.create(&name, server("https://a.example")).await.unwrap();
            writer.add_policy_version(&name, &draft("x"), true, None).await.unwrap();
            writer.create(&name, agent()).await.unwrap();
        }
    });
    let mut revisions = BTreeSet::new();
    while revisions.len() < 12 {
        assert!(!writing.is_finished());
        let snapshot = reader.snapshot().await.unwrap();
        let counts = (snapshot.servers.len(), snapshot.policies.len(), snapshot.agents.len());
        let revision = usize::try_from(snapshot.revision).unwrap();
        assert_eq!(counts, (revision.div_ceil(3), (revision + 1) / 3, revision / 3), "of revision {revision}");
        revisions.insert(revision);
    }
    writing.abort();
    _ = writing.await;
}

async fn a_snapshot_has_all_that_judges(home: Home) {
    let store = home.open().await;
    assert_eq!(store.snapshot().await.unwrap().revision, 0);
    store.create("github", server("https://a.example")).await.unwrap();
    store.add_policy_version("github", &draft("text"), true, None).await.unwrap();
    store.create("alice", agent()).await.unwrap();
    store.create("t1", crate::samples::token("alice", 1)).await.unwrap();
    store.create("c1", crate::samples::credential("github", None)).await.unwrap();
    let last = store.create("theme", store::Setting(serde_json::json!(1))).await.unwrap().version;
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.revision, last);
    assert_eq!(snapshot.servers, [store.get::<Server>("github").await.unwrap()]);
    assert_eq!(snapshot.agents, [store.get::<Agent>("alice").await.unwrap()]);
    assert_eq!(
        snapshot.policies.len() + snapshot.tokens.len() + snapshot.credentials.len() + snapshot.settings.len(),
        4
    );
}

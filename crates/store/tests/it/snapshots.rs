//! A snapshot is of one moment, whatever is written meanwhile.

use std::collections::BTreeSet;

use store::{Agent, Server};

use crate::home::{Home, both};
use crate::samples::{agent, draft, server};

both!(
    a_snapshot_is_of_one_moment,
    a_snapshot_has_all_that_judges,
    a_credential_that_cannot_be_read_keeps_nothing_else_from_being_read,
);

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

async fn a_credential_that_cannot_be_read_keeps_nothing_else_from_being_read(home: Home) {
    let store = home.open().await;
    store.create("alice", agent()).await.unwrap();
    for (id, agent) in [("bent", None), ("good", Some("alice")), ("hex", Some("bob"))] {
        store.create(id, crate::samples::credential("github", agent)).await.unwrap();
    }
    home.meddle("UPDATE tg_documents SET body = '{\"hush\":1}' WHERE id = 'bent'").await;
    home.meddle("UPDATE tg_documents SET body = replace(body, '0001feff', 'no hex') WHERE id = 'hex'").await;
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.agents.len(), 1);
    let read = snapshot.credentials.iter().map(|kept| {
        let store::Credential { server, agent, sealed, .. } = &kept.value;
        (kept.id.as_str(), server.as_str(), agent.as_deref(), sealed.len())
    });
    let expected =
        [("bent", "github", None, 0), ("good", "github", Some("alice"), 4), ("hex", "github", Some("bob"), 0)];
    assert_eq!(read.collect::<Vec<_>>(), expected);
    // What is no hex can be seen, and removed.
    assert!(store.get::<store::Credential>("hex").await.unwrap().value.sealed.is_empty());
    store.delete::<store::Credential>("hex", None).await.unwrap();
}

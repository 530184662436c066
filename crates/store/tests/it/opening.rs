//! Opening: the schema, who may read the file, and what a URL may be.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use store::{Asking, Server, Store, StoreError};

use crate::home::{Home, both};
use crate::samples::{WIDE, asked, server};

both!(
    nodes_that_start_at_once_migrate_once,
    a_newer_schema_is_refused_and_left_alone,
    an_older_schema_is_brought_up_to_date_with_all_that_is_in_it,
    a_restart_keeps_everything,
);

async fn nodes_that_start_at_once_migrate_once(home: Home) {
    let home = Arc::new(home);
    let open = |home: Arc<Home>| tokio::spawn(async move { home.open().await });
    let tasks: Vec<_> = (0..8).map(|_| open(Arc::clone(&home))).collect();
    for (number, task) in tasks.into_iter().enumerate() {
        let store = task.await.unwrap();
        store.create(&format!("s{number}"), server("https://a.example")).await.unwrap();
        store.close().await;
    }
    assert_eq!(home.open().await.count::<Server>().await.unwrap(), 8);
}

async fn a_newer_schema_is_refused_and_left_alone(home: Home) {
    home.open().await.create("github", server("https://a.example")).await.unwrap();
    home.meddle("UPDATE tg_meta SET schema = 1000").await;
    let refused = Store::open(&home.url).await.map(drop).unwrap_err();
    assert!(matches!(refused, StoreError::Newer { found: 1000, .. }));
    assert!(refused.to_string().starts_with("the store was written by a newer version of Toolgate"), "{refused}");
    let again = Store::open(&home.url).await.map(drop);
    assert!(matches!(again, Err(StoreError::Newer { found: 1000, .. })));
}

async fn an_older_schema_is_brought_up_to_date_with_all_that_is_in_it(home: Home) {
    let store = home.open().await;
    let made = store.create("github", server("https://a.example")).await.unwrap();
    store.close().await;
    // As the first version left it.
    home.meddle(
        "DROP TABLE tg_approval_links; DROP TABLE tg_approval_notices; DROP TABLE tg_approval_grants; DROP TABLE tg_approvals; \
         UPDATE tg_meta SET schema = 1",
    )
    .await;
    let store = home.open().await;
    assert_eq!(store.get::<Server>("github").await.unwrap(), made);
    let asked = store.ask_approval("a1", &asked("alice", 1), 1000, &WIDE, &[], 10).await.unwrap();
    assert!(matches!(asked, Asking::New(_)), "{asked:?}");
}

async fn a_restart_keeps_everything(home: Home) {
    let store = home.open().await;
    let made = store.create("github", server("https://a.example")).await.unwrap();
    drop(store); // not even closed
    let store = home.open().await;
    assert_eq!(store.get::<Server>("github").await.unwrap(), made);
    assert_eq!(store.revision().await.unwrap(), made.version);
}

#[tokio::test]
async fn the_file_and_its_folder_are_for_their_owner_only() {
    crate::home::on_sqlite(async |home| {
        let store = home.open().await;
        store.create("github", server("https://a.example")).await.unwrap();
        let file = home.file().unwrap();
        let folder = file.parent().unwrap();
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(folder), 0o700);
        let names: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(names.iter().all(|name| mode(name) == 0o600));
    })
    .await;
}

#[tokio::test]
async fn a_url_that_cannot_be_is_refused_without_its_password() {
    for url in [
        "",
        "sqlite:",
        "sqlite::memory:",
        "sqlite:a.db?mode=ro",
        "mysql://root:hush@localhost/x",
        "postgres://root:hush@localhost:notaport/x",
        "postgres://root@localhost/x?pasword=hush",
        "postgres://root:hush@localhost/x?sslmode=sometimes",
    ] {
        let error = Store::open(url).await.map(drop).unwrap_err();
        assert!(matches!(error, StoreError::Url(_)), "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_unavailable() {
    let error = Store::open("sqlite:/proc/nowhere/toolgate.db").await.map(drop).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}

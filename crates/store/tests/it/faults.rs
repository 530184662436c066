//! When the database is slow, locked, away, or not one at all.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, SqliteConnection};
use store::{Options, Server, Store, StoreError};
use tokio::net::TcpListener;
use tokio::time::timeout;
use url::Url;

use crate::home::{Home, both, on_postgres, on_sqlite};
use crate::relay::Relay;
use crate::samples::server;

both!(a_writer_waits_no_longer_than_its_limit_and_readers_do_not_wait);

fn hasty() -> Options {
    Options { timeout: Duration::from_secs(3), acquire: Duration::from_millis(2500), connections: 4, create: true }
}

async fn a_writer_waits_no_longer_than_its_limit_and_readers_do_not_wait(home: Home) {
    let store = home.open_with(hasty()).await;
    store.create("github", server("https://a.example")).await.unwrap();
    let change = "UPDATE tg_meta SET revision = revision";
    let refused = if home.is_postgres() {
        let mut other = PgConnection::connect(&home.url).await.unwrap();
        let mut lock = other.begin().await.unwrap();
        sqlx::raw_sql(change).execute(&mut *lock).await.unwrap();
        both_while_locked(&store).await
    } else {
        let mut other = SqliteConnection::connect(&home.url).await.unwrap();
        let mut lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
        sqlx::raw_sql(change).execute(&mut *lock).await.unwrap();
        both_while_locked(&store).await
    };
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
    eventually(&store).await;
    assert_eq!(store.count::<Server>().await.unwrap(), 2);
}

async fn both_while_locked(store: &Store) -> StoreError {
    assert_eq!(store.count::<Server>().await.unwrap(), 1, "reading waits for nobody");
    let writing = timeout(Duration::from_secs(30), store.create("late", server("https://b.example")));
    writing.await.expect("it gives up by itself").unwrap_err()
}

/// What was refused for a while works again, without a new store.
async fn eventually(store: &Store) {
    let again = async {
        while let Err(error) = store.put("again", server("https://b.example"), None).await {
            assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        }
    };
    timeout(Duration::from_secs(20), again).await.expect("the store comes back");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_corrupt() {
    on_sqlite(async |home| {
        let file = home.file().unwrap();
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "this is the accounts' spreadsheet, not a database".repeat(100)).unwrap();
        let error = Store::open(&home.url).await.map(drop).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { what: "database", .. }), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_away_or_silent_is_unavailable_and_its_password_unsaid() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ports = [silent.local_addr().unwrap().port(), closed.local_addr().unwrap().port()];
    drop(closed);
    for port in ports {
        let url = format!("postgres://root:hush@127.0.0.1:{port}/toolgate");
        let opening = timeout(Duration::from_secs(30), Store::open_with(&url, hasty()));
        let error = opening.await.expect("it gives up by itself").map(drop).unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_connections_are_replaced() {
    on_postgres(async |home: Home| {
        let (store, other) = (home.open().await, home.open().await);
        let mut changes = store.changed(0);
        for round in 1..=5 {
            let id = format!("s{round}");
            let making = async { other.create(&id, server("https://a.example")).await.unwrap().version };
            let (made, heard) = tokio::join!(making, changes.next());
            assert_eq!((made, heard), (round, round));
            home.meddle(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE application_name = current_schema() AND pid <> pg_backend_pid()",
            )
            .await;
            assert_eq!(store.count::<Server>().await.unwrap(), round);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_falls_silent_is_given_up_and_its_successor_found() {
    on_postgres(async |home: Home| {
        let mut through = Url::parse(&home.url).unwrap();
        let host = through.host_str().expect("tests need a host in the URL, not a socket").to_owned();
        let relay = Relay::to(host, through.port().unwrap_or(5432)).await;
        through.set_host(Some("127.0.0.1")).unwrap();
        through.set_port(Some(relay.port)).unwrap();
        let store =
            Store::open_with(through.as_str(), Options { acquire: Duration::from_secs(4), ..Options::default() });
        let store = store.await.unwrap();
        use_every_connection(&store).await;
        let mut changes = store.changed(0);
        assert!(timeout(Duration::from_millis(50), changes.next()).await.is_err(), "it listens, through the relay");
        relay.silence();
        let error = store.count::<Server>().await.map(drop);
        assert!(matches!(error, Ok(()) | Err(StoreError::Unavailable { .. })), "{error:?}");
        eventually(&store).await;
        timeout(Duration::from_secs(20), changes.next()).await.expect("what was heard is heard again");
    })
    .await;
}

/// As many connections as there are, all of them idle afterwards.
async fn use_every_connection(store: &Store) {
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            tokio::spawn({
                let store = store.clone();
                async move { store.count::<Server>().await }
            })
        })
        .collect();
    for task in tasks {
        _ = task.await.unwrap(); // some may have waited too long for their turn
    }
}

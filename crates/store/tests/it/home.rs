//! Where a test's store is: a folder, or a schema of its own in PostgreSQL. Both are gone afterwards, whatever happened.

use std::future::Future;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use store::{Options, Store};
use tempfile::TempDir;

const VARIABLE: &str = "TOOLGATE_TEST_POSTGRES_URL";

/// A place that may be opened many times: each is a node.
pub(crate) struct Home {
    pub(crate) url: String,
    folder: Option<TempDir>,
}

impl Home {
    /// With more patience than an operator has: what is tested is not how busy this machine is.
    pub(crate) async fn open(&self) -> Store {
        let patience = std::time::Duration::from_secs(60);
        self.open_with(Options { timeout: patience, acquire: patience, ..Options::default() }).await
    }

    pub(crate) async fn open_with(&self, options: Options) -> Store {
        Store::open_with(&self.url, options).await.unwrap()
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.folder.is_none()
    }

    /// SQLite's file.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.path().join("data/toolgate.db"))
    }

    /// A statement of somebody who is no store.
    pub(crate) async fn meddle(&self, sql: &'static str) {
        if self.is_postgres() {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        } else {
            let mut connection = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }
}

pub(crate) async fn on_sqlite<F: Future<Output = ()>>(test: impl FnOnce(Home) -> F) {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite:{}", folder.path().join("data/toolgate.db").display());
    test(Home { url, folder: Some(folder) }).await;
}

pub(crate) async fn on_postgres<F: Future<Output = ()> + Send + 'static>(test: impl FnOnce(Home) -> F) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let Some(base) = std::env::var(VARIABLE).ok().filter(|url| !url.is_empty()) else {
        // Not `eprintln!`, which the test harness swallows.
        _ = writeln!(std::io::stderr(), "skipped: PostgreSQL ({VARIABLE} is not set)");
        return;
    };
    let schema = format!("toolgate_test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let mut admin = PgConnection::connect(&base).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).execute(&mut admin).await.unwrap();
    let first = if base.contains('?') { '&' } else { '?' };
    let url = format!("{base}{first}options=-csearch_path%3D{schema}&application_name={schema}");
    let outcome = tokio::spawn(test(Home { url, folder: None })).await;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"))).execute(&mut admin).await.unwrap();
    outcome.unwrap();
}

/// Each test, on both engines.
macro_rules! both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                crate::home::on_sqlite(super::$name).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                crate::home::on_postgres(super::$name).await;
            })*
        }
    };
}
pub(crate) use both;

//! The store: two pools and how they are used. Every operation is one transaction and has one deadline.

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::BuildHasher as _;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::sqlite::SqlitePoolOptions;
use tokio::sync::{Mutex, broadcast, watch};
use tokio::time::timeout;

use crate::ear::Ear;
use crate::error::Slow;
use crate::place::{self, Place};
use crate::sql::{Arg, Row, args};
use crate::tx::{Pools, Tx};
use crate::{Changes, StoreError, approval, migrate};

/// How PostgreSQL's nodes are told of a change.
pub(crate) const CHANNEL: &str = "toolgate_changes";

/// Connections of PostgreSQL that wait for changes, beside those that work: one for those of decisions, one for those of approvals.
const LISTENERS: u32 = 2;

const REVISION: &str = "SELECT revision FROM tg_meta WHERE id = 1";

/// How long it may take to see that a connection is still good. Several that are not are found within the time that a caller waits for one.
const PING: Duration = Duration::from_millis(500);

/// The durable records of a gateway. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) pools: Pools,
    options: Options,
    /// Wakes who waits in this process, at once.
    pub(crate) changed: watch::Sender<()>,
    /// The same for approvals: their ids.
    pub(crate) approvals: broadcast::Sender<String>,
    pub(crate) joined: approval::Joined,
    /// What hears of other nodes' approvals, for all who wait in this process.
    pub(crate) ear: Mutex<Ear>,
    /// Tells what this store told from what others did.
    pub(crate) origin: String,
}

/// How a store is used. The default is right for almost everybody.
#[derive(Clone, Debug)]
pub struct Options {
    /// No operation takes longer: 5 s.
    pub timeout: Duration,
    /// Nobody waits longer for a connection, or for SQLite's lock: 2 s.
    pub acquire: Duration,
    /// Connections that work: 8.
    pub connections: u32,
    /// Whether an SQLite file that is not there is made: yes.
    pub create: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), acquire: Duration::from_secs(2), connections: 8, create: true }
    }
}

impl Inner {
    fn new(pools: Pools, options: Options) -> Self {
        Self {
            ear: Mutex::new(Ear::new(&pools, approval::CHANNEL)),
            approvals: broadcast::Sender::new(approval::BACKLOG),
            joined: approval::Joined::default(),
            origin: format!("{:016x}", RandomState::new().hash_one(std::process::id())),
            changed: watch::Sender::new(()),
            pools,
            options,
        }
    }
}

impl Store {
    /// `sqlite:PATH` (made if it is not there) or `postgres://…`. The schema is brought up to date; one that is newer is refused.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Self::open_with(url, Options::default()).await
    }

    pub async fn open_with(url: &str, options: Options) -> Result<Self, StoreError> {
        let pools = match Place::parse(url)? {
            Place::Sqlite(path) => {
                place::find_file(&path, options.create)
                    .map_err(|error| StoreError::unavailable("open its file", error))?;
                let connect = place::sqlite(&path, &options);
                let pool = || SqlitePoolOptions::new().acquire_timeout(options.acquire);
                Pools::Sqlite {
                    read: pool().max_connections(options.connections).connect_lazy_with(connect.clone()),
                    write: pool().max_connections(1).connect_lazy_with(connect),
                }
            }
            Place::Postgres(base) => {
                let connect = place::postgres(*base, &options);
                reach(&connect, options.acquire).await?;
                let pool = || patient(&options);
                Pools::Postgres {
                    work: pool().max_connections(options.connections).connect_lazy_with(connect.clone()),
                    listen: pool().max_connections(LISTENERS).connect_lazy_with(connect),
                }
            }
        };
        let store = Self { inner: Arc::new(Inner::new(pools, options)) };
        store.within("migrate", migrate::migrate(&store.inner.pools)).await?;
        Ok(store)
    }

    /// Grows with every committed change of what judges calls or of who may change it.
    pub async fn revision(&self) -> Result<i64, StoreError> {
        let row = self.ask_one("read the revision", REVISION, args![]).await?;
        row.ok_or_else(|| StoreError::missing("revision", "tg_meta"))?.get("revision")
    }

    /// Tells of revisions other than `seen`, which a [`Snapshot`](crate::Snapshot) has.
    pub fn changed(&self, seen: i64) -> Changes {
        Changes::new(self.clone(), seen)
    }

    /// Lets go of all connections.
    pub async fn close(&self) {
        match &self.inner.pools {
            Pools::Sqlite { read, write } => {
                read.close().await;
                write.close().await;
            }
            Pools::Postgres { work, listen } => {
                // Who is listening at this moment notices that the pool closes.
                if let Ok(mut ear) = self.inner.ear.try_lock() {
                    ear.close();
                }
                listen.close().await;
                work.close().await;
            }
        }
    }

    /// Where it is, for people: the engine, not the URL.
    pub fn engine(&self) -> &'static str {
        match &self.inner.pools {
            Pools::Sqlite { .. } => "sqlite",
            Pools::Postgres { .. } => "postgresql",
        }
    }

    /// When that was, in milliseconds since 1970, by the clock that all nodes of this store share.
    pub async fn ago_ms(&self, span: Duration) -> Result<i64, StoreError> {
        Ok(self.clock_ms().await?.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    async fn clock_ms(&self) -> Result<i64, StoreError> {
        const SQL: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now";
        if !self.is_remote() {
            return Ok(now_ms());
        }
        let row = self.ask_one("read its clock", SQL, args![]).await?;
        row.ok_or_else(|| StoreError::missing("now", "its clock"))?.get("now")
    }

    /// Is it beyond a connection, which can be lost without a word?
    pub fn is_remote(&self) -> bool {
        matches!(self.inner.pools, Pools::Postgres { .. })
    }

    /// One deadline for all of an operation.
    pub(crate) async fn within<T>(
        &self,
        doing: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let limit = self.inner.options.timeout;
        timeout(limit, work).await.unwrap_or_else(|_| Err(StoreError::unavailable(doing, Slow(limit))))
    }

    /// One statement that reads.
    pub(crate) async fn ask(
        &self,
        doing: &'static str,
        sql: &'static str,
        args: &[Arg<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        self.within(doing, self.inner.pools.ask(sql, args)).await
    }

    pub(crate) async fn ask_one(
        &self,
        doing: &'static str,
        sql: &'static str,
        args: &[Arg<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.ask(doing, sql, args).await?.into_iter().next())
    }

    pub(crate) async fn read(&self) -> Result<Tx, StoreError> {
        self.inner.pools.read().await
    }

    /// A write that changes no decision: the revision stays.
    pub(crate) async fn write(&self) -> Result<Tx, StoreError> {
        self.inner.pools.write().await
    }

    /// A write that nodes must hear of. The revision's row is its lock: changes happen one after the other, and what is read in one is current.
    pub(crate) async fn change(&self) -> Result<Change, StoreError> {
        let mut tx = self.inner.pools.write().await?;
        let sql = "UPDATE tg_meta SET revision = revision + 1 WHERE id = 1 RETURNING revision";
        let row = tx.row(sql, args![]).await?.ok_or_else(|| StoreError::missing("revision", "tg_meta"))?;
        Ok(Change { version: row.get("revision")?, now: now_ms(), tx, approvals: Vec::new() })
    }

    pub(crate) async fn commit(&self, mut change: Change) -> Result<(), StoreError> {
        approval::notify(&mut change.tx, &self.inner.origin, &change.approvals).await?;
        if let Tx::Postgres(_) = change.tx {
            let payload = change.version.to_string();
            change.tx.rows("SELECT pg_notify($1, $2)", args![CHANNEL, &payload]).await?;
        }
        change.tx.commit().await?;
        for id in change.approvals {
            _ = self.inner.approvals.send(id); // nobody may be waiting
        }
        self.inner.changed.send_replace(());
        Ok(())
    }
}

/// A write in the making: the version that it gives, and its time.
pub(crate) struct Change {
    pub(crate) tx: Tx,
    pub(crate) version: i64,
    pub(crate) now: i64,
    /// Those that it changed along with it.
    pub(crate) approvals: Vec<String>,
}

pub(crate) async fn revision(tx: &mut Tx) -> Result<i64, StoreError> {
    let row = tx.row(REVISION, args![]).await?;
    row.ok_or_else(|| StoreError::missing("revision", "tg_meta"))?.get("revision")
}

pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A pool tries on where nobody listens, and says only that it took long. Whoever starts a gateway wants to know why.
async fn reach(connect: &PgConnectOptions, limit: Duration) -> Result<(), StoreError> {
    let connection = timeout(limit, PgConnection::connect_with(connect)).await;
    let connection = connection.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())));
    drop(connection.map_err(|error| StoreError::failed("connect", error))?.close().await);
    Ok(())
}

/// sqlx would look as well, but without an end: a server that is gone without a word keeps a connection for a quarter of an hour.
fn patient(options: &Options) -> PgPoolOptions {
    PgPoolOptions::new()
        .acquire_timeout(options.acquire)
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(usable(connection)))
        .after_release(|connection, _| Box::pin(usable(connection)))
}

/// Whether it answers.
async fn usable(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    timeout(PING, connection.ping()).await.map_or(Err(sqlx::Error::PoolTimedOut), |answer| answer.map(|()| true))
}

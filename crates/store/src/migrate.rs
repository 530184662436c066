//! The schema: embedded, applied in order, in one transaction that only one process at a time is in.
//!
//! Not sqlx's migrator: it does not lock SQLite, and two nodes may start at once.

use crate::StoreError;
use crate::sql::args;
use crate::tx::{Pools, Tx};

/// What brings a schema from one number to the next, for SQLite and for PostgreSQL. A released one never changes.
const MIGRATIONS: &[(&str, &str)] = &[
    (include_str!("../migrations/sqlite/0001_records.sql"), include_str!("../migrations/postgres/0001_records.sql")),
    (
        include_str!("../migrations/sqlite/0002_approvals.sql"),
        include_str!("../migrations/postgres/0002_approvals.sql"),
    ),
];

const KNOWN: i64 = MIGRATIONS.len() as i64;

/// One row: the number of the schema, and the revision, which grows with every change.
const META: &str = "CREATE TABLE IF NOT EXISTS tg_meta \
    (id BIGINT PRIMARY KEY CHECK (id = 1), schema BIGINT NOT NULL, revision BIGINT NOT NULL)";

/// An arbitrary number that stands for "Toolgate migrates" among the advisory locks of a database.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7310868735443268)";

pub(crate) async fn migrate(pools: &Pools) -> Result<(), StoreError> {
    let mut tx = pools.write().await?;
    if let Tx::Postgres(_) = tx {
        tx.script(LOCK).await?;
    }
    tx.script(META).await?;
    tx.run("INSERT INTO tg_meta (id, schema, revision) VALUES (1, 0, 0) ON CONFLICT (id) DO NOTHING", args![]).await?;
    let row = tx.row("SELECT schema FROM tg_meta WHERE id = 1", args![]).await?;
    let found: i64 = row.map_or(Ok(0), |row| row.get("schema"))?;
    if found > KNOWN {
        return Err(StoreError::Newer { found, known: KNOWN });
    }
    for (sqlite, postgres) in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        tx.script(tx.either(sqlite, postgres)).await?;
    }
    tx.run("UPDATE tg_meta SET schema = $1 WHERE id = 1", args![KNOWN]).await?;
    tx.commit().await
}

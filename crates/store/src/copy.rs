//! A whole store into another, of either engine: `toolgate migrate`. All or nothing, and looked at afterwards.

use std::hash::{DefaultHasher, Hash, Hasher as _};

use crate::sql::{Arg, Row, args};
use crate::store::revision;
use crate::tx::Tx;
use crate::{AuditRecord, Store, StoreError, audit, query};

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    pub revision: i64,
    /// Table and rows, in the order in which they were copied.
    pub tables: Vec<(&'static str, u64)>,
}

#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("the store to copy from failed")]
    From(#[source] StoreError),
    #[error("the store to copy to failed")]
    To(#[source] StoreError),
    #[error("the store to copy to is not empty: it has {rows} rows in `{table}`")]
    NotEmpty { table: &'static str, rows: u64 },
    #[error("what was written to `{table}` is not what was read: nothing was copied")]
    Differs { table: &'static str },
}

/// A table, as both engines read and write it.
struct Table {
    name: &'static str,
    columns: &'static [Column],
    /// In the order of the primary key; `$1` rows from `$2` on.
    select: &'static str,
    insert: &'static str,
    count: &'static str,
    /// Rows that are held at once: few, where they may be large.
    page: i64,
}

enum Column {
    Text(&'static str),
    Int(&'static str),
}
use Column::{Int, Text};

/// The SQL of a table, of its name, its columns and its key.
macro_rules! table {
    ($name:literal, $page:literal, $key:literal, [$($kind:ident($column:literal) = $place:literal),*]) => {
        Table {
            name: $name,
            columns: &[$($kind($column)),*],
            select: concat!("SELECT * FROM ", $name, " ORDER BY ", $key, " LIMIT $1 OFFSET $2"),
            insert: concat!("INSERT INTO ", $name, " (", table!(@list $($column),*), ") VALUES (", table!(@list $($place),*), ")"),
            count: concat!("SELECT COUNT(*) AS count FROM ", $name),
            page: $page,
        }
    };
    (@list $first:literal $(, $rest:literal)*) => { concat!($first $(, ", ", $rest)*) };
}

const TABLES: &[Table] = &[
    table!(
        "tg_documents",
        200,
        "kind, id",
        [
            Text("kind") = "$1",
            Text("id") = "$2",
            Int("version") = "$3",
            Int("created_ms") = "$4",
            Int("updated_ms") = "$5",
            Text("alias") = "$6",
            Text("owner") = "$7",
            Text("partner") = "$8",
            Text("body") = "$9"
        ]
    ),
    table!(
        "tg_policies",
        1000,
        "name",
        [
            Text("name") = "$1",
            Int("version") = "$2",
            Int("created_ms") = "$3",
            Int("updated_ms") = "$4",
            Int("latest") = "$5",
            Int("active") = "$6"
        ]
    ),
    table!(
        "tg_policy_versions",
        8,
        "name, number",
        [
            Text("name") = "$1",
            Int("number") = "$2",
            Int("created_ms") = "$3",
            Text("hash") = "$4",
            Text("author") = "$5",
            Text("note") = "$6",
            Text("text") = "$7",
            Text("catalogue") = "$8"
        ]
    ),
    table!(
        "tg_sessions",
        1000,
        "hash",
        [
            Text("hash") = "$1",
            Text("admin") = "$2",
            Text("csrf") = "$3",
            Int("created_ms") = "$4",
            Int("expires_ms") = "$5"
        ]
    ),
    table!("tg_login_links", 1000, "hash", [Text("hash") = "$1", Text("admin") = "$2", Int("expires_ms") = "$3"]),
    table!(
        "tg_idempotency",
        100,
        "who, key",
        [
            Text("who") = "$1",
            Text("key") = "$2",
            Text("request") = "$3",
            Int("created_ms") = "$4",
            Int("status") = "$5",
            Text("body") = "$6"
        ]
    ),
    table!(
        "tg_approvals",
        20,
        "id",
        [
            Text("id") = "$1",
            Text("binding") = "$2",
            Text("agent") = "$3",
            Text("server") = "$4",
            Text("state") = "$5",
            Int("live") = "$6",
            Int("created_ms") = "$7",
            Int("expires_ms") = "$8",
            Int("decided_ms") = "$9",
            Int("used_ms") = "$10",
            Int("asks") = "$11",
            Int("round") = "$12",
            Text("asked") = "$13",
            Text("votes") = "$14"
        ]
    ),
    table!(
        "tg_approval_grants",
        100,
        "id",
        [
            Text("id") = "$1",
            Text("agent") = "$2",
            Text("server") = "$3",
            Text("method") = "$4",
            Text("subject") = "$5",
            Text("scope") = "$6",
            Text("definition") = "$7",
            Text("policy") = "$8",
            Int("max_uses") = "$9",
            Int("used") = "$10",
            Int("created_ms") = "$11",
            Int("expires_ms") = "$12",
            Int("revoked_ms") = "$13",
            Text("made_by") = "$14",
            Text("approval") = "$15"
        ]
    ),
    table!(
        "tg_approval_notices",
        1000,
        "approval, target",
        [
            Text("approval") = "$1",
            Text("target") = "$2",
            Int("due_ms") = "$3",
            Int("attempt") = "$4",
            Text("error") = "$5"
        ]
    ),
    table!(
        "tg_approval_links",
        1000,
        "hash",
        [Text("hash") = "$1", Text("approval") = "$2", Text("admin") = "$3", Int("expires_ms") = "$4"]
    ),
    table!("tg_audit_nodes", 1000, "node", [Text("node") = "$1", Int("seq") = "$2"]),
];

/// Audit records of one page.
const RECORDS: i64 = 200;

/// A value of a row.
#[derive(Hash)]
enum Cell {
    Int(Option<i64>),
    Text(Option<String>),
}

/// How many rows were met, and all that was in them, as one number.
#[derive(Default)]
struct Seen {
    rows: u64,
    hash: DefaultHasher,
}

/// `from` as it is at this moment: what is written to it later is not copied. `to` must have nothing in it.
pub async fn copy(from: &Store, to: &Store) -> Result<Copied, CopyError> {
    let mut source = from.within("read", from.read()).await.map_err(CopyError::From)?;
    let mut change = to.within("write", to.change()).await.map_err(CopyError::To)?;
    empty(to, &mut change.tx).await?;

    let mut copied = Copied { revision: revision(&mut source).await.map_err(CopyError::From)?, tables: Vec::new() };
    for table in TABLES {
        let read = table.copy((from, &mut source), (to, &mut change.tx)).await?;
        let written = table.look(to, &mut change.tx).await?;
        copied.tables.push((table.name, same(table.name, read, written)?));
    }
    let read = copy_records((from, &mut source), (to, &mut change.tx)).await?;
    let written = look_at_records(to, &mut change.tx).await?;
    copied.tables.push(("tg_audit", same("tg_audit", read, written)?));

    let sql = "UPDATE tg_meta SET revision = $1 WHERE id = 1";
    to.within("write", change.tx.run(sql, args![copied.revision])).await.map_err(CopyError::To)?;
    to.within("commit", to.commit(change)).await.map_err(CopyError::To)?;
    Ok(copied)
}

fn same(table: &'static str, read: Seen, written: Seen) -> Result<u64, CopyError> {
    match (read.rows, read.hash.finish()) == (written.rows, written.hash.finish()) {
        true => Ok(read.rows),
        false => Err(CopyError::Differs { table }),
    }
}

async fn empty(store: &Store, tx: &mut Tx) -> Result<(), CopyError> {
    let audit = ("tg_audit", "SELECT COUNT(*) AS count FROM tg_audit");
    for (table, sql) in TABLES.iter().map(|table| (table.name, table.count)).chain([audit]) {
        let row = store.within("read", tx.row(sql, args![])).await.map_err(CopyError::To)?;
        let rows = row.map_or(Ok(0), |row| row.get::<i64>("count")).map_err(CopyError::To)?;
        if rows != 0 {
            return Err(CopyError::NotEmpty { table, rows: rows.unsigned_abs() });
        }
    }
    Ok(())
}

impl Table {
    async fn copy(&self, from: (&Store, &mut Tx), to: (&Store, &mut Tx)) -> Result<Seen, CopyError> {
        let mut seen = Seen::default();
        loop {
            let page = self.page(from.0, from.1, &seen).await.map_err(CopyError::From)?;
            for cells in &page {
                let args: Vec<Arg<'_>> = cells.iter().map(Cell::arg).collect();
                to.0.within("write", to.1.run(self.insert, &args)).await.map_err(CopyError::To)?;
                seen.add(cells);
            }
            if page.is_empty() {
                return Ok(seen);
            }
        }
    }

    async fn look(&self, store: &Store, tx: &mut Tx) -> Result<Seen, CopyError> {
        let mut seen = Seen::default();
        loop {
            let page = self.page(store, tx, &seen).await.map_err(CopyError::To)?;
            page.iter().for_each(|cells| seen.add(cells));
            if page.is_empty() {
                return Ok(seen);
            }
        }
    }

    /// The rows after those that were seen.
    async fn page(&self, store: &Store, tx: &mut Tx, seen: &Seen) -> Result<Vec<Vec<Cell>>, StoreError> {
        let skip = i64::try_from(seen.rows).unwrap_or(i64::MAX);
        let rows = store.within("read", tx.rows(self.select, args![self.page, skip])).await?;
        rows.iter().map(|row| self.columns.iter().map(|column| column.read(row)).collect()).collect()
    }
}

impl Column {
    fn read(&self, row: &Row) -> Result<Cell, StoreError> {
        match self {
            Int(name) => Ok(Cell::Int(row.get(name)?)),
            Text(name) => Ok(Cell::Text(row.get(name)?)),
        }
    }
}

impl Cell {
    fn arg(&self) -> Arg<'_> {
        match self {
            Self::Int(value) => Arg::from(*value),
            Self::Text(value) => Arg::from(value.as_deref()),
        }
    }
}

impl Seen {
    fn add(&mut self, row: impl Hash) {
        self.rows += 1;
        row.hash(&mut self.hash);
    }
}

/// Records by their key and many at once: there may be millions.
async fn copy_records(from: (&Store, &mut Tx), to: (&Store, &mut Tx)) -> Result<Seen, CopyError> {
    let (mut seen, mut last) = (Seen::default(), None);
    while let Some(page) = records(from.0, from.1, &mut last).await.map_err(CopyError::From)? {
        to.0.within("write", audit::insert(to.1, &page)).await.map_err(CopyError::To)?;
        page.iter().for_each(|record| seen.add(record));
    }
    Ok(seen)
}

async fn look_at_records(store: &Store, tx: &mut Tx) -> Result<Seen, CopyError> {
    let (mut seen, mut last) = (Seen::default(), None);
    while let Some(page) = records(store, tx, &mut last).await.map_err(CopyError::To)? {
        page.iter().for_each(|record| seen.add(record));
    }
    Ok(seen)
}

/// The records after `last`, which moves along; none when there are no more.
async fn records(
    store: &Store,
    tx: &mut Tx,
    last: &mut Option<(String, i64)>,
) -> Result<Option<Vec<AuditRecord>>, StoreError> {
    const SQL: &str = "SELECT * FROM tg_audit WHERE (node, seq) > ($1, $2) ORDER BY node, seq LIMIT $3";
    let (node, seq) = last.take().unwrap_or((String::new(), i64::MIN));
    let rows = store.within("read", tx.rows(SQL, args![&node, seq, RECORDS])).await?;
    let page: Vec<AuditRecord> = rows.iter().map(query::read).collect::<Result<_, _>>()?;
    *last = page.last().map(|record| (record.node.clone(), record.seq));
    Ok(Some(page).filter(|page| !page.is_empty()))
}

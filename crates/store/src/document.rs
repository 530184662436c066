//! Documents: records that are small, few and changed by people. One table and one code for all kinds of them.
//!
//! A document has an id, unique in its kind; perhaps an alias, also unique (a token's hash); and up to two owners, with which it goes: who deletes
//! an agent deletes its tokens.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::{self, MAX_BODY};
use crate::sql::{Row, args};
use crate::store::Change;
use crate::tx::Tx;
use crate::{Admin, Agent, Kept, Page, Store, StoreError, approval, session};

/// A kind of document. Every kind is in this crate.
pub trait Document: Serialize + DeserializeOwned + Send + Sync {
    const KIND: &'static str;
    /// How many are kept.
    const MAX: i64;

    /// Another name that no second one may have.
    fn alias(&self) -> Option<String> {
        None
    }

    /// Who takes it along when it is deleted. The owner need not be in the store: a file may have it.
    fn owners(&self) -> [Option<Owner<'_>>; 2] {
        [None, None]
    }

    /// Itself, if it is an admin: what hangs on an admin's word follows every change of one.
    fn as_admin(&self) -> Option<&Admin> {
        None
    }

    /// What JSON cannot say of it.
    fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Whom a document belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner<'a> {
    Server(&'a str),
    Agent(&'a str),
    Admin(&'a str),
}

impl Owner<'_> {
    fn key(self) -> String {
        match self {
            Self::Server(id) => key("server", id),
            Self::Agent(id) => key("agent", id),
            Self::Admin(id) => key("admin", id),
        }
    }
}

const FIND: &str = "SELECT id, version, created_ms, updated_ms, body FROM tg_documents WHERE kind = $1 AND id = $2";
const VERSION: &str = "SELECT version FROM tg_documents WHERE kind = $1 AND id = $2";
const COUNT: &str = "SELECT COUNT(*) AS count FROM tg_documents WHERE kind = $1";

impl Store {
    /// A new one; [`StoreError::Exists`] names the one that has its id or alias.
    pub async fn create<D: Document>(&self, id: &str, value: D) -> Result<Kept<D>, StoreError> {
        let row = Written::of(id, &value)?;
        self.within("create a record", async {
            let mut change = self.change().await?;
            let kept = insert(&mut change, &row, value).await?;
            self.commit(change).await?;
            Ok(kept)
        })
        .await
    }

    /// In place of the one that is there. `expect` is the version that it must still have.
    pub async fn replace<D: Document>(&self, id: &str, value: D, expect: Option<i64>) -> Result<Kept<D>, StoreError> {
        let row = Written::of(id, &value)?;
        self.within("replace a record", async {
            let mut change = self.change().await?;
            let old = find::<D>(&mut change.tx, id).await?;
            let kept = update(&mut change, &row, checked(old, id, expect)?, value).await?;
            self.commit(change).await?;
            Ok(kept)
        })
        .await
    }

    /// New, or in place of the one that is there. With `expect` it must be there.
    pub async fn put<D: Document>(&self, id: &str, value: D, expect: Option<i64>) -> Result<Kept<D>, StoreError> {
        let row = Written::of(id, &value)?;
        self.within("put a record", async {
            let mut change = self.change().await?;
            let old = find::<D>(&mut change.tx, id).await?;
            let kept = match (old, expect) {
                (None, None) => insert(&mut change, &row, value).await?,
                (old, expect) => update(&mut change, &row, checked(old, id, expect)?, value).await?,
            };
            self.commit(change).await?;
            Ok(kept)
        })
        .await
    }

    /// The one that is there, altered: nobody else changes it meanwhile.
    pub async fn amend<D: Document>(
        &self,
        id: &str,
        expect: Option<i64>,
        alter: impl FnOnce(&mut D) + Send,
    ) -> Result<Kept<D>, StoreError> {
        self.within("change a record", async {
            let mut change = self.change().await?;
            let old = find::<D>(&mut change.tx, id).await?;
            let kept = amend(&mut change, checked(old, id, expect)?, alter).await?;
            self.commit(change).await?;
            Ok(kept)
        })
        .await
    }

    /// The one that is there, and all that it owns; also one that cannot be read.
    pub async fn delete<D: Document>(&self, id: &str, expect: Option<i64>) -> Result<(), StoreError> {
        self.within("delete a record", async {
            let mut change = self.change().await?;
            delete::<D>(&mut change, id, expect).await?;
            self.commit(change).await
        })
        .await
    }

    /// The version of one that may be unreadable.
    pub async fn version<D: Document>(&self, id: &str) -> Result<Option<i64>, StoreError> {
        let row = self.ask_one("read a record's version", VERSION, args![D::KIND, id]).await?;
        row.map(|row| row.get("version")).transpose()
    }

    pub async fn get<D: Document>(&self, id: &str) -> Result<Kept<D>, StoreError> {
        let row = self.ask_one("read a record", FIND, args![D::KIND, id]).await?;
        read(&row.ok_or_else(|| StoreError::missing(D::KIND, id))?)
    }

    /// The one with this alias, if there is one.
    pub(crate) async fn by_alias<D: Document>(&self, alias: &str) -> Result<Option<Kept<D>>, StoreError> {
        const SQL: &str =
            "SELECT id, version, created_ms, updated_ms, body FROM tg_documents WHERE kind = $1 AND alias = $2";
        self.ask_one("look a record up", SQL, args![D::KIND, alias]).await?.as_ref().map(read).transpose()
    }

    /// All of a kind, in the order of their ids (bytes), a page at a time.
    pub async fn list<D: Document>(&self, after: Option<&str>, limit: u32) -> Result<Page<Kept<D>>, StoreError> {
        const SQL: &str = "SELECT id, version, created_ms, updated_ms, body FROM tg_documents \
            WHERE kind = $1 AND id > $2 ORDER BY id LIMIT $3";
        let size = limits::page(limit);
        let args = args![D::KIND, after.unwrap_or_default(), size as i64 + 1];
        let rows = self.ask("list records", SQL, args).await?;
        Ok(Page::cut(rows.iter().map(read).collect::<Result<_, _>>()?, size, |kept| kept.id.clone()))
    }

    /// As `list`, of one owner's.
    pub async fn list_of<D: Document>(
        &self,
        owner: Owner<'_>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<Kept<D>>, StoreError> {
        const SQL: &str = "SELECT id, version, created_ms, updated_ms, body FROM tg_documents \
            WHERE kind = $1 AND (owner = $2 OR partner = $2) AND id > $3 ORDER BY id LIMIT $4";
        let size = limits::page(limit);
        let owner = owner.key();
        let args = args![D::KIND, &owner, after.unwrap_or_default(), size as i64 + 1];
        let rows = self.ask("list records", SQL, args).await?;
        Ok(Page::cut(rows.iter().map(read).collect::<Result<_, _>>()?, size, |kept| kept.id.clone()))
    }

    pub async fn count<D: Document>(&self) -> Result<i64, StoreError> {
        self.ask_one("count records", COUNT, args![D::KIND]).await?.map_or(Ok(0), |row| row.get("count"))
    }
}

/// A document as its row has it, checked.
pub(crate) struct Written<'a> {
    id: &'a str,
    alias: Option<String>,
    owner: Option<String>,
    partner: Option<String>,
    body: String,
}

impl<'a> Written<'a> {
    pub(crate) fn of<D: Document>(id: &'a str, value: &D) -> Result<Self, StoreError> {
        limits::id("the id", id)?;
        value.check()?;
        let invalid = |error: serde_json::Error| StoreError::Invalid { what: D::KIND, why: error.to_string() };
        let body = serde_json::to_string(value).map_err(invalid)?;
        limits::text(D::KIND, &body, MAX_BODY)?;
        let [owner, partner] = value.owners().map(|owner| owner.map(Owner::key));
        Ok(Self { id, alias: value.alias(), owner, partner, body })
    }
}

pub(crate) async fn remove(change: &mut Change, kind: &'static str, id: &str) -> Result<(), StoreError> {
    change.tx.run("DELETE FROM tg_documents WHERE kind = $1 AND id = $2", args![kind, id]).await.map(drop)
}

pub(crate) async fn delete<D: Document>(change: &mut Change, id: &str, expect: Option<i64>) -> Result<(), StoreError> {
    const OWNED: &str = "DELETE FROM tg_documents WHERE owner = $1 OR partner = $1";
    let row = change.tx.row(VERSION, args![D::KIND, id]).await?.ok_or_else(|| StoreError::missing(D::KIND, id))?;
    let version = row.get("version")?;
    if expect.is_some_and(|expect| expect != version) {
        return Err(StoreError::Stale { version });
    }
    remove(change, D::KIND, id).await?;
    change.tx.run(OWNED, args![&key(D::KIND, id)]).await?;
    if D::KIND == Admin::KIND {
        session::close_all(&mut change.tx, id).await?;
        change.tx.run("DELETE FROM tg_login_links WHERE admin = $1", args![id]).await?;
        approval::admin_gone(change, id).await?;
    }
    if D::KIND == Agent::KIND {
        approval::agent_gone(change, id).await?;
    }
    Ok(())
}

/// All of a kind, in the order of their ids; each by itself can be read or not.
pub(crate) async fn each<D: Document>(tx: &mut Tx) -> Result<Vec<Result<Kept<D>, StoreError>>, StoreError> {
    const SQL: &str = "SELECT id, version, created_ms, updated_ms, body FROM tg_documents WHERE kind = $1 ORDER BY id";
    Ok(tx.rows(SQL, args![D::KIND]).await?.iter().map(read).collect())
}

pub(crate) async fn find<D: Document>(tx: &mut Tx, id: &str) -> Result<Option<Kept<D>>, StoreError> {
    tx.row(FIND, args![D::KIND, id]).await?.as_ref().map(read).transpose()
}

/// What is there, if it is what the caller thinks.
pub(crate) fn checked<D: Document>(
    found: Option<Kept<D>>,
    id: &str,
    expect: Option<i64>,
) -> Result<Kept<D>, StoreError> {
    let found = found.ok_or_else(|| StoreError::missing(D::KIND, id))?;
    match expect {
        Some(version) if version != found.version => Err(StoreError::Stale { version: found.version }),
        Some(_) | None => Ok(found),
    }
}

pub(crate) async fn insert<D: Document>(
    change: &mut Change,
    row: &Written<'_>,
    value: D,
) -> Result<Kept<D>, StoreError> {
    const SQL: &str = "INSERT INTO tg_documents (kind, id, version, created_ms, updated_ms, alias, owner, partner, body) \
        VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8)";
    free(change, row, D::KIND, "").await?;
    if count::<D>(&mut change.tx).await? >= D::MAX {
        return Err(StoreError::Full { what: D::KIND, max: D::MAX });
    }
    let Written { id, alias, owner, partner, body } = row;
    let args =
        args![D::KIND, *id, change.version, change.now, alias.as_deref(), owner.as_deref(), partner.as_deref(), body];
    change.tx.run(SQL, args).await?;
    Ok(Kept { id: (*id).to_owned(), version: change.version, created_ms: change.now, updated_ms: change.now, value })
}

pub(crate) async fn update<D: Document>(
    change: &mut Change,
    row: &Written<'_>,
    old: Kept<D>,
    value: D,
) -> Result<Kept<D>, StoreError> {
    write(change, row, D::KIND).await?;
    approval::follow(change, &old.id, old.value.as_admin(), value.as_admin()).await?;
    Ok(Kept { version: change.version, updated_ms: change.now, value, ..old })
}

pub(crate) async fn amend<D: Document>(
    change: &mut Change,
    mut old: Kept<D>,
    alter: impl FnOnce(&mut D),
) -> Result<Kept<D>, StoreError> {
    let was = old.value.as_admin().cloned();
    alter(&mut old.value);
    write(change, &Written::of(&old.id, &old.value)?, D::KIND).await?;
    approval::follow(change, &old.id, was.as_ref(), old.value.as_admin()).await?;
    Ok(Kept { version: change.version, updated_ms: change.now, ..old })
}

/// Over the row that is there.
async fn write(change: &mut Change, row: &Written<'_>, kind: &'static str) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE tg_documents SET version = $3, updated_ms = $4, alias = $5, owner = $6, partner = $7, body = $8 \
        WHERE kind = $1 AND id = $2";
    free(change, row, kind, row.id).await?;
    let Written { id, alias, owner, partner, body } = row;
    let args =
        args![kind, *id, change.version, change.now, alias.as_deref(), owner.as_deref(), partner.as_deref(), body];
    change.tx.run(SQL, args).await.map(drop)
}

/// Nobody but `except` has its id or alias. Changes happen one after the other, so this stays true until the commit.
async fn free(change: &mut Change, row: &Written<'_>, kind: &'static str, except: &str) -> Result<(), StoreError> {
    const SQL: &str = "SELECT id FROM tg_documents WHERE kind = $1 AND (id = $2 OR alias = $3) AND id <> $4";
    match change.tx.row(SQL, args![kind, row.id, row.alias.as_deref(), except]).await? {
        Some(taken) => Err(StoreError::Exists { id: taken.get("id")? }),
        None => Ok(()),
    }
}

async fn count<D: Document>(tx: &mut Tx) -> Result<i64, StoreError> {
    let row = tx.row(COUNT, args![D::KIND]).await?;
    row.map_or(Ok(0), |row| row.get("count"))
}

pub(crate) fn read<D: Document>(row: &Row) -> Result<Kept<D>, StoreError> {
    let id: String = row.get("id")?;
    let body: String = row.get("body")?;
    let value = serde_json::from_str(&body).map_err(|error| unreadable(D::KIND, &id, &error))?;
    Ok(Kept {
        id,
        version: row.get("version")?,
        created_ms: row.get("created_ms")?,
        updated_ms: row.get("updated_ms")?,
        value,
    })
}

/// Where it cannot be read, and not what stands there: that may be a secret.
fn unreadable(kind: &'static str, id: &str, error: &serde_json::Error) -> StoreError {
    StoreError::corrupt(kind, id, format!("not what this version writes, at column {}", error.column()))
}

fn key(kind: &str, id: &str) -> String {
    format!("{kind}/{id}")
}

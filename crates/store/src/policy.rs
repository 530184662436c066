//! Policies: a name, and versions of it that never change. One of them is active, or none yet; going back is activating an older one.

use crate::document;
use crate::limits::{self, MAX_NOTE, MAX_POLICIES, MAX_POLICY, MAX_POLICY_VERSIONS};
use crate::sql::{Row, args};
use crate::store::Change;
use crate::tx::Tx;
use crate::{Agent, Kept, Page, Server, Store, StoreError};

const WHAT: &str = "policy";

const FIND: &str = "SELECT name, version, created_ms, updated_ms, latest, active FROM tg_policies WHERE name = $1";

/// A policy's name is its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The number of the last version: numbers start at 1 and have no gaps.
    pub latest: i64,
    /// The number of the version that judges calls.
    pub active: Option<i64>,
}

/// A version to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    pub hash: String,
    pub text: String,
    pub catalogue: Option<String>,
    pub note: String,
    pub author: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyVersion {
    pub name: String,
    pub number: i64,
    pub hash: String,
    pub note: String,
    pub author: String,
    pub created_ms: i64,
    /// Empty in lists.
    pub text: String,
    /// None in lists.
    pub catalogue: Option<String>,
}

impl Draft {
    fn check(&self) -> Result<(), StoreError> {
        limits::text("the policy", &self.text, MAX_POLICY)?;
        limits::text("the catalogue", self.catalogue.as_deref().unwrap_or_default(), MAX_POLICY)?;
        let short = [("the hash", &self.hash), ("the note", &self.note), ("the author", &self.author)];
        short.into_iter().try_for_each(|(what, text)| limits::text(what, text, MAX_NOTE))
    }
}

impl Store {
    /// A new version under the next number; the first one makes the policy. `expect` is the policy's version (ETag), 0 for one that must not exist.
    pub async fn add_policy_version(
        &self,
        name: &str,
        draft: &Draft,
        activate: bool,
        expect: Option<i64>,
    ) -> Result<Kept<Policy>, StoreError> {
        limits::id("the policy's name", name)?;
        draft.check()?;
        self.within("add a policy version", async {
            let mut change = self.change().await?;
            let found = find(&mut change.tx, name).await?;
            let old = match (found, expect) {
                (None, None | Some(0)) => make(&mut change, name).await?,
                (Some(_), Some(0)) => return Err(StoreError::Exists { id: name.to_owned() }),
                (found, expect) => checked(found, name, expect)?,
            };
            let number = old.value.latest + 1;
            if number > MAX_POLICY_VERSIONS {
                return Err(StoreError::Full { what: "versions of the policy", max: MAX_POLICY_VERSIONS });
            }
            insert(&mut change, name, number, draft).await?;
            let active = if activate { Some(number) } else { old.value.active };
            let kept = update(&mut change, old, Policy { latest: number, active }).await?;
            self.commit(change).await?;
            Ok(kept)
        })
        .await
    }

    /// Makes a version the one that judges calls, be it newer or older.
    pub async fn activate_policy(
        &self,
        name: &str,
        number: i64,
        expect: Option<i64>,
    ) -> Result<Kept<Policy>, StoreError> {
        self.within("activate a policy version", async {
            let mut change = self.change().await?;
            let found = find(&mut change.tx, name).await?;
            let old = checked(found, name, expect)?;
            if !(1..=old.value.latest).contains(&number) {
                return Err(StoreError::missing("policy version", &format!("{name}/{number}")));
            }
            let latest = old.value.latest;
            let kept = update(&mut change, old, Policy { latest, active: Some(number) }).await?;
            self.commit(change).await?;
            Ok(kept)
        })
        .await
    }

    /// The policy and all its versions, unless a server or an agent of the store's names it: [`StoreError::InUse`]. What files name is not known here.
    pub async fn delete_policy(&self, name: &str, expect: Option<i64>) -> Result<Kept<Policy>, StoreError> {
        self.within("delete a policy", async {
            let mut change = self.change().await?;
            let found = find(&mut change.tx, name).await?;
            let gone = checked(found, name, expect)?;
            unused(&mut change.tx, name).await?;
            change.tx.run("DELETE FROM tg_policies WHERE name = $1", args![name]).await?;
            self.commit(change).await?;
            Ok(gone)
        })
        .await
    }

    pub async fn policy(&self, name: &str) -> Result<Kept<Policy>, StoreError> {
        let row = self.ask_one("read a policy", FIND, args![name]).await?;
        read(&row.ok_or_else(|| StoreError::missing(WHAT, name))?)
    }

    pub async fn policies(&self, after: Option<&str>, limit: u32) -> Result<Page<Kept<Policy>>, StoreError> {
        const SQL: &str = "SELECT name, version, created_ms, updated_ms, latest, active FROM tg_policies \
            WHERE name > $1 ORDER BY name LIMIT $2";
        let size = limits::page(limit);
        let args = args![after.unwrap_or_default(), size as i64 + 1];
        let rows = self.ask("list policies", SQL, args).await?;
        Ok(Page::cut(rows.iter().map(read).collect::<Result<_, _>>()?, size, |kept| kept.id.clone()))
    }

    /// With its text and catalogue.
    pub async fn policy_version(&self, name: &str, number: i64) -> Result<PolicyVersion, StoreError> {
        const SQL: &str = "SELECT name, number, created_ms, hash, author, note, text, catalogue FROM tg_policy_versions \
            WHERE name = $1 AND number = $2";
        let row = self.ask_one("read a policy version", SQL, args![name, number]).await?;
        let missing = || StoreError::missing("policy version", &format!("{name}/{number}"));
        read_version(&row.ok_or_else(missing)?)
    }

    /// The newest first, without text and catalogue; `before` is the number that the last page ended with.
    pub async fn policy_versions(
        &self,
        name: &str,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Page<PolicyVersion>, StoreError> {
        const SQL: &str = "SELECT name, number, created_ms, hash, author, note, '' AS text, NULL AS catalogue \
            FROM tg_policy_versions WHERE name = $1 AND number < $2 ORDER BY number DESC LIMIT $3";
        let size = limits::page(limit);
        let args = args![name, before.unwrap_or(i64::MAX), size as i64 + 1];
        let rows = self
            .within("list policy versions", async {
                let mut tx = self.read().await?;
                find(&mut tx, name).await?.ok_or_else(|| StoreError::missing(WHAT, name))?;
                tx.rows(SQL, args).await
            })
            .await?;
        let versions = rows.iter().map(read_version).collect::<Result<_, _>>()?;
        Ok(Page::cut(versions, size, |version| version.number.to_string()))
    }
}

async fn find(tx: &mut Tx, name: &str) -> Result<Option<Kept<Policy>>, StoreError> {
    tx.row(FIND, args![name]).await?.as_ref().map(read).transpose()
}

fn checked(found: Option<Kept<Policy>>, name: &str, expect: Option<i64>) -> Result<Kept<Policy>, StoreError> {
    let found = found.ok_or_else(|| StoreError::missing(WHAT, name))?;
    match expect {
        Some(version) if version != found.version => Err(StoreError::Stale { version: found.version }),
        Some(_) | None => Ok(found),
    }
}

/// What cannot be read is judged by nothing.
async fn unused(tx: &mut Tx, name: &str) -> Result<(), StoreError> {
    let servers = document::each::<Server>(tx).await?.into_iter().flatten();
    let mut servers = servers.filter(|server| server.value.policy.as_deref() == Some(name));
    let agents = document::each::<Agent>(tx).await?.into_iter().flatten();
    let mut agents = agents.filter(|agent| agent.value.policies.values().any(|policy| policy == name));
    let server = servers.next().map(|server| format!("server {}", server.id));
    match server.or_else(|| agents.next().map(|agent| format!("agent {}", agent.id))) {
        Some(by) => Err(StoreError::InUse { id: name.to_owned(), by }),
        None => Ok(()),
    }
}

async fn make(change: &mut Change, name: &str) -> Result<Kept<Policy>, StoreError> {
    const SQL: &str = "INSERT INTO tg_policies (name, version, created_ms, updated_ms, latest, active) VALUES ($1, $2, $3, $3, 0, NULL)";
    let row = change.tx.row("SELECT COUNT(*) AS count FROM tg_policies", args![]).await?;
    if row.map_or(Ok(0), |row| row.get::<i64>("count"))? >= MAX_POLICIES {
        return Err(StoreError::Full { what: "policies", max: MAX_POLICIES });
    }
    change.tx.run(SQL, args![name, change.version, change.now]).await?;
    let value = Policy { latest: 0, active: None };
    Ok(Kept { id: name.to_owned(), version: change.version, created_ms: change.now, updated_ms: change.now, value })
}

async fn insert(change: &mut Change, name: &str, number: i64, draft: &Draft) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO tg_policy_versions (name, number, created_ms, hash, author, note, text, catalogue) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let Draft { hash, text, catalogue, note, author } = draft;
    change.tx.run(SQL, args![name, number, change.now, hash, author, note, text, catalogue.as_deref()]).await.map(drop)
}

async fn update(change: &mut Change, old: Kept<Policy>, value: Policy) -> Result<Kept<Policy>, StoreError> {
    const SQL: &str = "UPDATE tg_policies SET version = $2, updated_ms = $3, latest = $4, active = $5 WHERE name = $1";
    change.tx.run(SQL, args![&old.id, change.version, change.now, value.latest, value.active]).await?;
    Ok(Kept { version: change.version, updated_ms: change.now, value, ..old })
}

fn read(row: &Row) -> Result<Kept<Policy>, StoreError> {
    Ok(Kept {
        id: row.get("name")?,
        version: row.get("version")?,
        created_ms: row.get("created_ms")?,
        updated_ms: row.get("updated_ms")?,
        value: Policy { latest: row.get("latest")?, active: row.get("active")? },
    })
}

fn read_version(row: &Row) -> Result<PolicyVersion, StoreError> {
    Ok(PolicyVersion {
        name: row.get("name")?,
        number: row.get("number")?,
        hash: row.get("hash")?,
        note: row.get("note")?,
        author: row.get("author")?,
        created_ms: row.get("created_ms")?,
        text: row.get("text")?,
        catalogue: row.get("catalogue")?,
    })
}

//! All that judges calls, of one moment: what a node builds its registry from.

use crate::document::{Document, each, read};
use crate::sql::{Row, args};
use crate::store::revision;
use crate::tx::Tx;
use crate::{Agent, Credential, Kept, Server, Setting, Store, StoreError, Token};

#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The last change that is in it.
    pub revision: i64,
    pub servers: Vec<Kept<Server>>,
    pub policies: Vec<ActivePolicy>,
    pub agents: Vec<Kept<Agent>>,
    /// Without those that are revoked. Some may have expired: that is for a clock to say.
    pub tokens: Vec<Kept<Token>>,
    /// One that cannot be read is here as one that opens nowhere: its owner does without, and everybody else is not concerned.
    pub credentials: Vec<Kept<Credential>>,
    pub settings: Vec<Kept<Setting>>,
    /// What cannot be read is not in the others: written by a newer version, or by hand.
    pub unreadable: Vec<Unreadable>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// `server`, `agent`, `token` or `setting`.
    pub kind: &'static str,
    pub id: String,
    pub why: String,
}

/// A policy's active version. A policy without one is not in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivePolicy {
    pub name: String,
    pub number: i64,
    pub hash: String,
    pub text: String,
    pub catalogue: Option<String>,
}

impl Store {
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.within("read a snapshot", async {
            let mut tx = self.read().await?;
            let mut unreadable = Vec::new();
            let mut tokens = readable::<Token>(&mut tx, &mut unreadable).await?;
            tokens.retain(|token| token.value.revoked_ms.is_none());
            Ok(Snapshot {
                revision: revision(&mut tx).await?,
                servers: readable(&mut tx, &mut unreadable).await?,
                policies: policies(&mut tx).await?,
                agents: readable(&mut tx, &mut unreadable).await?,
                tokens,
                credentials: credentials(&mut tx).await?,
                settings: readable(&mut tx, &mut unreadable).await?,
                unreadable,
            })
        })
        .await
    }
}

async fn credentials(tx: &mut Tx) -> Result<Vec<Kept<Credential>>, StoreError> {
    const SQL: &str =
        "SELECT id, version, created_ms, updated_ms, alias, body FROM tg_documents WHERE kind = $1 ORDER BY id";
    let rows = tx.rows(SQL, args![Credential::KIND]).await?;
    rows.iter().map(|row| read(row).or_else(|error| unreadable(row).ok_or(error))).collect()
}

/// All of a kind, in the order of their ids.
async fn readable<D: Document>(tx: &mut Tx, unreadable: &mut Vec<Unreadable>) -> Result<Vec<Kept<D>>, StoreError> {
    let mut all = Vec::new();
    for found in each(tx).await? {
        match found {
            Ok(kept) => all.push(kept),
            Err(StoreError::Corrupt { id, source, .. }) => {
                unreadable.push(Unreadable { kind: D::KIND, id, why: source.to_string() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// Whose it is, its alias says.
fn unreadable(row: &Row) -> Option<Kept<Credential>> {
    let alias: String = row.get("alias").ok()?;
    let (server, agent) = alias.split_once('\n')?;
    let value = Credential {
        server: server.to_owned(),
        agent: (!agent.is_empty()).then(|| agent.to_owned()),
        kind: String::new(),
        sealed: Vec::new(),
        hint: String::new(),
    };
    Some(Kept {
        id: row.get("id").ok()?,
        version: row.get("version").ok()?,
        created_ms: row.get("created_ms").ok()?,
        updated_ms: row.get("updated_ms").ok()?,
        value,
    })
}

async fn policies(tx: &mut Tx) -> Result<Vec<ActivePolicy>, StoreError> {
    const SQL: &str = "SELECT v.name, v.number, v.hash, v.text, v.catalogue FROM tg_policies p \
        JOIN tg_policy_versions v ON v.name = p.name AND v.number = p.active ORDER BY p.name";
    tx.rows(SQL, args![]).await?.iter().map(active).collect()
}

fn active(row: &Row) -> Result<ActivePolicy, StoreError> {
    Ok(ActivePolicy {
        name: row.get("name")?,
        number: row.get("number")?,
        hash: row.get("hash")?,
        text: row.get("text")?,
        catalogue: row.get("catalogue")?,
    })
}

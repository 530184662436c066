//! Grants: what an approver lets pass some times, for some time, without being asked.

use super::ask::one_at_a_time;
use super::follow::still;
use super::list::{cursor, place};
use crate::limits::{self, MAX_BODY, MAX_GRANTS, MAX_GRANTS_AT, MAX_SUBJECT};
use crate::sql::{Row, args};
use crate::tx::Tx;
use crate::{Page, Store, StoreError};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub id: String,
    pub agent: String,
    pub server: String,
    pub method: String,
    pub subject: String,
    /// Which arguments: for the gateway to read.
    pub scope: String,
    pub definition: Option<String>,
    pub policy: String,
    pub max_uses: i64,
    pub used: i64,
    pub created_ms: i64,
    pub expires_ms: i64,
    pub revoked_ms: Option<i64>,
    pub made_by: String,
    /// The request that it was made from.
    pub approval: String,
}

/// All that is set must be so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantFilter {
    pub agent: Option<String>,
    pub server: Option<String>,
}

impl Store {
    /// `id` is its id, whatever `grant.id` says; it was never used and is not revoked. `seen` as for [`Store::vote`].
    pub async fn create_grant(&self, id: &str, grant: &Grant, seen: Option<i64>) -> Result<Grant, StoreError> {
        let new = Grant { id: id.to_owned(), used: 0, revoked_ms: None, ..grant.clone() };
        new.check()?;
        self.within("make a grant", async {
            let mut tx = self.write().await?;
            still(&mut tx, &new.made_by, seen).await?;
            one_at_a_time(&mut tx).await?;
            new.fits(&mut tx).await?;
            new.insert(&mut tx).await?;
            tx.commit().await?;
            Ok(new)
        })
        .await
    }

    pub async fn grant(&self, id: &str) -> Result<Option<Grant>, StoreError> {
        let sql = "SELECT * FROM tg_approval_grants WHERE id = $1";
        self.ask_one("read a grant", sql, args![id]).await?.as_ref().map(read).transpose()
    }

    /// The newest first; `after` is what the last page gave as `next`.
    pub async fn grants(
        &self,
        filter: &GrantFilter,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<Grant>, StoreError> {
        const SQL: &str = "SELECT * FROM tg_approval_grants WHERE ($1 IS NULL OR agent = $1) AND ($2 IS NULL OR server = $2) \
            AND (created_ms, id) < ($3, $4) ORDER BY created_ms DESC, id DESC LIMIT $5";
        let size = limits::page(limit);
        let (time, id) = cursor(after)?;
        let args = args![filter.agent.as_deref(), filter.server.as_deref(), time, id, size as i64 + 1];
        let rows = self.ask("list grants", SQL, args).await?;
        let items = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Page::cut(items, size, |grant: &Grant| place(grant.created_ms, &grant.id)))
    }

    /// One that is revoked already stays as it is, with its time.
    pub async fn revoke_grant(&self, id: &str, now_ms: i64) -> Result<Grant, StoreError> {
        const SQL: &str =
            "UPDATE tg_approval_grants SET revoked_ms = COALESCE(revoked_ms, $2) WHERE id = $1 RETURNING *";
        self.within("revoke a grant", async {
            let mut tx = self.write().await?;
            let row = tx.row(SQL, args![id, now_ms]).await?.ok_or_else(|| StoreError::missing("grant", id))?;
            tx.commit().await?;
            read(&row)
        })
        .await
    }

    /// Those that are good now and have uses left; the ones that end first come first.
    pub async fn matching_grants(
        &self,
        agent: &str,
        server: &str,
        method: &str,
        subject: &str,
        now_ms: i64,
    ) -> Result<Vec<Grant>, StoreError> {
        const SQL: &str = "SELECT * FROM tg_approval_grants WHERE agent = $1 AND server = $2 AND method = $3 AND subject = $4 \
            AND revoked_ms IS NULL AND used < max_uses AND created_ms <= $5 + 60000 AND expires_ms > $5 ORDER BY expires_ms, id LIMIT $6";
        let args = args![agent, server, method, subject, now_ms, MAX_GRANTS_AT];
        self.ask("look for grants", SQL, args).await?.iter().map(read).collect()
    }

    /// Of any number who try at once, on any node, as many are told that they may as there are uses left.
    pub async fn use_grant(&self, id: &str, now_ms: i64) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE tg_approval_grants SET used = used + 1 \
            WHERE id = $1 AND revoked_ms IS NULL AND used < max_uses AND created_ms <= $2 + 60000 AND expires_ms > $2";
        self.within("use a grant", async {
            let mut tx = self.write().await?;
            let used = tx.run(SQL, args![id, now_ms]).await? == 1;
            tx.commit().await?;
            Ok(used)
        })
        .await
    }
}

impl Grant {
    fn check(&self) -> Result<(), StoreError> {
        limits::id("the grant's id", &self.id)?;
        limits::id("the agent", &self.agent)?;
        limits::id("the server", &self.server)?;
        limits::id("the method", &self.method)?;
        limits::text("the subject", &self.subject, MAX_SUBJECT)?;
        limits::text("the scope", &self.scope, MAX_BODY)?;
        limits::id("the policy", &self.policy)?;
        limits::id("the admin's name", &self.made_by)?;
        limits::id("the approval's id", &self.approval)?;
        self.definition.as_deref().map_or(Ok(()), |definition| limits::id("the definition", definition))
    }

    /// Not more of them than may be: kept at all, and looked through for a call.
    async fn fits(&self, tx: &mut Tx) -> Result<(), StoreError> {
        const ALL: &str = "SELECT COUNT(*) AS count FROM tg_approval_grants";
        const HERE: &str = "SELECT COUNT(*) AS count FROM tg_approval_grants WHERE agent = $1 AND server = $2 AND revoked_ms IS NULL \
            AND used < max_uses AND expires_ms > $3";
        let all: i64 = tx.row(ALL, args![]).await?.map_or(Ok(0), |row| row.get("count"))?;
        let row = tx.row(HERE, args![&self.agent, &self.server, self.created_ms]).await?;
        let here: i64 = row.map_or(Ok(0), |row| row.get("count"))?;
        match (all >= MAX_GRANTS, here >= MAX_GRANTS_AT) {
            (true, _) => Err(StoreError::Full { what: "grants", max: MAX_GRANTS }),
            (false, true) => Err(StoreError::Full { what: "grants of this agent at this server", max: MAX_GRANTS_AT }),
            (false, false) => Ok(()),
        }
    }

    async fn insert(&self, tx: &mut Tx) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO tg_approval_grants (id, agent, server, method, subject, scope, definition, policy, max_uses, used, \
            created_ms, expires_ms, revoked_ms, made_by, approval) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
            ON CONFLICT (id) DO NOTHING";
        let args = args![
            &self.id,
            &self.agent,
            &self.server,
            &self.method,
            &self.subject,
            &self.scope,
            self.definition.as_deref(),
            &self.policy,
            self.max_uses,
            self.used,
            self.created_ms,
            self.expires_ms,
            self.revoked_ms,
            &self.made_by,
            &self.approval,
        ];
        match tx.run(SQL, args).await? {
            1 => Ok(()),
            _ => Err(StoreError::Exists { id: self.id.clone() }),
        }
    }
}

fn read(row: &Row) -> Result<Grant, StoreError> {
    Ok(Grant {
        id: row.get("id")?,
        agent: row.get("agent")?,
        server: row.get("server")?,
        method: row.get("method")?,
        subject: row.get("subject")?,
        scope: row.get("scope")?,
        definition: row.get("definition")?,
        policy: row.get("policy")?,
        max_uses: row.get("max_uses")?,
        used: row.get("used")?,
        created_ms: row.get("created_ms")?,
        expires_ms: row.get("expires_ms")?,
        revoked_ms: row.get("revoked_ms")?,
        made_by: row.get("made_by")?,
        approval: row.get("approval")?,
    })
}

//! Who may change things, and the tokens that programs of theirs show. Kept apart from agents: neither is ever the other.

use serde::{Deserialize, Serialize};

use crate::document::{self, Document, Owner, Written};
use crate::limits::{self, MAX_NOTE};
use crate::sql::args;
use crate::store::Change;
use crate::{Kept, Store, StoreError, hex, session};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Admin,
    PolicyManager,
    Approver,
    Viewer,
}

/// Its id is its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    pub role: Role,
    pub enabled: bool,
    /// What a policy may name in place of the admin, where it says who approves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

impl Admin {
    /// Groups of one.
    pub const MAX_GROUPS: usize = 32;

    /// May they do everything, admins included?
    fn manages(&self) -> bool {
        self.enabled && self.role == Role::Admin
    }

    /// Does a yes of theirs count?
    pub fn may_approve(&self) -> bool {
        self.enabled && self.role.may_approve()
    }
}

impl Role {
    /// Some approvals, at least: who may decide which is for the rule to say that wants one.
    pub fn may_approve(self) -> bool {
        match self {
            Self::Admin | Self::Approver => true,
            Self::PolicyManager | Self::Viewer => false,
        }
    }
}

impl Document for Admin {
    const KIND: &'static str = "admin";
    const MAX: i64 = 1000;

    fn as_admin(&self) -> Option<&Admin> {
        Some(self)
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.groups.len() > Self::MAX_GROUPS {
            let why = format!("are {}, more than {}", self.groups.len(), Self::MAX_GROUPS);
            return Err(StoreError::Invalid { what: "the groups", why });
        }
        self.groups.iter().try_for_each(|group| limits::id("a group's name", group))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminToken {
    pub admin: String,
    pub prefix: String,
    #[serde(with = "hex")]
    pub sha256: [u8; 32],
    pub label: String,
    pub expires_ms: Option<i64>,
}

impl Document for AdminToken {
    const KIND: &'static str = "admin_token";
    const MAX: i64 = 10_000;

    fn alias(&self) -> Option<String> {
        Some(hex::write(&self.sha256))
    }

    fn owners(&self) -> [Option<Owner<'_>>; 2] {
        [Some(Owner::Admin(&self.admin)), None]
    }

    fn check(&self) -> Result<(), StoreError> {
        limits::id("the admin's name", &self.admin)?;
        limits::text("the label", &self.label, MAX_NOTE)
    }
}

impl Store {
    /// The very first one, unless there is any. Links that let its id in are for nobody after this.
    pub async fn create_first_admin(&self, id: &str, first: Admin) -> Result<Kept<Admin>, StoreError> {
        let row = Written::of(id, &first)?;
        self.within("create the first admin", async {
            let mut change = self.change().await?;
            if let Some(there) =
                change.tx.row("SELECT id FROM tg_documents WHERE kind = $1 LIMIT 1", args![Admin::KIND]).await?
            {
                return Err(StoreError::Exists { id: there.get("id")? });
            }
            let kept = document::insert(&mut change, &row, first).await?;
            change.tx.run("DELETE FROM tg_login_links WHERE admin = $1", args![id]).await?;
            self.commit(change).await?;
            Ok(kept)
        })
        .await
    }

    /// As `replace`, unless nobody would be left with the role `admin`: [`StoreError::LastAdmin`].
    pub async fn replace_admin(&self, id: &str, value: Admin, expect: Option<i64>) -> Result<Kept<Admin>, StoreError> {
        let row = Written::of(id, &value)?;
        self.within("replace an admin", async {
            let mut change = self.change().await?;
            let old = document::find::<Admin>(&mut change.tx, id).await?;
            let old = document::checked(old, id, expect)?;
            if !value.manages() {
                another(&mut change, id).await?;
            }
            if !value.enabled {
                session::close_all(&mut change.tx, id).await?;
            }
            let kept = document::update(&mut change, &row, old, value).await?;
            self.commit(change).await?;
            Ok(kept)
        })
        .await
    }

    /// As `delete`, unless nobody would be left with the role `admin`.
    pub async fn delete_admin(&self, id: &str, expect: Option<i64>) -> Result<(), StoreError> {
        self.within("delete an admin", async {
            let mut change = self.change().await?;
            document::delete::<Admin>(&mut change, id, expect).await?;
            another(&mut change, id).await?;
            self.commit(change).await
        })
        .await
    }

    /// Whose token this is, if it is good at `now_ms` and its admin is there and enabled.
    pub async fn admin_by_token(&self, sha256: &[u8; 32], now_ms: i64) -> Result<Option<Kept<Admin>>, StoreError> {
        let Some(token) = self.by_alias::<AdminToken>(&hex::write(sha256)).await? else { return Ok(None) };
        if token.value.expires_ms.is_some_and(|end| end <= now_ms) {
            return Ok(None);
        }
        self.enabled_admin(&token.value.admin).await
    }

    pub(crate) async fn enabled_admin(&self, name: &str) -> Result<Option<Kept<Admin>>, StoreError> {
        match self.get::<Admin>(name).await {
            Ok(admin) => Ok(Some(admin).filter(|admin| admin.value.enabled)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Is there another one who could manage the gateway? Changes come one after the other, so nobody else takes that one away meanwhile.
async fn another(change: &mut Change, id: &str) -> Result<(), StoreError> {
    // Who cannot be read cannot sign in.
    let all = document::each::<Admin>(&mut change.tx).await?;
    match all.into_iter().flatten().any(|admin| admin.id != id && admin.value.manages()) {
        true => Ok(()),
        false => Err(StoreError::LastAdmin { id: id.to_owned() }),
    }
}

//! What an agent shows: kept as its hash, found by it, replaced with an overlap, revoked for good.

use serde::{Deserialize, Serialize};

use crate::document::{self, Document, Owner, Written};
use crate::limits::{self, MAX_NOTE};
use crate::{Kept, Store, StoreError, hex};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    pub agent: String,
    /// The visible beginning, for people.
    pub prefix: String,
    #[serde(with = "hex")]
    pub sha256: [u8; 32],
    pub label: String,
    pub expires_ms: Option<i64>,
    pub revoked_ms: Option<i64>,
    /// The id of the one that was made to take its place.
    pub replaced_by: Option<String>,
}

impl Document for Token {
    const KIND: &'static str = "token";
    const MAX: i64 = 200_000;

    fn alias(&self) -> Option<String> {
        Some(hex::write(&self.sha256))
    }

    fn owners(&self) -> [Option<Owner<'_>>; 2] {
        [Some(Owner::Agent(&self.agent)), None]
    }

    fn check(&self) -> Result<(), StoreError> {
        limits::id("the agent's id", &self.agent)?;
        limits::text("the label", &self.label, MAX_NOTE)
    }
}

impl Store {
    pub async fn token_by_hash(&self, sha256: &[u8; 32]) -> Result<Option<Kept<Token>>, StoreError> {
        self.by_alias(&hex::write(sha256)).await
    }

    /// Revoked at `now_ms`; one that is revoked already stays as it is, with its time.
    pub async fn revoke_token(&self, id: &str, now_ms: i64, expect: Option<i64>) -> Result<Kept<Token>, StoreError> {
        self.amend(id, expect, |token: &mut Token| token.revoked_ms = token.revoked_ms.or(Some(now_ms))).await
    }

    /// Deletes those that are good for nothing since before `before_ms`: how many. Their names in old audit records stay.
    pub async fn sweep_tokens(&self, before_ms: i64) -> Result<u64, StoreError> {
        self.within("sweep tokens", async {
            let mut change = self.change().await?;
            let mut gone = 0;
            for token in document::each::<Token>(&mut change.tx).await? {
                let Ok(token) = token else { continue };
                let ends = [token.value.revoked_ms, token.value.expires_ms];
                if ends.into_iter().flatten().any(|end| end < before_ms) {
                    document::remove(&mut change, Token::KIND, &token.id).await?;
                    gone += 1;
                }
            }
            if gone > 0 {
                self.commit(change).await?;
            }
            Ok(gone)
        })
        .await
    }

    /// Puts `new` in the place of `id`, which is good until `until_ms` (or its own end, if that is sooner). Both, or nothing. A token that is
    /// revoked or replaced is not replaced again: [`StoreError::Exists`] names what took its place.
    pub async fn rotate_token(
        &self,
        id: &str,
        new_id: &str,
        new: Token,
        until_ms: i64,
        expect: Option<i64>,
    ) -> Result<Kept<Token>, StoreError> {
        let row = Written::of(new_id, &new)?;
        self.within("rotate a token", async {
            let mut change = self.change().await?;
            let found = document::find::<Token>(&mut change.tx, id).await?;
            let old = document::checked(found, id, expect)?;
            if old.value.agent != new.agent {
                return Err(StoreError::Invalid { what: "the new token", why: "is another agent's".to_owned() });
            }
            if let Some(by) = &old.value.replaced_by {
                return Err(StoreError::Exists { id: by.clone() });
            }
            if old.value.revoked_ms.is_some() {
                return Err(StoreError::Invalid { what: "the token", why: "is revoked".to_owned() });
            }
            let kept = document::insert(&mut change, &row, new).await?;
            let retire = |token: &mut Token| {
                token.replaced_by = Some(new_id.to_owned());
                token.expires_ms = Some(token.expires_ms.map_or(until_ms, |own| own.min(until_ms)));
            };
            document::amend(&mut change, old, retire).await?;
            self.commit(change).await?;
            Ok(kept)
        })
        .await
    }
}

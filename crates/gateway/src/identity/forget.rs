//! Tokens that are good for nothing, and that nobody asks about any more, leave the store: there is room for so many.

use std::time::Duration;

use store::{Store, StoreError};
use tokio::time::{Instant, interval_at};

use crate::policies::chain;

/// How often it is looked, and how long after the start first.
const LOOK: Duration = Duration::from_hours(6);
/// So long one can still be seen that was revoked, replaced or has expired.
const KEPT: Duration = Duration::from_hours(90 * 24);

/// For ever.
pub(crate) async fn forget(store: Store) {
    let mut looks = interval_at(Instant::now() + LOOK, LOOK);
    loop {
        looks.tick().await;
        match forgotten(&store).await {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "tokens that were good for nothing are deleted"),
            Err(error) => tracing::warn!(error = %chain(&error), "old tokens cannot be deleted"),
        }
    }
}

async fn forgotten(store: &Store) -> Result<u64, StoreError> {
    store.sweep_tokens(store.ago_ms(KEPT).await?).await
}

#[cfg(test)]
mod tests {
    use store::Token;

    use super::*;

    fn token(byte: u8, revoked_ms: Option<i64>) -> Token {
        let (agent, prefix, label) = ("a".to_owned(), "tg".to_owned(), String::new());
        Token { agent, prefix, sha256: [byte; 32], label, expires_ms: None, revoked_ms, replaced_by: None }
    }

    #[tokio::test]
    async fn what_has_ended_long_ago_goes_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("s.db").display())).await.unwrap();
        let now = store.ago_ms(Duration::ZERO).await.unwrap();
        for (byte, id, revoked_ms) in [(1, "old", Some(1)), (2, "late", Some(now)), (3, "good", None)] {
            store.create(id, token(byte, revoked_ms)).await.unwrap();
        }
        assert_eq!(forgotten(&store).await.unwrap(), 1);
        assert_eq!(forgotten(&store).await.unwrap(), 0);
        let left = store.list::<Token>(None, 9).await.unwrap().items;
        assert_eq!(left.iter().map(|token| token.id.as_str()).collect::<Vec<_>>(), ["good", "late"]);
    }
}

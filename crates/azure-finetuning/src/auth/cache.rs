//! Keeps one token: asks for the next before it ends, and lets only one task ask.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;

use super::{AccessToken, AuthError, TokenProvider};

/// How long before its end a token is replaced; half of its life, if that is shorter.
const AHEAD: Duration = Duration::from_secs(300);

/// How long a token that could not be replaced is used without trying again.
const PAUSE: Duration = Duration::from_secs(30);

pub(crate) struct TokenCache {
    provider: Arc<dyn TokenProvider>,
    scope: String,
    slot: Mutex<Option<Kept>>,
}

struct Kept {
    token: AccessToken,
    replace_at: SystemTime,
}

impl TokenCache {
    pub(crate) fn new(provider: Arc<dyn TokenProvider>, scope: String) -> Self {
        Self { provider, scope, slot: Mutex::new(None) }
    }

    pub(crate) async fn token(&self) -> Result<AccessToken, AuthError> {
        // The lock is held while asking: whoever comes meanwhile gets the same new token.
        let mut slot = self.slot.lock().await;
        if let Some(kept) = slot.as_ref().filter(|kept| SystemTime::now() < kept.replace_at) {
            return Ok(kept.token.clone());
        }
        let refused = match self.provider.token(&self.scope).await {
            Ok(token) => {
                let replace_at = replace_at(SystemTime::now(), token.expires_on);
                *slot = Some(Kept { token: token.clone(), replace_at });
                return Ok(token);
            }
            Err(error) => error,
        };
        let now = SystemTime::now();
        match slot.as_mut().filter(|kept| now < kept.token.expires_on) {
            Some(kept) => {
                tracing::warn!(error = %refused, "keeping the old token, a new one cannot be had");
                kept.replace_at = now + PAUSE;
                Ok(kept.token.clone())
            }
            None => Err(refused),
        }
    }

    /// Forgets a token that the service has refused, unless another has taken its place already.
    pub(crate) async fn discard(&self, refused: &AccessToken) {
        let mut slot = self.slot.lock().await;
        if slot.as_ref().is_some_and(|kept| kept.token.secret.expose_secret() == refused.secret.expose_secret()) {
            *slot = None;
        }
    }
}

fn replace_at(now: SystemTime, expires_on: SystemTime) -> SystemTime {
    let life = expires_on.duration_since(now).unwrap_or_default();
    expires_on - AHEAD.min(life / 2)
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache")
            .field("provider", &self.provider)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::TokenFuture;
    use super::*;

    /// Gives `token-1`, `token-2` … with these lives in seconds, then fails.
    #[derive(Debug)]
    struct Scripted(Vec<u64>, AtomicU32);

    impl TokenProvider for Scripted {
        fn token<'a>(&'a self, scope: &'a str) -> TokenFuture<'a> {
            Box::pin(async move {
                tokio::task::yield_now().await;
                assert_eq!(scope, "scope");
                let count = self.1.fetch_add(1, Ordering::SeqCst);
                let life = self.0.get(count as usize).ok_or(AuthError::TimedOut)?;
                let expires_on = SystemTime::now() + Duration::from_secs(*life);
                Ok(AccessToken { secret: format!("token-{}", count + 1).into(), expires_on })
            })
        }
    }

    fn cache(lives: &[u64]) -> TokenCache {
        TokenCache::new(Arc::new(Scripted(lives.to_vec(), AtomicU32::new(0))), "scope".to_owned())
    }

    async fn ask(cache: &TokenCache) -> String {
        let token = cache.token().await;
        token.map_or_else(|error| error.to_string(), |token| token.secret.expose_secret().to_owned())
    }

    #[tokio::test]
    async fn a_token_is_asked_for_once_by_many() {
        let cache = cache(&[3600, 3600]);
        let asked = futures_util::future::join_all((0..50).map(|_| ask(&cache))).await;
        assert!(asked.iter().all(|token| token == "token-1"), "{asked:?}");
    }

    #[tokio::test]
    async fn an_ended_token_is_replaced_and_then_missed() {
        let cache = cache(&[0, 3600]);
        assert_eq!(ask(&cache).await, "token-1");
        assert_eq!(ask(&cache).await, "token-2");
        assert_eq!(ask(&cache).await, "token-2");
        let ended = self::cache(&[0]);
        assert_eq!(ask(&ended).await, "token-1");
        assert_eq!(ask(&ended).await, "there was no time left to get a token");
    }

    #[tokio::test]
    async fn a_living_token_outlasts_a_failure_to_replace_it() {
        let cache = cache(&[3600]);
        assert_eq!(ask(&cache).await, "token-1");
        cache.slot.lock().await.as_mut().unwrap().replace_at = SystemTime::now();
        assert_eq!(ask(&cache).await, "token-1");
        assert!(cache.slot.lock().await.as_ref().unwrap().replace_at > SystemTime::now());
    }

    #[tokio::test]
    async fn only_the_refused_token_is_forgotten() {
        let cache = cache(&[3600, 3600, 3600]);
        let first = cache.token().await.unwrap();
        cache.discard(&first).await;
        assert_eq!(ask(&cache).await, "token-2");
        cache.discard(&first).await;
        assert_eq!(ask(&cache).await, "token-2");
    }

    #[test]
    fn tokens_are_replaced_ahead_of_their_end() {
        let now = SystemTime::now();
        for (life, expected) in [(3600, 3300), (600, 300), (100, 50), (0, 0)] {
            let replaced = replace_at(now, now + Duration::from_secs(life));
            assert_eq!(replaced.duration_since(now).unwrap(), Duration::from_secs(expected));
        }
    }

    #[test]
    fn debug_hides_tokens() {
        let token = AccessToken { secret: "planted-secret".to_owned().into(), expires_on: SystemTime::now() };
        assert!(!format!("{token:?}").contains("planted"));
    }
}

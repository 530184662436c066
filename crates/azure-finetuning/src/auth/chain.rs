//! Several ways to a token, tried in order until one of them works.

use std::sync::Arc;

use super::{AuthError, TokenFuture, TokenProvider};

/// Asks providers in order; the first that has a token gives it.
///
/// Every time anew: who has failed once may work an hour later. Put first what fails fast, a [`ManagedIdentity`](crate::ManagedIdentity)
/// of a machine last: where there is none, its address answers nobody and each try takes its whole patience.
#[derive(Clone, Debug, Default)]
pub struct Chain(Vec<Arc<dyn TokenProvider>>);

impl Chain {
    /// An empty chain, which has no token.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks this provider when those before it have failed.
    #[must_use]
    pub fn then(mut self, provider: impl TokenProvider + 'static) -> Self {
        self.0.push(Arc::new(provider));
        self
    }
}

impl TokenProvider for Chain {
    fn token<'a>(&'a self, scope: &'a str) -> TokenFuture<'a> {
        Box::pin(async move {
            let mut failures = Vec::new();
            for provider in &self.0 {
                match provider.token(scope).await {
                    Ok(token) => return Ok(token),
                    Err(failure) => failures.push(failure),
                }
            }
            Err(AuthError::Chain(failures))
        })
    }
}

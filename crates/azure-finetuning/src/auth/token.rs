//! What a token is, and who gives one.

use std::fmt;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;

use super::AuthError;

/// A bearer token and the time it ends. `Debug` does not show the token.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// The token itself.
    pub secret: SecretString,
    /// When the service stops accepting it.
    pub expires_on: SystemTime,
}

/// What [`TokenProvider::token`] returns: `Box::pin(async move { .. })`.
pub type TokenFuture<'a> = Pin<Box<dyn Future<Output = Result<AccessToken, AuthError>> + Send + 'a>>;

/// Gives out bearer tokens. The client caches them, asks for a new one before the old one ends, and never asks twice at once.
pub trait TokenProvider: fmt::Debug + Send + Sync {
    /// A token for `scope`, such as `https://cognitiveservices.azure.com/.default`.
    ///
    /// # Errors
    /// [`AuthError::Provider`] for whatever a provider of your own has to say.
    fn token<'a>(&'a self, scope: &'a str) -> TokenFuture<'a>;
}

/// A token that was had elsewhere. When it has ended, the service's refusal is what callers see.
#[derive(Clone, Debug)]
pub struct StaticToken(SecretString);

impl StaticToken {
    /// Uses this token, whatever the scope.
    #[must_use]
    pub fn new(token: SecretString) -> Self {
        Self(token)
    }
}

impl TokenProvider for StaticToken {
    fn token<'a>(&'a self, _scope: &'a str) -> TokenFuture<'a> {
        // Nobody knows when it ends; asking for it again costs nothing.
        let expires_on = SystemTime::now() + Duration::from_secs(60);
        Box::pin(async move { Ok(AccessToken { secret: self.0.clone(), expires_on }) })
    }
}

//! Tokens for an application that has a secret (client credentials).

use secrecy::{ExposeSecret as _, SecretString};

use super::application::Application;
use super::{AuthError, TokenFuture, TokenProvider};
use crate::retry::RetryPolicy;

/// An application of Microsoft Entra that authenticates with a secret.
#[derive(Clone, Debug)]
pub struct ClientSecret {
    application: Application,
    secret: SecretString,
}

impl ClientSecret {
    /// The application `client_id` of `tenant` (its id or domain).
    ///
    /// # Errors
    /// [`AuthError::Setting`] if `tenant` cannot be one segment of a URL.
    pub fn new(tenant: &str, client_id: impl Into<String>, secret: SecretString) -> Result<Self, AuthError> {
        Ok(Self { application: Application::new(tenant, client_id.into())?, secret })
    }

    /// Asks this authority instead of the public cloud's, such as `https://login.microsoftonline.us`.
    ///
    /// # Errors
    /// [`AuthError::Setting`] unless it is an `https` URL, or `http` on the loopback interface.
    pub fn authority(mut self, authority: &str) -> Result<Self, AuthError> {
        self.application = self.application.at(authority)?;
        Ok(self)
    }

    /// Repeats failed requests for tokens like this.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.application = self.application.retry(retry);
        self
    }
}

impl TokenProvider for ClientSecret {
    fn token<'a>(&'a self, scope: &'a str) -> TokenFuture<'a> {
        Box::pin(async move {
            let proof = [("client_secret", self.secret.expose_secret())];
            self.application.token(scope, &proof).await
        })
    }
}

//! Tokens for an application that has a secret (client credentials).

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::endpoint::TokenEndpoint;
use super::{AuthError, PUBLIC_AUTHORITY, TokenFuture, TokenProvider};
use crate::endpoint::Endpoint;
use crate::retry::RetryPolicy;

/// An application of Microsoft Entra that authenticates with a secret.
#[derive(Clone, Debug)]
pub struct ClientSecret {
    tenant: Tenant,
    client_id: String,
    secret: SecretString,
    endpoint: TokenEndpoint,
}

impl ClientSecret {
    /// The application `client_id` of `tenant` (its id or domain).
    ///
    /// # Errors
    /// [`AuthError::Setting`] if `tenant` cannot be one segment of a URL.
    pub fn new(tenant: &str, client_id: impl Into<String>, secret: SecretString) -> Result<Self, AuthError> {
        let tenant = Tenant::new(tenant)?;
        Ok(Self { tenant, client_id: client_id.into(), secret, endpoint: TokenEndpoint::entra() })
    }

    /// Asks this authority instead of the public cloud's, such as `https://login.microsoftonline.us`.
    ///
    /// # Errors
    /// [`AuthError::Setting`] unless it is an `https` URL, or `http` on the loopback interface.
    pub fn authority(mut self, authority: &str) -> Result<Self, AuthError> {
        self.tenant = self.tenant.at(authority)?;
        Ok(self)
    }

    /// Repeats failed requests for tokens like this.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.endpoint.retry = retry;
        self
    }
}

impl TokenProvider for ClientSecret {
    fn token<'a>(&'a self, scope: &'a str) -> TokenFuture<'a> {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &self.client_id),
            ("client_secret", self.secret.expose_secret()),
            ("scope", scope),
        ];
        Box::pin(async move { self.endpoint.post(self.tenant.token_url(), &form).await })
    }
}

/// A tenant at an authority.
#[derive(Clone, Debug)]
pub(super) struct Tenant {
    authority: Endpoint,
    id: String,
}

impl Tenant {
    pub(super) fn new(id: &str) -> Result<Self, AuthError> {
        crate::id::check(id).map_err(|_| AuthError::Setting("tenant"))?;
        Ok(Self { authority: authority(PUBLIC_AUTHORITY)?, id: id.to_owned() })
    }

    pub(super) fn at(mut self, text: &str) -> Result<Self, AuthError> {
        self.authority = authority(text)?;
        Ok(self)
    }

    pub(super) fn token_url(&self) -> Url {
        self.authority.join([self.id.as_str(), "oauth2", "v2.0", "token"])
    }
}

fn authority(text: &str) -> Result<Endpoint, AuthError> {
    Endpoint::parse(text, false).map_err(|_| AuthError::Setting("authority"))
}

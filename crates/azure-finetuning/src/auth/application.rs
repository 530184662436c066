//! An application of Microsoft Entra and where its tokens are had, whatever it proves itself with.

use url::Url;

use super::endpoint::TokenEndpoint;
use super::{AccessToken, AuthError, PUBLIC_AUTHORITY};
use crate::endpoint::Endpoint;
use crate::retry::RetryPolicy;

/// An application at a tenant of an authority.
#[derive(Clone, Debug)]
pub(super) struct Application {
    authority: Endpoint,
    tenant: String,
    client_id: String,
    endpoint: TokenEndpoint,
}

impl Application {
    pub(super) fn new(tenant: &str, client_id: String) -> Result<Self, AuthError> {
        crate::id::check(tenant).map_err(|_| AuthError::Setting("tenant"))?;
        let (authority, tenant) = (authority(PUBLIC_AUTHORITY)?, tenant.to_owned());
        Ok(Self { authority, tenant, client_id, endpoint: TokenEndpoint::entra() })
    }

    pub(super) fn at(self, text: &str) -> Result<Self, AuthError> {
        Ok(Self { authority: authority(text)?, ..self })
    }

    pub(super) fn retry(mut self, retry: RetryPolicy) -> Self {
        self.endpoint.retry = retry;
        self
    }

    /// Asks for a token with this proof of being the application.
    pub(super) async fn token(&self, scope: &str, proof: &[(&str, &str)]) -> Result<AccessToken, AuthError> {
        let mut form = vec![("grant_type", "client_credentials"), ("client_id", &self.client_id)];
        form.extend_from_slice(proof);
        form.push(("scope", scope));
        self.endpoint.post(self.url(), &form).await
    }

    fn url(&self) -> Url {
        self.authority.join([self.tenant.as_str(), "oauth2", "v2.0", "token"])
    }
}

fn authority(text: &str) -> Result<Endpoint, AuthError> {
    Endpoint::parse(text, false).map_err(|_| AuthError::Setting("authority"))
}

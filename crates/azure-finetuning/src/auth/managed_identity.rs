//! Tokens for a machine or an app that Azure itself vouches for (managed identity).

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::endpoint::TokenEndpoint;
use super::{AuthError, TokenFuture, TokenProvider};
use crate::retry::{RetryPolicy, is_transient};

/// Where a virtual machine finds its metadata.
const MACHINE: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

/// The identity that Azure has given to this virtual machine, App Service or function.
#[derive(Clone, Debug)]
pub struct ManagedIdentity {
    url: Url,
    header: (&'static str, SecretString),
    user_assigned: Option<(&'static str, String)>,
    endpoint: TokenEndpoint,
}

impl ManagedIdentity {
    /// Of a virtual machine.
    ///
    /// # Errors
    /// None in practice: the address is a constant. [`AuthError::Setting`] otherwise.
    pub fn machine() -> Result<Self, AuthError> {
        Self::machine_at(MACHINE)
    }

    /// Of a virtual machine whose metadata is at `url`.
    ///
    /// # Errors
    /// [`AuthError::Setting`] unless it is a URL.
    pub fn machine_at(url: &str) -> Result<Self, AuthError> {
        Self::new(url, ("Metadata", "true".to_owned().into()))
    }

    /// Of an App Service or function: `url` is its `IDENTITY_ENDPOINT`, `header` its `IDENTITY_HEADER`.
    ///
    /// # Errors
    /// [`AuthError::Setting`] unless `url` is a URL.
    pub fn app_service(url: &str, header: SecretString) -> Result<Self, AuthError> {
        Self::new(url, ("X-IDENTITY-HEADER", header))
    }

    fn new(url: &str, header: (&'static str, SecretString)) -> Result<Self, AuthError> {
        let url = Url::parse(url).map_err(|_| AuthError::Setting("identity endpoint"))?;
        // The metadata service comes up after the machine does: it is asked patiently, as its documentation wants.
        let retry = RetryPolicy { max_retries: 5, base_delay: Duration::from_millis(1300), ..RetryPolicy::default() };
        let transient = |status| matches!(status, 404 | 410) || is_transient(status);
        Ok(Self { url, header, user_assigned: None, endpoint: TokenEndpoint { retry, transient, direct: true } })
    }

    /// The user-assigned identity with this client id, instead of the system-assigned one.
    #[must_use]
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.user_assigned = Some(("client_id", id.into()));
        self
    }

    /// The user-assigned identity with this object id, instead of the system-assigned one.
    #[must_use]
    pub fn object_id(mut self, id: impl Into<String>) -> Self {
        self.user_assigned = Some(("object_id", id.into()));
        self
    }

    /// Repeats failed requests for tokens like this.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.endpoint.retry = retry;
        self
    }

    fn token_url(&self, scope: &str) -> Url {
        let mut url = self.url.clone();
        // This endpoint wants the resource, which is the scope without its ending.
        let resource = scope.strip_suffix("/.default").unwrap_or(scope);
        url.query_pairs_mut()
            .append_pair("api-version", "2019-08-01")
            .append_pair("resource", resource)
            .extend_pairs(self.user_assigned.iter().map(|(name, id)| (*name, id)));
        url
    }
}

impl TokenProvider for ManagedIdentity {
    fn token<'a>(&'a self, scope: &'a str) -> TokenFuture<'a> {
        Box::pin(async move {
            let (name, value) = &self.header;
            self.endpoint.ask(|client| client.get(self.token_url(scope)).header(*name, value.expose_secret())).await
        })
    }
}

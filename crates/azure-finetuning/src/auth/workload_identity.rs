//! Tokens for a workload whose platform vouches for it with a token in a file (workload identity federation).

use std::path::PathBuf;

use super::application::Application;
use super::{AuthError, TokenFuture, TokenProvider};
use crate::retry::RetryPolicy;

/// An application of Microsoft Entra that authenticates with a token of its platform, such as a Kubernetes service account's.
#[derive(Clone, Debug)]
pub struct WorkloadIdentity {
    application: Application,
    token_file: PathBuf,
}

impl WorkloadIdentity {
    /// The application `client_id` of `tenant`; the platform keeps its token in `token_file`, which is read anew each time.
    ///
    /// # Errors
    /// [`AuthError::Setting`] if `tenant` cannot be one segment of a URL.
    pub fn new(tenant: &str, client_id: impl Into<String>, token_file: impl Into<PathBuf>) -> Result<Self, AuthError> {
        Ok(Self { application: Application::new(tenant, client_id.into())?, token_file: token_file.into() })
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

impl TokenProvider for WorkloadIdentity {
    fn token<'a>(&'a self, scope: &'a str) -> TokenFuture<'a> {
        Box::pin(async move {
            let assertion = tokio::fs::read_to_string(&self.token_file).await.map_err(AuthError::File)?;
            let proof = [
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion.trim()),
            ];
            self.application.token(scope, &proof).await
        })
    }
}

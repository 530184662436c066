//! Credentials of Microsoft's own SDK as token providers (feature `azure-identity`).

use std::sync::Arc;
use std::time::SystemTime;

use azure_core::credentials::TokenCredential;

use super::{AccessToken, AuthError, TokenFuture, TokenProvider};

/// A credential of the Azure SDK for Rust, such as the `DeveloperToolsCredential` of `azure_identity`.
///
/// Needs the feature `azure-identity`, which brings `azure_core` 1.x without its HTTP client; `azure_identity` is yours to choose.
/// That SDK's credentials speak to the public addresses of Azure only, so they cannot be tried against an emulator.
#[derive(Clone, Debug)]
pub struct SdkCredential(Arc<dyn TokenCredential>);

impl SdkCredential {
    /// Gives out the tokens of `credential`.
    #[must_use]
    pub fn new(credential: Arc<dyn TokenCredential>) -> Self {
        Self(credential)
    }
}

impl TokenProvider for SdkCredential {
    fn token<'a>(&'a self, scope: &'a str) -> TokenFuture<'a> {
        Box::pin(async move {
            let token = self.0.get_token(&[scope], None).await.map_err(|error| AuthError::Provider(error.into()))?;
            let expires_on = SystemTime::from(token.expires_on);
            Ok(AccessToken { secret: token.token.secret().to_owned().into(), expires_on })
        })
    }
}

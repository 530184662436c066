//! Who asks: an API key, or a token of Microsoft Entra from one of several providers.

mod application;
mod azure_cli;
#[cfg(feature = "azure-identity")]
mod azure_identity;
mod cache;
mod chain;
mod client_secret;
mod endpoint;
mod managed_identity;
mod token;
mod workload_identity;

use secrecy::SecretString;

pub use azure_cli::AzureCli;
#[cfg(feature = "azure-identity")]
pub use azure_identity::SdkCredential;
pub(crate) use cache::TokenCache;
pub use chain::Chain;
pub use client_secret::ClientSecret;
pub use managed_identity::ManagedIdentity;
pub use token::{AccessToken, StaticToken, TokenFuture, TokenProvider};
pub use workload_identity::WorkloadIdentity;

/// The scope of a token for the service itself.
pub const DATA_SCOPE: &str = "https://cognitiveservices.azure.com/.default";

/// The scope of a token for Azure's management plane.
pub const MANAGEMENT_SCOPE: &str = "https://management.azure.com/.default";

/// Where Microsoft Entra gives out tokens for the public cloud.
pub const PUBLIC_AUTHORITY: &str = "https://login.microsoftonline.com";

/// How a request is authorised.
#[derive(Debug)]
pub(crate) enum Credential {
    Key(SecretString),
    Token(TokenCache),
}

/// Why no token could be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The token service refused.
    #[error("the token service answered {status}{}: {}", .code.as_ref().map(|code| format!(" `{code}`")).unwrap_or_default(), .message.escape_debug())]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its code, such as `invalid_client`.
        code: Option<String>,
        /// What a person reads, such as `AADSTS7000215: Invalid client secret provided.`
        message: String,
    },
    /// The token service could not be reached, or did not answer.
    #[error("the token service did not answer")]
    Unreachable(#[source] reqwest::Error),
    /// The token service answered something that is not a token.
    #[error("the token service's answer is not a token: {0}")]
    Unintelligible(&'static str),
    /// There was not enough time left to get a token.
    #[error("there was no time left to get a token")]
    TimedOut,
    /// The file with the federated token could not be read.
    #[error("the federated token file cannot be read")]
    File(#[source] std::io::Error),
    /// A setting of the provider cannot work.
    #[error("the token provider's setting `{0}` cannot be used")]
    Setting(&'static str),
    /// The operation takes tokens only, and the client has a key.
    #[error("this needs a token provider, a key does not do")]
    TokenNeeded,
    /// The token contains what cannot stand in a header.
    #[error("the token contains characters that cannot stand in a header")]
    Characters,
    /// The Azure CLI could not be run.
    #[error("the Azure CLI cannot be run")]
    Command(#[source] std::io::Error),
    /// The Azure CLI has no token to give, often because nobody is logged in.
    #[error("the Azure CLI gives no token: {}", .0.escape_debug())]
    CommandRefused(String),
    /// None of the providers of a [`Chain`] had a token; these are their reasons, in order.
    #[error("no provider had a token: {}", reasons(.0))]
    Chain(Vec<Self>),
    /// A provider of your own failed.
    #[error("the token provider failed")]
    Provider(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl AuthError {
    /// Whether asking again later could help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.status() {
            Some(status) => crate::retry::is_transient(status),
            None if let Self::Chain(failures) = self => failures.iter().any(Self::is_retryable),
            None => matches!(self, Self::Unreachable(_) | Self::TimedOut),
        }
    }

    /// The HTTP status, if the token service refused.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        if let Self::Refused { status, .. } = self { Some(*status) } else { None }
    }
}

fn reasons(failures: &[AuthError]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

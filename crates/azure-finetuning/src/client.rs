//! The client: where the service is, who asks, how patiently.

mod builder;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use url::Url;

pub use builder::ClientBuilder;

use crate::auth::{AuthError, Credential};
use crate::endpoint::{ApiSurface, Endpoint};
use crate::error::{ConfigError, Error};
use crate::transport::{Call, Transport};

/// A client of one Azure OpenAI resource. Cheap to clone; clones share connections and tokens. `Debug` shows no secrets.
///
/// ```
/// # fn main() -> Result<(), azure_finetuning::ConfigError> {
/// let client = azure_finetuning::Client::builder()
///     .endpoint("https://my-resource.openai.azure.com")
///     .api_key("the key".to_owned().into())
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    endpoint: Endpoint,
    surface: ApiSurface,
    credential: Credential,
    management: Endpoint,
    /// For the management plane; a key has none.
    management_credential: Option<Credential>,
    transport: Transport,
}

impl Client {
    /// Begins a client.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A client as the environment describes it:
    ///
    /// - `AZURE_OPENAI_ENDPOINT`: the resource;
    /// - `AZURE_OPENAI_API_KEY`: its key, or else `AZURE_TENANT_ID` and `AZURE_CLIENT_ID` with either `AZURE_CLIENT_SECRET` or
    ///   `AZURE_FEDERATED_TOKEN_FILE`, at `AZURE_AUTHORITY_HOST` if that is set, or else the managed identity that an App Service
    ///   names by `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` (the one with `AZURE_CLIENT_ID`, if that is set);
    /// - `AZURE_OPENAI_API_VERSION`: `v1` (if absent), `preview`, or a date such as `2024-10-21`;
    /// - `AZURE_MANAGEMENT_ENDPOINT`: the management plane, where that is not the public cloud's.
    ///
    /// # Errors
    /// [`ConfigError`] for what is missing or cannot be used.
    pub fn from_env() -> Result<Self, ConfigError> {
        builder::from_env()?.build()
    }

    /// As [`Client::from_env`], for variables that lie elsewhere.
    ///
    /// # Errors
    /// [`ConfigError`] for what is missing or cannot be used.
    pub fn from_variables(variable: impl Fn(&'static str) -> Option<String>) -> Result<Self, ConfigError> {
        let variable = |name| Ok(variable(name).filter(|value: &String| !value.trim().is_empty()));
        builder::from_variables(variable)?.build()
    }

    /// The API surface this client speaks.
    #[must_use]
    pub fn surface(&self) -> &ApiSurface {
        &self.shared.surface
    }

    /// The URL of an operation on this surface.
    pub(crate) fn url(&self, path: &[&str]) -> Url {
        let surface = &self.shared.surface;
        let mut url = self.shared.endpoint.join(surface.segments().iter().chain(path).copied());
        if let Some(version) = surface.api_version() {
            url.query_pairs_mut().append_pair("api-version", version);
        }
        url
    }

    /// A URL below the endpoint, on no surface.
    pub(crate) fn resource_url(&self, path: &[String]) -> Url {
        self.shared.endpoint.join(path.iter().map(String::as_str))
    }

    pub(crate) async fn json<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        self.shared.transport.json(&self.shared.credential, call).await
    }

    pub(crate) async fn open(&self, call: Call) -> Result<reqwest::Response, Error> {
        self.shared.transport.open(&self.shared.credential, call).await
    }

    /// A URL of the management plane.
    pub(crate) fn management_url(&self, path: &[&str]) -> Url {
        self.shared.management.join(path.iter().copied())
    }

    /// Sends a request to the management plane.
    pub(crate) async fn manage<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        let (operation, source) = (call.operation, AuthError::TokenNeeded);
        let Some(credential) = &self.shared.management_credential else {
            return Err(Error::Auth { operation, source });
        };
        self.shared.transport.json(credential, call).await
    }

    pub(crate) fn idle_timeout(&self) -> std::time::Duration {
        self.shared.transport.idle_timeout
    }

    pub(crate) fn request_timeout(&self) -> std::time::Duration {
        self.shared.transport.request_timeout
    }

    pub(crate) fn unsupported(&self, operation: &'static str) -> Error {
        Error::Unsupported { operation, surface: self.shared.surface.to_string() }
    }
}

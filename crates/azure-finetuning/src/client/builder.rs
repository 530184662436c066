//! How a client is put together, from code or from the environment.

use std::env::VarError;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Client, Shared};
use crate::auth::{
    AuthError, ClientSecret, Credential, DATA_SCOPE, MANAGEMENT_SCOPE, ManagedIdentity, TokenCache, TokenProvider,
    WorkloadIdentity,
};
use crate::endpoint::{ApiSurface, Endpoint};
use crate::error::ConfigError;
use crate::retry::RetryPolicy;
use crate::transport::Transport;

/// Azure's management plane in the public cloud.
const MANAGEMENT: &str = "https://management.azure.com";

const USER_AGENT: &str = concat!("azure-finetuning/", env!("CARGO_PKG_VERSION"), " (Rust)");

/// Puts a [`Client`] together. An endpoint and a credential are needed, all else has a default.
#[derive(Debug)]
pub struct ClientBuilder {
    endpoint: Option<String>,
    management: String,
    allow_insecure: bool,
    surface: ApiSurface,
    credential: Option<Given>,
    scope: String,
    retry: RetryPolicy,
    connect_timeout: Duration,
    request_timeout: Duration,
    idle_timeout: Duration,
}

#[derive(Debug)]
enum Given {
    Key(SecretString),
    Provider(Arc<dyn TokenProvider>),
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            endpoint: None,
            management: MANAGEMENT.to_owned(),
            allow_insecure: false,
            surface: ApiSurface::default(),
            credential: None,
            scope: DATA_SCOPE.to_owned(),
            retry: RetryPolicy::default(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
        }
    }
}

impl ClientBuilder {
    /// The resource, such as `https://my-resource.openai.azure.com`. A trailing `/openai` or `/openai/v1` is left out.
    #[must_use]
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// The management plane, for deployments; `https://management.azure.com` if this is not called.
    #[must_use]
    pub fn management_endpoint(mut self, url: impl Into<String>) -> Self {
        self.management = url.into();
        self
    }

    /// Accepts an endpoint with `http` beyond the loopback interface: key or token travel in the clear.
    #[must_use]
    pub fn allow_insecure_http(mut self) -> Self {
        self.allow_insecure = true;
        self
    }

    /// The API surface; [`ApiSurface::V1`] if this is not called.
    #[must_use]
    pub fn surface(mut self, surface: ApiSurface) -> Self {
        self.surface = surface;
        self
    }

    /// Authenticates with a key of the resource. Replaces a token provider.
    #[must_use]
    pub fn api_key(mut self, key: SecretString) -> Self {
        self.credential = Some(Given::Key(key));
        self
    }

    /// Authenticates with tokens of this provider. Replaces a key.
    #[must_use]
    pub fn token_provider(mut self, provider: impl TokenProvider + 'static) -> Self {
        self.credential = Some(Given::Provider(Arc::new(provider)));
        self
    }

    /// The scope of tokens; [`DATA_SCOPE`] if this is not called.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }

    /// How failed requests are repeated.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The time to make a connection; 10 s if this is not called.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The time for one attempt with its answer, uploads and downloads excepted; 60 s if this is not called.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// The silence after which an upload or download is given up; 60 s if this is not called.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// The client.
    ///
    /// # Errors
    /// [`ConfigError`] if endpoint or credential is missing or cannot be used.
    pub fn build(self) -> Result<Client, ConfigError> {
        let endpoint = Endpoint::parse(&self.endpoint.ok_or(ConfigError::NoEndpoint)?, self.allow_insecure)?;
        let management = Endpoint::parse(&self.management, self.allow_insecure)?;
        let (credential, management_credential) = match self.credential.ok_or(ConfigError::NoCredential)? {
            Given::Key(key) => {
                HeaderValue::from_str(key.expose_secret()).map_err(|_| ConfigError::ApiKey)?;
                (Credential::Key(key), None)
            }
            Given::Provider(provider) => {
                let management = TokenCache::new(Arc::clone(&provider), MANAGEMENT_SCOPE.to_owned());
                (Credential::Token(TokenCache::new(provider, self.scope)), Some(Credential::Token(management)))
            }
        };
        // A redirect would carry the key to another host; a hidden retry would make attempts that nobody counted.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(self.connect_timeout)
            .user_agent(USER_AGENT)
            .build()
            .map_err(ConfigError::Http)?;
        let (request_timeout, idle_timeout) = (self.request_timeout, self.idle_timeout);
        let transport = Transport { http, retry: self.retry, request_timeout, idle_timeout };
        let surface = self.surface;
        let shared = Shared { endpoint, surface, credential, management, management_credential, transport };
        Ok(Client { shared: Arc::new(shared) })
    }
}

/// A builder as the environment describes it.
pub(super) fn from_env() -> Result<ClientBuilder, ConfigError> {
    from_variables(|name| match std::env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.trim().is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(ConfigError::Variable(name)),
    })
}

pub(super) fn from_variables(
    variable: impl Fn(&'static str) -> Result<Option<String>, ConfigError>,
) -> Result<ClientBuilder, ConfigError> {
    let endpoint = variable("AZURE_OPENAI_ENDPOINT")?.ok_or(ConfigError::NoEndpoint)?;
    let builder = ClientBuilder::default().endpoint(endpoint);
    let builder = match variable("AZURE_OPENAI_API_VERSION")? {
        Some(version) => builder.surface(version.parse()?),
        None => builder,
    };
    let builder = match variable("AZURE_MANAGEMENT_ENDPOINT")? {
        Some(url) => builder.management_endpoint(url),
        None => builder,
    };
    if let Some(key) = variable("AZURE_OPENAI_API_KEY")? {
        return Ok(builder.api_key(key.trim().to_owned().into()));
    }
    let unusable = |_: AuthError| ConfigError::NoCredential;
    let client = variable("AZURE_CLIENT_ID")?;
    let (Some(tenant), Some(client)) = (variable("AZURE_TENANT_ID")?, client.clone()) else {
        // An App Service or function: Azure itself sets these.
        let url = variable("IDENTITY_ENDPOINT")?.ok_or(ConfigError::NoCredential)?;
        let header = variable("IDENTITY_HEADER")?.ok_or(ConfigError::NoCredential)?;
        let provider = ManagedIdentity::app_service(&url, header.into()).map_err(unusable)?;
        return Ok(builder.token_provider(match client {
            Some(client) => provider.client_id(client),
            None => provider,
        }));
    };
    let authority = variable("AZURE_AUTHORITY_HOST")?.unwrap_or_else(|| crate::auth::PUBLIC_AUTHORITY.to_owned());
    if let Some(secret) = variable("AZURE_CLIENT_SECRET")? {
        let provider = ClientSecret::new(&tenant, client, secret.into()).and_then(|it| it.authority(&authority));
        return Ok(builder.token_provider(provider.map_err(unusable)?));
    }
    let file = variable("AZURE_FEDERATED_TOKEN_FILE")?.ok_or(ConfigError::NoCredential)?;
    let provider = WorkloadIdentity::new(&tenant, client, file).and_then(|it| it.authority(&authority));
    Ok(builder.token_provider(provider.map_err(unusable)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variables: &[(&str, &str)], expected: &str) {
        let lookup =
            |name| Ok(variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()));
        let client = from_variables(lookup).and_then(ClientBuilder::build);
        let found = client.map_or_else(|error| error.to_string(), |client| format!("{} {client:?}", client.surface()));
        assert!(found.contains(expected), "{found}");
        assert!(!found.contains("planted"), "{found}");
    }

    #[test]
    fn what_the_environment_says() {
        let endpoint = ("AZURE_OPENAI_ENDPOINT", "https://n.openai.azure.com/");
        let key = ("AZURE_OPENAI_API_KEY", "planted-key");
        let (tenant, client) = (("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c"));
        let secret = ("AZURE_CLIENT_SECRET", "planted-secret");
        check(&[], "no endpoint was given");
        check(&[endpoint], "no credential was given");
        check(&[endpoint, tenant, client], "no credential was given");
        check(&[endpoint, key], "v1 Client");
        check(&[endpoint, key, ("AZURE_OPENAI_API_VERSION", "2024-10-21")], "2024-10-21 Client");
        check(&[endpoint, key, ("AZURE_OPENAI_API_VERSION", "v3")], "`v3` is not an API version");
        check(&[endpoint, tenant, client, secret], "ClientSecret");
        check(&[endpoint, tenant, client, ("AZURE_FEDERATED_TOKEN_FILE", "/f")], "WorkloadIdentity");
        let identity = [("IDENTITY_ENDPOINT", "http://127.0.0.1:1/token"), ("IDENTITY_HEADER", "planted-header")];
        check(&[endpoint, identity[0], identity[1]], "ManagedIdentity");
        check(&[endpoint, identity[0], identity[1], client], r#"("client_id", "c")"#);
        check(&[endpoint, identity[0]], "no credential was given");
        check(&[("AZURE_OPENAI_ENDPOINT", "http://n.example"), key], "neither https nor on the loopback");
        check(&[endpoint, ("AZURE_OPENAI_API_KEY", "planted\nkey")], "the API key contains characters");
    }
}

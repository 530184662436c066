//! Every way to authenticate: what the token service is asked, how long its answer is used, what a refusal does.

use std::time::Duration;

use azure_finetuning::{
    AzureCli, Chain, Client, ClientSecret, CreateJob, Error, JobId, ManagedIdentity, StaticToken, Supervised,
    TokenProvider, WorkloadIdentity,
};
use secrecy::ExposeSecret as _;
use wiremock::{MockServer, Request};

use crate::support::{answers, builder, header, json, lines, quick, requests, serve};

const JOB: &str = include_str!("../data/job_pending.json");
const REFUSED: &str = r#"{"error":{"code":"401","message":"Access denied."}}"#;

fn id() -> JobId {
    "ftjob-1".parse().unwrap()
}

fn token(name: &str) -> wiremock::ResponseTemplate {
    json(200, &format!(r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"{name}"}}"#))
}

fn with(provider: impl TokenProvider + 'static, service: &MockServer) -> Client {
    builder(service).token_provider(provider).build().unwrap()
}

fn form(request: &Request) -> Vec<(String, String)> {
    url::form_urlencoded::parse(&request.body).into_owned().collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn secret(authority: &MockServer) -> ClientSecret {
    let provider = ClientSecret::new("my-tenant", "my-app", "planted&secret".to_owned().into()).unwrap();
    provider.authority(&authority.uri()).unwrap().retry(quick())
}

#[tokio::test]
async fn an_application_with_a_secret_gets_one_token_for_many_requests() {
    let (service, authority) = (MockServer::start().await, MockServer::start().await);
    serve(&service, 200, JOB).await;
    answers(&authority, vec![token("t1")]).await;
    let client = with(secret(&authority), &service);
    client.jobs().get(&id()).await.unwrap();
    client.jobs().get(&id()).await.unwrap();
    assert_eq!(lines(&authority).await, ["POST /my-tenant/oauth2/v2.0/token"]);
    let expected = [
        ("grant_type", "client_credentials"),
        ("client_id", "my-app"),
        ("client_secret", "planted&secret"),
        ("scope", "https://cognitiveservices.azure.com/.default"),
    ];
    assert_eq!(form(&requests(&authority).await[0]), pairs(&expected));
    for request in requests(&service).await {
        assert_eq!(header(&request, "authorization"), Some("Bearer t1"));
        assert_eq!(header(&request, "api-key"), None);
    }
    assert!(!format!("{client:?}").contains("planted"));
}

#[tokio::test]
async fn a_refusal_of_the_token_service_is_told() {
    let (service, authority) = (MockServer::start().await, MockServer::start().await);
    let refusal = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided.","error_codes":[7000215]}"#;
    serve(&authority, 401, refusal).await;
    let error = with(secret(&authority), &service).jobs().get(&id()).await.unwrap_err();
    let Error::Auth { source, .. } = &error else { panic!("{error:?}") };
    let expected = "the token service answered 401 `invalid_client`: AADSTS7000215: Invalid client secret provided.";
    assert_eq!(source.to_string(), expected);
    assert_eq!(error.to_string(), "`jobs.get` cannot be authorised");
    assert_eq!((lines(&authority).await.len(), lines(&service).await.len()), (1, 0));
}

#[tokio::test]
async fn a_tired_token_service_is_asked_again() {
    let (service, authority) = (MockServer::start().await, MockServer::start().await);
    serve(&service, 200, JOB).await;
    answers(&authority, vec![json(503, ""), json(429, "{}"), token("t1")]).await;
    with(secret(&authority), &service).jobs().get(&id()).await.unwrap();
    assert_eq!(lines(&authority).await.len(), 3);
}

#[tokio::test]
async fn a_withdrawn_token_is_replaced_once() {
    let tuning = Supervised::new();
    let job = CreateJob::supervised("gpt-4.1-mini".parse().unwrap(), "file-1".parse().unwrap(), tuning);
    let (service, authority) = (MockServer::start().await, MockServer::start().await);
    answers(&service, vec![json(401, REFUSED), json(200, JOB), json(401, REFUSED)]).await;
    answers(&authority, vec![token("t1"), token("t2"), token("t3")]).await;
    let client = with(secret(&authority), &service);
    client.jobs().create(&job).await.unwrap();
    let error = client.jobs().get(&id()).await.unwrap_err();
    assert_eq!((error.api().unwrap().status, error.is_retryable()), (401, false));
    let sent = requests(&service).await;
    let used: Vec<_> = sent.iter().map(|request| header(request, "authorization").unwrap()).collect();
    assert_eq!(used, ["Bearer t1", "Bearer t2", "Bearer t2", "Bearer t3"]);
}

#[tokio::test]
async fn a_workload_shows_the_token_of_its_platform() {
    let (service, authority) = (MockServer::start().await, MockServer::start().await);
    serve(&service, 200, JOB).await;
    answers(&authority, vec![token("t1")]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let provider = WorkloadIdentity::new("my-tenant", "my-app", &file).unwrap().authority(&authority.uri()).unwrap();
    let client = with(provider, &service);
    let error = client.jobs().get(&id()).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "the federated token file cannot be read");
    std::fs::write(&file, "platform-token\n").unwrap();
    client.jobs().get(&id()).await.unwrap();
    let expected = [
        ("grant_type", "client_credentials"),
        ("client_id", "my-app"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", "platform-token"),
        ("scope", "https://cognitiveservices.azure.com/.default"),
    ];
    assert_eq!(form(&requests(&authority).await[0]), pairs(&expected));
}

#[tokio::test]
async fn a_machine_asks_its_metadata_patiently() {
    let (service, metadata) = (MockServer::start().await, MockServer::start().await);
    serve(&service, 200, JOB).await;
    let answer = r#"{"access_token":"t1","expires_on":"4102444800","resource":"r","token_type":"Bearer"}"#;
    answers(
        &metadata,
        [404, 410, 429, 500].map(|status| json(status, "")).into_iter().chain([json(200, answer)]).collect(),
    )
    .await;
    let url = format!("{}/metadata/identity/oauth2/token", metadata.uri());
    let provider = ManagedIdentity::machine_at(&url).unwrap().client_id("mine").retry(quick());
    with(provider, &service).jobs().get(&id()).await.unwrap();
    let asked = "GET /metadata/identity/oauth2/token?api-version=2019-08-01&resource=https%3A%2F%2Fcognitiveservices.azure.com&client_id=mine";
    assert_eq!(lines(&metadata).await, [asked; 5]);
    assert_eq!(header(&requests(&metadata).await[0], "metadata"), Some("true"));
    assert_eq!(header(&requests(&service).await[0], "authorization"), Some("Bearer t1"));
}

#[tokio::test]
async fn a_machine_without_an_identity_is_told_at_once() {
    let (service, metadata) = (MockServer::start().await, MockServer::start().await);
    serve(&metadata, 400, r#"{"error":"invalid_request","error_description":"Identity not found"}"#).await;
    let provider = ManagedIdentity::machine_at(&metadata.uri()).unwrap().retry(quick());
    let error = with(provider, &service).jobs().get(&id()).await.unwrap_err();
    assert!(!error.is_retryable());
    assert_eq!(lines(&metadata).await.len(), 1);
}

#[tokio::test]
async fn an_app_service_shows_its_header() {
    let (service, identity) = (MockServer::start().await, MockServer::start().await);
    serve(&service, 200, JOB).await;
    answers(&identity, vec![token("t1")]).await;
    let provider = ManagedIdentity::app_service(&identity.uri(), "planted-header".to_owned().into()).unwrap();
    assert!(!format!("{provider:?}").contains("planted"));
    with(provider, &service).jobs().get(&id()).await.unwrap();
    assert_eq!(header(&requests(&identity).await[0], "x-identity-header"), Some("planted-header"));
}

#[tokio::test]
async fn a_token_from_elsewhere_is_used_as_it_is() {
    let service = MockServer::start().await;
    answers(&service, vec![json(200, JOB), json(401, REFUSED)]).await;
    let client = with(StaticToken::new("mine".to_owned().into()), &service);
    client.jobs().get(&id()).await.unwrap();
    assert_eq!(header(&requests(&service).await[0], "authorization"), Some("Bearer mine"));
    assert!(client.jobs().get(&id()).await.is_err());
}

#[tokio::test]
async fn waiting_for_a_token_ends_with_the_deadline() {
    let (service, authority) = (MockServer::start().await, MockServer::start().await);
    answers(&authority, vec![token("t1").set_delay(Duration::from_secs(600))]).await;
    let mut policy = quick();
    policy.deadline = Duration::from_millis(50);
    let client = builder(&service).token_provider(secret(&authority)).retry(policy).build().unwrap();
    let error = client.jobs().get(&id()).await.unwrap_err();
    assert!(matches!(error, Error::Auth { .. }) && error.is_retryable(), "{error:?}");
}

/// Stands in for the Azure CLI.
fn cli() -> AzureCli {
    AzureCli::new().program(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/az"))
}

async fn asked(provider: impl TokenProvider, scope: &str) -> String {
    let token = provider.token(scope).await;
    token.map_or_else(|error| error.to_string(), |token| token.secret.expose_secret().to_owned())
}

#[tokio::test]
async fn the_azure_cli_is_asked_without_a_shell() {
    let scope = "https://cognitiveservices.azure.com/.default";
    let called = format!("account get-access-token --output json --scope {scope}");
    assert_eq!(asked(cli(), scope).await, called);
    assert_eq!(asked(cli().tenant("my-tenant").unwrap(), scope).await, format!("{called} --tenant my-tenant"));
    let refused = "the Azure CLI gives no token: ERROR: Please run \\'az login\\' to setup account.";
    assert_eq!(asked(cli(), "https://refused/.default").await, refused);
    let empty = "the token service's answer is not a token: it has no `accessToken`";
    assert_eq!(asked(cli(), "https://empty/.default").await, empty);
    assert_eq!(asked(cli().program("/nowhere/az"), scope).await, "the Azure CLI cannot be run");
    let hasty = cli().timeout(Duration::from_millis(50));
    assert_eq!(asked(hasty, "https://silent/.default").await, "there was no time left to get a token");
    for scope in ["--debug", "", "a b", "a;b", "a$(b)"] {
        let unusable = "the token provider's setting `scope` cannot be used";
        assert_eq!(asked(cli(), scope).await, unusable, "{scope}");
    }
    assert!(cli().tenant("--debug").is_err());
}

#[tokio::test]
async fn a_chain_stops_at_the_first_token() {
    let nobody = || cli().program("/nowhere/az");
    let (first, second) = (StaticToken::new("first".to_owned().into()), StaticToken::new("second".to_owned().into()));
    assert_eq!(asked(Chain::new().then(nobody()).then(first).then(second), "s").await, "first");
    let broken = Chain::new().then(nobody()).then(cli());
    let reasons = "no provider had a token: the Azure CLI cannot be run; the Azure CLI gives no token: ";
    assert!(asked(broken, "https://refused/.default").await.starts_with(reasons));
    assert_eq!(asked(Chain::new(), "s").await, "no provider had a token: ");
    let hasty = Chain::new().then(nobody()).then(cli().timeout(Duration::from_millis(50)));
    assert!(hasty.token("https://silent/.default").await.unwrap_err().is_retryable());
    assert!(!Chain::new().then(nobody()).token("s").await.unwrap_err().is_retryable());
}

#[cfg(feature = "azure-identity")]
mod sdk {
    use std::pin::Pin;
    use std::sync::Arc;

    use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
    use azure_core::error::{Error, ErrorKind};
    use azure_core::time::OffsetDateTime;

    /// Gives its scopes as the token, or fails without any.
    #[derive(Debug)]
    struct Fake;

    impl TokenCredential for Fake {
        // What `async_trait` makes of the trait's method.
        fn get_token<'a, 'b, 'c, 'd, 'e>(
            &'a self,
            scopes: &'b [&'c str],
            _options: Option<TokenRequestOptions<'d>>,
        ) -> Pin<Box<dyn Future<Output = azure_core::Result<AccessToken>> + Send + 'e>>
        where
            'a: 'e,
            'b: 'e,
            'c: 'e,
            'd: 'e,
            Self: 'e,
        {
            let scope = scopes.join(" ");
            Box::pin(async move {
                if scope == "none" {
                    return Err(Error::with_message(ErrorKind::Credential, "nobody is logged in"));
                }
                Ok(AccessToken::new(scope, OffsetDateTime::UNIX_EPOCH))
            })
        }
    }

    #[tokio::test]
    async fn a_credential_of_the_azure_sdk_gives_tokens() {
        use azure_finetuning::{AuthError, SdkCredential, TokenProvider as _};
        let provider = SdkCredential::new(Arc::new(Fake));
        assert_eq!(super::asked(provider.clone(), "the-scope").await, "the-scope");
        let expires_on = provider.token("s").await.unwrap().expires_on;
        assert_eq!(expires_on, std::time::SystemTime::UNIX_EPOCH);
        let error = provider.token("none").await.unwrap_err();
        assert!(
            matches!(&error, AuthError::Provider(source) if source.to_string() == "nobody is logged in"),
            "{error:?}"
        );
    }
}

#[test]
fn settings_that_cannot_work() {
    let secret = || "s".to_owned().into();
    assert!(ClientSecret::new("a/../b", "c", secret()).is_err());
    assert!(ClientSecret::new("t", "c", secret()).unwrap().authority("http://login.example").is_err());
    assert!(WorkloadIdentity::new("..", "c", "f").is_err());
    assert!(ManagedIdentity::machine_at("not a url").is_err());
}

//! Who may ask, and how the surfaces differ.

use std::time::Duration;

use azure_emulator::{Emulator, demo};
use serde_json::{Value, json};

use crate::support::{MODEL, Service, answer, service, start};

async fn token(service: &Service, scope: &str) -> String {
    let form = [("client_id", "c"), ("client_secret", "s"), ("grant_type", "client_credentials"), ("scope", scope)];
    let body = url::form_urlencoded(&form);
    let request = service.anonymous("POST", "/tenant/oauth2/v2.0/token");
    let (status, answer) = answer(request.header("content-type", "application/x-www-form-urlencoded").body(body)).await;
    assert_eq!(status, 200, "{answer}");
    answer["access_token"].as_str().unwrap().to_owned()
}

/// Just enough of the encoding for what is sent here.
mod url {
    pub(super) fn form_urlencoded(form: &[(&str, &str)]) -> String {
        let pairs =
            form.iter().map(|(name, value)| format!("{name}={}", value.replace(':', "%3A").replace('/', "%2F")));
        pairs.collect::<Vec<_>>().join("&")
    }
}

#[tokio::test]
async fn only_the_key_or_a_token_for_this_audience_opens() {
    let service = service().await;
    let path = "/openai/v1/fine_tuning/jobs";
    let ask = async |name: &str, value: String| answer(service.anonymous("GET", path).header(name, value)).await.0;
    assert_eq!(answer(service.anonymous("GET", path)).await.0, 401);
    assert_eq!(ask("api-key", "wrong".to_owned()).await, 401);
    assert_eq!(ask("api-key", service.running.key().to_owned()).await, 200);
    assert_eq!(ask("authorization", format!("Bearer {}", service.running.key())).await, 200, "as OpenAI does it");
    let data = token(&service, "https://cognitiveservices.azure.com/.default").await;
    assert_eq!(ask("authorization", format!("Bearer {data}")).await, 200);
    let management = token(&service, "https://management.azure.com/.default").await;
    assert_eq!(ask("authorization", format!("Bearer {management}")).await, 401);
}

#[tokio::test]
async fn tokens_end() {
    let service = start(Emulator::builder().token_lifetime(Duration::from_secs(2))).await;
    let token = token(&service, "https://cognitiveservices.azure.com/.default").await;
    let ask = async || {
        let request = service.anonymous("GET", "/openai/v1/models").header("authorization", format!("Bearer {token}"));
        answer(request).await.0
    };
    assert_eq!(ask().await, 200);
    service.wait(2);
    assert_eq!(ask().await, 401);
}

#[tokio::test]
async fn the_metadata_service_wants_its_header() {
    let service = service().await;
    let path =
        "/metadata/identity/oauth2/token?api-version=2019-08-01&resource=https%3A%2F%2Fcognitiveservices.azure.com";
    assert_eq!(answer(service.anonymous("GET", path)).await.0, 400);
    let (status, token) = answer(service.anonymous("GET", path).header("Metadata", "true")).await;
    assert_eq!(status, 200);
    assert!(token["expires_on"].is_string(), "{token}");
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let request = service.anonymous("GET", "/openai/v1/models").header("authorization", bearer);
    assert_eq!(answer(request).await.0, 200);
}

#[tokio::test]
async fn a_reader_may_not_write() {
    let service = service().await;
    let key = service.running.reader_key().to_owned();
    let ask = async |method: &str, path: &str| answer(service.anonymous(method, path).header("api-key", &key)).await;
    assert_eq!(ask("GET", "/openai/v1/files").await.0, 200);
    let (status, refused) = ask("DELETE", &format!("/openai/v1/files/{}", demo::TRAINING_FILE)).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (403, Some("forbidden")));
}

#[tokio::test]
async fn the_surfaces_differ_where_the_service_does() {
    let service = service().await;
    let status = async |method: &str, path: String| service.ask(method, &path).await.0;
    let job = format!("fine_tuning/jobs/{}", demo::SUCCEEDED_JOB);
    assert_eq!(status("GET", format!("/openai/{job}")).await, 404, "the version is missing");
    assert_eq!(status("GET", format!("/openai/{job}?api-version=soon")).await, 404);
    assert_eq!(status("GET", format!("/openai/{job}?api-version=2024-10-21")).await, 200);
    let running = format!("fine_tuning/jobs/{}/pause", demo::RUNNING_JOB);
    assert_eq!(status("POST", format!("/openai/{running}?api-version=2024-10-21")).await, 404);
    assert_eq!(status("POST", format!("/openai/{running}?api-version=2025-04-01-preview")).await, 200);
    assert_eq!(status("DELETE", format!("/openai/v1/{job}")).await, 404);
    assert_eq!(status("DELETE", format!("/openai/{job}?api-version=2024-10-21")).await, 204);
    let body = json!({ "model": MODEL, "training_file": demo::TRAINING_FILE });
    let request = service.request("POST", "/openai/fine_tuning/jobs?api-version=2024-10-21").body(body.to_string());
    let created = request.send().await.unwrap();
    assert_eq!(created.status().as_u16(), 201);
    assert!(created.headers().contains_key("location"));
    let created: Value = created.json().await.unwrap();
    assert!(created.get("suffix").is_some() && created.get("user_provided_suffix").is_none(), "{created}");
}

#[tokio::test]
async fn the_journal_tells_everything_but_secrets() {
    let service = service().await;
    service.get("/openai/v1/models?limit=3").await;
    let journal = service.running.journal();
    let last = journal.last().expect("a request was made");
    assert_eq!((last.method.as_str(), last.path.as_str(), last.status), ("GET", "/openai/v1/models", Some(200)));
    assert!(last.headers.contains(&("api-key".to_owned(), "***".to_owned())));
    assert!(!format!("{journal:?}").contains(service.running.key()));
}

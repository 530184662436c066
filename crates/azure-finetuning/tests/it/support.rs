//! A server that answers as it is told, and a client that does not wait long.

use std::time::Duration;

use azure_finetuning::{Client, ClientBuilder, RetryPolicy};
use serde_json::Value;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

pub(crate) const KEY: &str = "planted-key";

/// Retries as often as by default, with hardly any delay.
pub(crate) fn quick() -> RetryPolicy {
    let mut policy = RetryPolicy::default();
    policy.base_delay = Duration::from_millis(1);
    policy
}

pub(crate) fn builder(server: &MockServer) -> ClientBuilder {
    Client::builder().endpoint(server.uri()).api_key(KEY.to_owned().into()).retry(quick())
}

pub(crate) fn client(server: &MockServer) -> Client {
    builder(server).build().unwrap()
}

pub(crate) fn dated(server: &MockServer, version: &str) -> Client {
    builder(server).surface(version.parse().unwrap()).build().unwrap()
}

/// Answers the first request with the first of these, and so on; the last of them from then on.
pub(crate) async fn answers(server: &MockServer, answers: Vec<ResponseTemplate>) {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let answer = move |_: &Request| {
        let next = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        answers.get(next).or(answers.last()).unwrap().clone()
    };
    Mock::given(wiremock::matchers::any()).respond_with(answer).mount(server).await;
}

pub(crate) async fn serve(server: &MockServer, status: u16, body: &str) {
    answers(server, vec![json(status, body)]).await;
}

pub(crate) fn json(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body, "application/json")
}

/// Every request so far, as `METHOD /path?query`.
pub(crate) async fn lines(server: &MockServer) -> Vec<String> {
    let line = |request: &Request| {
        let query = request.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{} {}{query}", request.method, request.url.path())
    };
    requests(server).await.iter().map(line).collect()
}

pub(crate) async fn requests(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.unwrap()
}

pub(crate) fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.get(name).map(|value| value.to_str().unwrap())
}

pub(crate) fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

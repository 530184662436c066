//! What goes wrong on demand.

use azure_emulator::{Fault, FaultAction, demo};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Service, answer, service};

fn once(action: FaultAction) -> Fault {
    Fault { method: Some(Method::GET), path: "/fine_tuning".to_owned(), times: 1, action }
}

/// The answer with this fault, which is gone afterwards.
async fn with(service: &Service, action: FaultAction, path: &str) -> reqwest::Result<reqwest::Response> {
    service.running.inject(once(action));
    let response = service.request("GET", path).send().await;
    assert_eq!(service.ask("GET", path).await.0, 200, "a fault of one time happens once");
    response
}

const JOBS: &str = "/openai/v1/fine_tuning/jobs";

#[tokio::test]
async fn throttling_in_every_form() {
    let service = service().await;
    for (action, header, value) in [
        (FaultAction::RetryAfter(2), "retry-after", Some("2")),
        (FaultAction::RetryAfterMs(1_500), "retry-after-ms", Some("1500")),
        (FaultAction::HttpDate(60), "retry-after", None),
    ] {
        let response = with(&service, action, JOBS).await.unwrap();
        assert_eq!(response.status().as_u16(), 429);
        let found = response.headers().get(header).unwrap().to_str().unwrap();
        assert!(value.map_or(found.ends_with(" GMT"), |value| value == found), "{found}");
    }
}

#[tokio::test]
async fn answers_that_are_none() {
    let service = service().await;
    let status = with(&service, FaultAction::Status(500), JOBS).await.unwrap();
    assert_eq!(status.status().as_u16(), 500);
    let redirect = with(&service, FaultAction::Redirect("http://127.0.0.1:9/".to_owned()), JOBS).await.unwrap();
    assert_eq!(redirect.status().as_u16(), 307);
    let page = with(&service, FaultAction::Html502, JOBS).await.unwrap();
    assert_eq!((page.status().as_u16(), page.text().await.unwrap().starts_with("<html>")), (502, true));
    let malformed = with(&service, FaultAction::MalformedJson, JOBS).await.unwrap().text().await.unwrap();
    assert!(serde_json::from_str::<Value>(&malformed).is_err());
    assert!(with(&service, FaultAction::DropConnection, JOBS).await.is_err());
    let cut = with(&service, FaultAction::TruncateBody, JOBS).await.unwrap();
    assert!(cut.bytes().await.is_err());
}

#[tokio::test]
async fn answers_that_nobody_expects() {
    let service = service().await;
    let json = async |action, path: &str| with(&service, action, path).await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(json(FaultAction::UnknownStatus, JOBS).await["data"][0]["status"], "meditating");
    let one = format!("{JOBS}/{}", demo::SUCCEEDED_JOB);
    assert_eq!(json(FaultAction::ExtraFields, &one).await["x_new_field"], json!({ "kept": true }));
    let straight = service.get(JOBS).await["data"][0]["id"].clone();
    assert_eq!(json(FaultAction::ReverseOrder, JOBS).await["data"][4]["id"], straight);
    assert_eq!(json(FaultAction::RepeatCursor, JOBS).await["has_more"], true);
}

#[tokio::test]
async fn an_answer_that_is_dropped_was_carried_out() {
    let service = service().await;
    let action = FaultAction::DropAnswer;
    service.running.inject(Fault { method: Some(Method::DELETE), path: String::new(), times: 1, action });
    let path = format!("/openai/v1/files/{}", demo::BAD_FILE);
    assert!(service.request("DELETE", &path).send().await.is_err());
    assert_eq!(service.ask("GET", &path).await.0, 404);
    assert_eq!(service.running.journal()[0].status, None);
}

#[tokio::test]
async fn the_control_routes_do_the_same_from_outside() {
    let service = service().await;
    let control = async |method: &str, path: &str, body: Value| {
        let request = service.anonymous(method, &format!("/__emulator/{path}"));
        let request = request.header("x-emulator-token", service.running.control_token());
        answer(request.header("content-type", "application/json").body(body.to_string())).await
    };
    assert_eq!(service.ask("GET", "/__emulator/journal").await.0, 401, "the API key is not the token");
    let fault = json!({ "method": "GET", "path": "/jobs", "times": 2, "action": "retry_after", "value": 3 });
    assert_eq!(control("POST", "faults", fault).await.0, 204);
    for expected in [429, 429, 200] {
        assert_eq!(service.ask("GET", JOBS).await.0, expected);
    }
    assert_eq!(control("POST", "faults", json!({ "action": "explode" })).await.0, 400);
    let before = control("POST", "clock", json!({ "advance_s": 0 })).await.1["now"].as_i64().unwrap();
    let after = control("POST", "clock", json!({ "advance_s": 90 })).await.1["now"].as_i64().unwrap();
    assert_eq!(after - before, 90);
    assert_eq!(control("GET", "journal", Value::Null).await.1["requests"].as_array().unwrap().len(), 3);
    assert_eq!(control("POST", "seed", json!({ "name": "empty" })).await.0, 204);
    assert_eq!(service.get(JOBS).await["data"], json!([]));
}

#[tokio::test]
async fn a_request_is_in_the_journal_when_it_arrives() {
    let service = service().await;
    service.running.inject(once(FaultAction::Delay(std::time::Duration::from_secs(600))));
    let waiting = tokio::spawn(service.request("GET", JOBS).send());
    let seen = async {
        while service.running.journal().is_empty() {
            tokio::task::yield_now().await;
        }
        service.running.journal()
    };
    let seen = tokio::time::timeout(std::time::Duration::from_secs(20), seen).await.unwrap();
    assert_eq!((seen.len(), seen[0].status), (1, None));
    service.ask("GET", "/openai/v1/models").await;
    let seen = service.running.journal();
    assert_eq!(seen.iter().map(|request| request.status).collect::<Vec<_>>(), [None, Some(200)]);
    waiting.abort();
}

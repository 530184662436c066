//! Deployments, which are on the management plane, and graders.

use serde_json::{Value, json};

use crate::support::{MODEL, Service, answer, service};

const ACCOUNT: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a/deployments";

async fn bearer(service: &Service, resource: &str) -> String {
    let path = format!("/metadata/identity/oauth2/token?api-version=2019-08-01&resource={resource}");
    let (_, token) = answer(service.anonymous("GET", &path).header("Metadata", "true")).await;
    format!("Bearer {}", token["access_token"].as_str().unwrap())
}

#[tokio::test]
async fn a_deployment_is_created_ready_and_gone() {
    let service = service().await;
    let bearer = bearer(&service, "https://management.azure.com/").await;
    let ask = async |method: &str, name: &str, body: Value| {
        let path = format!("{ACCOUNT}/{name}?api-version=2024-10-01");
        let request = service.anonymous(method, &path).header("authorization", &bearer).body(body.to_string());
        let (status, answer) = answer(request).await;
        (status, answer["properties"]["provisioningState"].as_str().unwrap_or_default().to_owned())
    };
    let body = |model: &str| {
        let model = json!({ "format": "OpenAI", "name": model, "version": "1" });
        json!({ "sku": { "name": "Standard", "capacity": 1 }, "properties": { "model": model } })
    };
    assert_eq!(ask("PUT", "d", body(MODEL)).await, (201, "Creating".to_owned()));
    assert_eq!(ask("PUT", "e", body("no-such-model")).await.0, 201);
    service.wait(20);
    assert_eq!(ask("GET", "d", Value::Null).await, (200, "Succeeded".to_owned()));
    assert_eq!(ask("GET", "e", Value::Null).await, (200, "Failed".to_owned()));
    assert_eq!(ask("DELETE", "d", Value::Null).await.0, 200);
    assert_eq!(ask("GET", "d", Value::Null).await.0, 404);
}

#[tokio::test]
async fn the_management_plane_takes_its_own_tokens_only() {
    let service = service().await;
    let path = format!("{ACCOUNT}?api-version=2024-10-01");
    let data = bearer(&service, "https://cognitiveservices.azure.com").await;
    assert_eq!(answer(service.anonymous("GET", &path).header("authorization", data)).await.0, 401);
    assert_eq!(service.ask("GET", &path).await.0, 401, "a key is no token");
    let management = bearer(&service, "https://management.azure.com").await;
    assert_eq!(answer(service.anonymous("GET", &path).header("authorization", management)).await.0, 200);
}

#[tokio::test]
async fn graders_grade() {
    let service = service().await;
    let run = async |grader: Value| {
        let item = json!({ "answer": "four" });
        let body = json!({ "grader": grader, "model_sample": "Four", "item": item });
        let (status, answer) = service.post("/openai/v1/fine_tuning/alpha/graders/run", body).await;
        (status, answer["reward"].as_f64())
    };
    let check = |operation: &str| json!({ "type": "string_check", "name": "n", "input": "{{ sample.output_text }}", "reference": "{{item.answer}}", "operation": operation });
    assert_eq!(run(check("eq")).await, (200, Some(0.0)));
    assert_eq!(run(check("ilike")).await, (200, Some(1.0)));
    assert_eq!(run(check("near")).await.0, 400);
    assert_eq!(run(json!({ "type": "guess", "name": "n" })).await.0, 400);
    assert_eq!(
        run(json!({ "type": "score_model", "name": "n" })).await,
        run(json!({ "type": "score_model", "name": "n" })).await
    );
}

//! The operations of OpenAPI documents.

use std::path::Path;

use azure_emulator::{Emulator, demo};
use finetuning_server::Settings;
use serde_json::{Value, json};

use crate::support::{Stand, before, stand, variables, with};

const DOCUMENT: &str = r"
openapi: 3.0.3
servers: [{ url: 'https://elsewhere.example/openai/v1' }]
components:
  schemas:
    Order: { type: string, enum: [asc, desc] }
paths:
  /files:
    get:
      operationId: list-files
      parameters:
        - { name: order, in: query, schema: { $ref: '#/components/schemas/Order' } }
        - { name: limit, in: query, schema: { type: integer, maximum: 5 } }
  /files/{file_id}:
    parameters: [{ name: file_id, in: path, required: true, schema: { type: string } }]
    get: { operationId: getFile }
    delete: { operationId: deleteFile }
";

async fn documented(writes: &str) -> Stand {
    let service = Emulator::builder().manual_clock().start().await.unwrap();
    let settings = Settings::from_env(variables(&service, &[("SWAGGER_ALLOW_WRITES", writes)])).unwrap();
    let settings = settings.with_document(Path::new("test.yaml"), DOCUMENT).unwrap();
    before(service, settings).await
}

fn act(tool: &str, params: Value) -> Value {
    json!({ "tool_name": tool, "params": params })
}

#[tokio::test]
async fn the_built_in_operations_are_listed_with_their_schemas() {
    let stand = stand().await;
    let listed = stand.call("list_dynamic_swagger_tools", json!({})).await;
    assert_eq!(listed["total_tools"], 4);
    let events =
        listed["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == "getFineTuningJobEvents").unwrap();
    assert_eq!(events["parameters"], json!(["job_id", "limit", "after"]), "path parameters, too");
    assert_eq!(events["input_schema"]["required"], json!(["job_id"]));
}

#[tokio::test]
async fn parameters_come_as_object_as_text_or_wrapped() {
    let stand = stand().await;
    let id = json!({ "job_id": demo::SUCCEEDED_JOB });
    for params in [id.clone(), json!(id.to_string()), json!({ "params": id })] {
        let job = stand.call("execute_dynamic_swagger_action", act("getFineTuningJob", params)).await;
        assert_eq!(job["id"], demo::SUCCEEDED_JOB);
    }
    for params in [json!("[1]"), json!("not json")] {
        stand.fail("execute_dynamic_swagger_action", act("getFineTuningJob", params)).await;
    }
}

#[tokio::test]
async fn on_a_dated_surface_the_version_is_sent() {
    let stand = with(Emulator::builder().manual_clock(), &[("AZURE_OPENAI_API_VERSION", "2024-10-21")]).await;
    let params = json!({ "job_id": demo::SUCCEEDED_JOB });
    stand.call("execute_dynamic_swagger_action", act("getFineTuningJob", params)).await;
    assert_eq!(stand.service.journal()[0].query, "api-version=2024-10-21");
}

#[tokio::test]
async fn the_host_is_the_configured_one_whatever_the_document_says() {
    let stand = documented("false").await;
    let files =
        stand.call("execute_dynamic_swagger_action", act("list_files", json!({ "order": "asc", "limit": 2 }))).await;
    assert_eq!(files["data"][0]["id"], demo::TRAINING_FILE);
    assert_eq!(stand.asked(), ["GET /openai/v1/files"]);
}

#[tokio::test]
async fn values_are_checked_before_anything_leaves() {
    let stand = documented("true").await;
    let message = async |tool: &str, params: Value| {
        let error = stand.fail("execute_dynamic_swagger_action", act(tool, params)).await;
        error["message"].as_str().unwrap().to_owned()
    };
    assert!(message("list_files", json!({ "order": "up" })).await.contains("`order`"));
    assert!(message("list_files", json!({ "limit": 6 })).await.contains("`limit`"));
    assert!(message("list_files", json!({ "purpose": "x" })).await.contains("purpose"));
    assert!(message("getFile", json!({})).await.contains("file_id"));
    for hostile in ["../jobs", "..", ".", "a/b", "%2e%2e", "a?b", ""] {
        assert!(message("deleteFile", json!({ "file_id": hostile })).await.contains("file_id"), "{hostile}");
    }
    assert!(message("getFiles", json!({})).await.ends_with("did you mean `getFile`?"));
    assert_eq!(stand.asked(), [""; 0]);
}

#[tokio::test]
async fn only_reading_is_allowed_unless_the_operator_says_otherwise() {
    let params = || json!({ "file_id": demo::BAD_FILE });
    let careful = documented("false").await;
    assert_eq!(careful.call("list_dynamic_swagger_tools", json!({})).await["total_tools"], 2);
    let error = careful.fail("execute_dynamic_swagger_action", act("deleteFile", params())).await;
    assert_eq!(error["code"], "read_only");
    assert_eq!(careful.asked(), [""; 0]);
    let bold = documented("true").await;
    assert_eq!(bold.call("list_dynamic_swagger_tools", json!({})).await["total_tools"], 3);
    assert_eq!(bold.call("execute_dynamic_swagger_action", act("deleteFile", params())).await["deleted"], true);
}

#[tokio::test]
async fn what_may_delete_says_so() {
    for (writes, expected) in [("false", Some(false)), ("true", Some(true))] {
        let tools = documented(writes).await.client.list_all_tools().await.unwrap();
        let tool = tools.iter().find(|tool| tool.name == "execute_dynamic_swagger_action").unwrap();
        assert_eq!(tool.annotations.as_ref().unwrap().destructive_hint, expected, "writes {writes}");
    }
}

#[tokio::test]
async fn failures_of_the_service_are_failures_here() {
    let stand = stand().await;
    let error =
        stand.fail("execute_dynamic_swagger_action", act("getFineTuningJob", json!({ "job_id": "ftjob-none" }))).await;
    assert_eq!((error["status"].as_u64(), error["code"].as_str()), (Some(404), Some("notFound")));
    let content = act("getFileContent", json!({ "file_id": demo::TRAINING_FILE }));
    let text = stand.call("execute_dynamic_swagger_action", content).await;
    assert!(text["content"].as_str().unwrap().starts_with("{\"messages\""), "{text}");
}

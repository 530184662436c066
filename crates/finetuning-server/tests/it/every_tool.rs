//! Every tool once, with success, against the service; and every answer against the schema that the tool announces.

use azure_emulator::{Emulator, demo};
use finetuning_server::{Category, TOOLS};
use serde_json::{Value, json};

use crate::support::{Stand, stand, with};

const GRADER: &str =
    r#"{"type":"string_check","name":"g","input":"{{ sample.output_text }}","reference":"yes","operation":"eq"}"#;

/// Arguments with which each tool succeeds. Those of deployments need tokens and have a stand of their own.
fn calls() -> Vec<(&'static str, Value)> {
    let grader: Value = serde_json::from_str(GRADER).unwrap();
    let job = |id: &str| json!({ "job_id": id });
    let checkpoint = azure_emulator_checkpoint();
    vec![
        ("fetch_finetuning_status", job(demo::SUCCEEDED_JOB)),
        ("list_finetuning_jobs", json!({})),
        ("get_finetuning_job_events", json!({ "job_id": demo::SUCCEEDED_JOB, "limit": 5 })),
        ("get_finetuning_metrics", job(demo::SUCCEEDED_JOB)),
        ("list_finetuning_files", json!({})),
        ("list_dynamic_swagger_tools", json!({})),
        (
            "execute_dynamic_swagger_action",
            json!({ "tool_name": "getFineTuningJob", "params": job(demo::SUCCEEDED_JOB) }),
        ),
        ("get_finetuning_job", job(demo::FAILED_JOB)),
        ("find_finetuning_jobs", json!({ "suffix": "support" })),
        ("wait_for_finetuning_job", job(demo::SUCCEEDED_JOB)),
        (
            "create_finetuning_job",
            json!({ "model": "gpt-4.1-mini-2025-04-14", "training_file": demo::TRAINING_FILE, "suffix": "new", "n_epochs": 2, "metadata": { "team": "ml" } }),
        ),
        ("pause_finetuning_job", job(demo::RUNNING_JOB)),
        ("resume_finetuning_job", job(demo::PAUSED_JOB)),
        ("cancel_finetuning_job", job(demo::RUNNING_JOB)),
        ("delete_finetuning_job", job(demo::FAILED_JOB)),
        ("list_finetuning_checkpoints", job(demo::SUCCEEDED_JOB)),
        (
            "copy_checkpoint",
            json!({ "job_id": demo::SUCCEEDED_JOB, "checkpoint_id": checkpoint, "destination_resource_id": "/subscriptions/0/accounts/d", "region": "swedencentral" }),
        ),
        ("get_checkpoint_copy_status", json!({ "job_id": demo::SUCCEEDED_JOB, "checkpoint_id": checkpoint })),
        ("get_finetuning_file", json!({ "file_id": demo::TRAINING_FILE })),
        ("get_file_content", json!({ "file_id": demo::TRAINING_FILE, "max_bytes": 100 })),
        ("upload_finetuning_file", json!({ "filename": "a.jsonl", "content": "{}\n" })),
        ("validate_training_data", json!({ "content": "{}\n" })),
        ("import_finetuning_file", json!({ "filename": "a.jsonl", "content_url": "https://example.invalid/a" })),
        ("delete_file", json!({ "file_id": demo::BAD_FILE })),
        ("validate_grader", json!({ "grader": grader })),
        ("run_grader", json!({ "grader": grader, "sample": "yes" })),
        ("list_models", json!({ "tuned_only": true })),
        ("get_model", json!({ "model": "gpt-4.1-mini-2025-04-14" })),
    ]
}

/// The checkpoint of the last step of the demo's job: the newest of its list.
fn azure_emulator_checkpoint() -> &'static str {
    "CHECKPOINT"
}

async fn checkpoint(stand: &Stand) -> String {
    let listed = stand.call("list_finetuning_checkpoints", json!({ "job_id": demo::SUCCEEDED_JOB })).await;
    listed["checkpoints"][0]["id"].as_str().unwrap().to_owned()
}

/// The surface that has the operation.
fn surface(tool: &str) -> &'static str {
    match tool {
        "delete_finetuning_job" | "import_finetuning_file" => "2024-10-21",
        _ => "v1",
    }
}

async fn check_schema(stand: &Stand, tool: &str, answer: &Value) {
    let tools = stand.client.list_all_tools().await.unwrap();
    let announced = tools.iter().find(|announced| announced.name == tool).unwrap_or_else(|| panic!("no {tool}"));
    let schema = Value::Object((**announced.output_schema.as_ref().unwrap()).clone());
    let wrong: Vec<String> =
        jsonschema::validator_for(&schema).unwrap().iter_errors(answer).map(|e| e.to_string()).collect();
    assert_eq!(wrong, [""; 0], "{tool}: {answer}");
}

#[tokio::test]
async fn every_tool_does_its_work_and_answers_what_it_announces() {
    let mut asked = Vec::new();
    for (tool, mut arguments) in calls() {
        // A fresh service for each: what one changes shall not matter to another.
        let version = [("AZURE_OPENAI_API_VERSION", surface(tool))];
        let stand = with(Emulator::builder().manual_clock(), &version).await;
        if arguments["checkpoint_id"] == azure_emulator_checkpoint() {
            arguments["checkpoint_id"] = json!(checkpoint(&stand).await);
        }
        let answer = stand.call(tool, arguments).await;
        check_schema(&stand, tool, &answer).await;
        asked.push(tool);
    }
    asked.extend(["deploy_finetuned_model", "get_deployment", "delete_deployment"]);
    let mut all: Vec<&str> = TOOLS.iter().map(|entry| entry.name).collect();
    all.sort_unstable();
    asked.sort_unstable();
    assert_eq!(asked, all, "a tool without a call here");
}

#[tokio::test]
async fn deployments_go_through_the_management_plane() {
    let service = Emulator::builder().manual_clock().start().await.unwrap();
    let identity =
        azure_finetuning::ManagedIdentity::machine_at(&format!("{}/metadata/identity/oauth2/token", service.url()))
            .unwrap();
    let client = azure_finetuning::Client::builder().endpoint(service.url()).management_endpoint(service.url());
    let client = client.token_provider(identity).build().unwrap();
    let settings = finetuning_server::Settings::new(client).unwrap();
    let stand = crate::support::before(service, settings).await;
    let named = |more: Value| {
        let mut arguments =
            json!({ "deployment_name": "d1", "subscription_id": "s", "resource_group": "g", "account": "a" });
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        arguments
    };
    let deployed = stand.call("deploy_finetuned_model", named(json!({ "model": "gpt-4.1-mini-2025-04-14" }))).await;
    check_schema(&stand, "deploy_finetuned_model", &deployed).await;
    assert_eq!(deployed["properties"]["provisioningState"], "Creating");
    stand.service.advance(std::time::Duration::from_secs(20));
    let found = stand.call("get_deployment", named(json!({}))).await;
    assert_eq!(found["properties"]["provisioningState"], "Succeeded");
    let gone = stand.call("delete_deployment", named(json!({}))).await;
    check_schema(&stand, "delete_deployment", &gone).await;
    assert_eq!(stand.fail("get_deployment", named(json!({}))).await["status"], 404);
}

#[tokio::test]
async fn a_deployment_that_cannot_be_looked_at_was_still_made() {
    let service = Emulator::builder().manual_clock().start().await.unwrap();
    let identity =
        azure_finetuning::ManagedIdentity::machine_at(&format!("{}/metadata/identity/oauth2/token", service.url()))
            .unwrap();
    let client = azure_finetuning::Client::builder().endpoint(service.url()).management_endpoint(service.url());
    let settings = finetuning_server::Settings::new(client.token_provider(identity).build().unwrap()).unwrap();
    service.inject(azure_emulator::Fault {
        method: Some("GET".parse().unwrap()),
        path: "/deployments/".to_owned(),
        times: 1,
        action: azure_emulator::FaultAction::Status(403),
    });
    let stand = crate::support::before(service, settings).await;
    let new = json!({
        "deployment_name": "d1", "subscription_id": "s", "resource_group": "g", "account": "a",
        "model": "gpt-4.1-mini-2025-04-14", "wait_seconds": 60,
    });
    let deployed = stand.call("deploy_finetuned_model", new).await;
    check_schema(&stand, "deploy_finetuned_model", &deployed).await;
    assert_eq!((&deployed["name"], &deployed["properties"]["provisioningState"]), (&json!("d1"), &json!("Creating")));
    assert_eq!(deployed["wait_error"]["status"], 403, "{deployed}");
}

#[tokio::test]
async fn a_key_deploys_nothing_and_says_why() {
    let stand = stand().await;
    let account = json!({ "deployment_name": "d", "subscription_id": "s", "resource_group": "g", "account": "a" });
    let error = stand.fail("get_deployment", account).await;
    assert_eq!(error["code"], "unauthorised");
    assert!(error["message"].as_str().unwrap().contains("token"), "{error}");
    let error = stand.fail("get_deployment", json!({ "deployment_name": "d" })).await;
    assert!(error["message"].as_str().unwrap().contains("AZURE_SUBSCRIPTION_ID"), "{error}");
    assert_eq!(stand.asked(), [""; 0]);
}

#[tokio::test]
async fn annotations_say_what_the_table_says() {
    let stand = stand().await;
    let tools = stand.client.list_all_tools().await.unwrap();
    assert_eq!(tools.len(), TOOLS.len());
    for (entry, tool) in TOOLS.iter().zip(&tools) {
        let hints = tool.annotations.as_ref().unwrap();
        assert_eq!(tool.name, entry.name);
        assert_eq!(hints.read_only_hint, Some(entry.category == Category::Read), "{}", entry.name);
        assert_eq!(hints.destructive_hint, Some(entry.category == Category::Destructive), "{}", entry.name);
    }
}

#[tokio::test]
async fn lists_are_read_page_by_page() {
    let stand = stand().await;
    let mut seen = Vec::new();
    let mut arguments = json!({ "job_id": demo::SUCCEEDED_JOB, "limit": 20 });
    loop {
        let page = stand.call("get_finetuning_job_events", arguments.clone()).await;
        seen.extend(page["events"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()));
        if page["has_more"] == false {
            break;
        }
        arguments["after"] = page["last_id"].clone();
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 45);
}

#[tokio::test]
async fn content_comes_in_pieces_that_add_up() {
    let stand = with(Emulator::builder().manual_clock(), &[]).await;
    let text = "aäöü€😀".repeat(50);
    let file =
        stand.call("upload_finetuning_file", json!({ "filename": "t", "content": text, "purpose": "evals" })).await;
    let (mut read, mut offset) = (String::new(), json!(0));
    while !offset.is_null() {
        let piece =
            stand.call("get_file_content", json!({ "file_id": file["id"], "offset": offset, "max_bytes": 97 })).await;
        read.push_str(piece["content"].as_str().unwrap());
        assert_eq!(piece["total_bytes"], text.len());
        offset = piece["next_offset"].clone();
    }
    assert_eq!(read, text);
}

#[tokio::test]
async fn waiting_tells_progress_and_ends_with_the_job() {
    let stand = with(Emulator::builder().speed(2_000.0), &[]).await;
    stand.call("cancel_finetuning_job", json!({ "job_id": demo::RUNNING_JOB })).await;
    let new = json!({ "model": "gpt-4.1-mini-2025-04-14", "training_file": demo::TRAINING_FILE, "n_epochs": 20 });
    let job = stand.call("create_finetuning_job", new).await;
    let done = stand.call("wait_for_finetuning_job", json!({ "job_id": job["id"] })).await;
    assert_eq!((done["status"].as_str(), done["done"].as_bool()), (Some("succeeded"), Some(true)));
    let told = stand.client.service().0.lock().unwrap().clone();
    assert!(told.first().is_some_and(|message| message.starts_with("the job is ")), "{told:?}");
}

#[tokio::test]
async fn a_wait_that_takes_too_long_says_how_far_it_is() {
    let stand = stand().await;
    let waited =
        stand.call("wait_for_finetuning_job", json!({ "job_id": demo::RUNNING_JOB, "timeout_seconds": 1 })).await;
    assert_eq!((waited["status"].as_str(), waited["done"].as_bool()), (Some("running"), Some(false)));
}

#[tokio::test]
async fn an_upload_tells_how_far_it_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("train.jsonl"), "x".repeat(200_000)).unwrap();
    let folder = folder.path().to_str().unwrap();
    let stand = crate::support::with(Emulator::builder().manual_clock(), &[("FINETUNING_UPLOAD_DIR", folder)]).await;
    stand.call("upload_finetuning_file", json!({ "path": "train.jsonl", "purpose": "batch" })).await;
    let told = stand.client.service().0.lock().unwrap().clone();
    assert_eq!(told.first().map(String::as_str), Some("0 of 200000 bytes are sent"), "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("200000 of 200000 bytes are sent"), "{told:?}");
}

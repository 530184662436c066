//! What is known to be wrong with the tools that people know, not repeated here.

use azure_emulator::{Emulator, Fault, FaultAction, demo};
use serde_json::{Value, json};

use crate::support::{stand, with};

fn always(path: &str, action: FaultAction) -> Fault {
    Fault { method: None, path: path.to_owned(), times: 100, action }
}

#[tokio::test]
async fn no_id_leaves_its_place_in_a_url() {
    let stand = stand().await;
    let hostile = ["../../files/file-x/content", "..", ".", "%2e%2e", "a/b", "a?b=c", "a#b", "a\\b", "", "a\nb", "ä"];
    let tools = stand.client.list_all_tools().await.unwrap();
    let mut tried = 0;
    for tool in &tools {
        let names = tool.input_schema["properties"].as_object().unwrap();
        for name in names
            .keys()
            .filter(|name| name.ends_with("_id") || ["model", "after", "training_file"].contains(&name.as_str()))
        {
            for text in hostile {
                // Everything else as it should be, so that nothing else can be the reason.
                let mut arguments = json!({});
                for needed in tool.input_schema.get("required").and_then(Value::as_array).into_iter().flatten() {
                    arguments[needed.as_str().unwrap()] = json!("ftjob-1");
                }
                arguments[name.as_str()] = json!(text);
                if tool.name == "execute_dynamic_swagger_action"
                    || name == "destination_resource_id"
                    || tool.name == "find_finetuning_jobs"
                {
                    continue;
                }
                let error = stand.fail(&tool.name, arguments).await;
                assert_eq!(error["code"], "invalid_argument", "{} {name} {text:?}: {error}", tool.name);
                tried += 1;
            }
        }
    }
    assert!(tried > 200, "only {tried}");
    assert_eq!(stand.asked(), [""; 0], "no request left");
}

#[tokio::test]
async fn metrics_know_their_job_and_never_ask_for_a_file_that_is_none() {
    let stand = stand().await;
    let metrics =
        stand.call("get_finetuning_metrics", json!({ "job_id": demo::SUCCEEDED_JOB, "ctx": "anything" })).await;
    assert_eq!(metrics["job_id"], demo::SUCCEEDED_JOB);
    assert_eq!(metrics["metrics"].as_array().unwrap().len(), 39);
    let csv = metrics["result_csv_content"].as_str().unwrap();
    assert!(csv.starts_with("step,train_loss,") && csv.lines().count() == 40, "{csv}");
    assert_eq!(metrics["summary"]["last_train_loss"]["step"], 39);
    let none = stand.call("get_finetuning_metrics", json!({ "job_id": demo::FAILED_JOB })).await;
    assert_eq!(none["message"], "There are no metrics: the job is failed.");
    assert!(stand.asked().iter().all(|asked| !asked.contains("None")));
}

#[tokio::test]
async fn the_validation_loss_of_a_summary_is_of_one_kind() {
    let stand = stand().await;
    let metrics = stand.call("get_finetuning_metrics", json!({ "job_id": demo::SUCCEEDED_JOB })).await;
    assert_eq!(metrics["result_file_url"].as_str().unwrap().split('/').take(4).last(), Some("files"), "{metrics}");
    let rows = metrics["metrics"].as_array().unwrap();
    let full: Vec<&Value> = rows.iter().filter(|row| row.get("full_valid_loss").is_some()).collect();
    let best =
        full.iter().min_by(|a, b| a["full_valid_loss"].as_f64().partial_cmp(&b["full_valid_loss"].as_f64()).unwrap());
    let best = best.unwrap();
    let summary = &metrics["summary"];
    assert_eq!(summary["best_valid_loss"], json!({ "step": best["step"], "loss": best["full_valid_loss"] }));
    let last = full.last().unwrap();
    assert_eq!(summary["last_valid_loss"], json!({ "step": last["step"], "loss": last["full_valid_loss"] }));
    assert_eq!((&summary["steps"], &summary["may_overfit"]), (&json!(39), &json!(false)));
}

#[tokio::test]
async fn a_running_job_has_metrics_from_its_events() {
    let stand = stand().await;
    let metrics = stand.call("get_finetuning_metrics", json!({ "job_id": demo::RUNNING_JOB })).await;
    let rows = metrics["metrics"].as_array().unwrap();
    assert_eq!((&metrics["is_live"], &metrics["summary"]["steps"]), (&json!(true), &json!(rows.len())), "{metrics}");
    assert_eq!(rows[0]["step"], 1);
    assert_eq!(metrics["summary"]["last_train_loss"]["step"], rows.len());
    assert_eq!(metrics["message"], "The job is running: these are its metrics so far, from its events.");
}

#[tokio::test]
async fn a_status_call_that_failed_is_a_failure() {
    let stand = stand().await;
    let error = stand.fail("get_finetuning_metrics", json!({ "job_id": "ftjob-none" })).await;
    assert_eq!((error["status"].as_u64(), error["code"].as_str()), (Some(404), Some("notFound")));
    assert!(error["request_id"].is_string(), "{error}");
    assert_eq!(error["retryable"], false);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_has_its_request_named() {
    let stand = stand().await;
    stand.service.inject(always("/jobs", FaultAction::MalformedJson));
    let error = stand.fail("list_finetuning_jobs", json!({})).await;
    assert_eq!(error["code"], "unintelligible_answer");
    assert!(error["request_id"].is_string(), "{error}");
    let job = json!({ "model": "gpt-4.1-mini-2025-04-14", "training_file": demo::TRAINING_FILE });
    let error = stand.fail("create_finetuning_job", job).await;
    assert_eq!(error["code"], "ambiguous");
    assert!(error["request_id"].is_string(), "{error}");
}

#[tokio::test]
async fn both_spellings_of_the_files_are_filled() {
    let stand = stand().await;
    let status = stand.call("fetch_finetuning_status", json!({ "job_id": demo::SUCCEEDED_JOB })).await;
    assert_eq!(status["training_files"], json!([demo::TRAINING_FILE]));
    assert_eq!(status["training_file"], demo::TRAINING_FILE);
    assert_eq!(status["validation_files"], json!([demo::VALIDATION_FILE]));
    let known = [
        "job_id",
        "status",
        "model",
        "created_at",
        "finished_at",
        "hyperparameters",
        "fine_tuned_model",
        "trained_tokens",
        "result_files",
        "training_files",
        "validation_files",
        "estimated_finish",
        "error",
    ];
    for key in known {
        assert!(status.get(key).is_some(), "no {key} in {status}");
    }
}

#[tokio::test]
async fn lists_fail_when_the_service_does() {
    let stand = stand().await;
    stand.service.inject(always("", FaultAction::Status(403)));
    for tool in ["list_finetuning_jobs", "list_finetuning_files"] {
        let error = stand.fail(tool, json!({})).await;
        assert_eq!((error["status"].as_u64(), error["code"].as_str()), (Some(403), Some("injected")));
        assert_eq!(error["message"].as_str().unwrap().matches("This failure was asked for").count(), 1, "{error}");
    }
}

#[tokio::test]
async fn empty_lists_are_answers() {
    let stand = with(Emulator::builder().manual_clock().seed(azure_emulator::Seed::Empty), &[]).await;
    let jobs = stand.call("list_finetuning_jobs", json!({})).await;
    assert_eq!(
        (jobs["jobs"].clone(), jobs["count"].clone(), jobs["has_more"].clone()),
        (json!([]), json!(0), json!(false))
    );
    assert_eq!(stand.call("list_finetuning_files", json!({})).await["purpose_filter"], "fine-tune");
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_sent_once() {
    let stand = stand().await;
    stand.service.inject(Fault {
        method: None,
        path: "/fine_tuning/jobs".to_owned(),
        times: 1,
        action: FaultAction::DropAnswer,
    });
    let new = json!({ "model": "gpt-4.1-mini-2025-04-14", "training_file": demo::TRAINING_FILE, "suffix": "once" });
    let error = stand.fail("create_finetuning_job", new).await;
    assert_eq!((error["code"].as_str(), error["retryable"].as_bool()), (Some("ambiguous"), Some(false)));
    assert_eq!(stand.asked(), ["POST /openai/v1/fine_tuning/jobs"]);
    let found = stand.call("find_finetuning_jobs", json!({ "suffix": "once" })).await;
    assert_eq!(found["count"], 1, "it was created");
}

#[tokio::test]
async fn arguments_that_are_not_known_are_errors_with_a_hint() {
    let stand = stand().await;
    let message =
        async |tool: &str, arguments: Value| stand.fail(tool, arguments).await["message"].as_str().unwrap().to_owned();
    assert_eq!(
        message("fetch_finetuning_status", json!({ "jobid": "ftjob-1" })).await,
        "there is no argument `jobid`; did you mean `job_id`?"
    );
    assert_eq!(
        message("list_dynamic_swagger_tools", json!({ "x": 1 })).await,
        "there is no argument `x`; it takes none"
    );
    assert!(message("fetch_finetuning_status", json!({})).await.contains("job_id"));
    assert!(message("list_finetuning_jobs", json!({ "limit": 0 })).await.starts_with("`limit`: "));
    let beta = json!({ "model": "m", "training_file": "f", "beta": 0.1 });
    assert_eq!(
        message("create_finetuning_job", beta).await,
        "`beta` cannot be used: it belongs to the method dpo, and this is supervised"
    );
    let null = stand.call("list_finetuning_jobs", json!({ "limit": null })).await;
    assert_eq!(null["count"], 5, "null is as good as absent");
    assert_eq!(stand.asked(), ["GET /openai/v1/fine_tuning/jobs"]);
}

#[tokio::test]
async fn training_data_is_checked_without_the_service() {
    let stand = stand().await;
    let good = r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#;
    let data = [&[good; 12][..], &["{\"prompt\":1}"]].concat().join("\n");
    let report = stand.call("validate_training_data", json!({ "content": data })).await;
    assert_eq!((report["ok"].clone(), report["examples"].clone()), (json!(false), json!(13)), "{report}");
    assert_eq!(report["problems"][0]["line"], 13, "{report}");
    let dpo = stand.call("validate_training_data", json!({ "content": good, "method": "dpo" })).await;
    assert_eq!(dpo["problems"][0]["line"], 1, "{dpo}");
    assert_eq!(stand.asked(), [""; 0]);
}

#[tokio::test]
async fn local_files_come_from_the_operators_folder_only() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(inside.join("train.jsonl"), "{}\n").unwrap();
    std::fs::write(folder.path().join("secret"), "CANARY").unwrap();
    std::os::unix::fs::symlink(folder.path().join("secret"), inside.join("link")).unwrap();
    let stand = with(Emulator::builder().manual_clock(), &[("FINETUNING_UPLOAD_DIR", inside.to_str().unwrap())]).await;
    let absolute = folder.path().join("secret").to_str().unwrap().to_owned();
    for path in ["../secret", "link", "none", ".", absolute.as_str(), "x/../../secret"] {
        stand.fail("upload_finetuning_file", json!({ "path": path })).await;
    }
    assert_eq!(stand.asked(), [""; 0]);
    let file = stand.call("upload_finetuning_file", json!({ "path": "train.jsonl" })).await;
    assert_eq!(file["filename"], "train.jsonl");
    let without = crate::support::stand().await;
    let error = without.fail("upload_finetuning_file", json!({ "path": "train.jsonl" })).await;
    assert!(error["message"].as_str().unwrap().contains("FINETUNING_UPLOAD_DIR"), "{error}");
}

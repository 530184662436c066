//! Jobs live by virtual time.

use azure_emulator::{Emulator, Seed, demo};
use serde_json::{Value, json};

use crate::support::{MODEL, Service, lines, service, start};

async fn empty() -> Service {
    start(Emulator::builder().seed(Seed::Empty)).await
}

async fn create(service: &Service, file: &str) -> String {
    let (status, job) = service
        .post("/openai/v1/fine_tuning/jobs", json!({ "model": MODEL, "training_file": file, "suffix": "x" }))
        .await;
    assert_eq!((status, job["status"].as_str()), (200, Some("pending")), "{job}");
    job["id"].as_str().unwrap().to_owned()
}

async fn status(service: &Service, id: &str) -> String {
    service.get(&format!("/openai/v1/fine_tuning/jobs/{id}")).await["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_job_goes_from_pending_to_its_results() {
    let service = empty().await;
    let file = service.upload("train.jsonl", lines(10)).await;
    let id = create(&service, &file).await;
    let path = format!("/openai/v1/fine_tuning/jobs/{id}");
    let pending = service.get(&path).await;
    assert_eq!(pending["hyperparameters"]["n_epochs"], -1);
    assert_eq!(pending["result_files"], Value::Null);
    service.wait(30);
    assert_eq!(status(&service, &id).await, "running");
    let running = service.get(&path).await;
    assert_eq!(running["estimated_finish"].as_i64().unwrap() - running["created_at"].as_i64().unwrap(), 330);
    service.wait(105);
    let checkpoints = service.get(&format!("{path}/checkpoints")).await;
    assert_eq!(checkpoints["data"][0]["step_number"], 10);
    service.wait(195);
    let done = service.get(&path).await;
    assert_eq!(done["status"], "succeeded");
    assert_eq!(done["user_provided_suffix"], "x");
    let tuned = done["fine_tuned_model"].as_str().unwrap();
    assert!(tuned.starts_with(&format!("{MODEL}.ft-")) && tuned.ends_with("-x"), "{tuned}");
    let result = done["result_files"][0].as_str().unwrap();
    let (_, csv) = service.ask("GET", &format!("/openai/v1/files/{result}/content")).await;
    let csv = csv.as_str().unwrap();
    assert!(csv.starts_with("step,train_loss,") && csv.lines().count() == 31, "{csv}");
    let models = service.get("/openai/v1/models").await;
    assert!(models["data"].as_array().unwrap().iter().any(|model| model["id"] == tuned));
}

#[tokio::test]
async fn bad_training_data_is_found_when_the_job_starts() {
    let service = empty().await;
    let few = service.upload("few.jsonl", lines(9)).await;
    let id = create(&service, &few).await;
    service.wait(30);
    let failed = service.get(&format!("/openai/v1/fine_tuning/jobs/{id}")).await;
    assert_eq!(failed["status"], "failed");
    assert_eq!(failed["error"]["code"], "jsonlValidationFailed");
    assert_eq!(failed["error"]["message"], "The file has 9 examples; at least 10 are needed.");
    assert_eq!(failed["error"]["param"], "training_file");
}

#[tokio::test]
async fn pausing_resuming_and_cancelling_are_lawful_only_in_their_states() {
    let service = service().await;
    let post = async |id: &str, verb: &str| {
        let (status, answer) = service.ask("POST", &format!("/openai/v1/fine_tuning/jobs/{id}/{verb}")).await;
        (status, answer["status"].as_str().or(answer["error"]["code"].as_str()).unwrap_or_default().to_owned())
    };
    let refused = (400, "unexpectedEntityState".to_owned());
    let is = |status: &str| (200, status.to_owned());
    assert_eq!(post(demo::SUCCEEDED_JOB, "cancel").await, refused);
    assert_eq!(post(demo::PAUSED_JOB, "pause").await, refused);
    assert_eq!(post(demo::RUNNING_JOB, "resume").await, refused);
    assert_eq!(post(demo::RUNNING_JOB, "pause").await, is("pausing"));
    assert_eq!(post(demo::RUNNING_JOB, "cancel").await, refused);
    service.wait(10);
    assert_eq!(status(&service, demo::RUNNING_JOB).await, "paused");
    assert_eq!(post(demo::RUNNING_JOB, "resume").await, is("resuming"));
    service.wait(10);
    assert_eq!(post(demo::RUNNING_JOB, "cancel").await, is("cancelled"));
    assert_eq!(post("ftjob-none", "cancel").await.0, 404);
}

#[tokio::test]
async fn a_resource_takes_so_many_waiting_jobs() {
    let service = empty().await;
    let file = service.upload("train.jsonl", lines(10)).await;
    for _ in 0..20 {
        create(&service, &file).await;
    }
    let (status, refused) =
        service.post("/openai/v1/fine_tuning/jobs", json!({ "model": MODEL, "training_file": file })).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (429, Some("quotaExceeded")));
}

#[tokio::test]
async fn what_cannot_be_tuned_is_refused_at_once() {
    let service = service().await;
    let check = async |body: Value, expected: &str| {
        let (status, answer) = service.post("/openai/v1/fine_tuning/jobs", body).await;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(status == 400 && message.contains(expected), "{status} {answer}");
    };
    let file = demo::TRAINING_FILE;
    check(json!({ "training_file": file }), "model is needed").await;
    check(json!({ "model": "gpt-2", "training_file": file }), "does not support fine-tuning").await;
    check(json!({ "model": MODEL, "training_file": "file-none" }), "there is no file").await;
    check(json!({ "model": MODEL, "training_file": file, "suffix": "a b" }), "suffix").await;
    let method = json!({ "type": "reinforcement", "reinforcement": {} });
    check(json!({ "model": MODEL, "training_file": file, "method": method }), "needs a validation_file").await;
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_overlap() {
    let service = service().await;
    let path = format!("/openai/v1/fine_tuning/jobs/{}/events", demo::SUCCEEDED_JOB);
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = service.get(&format!("{path}?limit=20{after}")).await;
        let data = page["data"].as_array().unwrap();
        seen.extend(data.iter().map(|event| event["id"].as_str().unwrap().to_owned()));
        if page["has_more"] == false {
            break;
        }
        after = format!("&after={}", seen.last().unwrap());
    }
    let mut unique = seen.clone();
    unique.sort();
    unique.dedup();
    assert_eq!((seen.len(), unique.len()), (45, 45));
    let (status, _) = service.ask("GET", &format!("{path}?after=ftevent-none")).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn the_demo_has_a_job_in_each_state() {
    let service = service().await;
    let jobs = service.get("/openai/v1/fine_tuning/jobs").await;
    let mut states: Vec<_> =
        jobs["data"].as_array().unwrap().iter().map(|job| job["status"].as_str().unwrap()).collect();
    states.sort_unstable();
    assert_eq!(states, ["cancelled", "failed", "paused", "running", "succeeded"]);
    let checkpoints = service.get(&format!("/openai/v1/fine_tuning/jobs/{}/checkpoints", demo::SUCCEEDED_JOB)).await;
    assert_eq!(checkpoints["data"].as_array().unwrap().len(), 3);
    assert_eq!(service.get("/openai/v1/files").await["data"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn copies_of_checkpoints_take_their_time() {
    let service = service().await;
    let jobs = format!("/openai/v1/fine_tuning/jobs/{}", demo::SUCCEEDED_JOB);
    let checkpoint = service.get(&format!("{jobs}/checkpoints")).await["data"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("{jobs}/checkpoints/{checkpoint}/copy");
    let body = json!({ "destinationResourceId": "/subscriptions/0/accounts/dst", "region": "swedencentral" });
    assert_eq!(service.post(&path, body.clone()).await.0, 400, "the header is missing");
    let copy = async |method: &str| {
        let request = service.request(method, &path).header("aoai-copy-ft-checkpoints", "preview");
        let (status, answer) = crate::support::answer(request.body(body.to_string())).await;
        assert_eq!(status, 200, "{answer}");
        answer["copiedAccountDetails"][0]["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(copy("POST").await, "InProgress");
    service.wait(20);
    assert_eq!(copy("GET").await, "Completed");
}

#[tokio::test]
async fn a_job_that_is_deleted_leaves_the_past_as_it_was() {
    let service = empty().await;
    let file = service.upload("train.jsonl", lines(10)).await;
    let (first, second, third) =
        (create(&service, &file).await, create(&service, &file).await, create(&service, &file).await);
    // Each takes 300 s: the second runs from 330 on.
    service.wait(400);
    let path = format!("/openai/v1/fine_tuning/jobs/{second}");
    let before = service.get(&path).await;
    assert_eq!((before["status"].as_str(), status(&service, &first).await.as_str()), (Some("running"), "succeeded"));
    let dated = format!("/openai/fine_tuning/jobs/{first}?api-version=2024-10-21");
    assert_eq!(service.ask("DELETE", &dated).await.0, 204);
    assert_eq!(service.get(&path).await, before);
    service.wait(231);
    assert_eq!(status(&service, &second).await, "succeeded");
    assert_eq!(status(&service, &third).await, "running");
}

#[tokio::test]
async fn time_has_no_end() {
    let service = service().await;
    service.running.advance(std::time::Duration::MAX);
    service.running.advance(std::time::Duration::MAX);
    assert_eq!(status(&service, demo::RUNNING_JOB).await, "succeeded");
    let job = json!({ "model": MODEL, "training_file": demo::TRAINING_FILE });
    assert_eq!(service.post("/openai/v1/fine_tuning/jobs", job).await.0, 200);
    let upload = json!({ "filename": "a", "purpose": "fine-tune", "bytes": 1, "mime_type": "application/jsonl" });
    let (began, upload) = service.post("/openai/v1/uploads", upload).await;
    assert_eq!(began, 200);
    let cancel = format!("/openai/v1/uploads/{}/cancel", upload["id"].as_str().unwrap());
    assert_eq!(service.ask("POST", &cancel).await.0, 400, "at the end of time nothing lasts");
    for path in ["files", "models", "fine_tuning/jobs"] {
        service.get(&format!("/openai/v1/{path}")).await;
    }
    service.running.reset();
    service.get("/openai/v1/fine_tuning/jobs").await;
}

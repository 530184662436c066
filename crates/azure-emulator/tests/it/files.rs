//! Files and uploads in parts.

use azure_emulator::{Emulator, Seed, demo};
use serde_json::json;

use crate::support::{answer, lines, service, start};

#[tokio::test]
async fn a_file_comes_back_as_it_was_sent_from_memory_and_from_disk() {
    let folder = tempfile::tempdir().unwrap();
    for builder in [Emulator::builder(), Emulator::builder().directory(folder.path())] {
        let service = start(builder.seed(Seed::Empty)).await;
        let text = lines(1_000);
        let id = service.upload("train.jsonl", text.clone()).await;
        let path = format!("/openai/v1/files/{id}");
        assert_eq!(service.get(&path).await["status"], "pending");
        service.wait(2);
        let file = service.get(&path).await;
        assert_eq!(file["status"], "processed");
        assert_eq!(file["bytes"], text.len());
        assert_eq!(
            service.request("GET", &format!("{path}/content")).send().await.unwrap().text().await.unwrap(),
            text
        );
        assert_eq!(service.ask("DELETE", &path).await, (200, json!({ "id": id, "object": "file", "deleted": true })));
        assert_eq!(service.ask("GET", &path).await.0, 404);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left on disk");
}

#[tokio::test]
async fn memory_is_bounded() {
    let service = start(Emulator::builder().seed(Seed::Empty)).await;
    let part = || reqwest::multipart::Part::bytes(vec![b'x'; 40 << 20]).file_name("large");
    let form = || reqwest::multipart::Form::new().text("purpose", "batch").part("file", part());
    let send = async || answer(service.request("POST", "/openai/v1/files").multipart(form())).await;
    assert_eq!(send().await.0, 200);
    let (status, refused) = send().await;
    assert_eq!((status, refused["error"]["code"].as_str()), (429, Some("quotaExceeded")));
}

#[tokio::test]
async fn parts_are_put_together_in_the_order_named() {
    let service = service().await;
    let begin = json!({ "filename": "a.jsonl", "purpose": "batch", "bytes": 6, "mime_type": "application/jsonl" });
    let (_, upload) = service.post("/openai/v1/uploads", begin).await;
    let path = format!("/openai/v1/uploads/{}", upload["id"].as_str().unwrap());
    let mut parts = Vec::new();
    for text in ["abc", "def"] {
        let part = reqwest::multipart::Part::text(text).file_name("data");
        let form = reqwest::multipart::Form::new().part("data", part);
        let (_, part) = answer(service.request("POST", &format!("{path}/parts")).multipart(form)).await;
        parts.push(part["id"].clone());
    }
    let (status, _) = service.post(&format!("{path}/complete"), json!({ "part_ids": [parts[0]] })).await;
    assert_eq!(status, 400, "three bytes are missing");
    let (_, done) = service.post(&format!("{path}/complete"), json!({ "part_ids": [parts[1], parts[0]] })).await;
    let file = done["file"]["id"].as_str().unwrap();
    let (_, content) = service.ask("GET", &format!("/openai/v1/files/{file}/content")).await;
    assert_eq!(content, "defabc");
    assert_eq!(service.ask("POST", &format!("{path}/cancel")).await.0, 400, "it is completed");
}

#[tokio::test]
async fn import_fetches_nothing_and_is_only_on_the_dated_surface() {
    let service = service().await;
    let body = json!({ "purpose": "fine-tune", "filename": "i.jsonl", "content_url": "https://example.invalid/i" });
    assert_eq!(service.post("/openai/v1/files/import", body.clone()).await.0, 404);
    let (status, file) = service.post("/openai/files/import?api-version=2024-10-21", body).await;
    assert_eq!((status, file["filename"].as_str()), (201, Some("i.jsonl")));
}

#[tokio::test]
async fn lists_can_be_of_one_purpose() {
    let service = service().await;
    let files = service.get("/openai/v1/files?purpose=fine-tune-results").await;
    assert_eq!(files["data"].as_array().unwrap().len(), 1);
    let first = service.get("/openai/v1/files?purpose=fine-tune&order=asc").await["data"][0]["id"].clone();
    assert_eq!(first, demo::TRAINING_FILE);
}

#[tokio::test]
async fn an_upload_completed_twice_at_once_is_one_file() {
    let service = start(Emulator::builder().seed(Seed::Empty)).await;
    let text = lines(2_000);
    let begin =
        json!({ "filename": "a.jsonl", "purpose": "fine-tune", "bytes": text.len(), "mime_type": "text/plain" });
    let (_, upload) = service.post("/openai/v1/uploads", begin).await;
    let path = format!("/openai/v1/uploads/{}", upload["id"].as_str().unwrap());
    let form = reqwest::multipart::Form::new().part("data", reqwest::multipart::Part::text(text).file_name("data"));
    let (_, part) = answer(service.request("POST", &format!("{path}/parts")).multipart(form)).await;
    let complete = async |part: &serde_json::Value| {
        service.post(&format!("{path}/complete"), json!({ "part_ids": [part] })).await.0
    };
    assert_eq!(complete(&json!("none")).await, 400, "what failed can be done again");
    let part = &part["id"];
    let (one, two, three) = tokio::join!(complete(part), complete(part), complete(part));
    let mut statuses = [one, two, three];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400, 400]);
    assert_eq!(service.get("/openai/v1/files").await["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_in_the_services_envelope() {
    let service = service().await;
    let large = service.request("POST", "/openai/v1/fine_tuning/jobs").body(vec![b'x'; (2 << 20) + 1]);
    let no_form = || service.request("POST", "/openai/v1/files").header("content-type", "application/json").body("{}");
    let control = |body: &'static str| {
        let request = service.request("POST", "/__emulator/clock").header("content-type", "application/json");
        request.header("x-emulator-token", service.running.control_token()).body(body)
    };
    let method = service.request("PUT", "/openai/v1/files");
    for (request, expected) in [
        (large, (413, "invalidPayload")),
        (no_form(), (400, "invalidPayload")),
        (control("{"), (400, "invalidPayload")),
        (control(r#"{"advance_s":"x"}"#), (422, "invalidPayload")),
        (method, (405, "405")),
    ] {
        let (status, refused) = answer(request).await;
        assert_eq!((status, refused["error"]["code"].as_str()), (expected.0, Some(expected.1)), "{refused}");
        assert!(!refused["error"]["message"].as_str().unwrap().is_empty(), "{refused}");
    }
}

#[tokio::test]
async fn the_journal_is_bounded_in_bytes() {
    let service = service().await;
    let long = "x".repeat(60_000);
    for _ in 0..320 {
        service.request("GET", &format!("/openai/v1/models?{long}")).send().await.unwrap();
    }
    let journal = service.running.journal();
    assert!(journal.len() < 320 && journal.len() > 200, "{}", journal.len());
    assert_eq!(journal.last().unwrap().status, Some(200));
}

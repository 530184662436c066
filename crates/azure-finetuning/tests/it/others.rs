//! Every operation on models, checkpoint copies, graders and uploads: what leaves, and what is made of the answer.

use std::time::Duration;

use azure_finetuning::{
    Client, CopyState, Error, FilePurpose, Grader, HttpMethod, RawRequest, StringOperation, TransportError, UnixTime,
    UploadStatus,
};
use futures_util::TryStreamExt as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wiremock::MockServer;

use crate::support::{answers, body, client, dated, header, json, lines, requests, serve};

const COPY: &str = include_str!("../data/checkpoint_copy.json");

#[tokio::test]
async fn models_are_listed_and_looked_at() {
    let server = MockServer::start().await;
    let list = r#"{"object":"list","data":[{"id":"gpt-4.1","created":5,"object":"model","owned_by":"system"}]}"#;
    let one = r#"{"id":"gpt-4.1.ft-1:ckpt-step-2","created_at":7,"status":"succeeded","lifecycle_status":"preview"}"#;
    answers(&server, vec![json(200, list), json(200, one)]).await;
    let models: Vec<_> = client(&server).models().list().stream().try_collect().await.unwrap();
    assert_eq!(models[0].created_at(), Some(UnixTime(5)));
    let id = "gpt-4.1.ft-1:ckpt-step-2".parse().unwrap();
    let model = dated(&server, "2024-10-21").models().get(&id).await.unwrap();
    assert_eq!(model.created_at(), Some(UnixTime(7)));
    assert_eq!(model.extra["lifecycle_status"], json!("preview"));
    let expected = ["GET /openai/v1/models", "GET /openai/models/gpt-4.1.ft-1:ckpt-step-2?api-version=2024-10-21"];
    assert_eq!(lines(&server).await, expected);
}

#[tokio::test]
async fn a_checkpoint_is_copied() {
    let server = MockServer::start().await;
    serve(&server, 202, COPY).await;
    let (job, checkpoint) = ("ftjob-1".parse().unwrap(), "ftchkpt-1".parse().unwrap());
    let checkpoints = client(&server).checkpoints();
    let copy = checkpoints.copy(&job, &checkpoint, "/subscriptions/0/accounts/dst", "swedencentral").await.unwrap();
    assert_eq!(copy.copied_account_details[0].status, CopyState::InProgress);
    checkpoints.copy_status(&job, &checkpoint).await.unwrap();
    let path = "/openai/v1/fine_tuning/jobs/ftjob-1/checkpoints/ftchkpt-1/copy";
    assert_eq!(lines(&server).await, [format!("POST {path}"), format!("GET {path}")]);
    let sent = requests(&server).await;
    let expected = json!({"destinationResourceId": "/subscriptions/0/accounts/dst", "region": "swedencentral"});
    assert_eq!(body(&sent[0]), expected);
    for request in &sent {
        assert_eq!(header(request, "aoai-copy-ft-checkpoints"), Some("preview"));
        assert_eq!(header(request, "accept"), Some("application/json"));
    }
}

#[tokio::test]
async fn graders_are_tried_out() {
    let server = MockServer::start().await;
    let grade = r#"{"reward":0.5,"metadata":{"name":"c","type":"string_check","execution_time":0.1,"scores":{},"errors":{"other_error":true}},"sub_rewards":{}}"#;
    let grader = Grader::string_check("c", "a", "b", StringOperation::Equal);
    let valid = json!({ "grader": grader }).to_string();
    answers(&server, vec![json(200, grade), json(500, ""), json(200, &valid), json(500, "")]).await;
    let graders = client(&server).graders();
    let graded = graders.run(&grader, "the answer", Some(&json!({"x": 1}))).await.unwrap();
    assert_eq!(graded.reward, Some(0.5));
    assert_eq!(graded.metadata.unwrap().errors.unwrap()["other_error"], json!(true));
    // Validating costs nothing and is repeated; grading is not.
    assert_eq!(&graders.validate(&grader).await.unwrap(), grader.as_json());
    assert!(matches!(graders.run(&grader, "", None).await, Err(Error::Ambiguous { .. })));
    let (run, validate) =
        ("POST /openai/v1/fine_tuning/alpha/graders/run", "POST /openai/v1/fine_tuning/alpha/graders/validate");
    assert_eq!(lines(&server).await, [run, validate, validate, run]);
    let sent = requests(&server).await;
    assert_eq!(body(&sent[0]), json!({"grader": grader, "model_sample": "the answer", "item": {"x": 1}}));
    assert_eq!(body(&sent[1]), json!({"grader": grader}));
}

#[tokio::test]
async fn nothing_leaves_for_what_dated_versions_lack() {
    let server = MockServer::start().await;
    let client = dated(&server, "2025-04-01-preview");
    let (job, checkpoint) = ("ftjob-1".parse().unwrap(), "ftchkpt-1".parse().unwrap());
    let grader = Grader::string_check("c", "a", "b", StringOperation::Equal);
    let errors = [
        client.checkpoints().copy(&job, &checkpoint, "d", "r").await.unwrap_err(),
        client.checkpoints().copy_status(&job, &checkpoint).await.unwrap_err(),
        client.graders().run(&grader, "s", None).await.unwrap_err(),
        client.graders().validate(&grader).await.unwrap_err(),
    ];
    assert!(errors.iter().all(|error| matches!(error, Error::Unsupported { .. })), "{errors:?}");
    assert_eq!(lines(&server).await, [""; 0]);
}

#[tokio::test]
async fn a_large_file_is_uploaded_in_parts() {
    let server = MockServer::start().await;
    let upload = |status: &str| {
        json(200, &json!({"id": "upload_1", "object": "upload", "status": status, "expires_at": 9}).to_string())
    };
    let part = |id: &str| json(200, &json!({"id": id, "object": "upload.part", "upload_id": "upload_1"}).to_string());
    let whole = json!({"id": "upload_1", "status": "completed", "file": {"id": "file-1", "bytes": 4}}).to_string();
    answers(&server, vec![upload("pending"), part("part_1"), part("part_2"), json(200, &whole), upload("cancelled")])
        .await;
    let uploads = client(&server).uploads();
    let begun = uploads.create("a.jsonl", FilePurpose::FineTune, 4).await.unwrap();
    assert_eq!(begun.status, Some(UploadStatus::Pending));
    let first = uploads.add_part(&begun.id, "ab").await.unwrap();
    let second = uploads.add_part(&begun.id, "cd").await.unwrap();
    let done = uploads.complete(&begun.id, &[first.id, second.id]).await.unwrap();
    assert_eq!(done.file.unwrap().id.as_str(), "file-1");
    uploads.cancel(&begun.id).await.unwrap();
    let expected = [
        "POST /openai/v1/uploads",
        "POST /openai/v1/uploads/upload_1/parts",
        "POST /openai/v1/uploads/upload_1/parts",
        "POST /openai/v1/uploads/upload_1/complete",
        "POST /openai/v1/uploads/upload_1/cancel",
    ];
    assert_eq!(lines(&server).await, expected);
    let sent = requests(&server).await;
    let begin = json!({"filename": "a.jsonl", "purpose": "fine-tune", "bytes": 4, "mime_type": "application/jsonl"});
    assert_eq!(body(&sent[0]), begin);
    let form = String::from_utf8(sent[2].body.clone()).unwrap();
    assert!(
        form.contains("form-data; name=\"data\"; filename=\"data\"") && form.contains("\r\n\r\ncd\r\n--"),
        "{form}"
    );
    assert_eq!(body(&sent[3]), json!({"part_ids": ["part_1", "part_2"]}));
}

fn raw(method: HttpMethod, path: &[&str]) -> RawRequest {
    let path = path.iter().map(|segment| (*segment).to_owned()).collect();
    RawRequest { method, path, query: Vec::new(), body: None }
}

#[tokio::test]
async fn a_raw_request_stays_where_its_path_says() {
    let server = MockServer::start().await;
    serve(&server, 200, "{}").await;
    let client = client(&server);
    // A URL loses tabs and line breaks before it looks for `..`.
    for segment in ["", ".", "..", ".\t.", "\n..", "..\r", "\t", "a\u{0}b"] {
        let refused = client.raw(raw(HttpMethod::GET, &["openai", "files", "file-1", segment, "content"])).await;
        assert!(matches!(refused, Err(Error::InvalidId(_))), "{segment:?}: {refused:?}");
    }
    assert_eq!(lines(&server).await, [""; 0]);
    for (segment, expected) in [("a/b", "a%2Fb"), ("%2e%2e", "%252e%252e"), ("..\\x", "..%5Cx"), ("?x#y", "%3Fx%23y")] {
        client.raw(raw(HttpMethod::GET, &["openai", segment])).await.unwrap();
        assert_eq!(lines(&server).await.pop().unwrap(), format!("GET /openai/{expected}"));
    }
}

#[tokio::test]
async fn a_raw_answer_has_its_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        assert!(socket.read(&mut [0; 4096]).await.unwrap() > 0);
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await.unwrap();
        std::future::pending::<()>().await;
    });
    let builder = Client::builder().endpoint(endpoint).api_key("k".to_owned().into());
    let client = builder.request_timeout(Duration::from_millis(200)).build().unwrap();
    // Far shorter than what a download may be silent for.
    let answered = client.raw(raw(HttpMethod::GET, &["openai"]));
    let error = tokio::time::timeout(Duration::from_secs(20), answered).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Transport { source: TransportError::TimedOut(_), .. }), "{error:?}");
    server.abort();
}

//! Every operation on files: what leaves, byte for byte where it matters, and what is made of the answer.

use std::io::Write as _;
use std::time::Duration;

use azure_finetuning::{Error, FilePurpose};
use futures_util::TryStreamExt as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wiremock::{MockServer, Request, ResponseTemplate};

use crate::support::{answers, body, builder, client, dated, header, json, lines, requests, serve};

const FILE: &str = include_str!("../data/file.json");

/// Whether the request is a form with this file, whole and under this name.
#[track_caller]
fn carries(request: &Request, name: &str, content: &[u8]) {
    let boundary = header(request, "content-type").unwrap().split("boundary=").nth(1).unwrap();
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nfine-tune\r\n--{boundary}\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    let expected = [head.as_bytes(), content, format!("\r\n--{boundary}--\r\n").as_bytes()].concat();
    assert!(request.body == expected, "{}", String::from_utf8_lossy(&request.body[..600.min(request.body.len())]));
    assert_eq!(header(request, "content-length"), Some(&*expected.len().to_string()));
}

#[tokio::test]
async fn bytes_are_uploaded() {
    let server = MockServer::start().await;
    answers(&server, vec![json(201, FILE)]).await;
    let content = b"{\"messages\":[]}\n".repeat(20_000);
    let file = client(&server).files().upload_bytes("train.jsonl", content.clone(), FilePurpose::FineTune).await;
    assert_eq!(file.unwrap().bytes, Some(20480));
    assert_eq!(lines(&server).await, ["POST /openai/v1/files"]);
    carries(&requests(&server).await[0], "train.jsonl", &content);
}

#[tokio::test]
async fn a_file_is_uploaded_and_again_after_it_was_throttled() {
    let server = MockServer::start().await;
    answers(&server, vec![ResponseTemplate::new(429).insert_header("retry-after", "0"), json(200, FILE)]).await;
    let content = b"line\n".repeat(50_000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.jsonl");
    std::fs::File::create(&path).unwrap().write_all(&content).unwrap();
    let (files, bytes) = (client(&server).files(), std::sync::Arc::default());
    files.upload_counted(&path, FilePurpose::FineTune, std::sync::Arc::clone(&bytes)).await.unwrap();
    assert_eq!(bytes.load(std::sync::atomic::Ordering::Relaxed), content.len() as u64, "of the last attempt");
    let sent = requests(&server).await;
    assert_eq!(sent.len(), 2);
    carries(&sent[0], "data.jsonl", &content);
    carries(&sent[1], "data.jsonl", &content);
}

#[tokio::test]
async fn nothing_leaves_for_a_file_that_is_not_there() {
    let server = MockServer::start().await;
    let files = client(&server).files();
    for path in ["/nowhere/at-all", "/"] {
        let error = files.upload(path, FilePurpose::FineTune).await.unwrap_err();
        assert!(matches!(error, Error::Io { operation: "files.upload", .. }), "{error:?}");
    }
    assert_eq!(lines(&server).await, [""; 0]);
}

#[cfg(unix)]
#[tokio::test]
async fn only_regular_files_are_uploaded() {
    let server = MockServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (files, uploads) = (client(&server).files(), client(&server).uploads());
    for path in [folder.path(), std::path::Path::new("/dev/zero")] {
        let at_once = tokio::time::timeout(Duration::from_secs(20), files.upload(path, FilePurpose::FineTune));
        let error = at_once.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Io { operation: "files.upload", .. }), "{error:?}");
        let error = uploads.upload(path, FilePurpose::FineTune, std::num::NonZeroU32::MIN).await.unwrap_err();
        assert!(matches!(error, Error::Io { operation: "uploads.upload", .. }), "{error:?}");
    }
    assert_eq!(lines(&server).await, [""; 0]);
}

#[tokio::test]
async fn a_name_writes_no_headers() {
    let server = MockServer::start().await;
    serve(&server, 200, FILE).await;
    let files = client(&server).files();
    for name in ["a\r\nContent-Type: text/html\r\n\r\nb", "a\nb", "a\u{0}b"] {
        let error = files.upload_bytes(name, "x", FilePurpose::FineTune).await.unwrap_err();
        assert!(matches!(error, Error::Io { operation: "files.upload", .. }), "{error:?}");
    }
    assert_eq!(lines(&server).await, [""; 0]);
    files.upload_bytes("a\"; name=\"b", "x", FilePurpose::FineTune).await.unwrap();
    carries(&requests(&server).await[0], r#"a\"; name=\"b"#, b"x");
}

#[tokio::test]
async fn an_upload_without_an_answer_is_ambiguous_and_sent_once() {
    let server = MockServer::start().await;
    serve(&server, 502, "<html>bad gateway</html>").await;
    let error = client(&server).files().upload_bytes("a", "b", FilePurpose::FineTune).await.unwrap_err();
    assert!(matches!(error, Error::Ambiguous { operation: "files.upload", .. }), "{error:?}");
    assert_eq!(lines(&server).await.len(), 1);
}

#[tokio::test]
async fn a_file_is_imported_on_dated_versions_only() {
    let server = MockServer::start().await;
    serve(&server, 201, FILE).await;
    let import = async |client: azure_finetuning::Client| {
        client.files().import("a.jsonl", "https://blob.example/a?sig=x", FilePurpose::FineTune).await
    };
    let error = import(client(&server)).await.unwrap_err();
    assert_eq!(error.to_string(), "`files.import` does not exist on API surface `v1`");
    import(dated(&server, "2024-10-21")).await.unwrap();
    assert_eq!(lines(&server).await, ["POST /openai/files/import?api-version=2024-10-21"]);
    let expected =
        json!({"purpose": "fine-tune", "filename": "a.jsonl", "content_url": "https://blob.example/a?sig=x"});
    assert_eq!(body(&requests(&server).await[0]), expected);
}

#[tokio::test]
async fn files_are_listed_looked_at_and_deleted() {
    let server = MockServer::start().await;
    let list = format!(r#"{{"object":"list","data":[{FILE}]}}"#);
    let deleted = r#"{"id":"file-1","object":"file","deleted":true}"#;
    answers(&server, vec![json(200, &list), json(200, FILE), json(200, deleted), ResponseTemplate::new(204)]).await;
    let (files, id) = (client(&server).files(), "file-1".parse().unwrap());
    let listed: Vec<_> = files.list(Some(FilePurpose::FineTune)).stream().try_collect().await.unwrap();
    assert_eq!(listed[0].filename.as_deref(), Some("train.jsonl"));
    files.get(&id).await.unwrap();
    assert_eq!(files.delete(&id).await.unwrap().deleted, Some(true));
    assert_eq!(files.delete(&id).await.unwrap().deleted, None);
    let expected = [
        "GET /openai/v1/files?purpose=fine-tune",
        "GET /openai/v1/files/file-1",
        "DELETE /openai/v1/files/file-1",
        "DELETE /openai/v1/files/file-1",
    ];
    assert_eq!(lines(&server).await, expected);
}

#[tokio::test]
async fn content_comes_as_a_stream() {
    let server = MockServer::start().await;
    let content = b"0123456789".repeat(10_000);
    answers(&server, vec![ResponseTemplate::new(200).set_body_bytes(content.clone())]).await;
    let (files, id) = (client(&server).files(), "file-1".parse().unwrap());
    let found = files.content(&id).await.unwrap();
    assert_eq!(found.length(), Some(100_000));
    let chunks: Vec<_> = found.into_stream().try_collect().await.unwrap();
    assert_eq!(chunks.concat(), content);
    assert_eq!(files.content(&id).await.unwrap().bytes(100_000).await.unwrap(), content);
    let error = files.content(&id).await.unwrap().bytes(99_999).await.unwrap_err();
    assert_eq!(error.to_string(), "`files.content` was answered with more than 99999 bytes");
    assert_eq!(lines(&server).await[0], "GET /openai/v1/files/file-1/content");
}

#[tokio::test]
async fn content_that_is_not_there_is_an_api_error() {
    let server = MockServer::start().await;
    serve(&server, 404, r#"{"error":{"code":"notFound","message":"The resource is not found."}}"#).await;
    let error = client(&server).files().content(&"file-1".parse().unwrap()).await.unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.api().unwrap().code.as_deref(), Some("notFound"));
}

/// Answers with the head of a longer body, then keeps silent or hangs up.
async fn broken_download(hangs_up: bool) -> Error {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await.unwrap();
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await.unwrap();
        if !hangs_up {
            std::future::pending::<()>().await;
        }
    });
    let unused = MockServer::start().await;
    let client = builder(&unused).endpoint(format!("http://{address}")).idle_timeout(Duration::from_millis(50));
    let content = client.build().unwrap().files().content(&"file-1".parse().unwrap()).await.unwrap();
    let error = content.bytes(1000).await.unwrap_err();
    server.abort();
    error
}

#[tokio::test]
async fn a_download_that_stops_is_an_error() {
    let source = |error: Error| std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source(broken_download(true).await), "the connection broke");
    assert_eq!(source(broken_download(false).await), "nothing came for 0.05 s");
}

#[tokio::test]
async fn a_download_of_unknown_length_is_bounded_too() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await.unwrap();
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n";
        socket.write_all(chunked).await.unwrap();
    });
    let client = builder(&MockServer::start().await).endpoint(url).build().unwrap();
    let content = client.files().content(&"file-1".parse().unwrap()).await.unwrap();
    assert_eq!(content.length(), None);
    let error = content.bytes(9).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 9, .. }), "{error:?}");
    server.await.unwrap();
}

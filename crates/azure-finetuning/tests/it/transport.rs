//! What is repeated and what never is, what errors tell, and what leaves the process in no case.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use azure_finetuning::{
    CheckpointId, Client, CreateJob, Error, FileId, JobId, ModelId, PartId, Supervised, TransportError, UploadId,
};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use wiremock::{MockServer, ResponseTemplate};

use crate::support::{KEY, answers, builder, client, json, lines, quick, serve};

const JOB: &str = include_str!("../data/job_pending.json");
const THROTTLED: &str = include_str!("../data/error_throttled.json");

fn id() -> JobId {
    "ftjob-1".parse().unwrap()
}

fn create() -> CreateJob {
    CreateJob::supervised("gpt-4.1-mini".parse().unwrap(), "file-1".parse().unwrap(), Supervised::new())
}

fn throttled(headers: &[(&str, &str)]) -> ResponseTemplate {
    headers.iter().fold(json(429, THROTTLED), |answer, (name, value)| answer.insert_header(*name, *value))
}

#[tokio::test]
async fn every_form_of_throttling_is_waited_for() {
    let past = "Sun, 06 Nov 1994 08:49:37 GMT";
    let forms: [&[(&str, &str)]; 6] = [
        &[],
        &[("retry-after", "0")],
        &[("retry-after", past)],
        &[("retry-after-ms", "1"), ("retry-after", "86400")],
        &[("x-ms-retry-after-ms", "1"), ("retry-after", "86400")],
        &[("retry-after", "soon")],
    ];
    for form in forms {
        let server = MockServer::start().await;
        answers(&server, vec![throttled(form), throttled(form), json(200, JOB)]).await;
        client(&server).jobs().create(&create()).await.unwrap();
        assert_eq!(lines(&server).await.len(), 3, "{form:?}");
    }
}

#[tokio::test]
async fn a_day_is_not_waited_for() {
    for form in [&[("retry-after", "86400")], &[("retry-after-ms", "86400000")]] {
        let server = MockServer::start().await;
        answers(&server, vec![throttled(form)]).await;
        let error = client(&server).jobs().get(&id()).await.unwrap_err();
        let api = error.api().unwrap();
        assert_eq!((api.retry_after, api.attempts), (Some(Duration::from_secs(86_400)), 1));
        assert!(api.is_rate_limited() && error.is_retryable());
    }
}

/// How often a request leaves that is always answered so, and what becomes of it.
async fn outcome(create_it: bool, status: u16, retry_after: Option<&str>) -> (usize, &'static str) {
    let server = MockServer::start().await;
    let answer = json(status, r#"{"error":{"code":"c","message":"m"}}"#);
    let answer = retry_after.into_iter().fold(answer, |answer, value| answer.insert_header("retry-after", value));
    answers(&server, vec![answer]).await;
    let jobs = client(&server).jobs();
    let error = if create_it { jobs.create(&create()).await } else { jobs.get(&id()).await }.unwrap_err();
    let attempts = lines(&server).await.len();
    assert_eq!(error.api().unwrap().status, status);
    assert_eq!(error.api().unwrap().attempts as usize, attempts);
    let kind = match (matches!(error, Error::Ambiguous { .. }), error.is_retryable()) {
        (false, true) => "later",
        (false, false) => "no",
        (true, false) => "ambiguous",
        (true, true) => panic!("{error:?}"),
    };
    (attempts, kind)
}

#[tokio::test]
async fn what_is_repeated_and_what_is_not() {
    for status in [408, 429, 500, 502, 503, 504] {
        assert_eq!(outcome(false, status, None).await, (5, "later"), "{status}");
    }
    for status in [400, 401, 403, 404, 409, 501] {
        assert_eq!(outcome(false, status, None).await, (1, "no"), "{status}");
        assert_eq!(outcome(true, status, None).await, (1, "no"), "{status}");
    }
    assert_eq!(outcome(true, 429, None).await, (5, "later"));
    assert_eq!(outcome(true, 503, Some("0")).await, (5, "later"));
    for status in [408, 500, 502, 503, 504, 507, 520, 524, 529] {
        assert_eq!(outcome(true, status, None).await, (1, "ambiguous"), "{status}");
    }
}

/// Reads requests and hangs up; says how many there were.
async fn hang_up(listener: TcpListener, count: Arc<Mutex<u32>>) {
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        if socket.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {
            *count.lock().unwrap() += 1;
        }
    }
}

#[tokio::test]
async fn a_cut_connection_is_repeated_for_reads_and_never_for_a_create() {
    for (create_it, expected) in [(false, 5), (true, 1)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let count = Arc::new(Mutex::new(0));
        let server = tokio::spawn(hang_up(listener, count.clone()));
        let client =
            Client::builder().endpoint(endpoint).api_key(KEY.to_owned().into()).retry(quick()).build().unwrap();
        let jobs = client.jobs();
        let error = if create_it { jobs.create(&create()).await } else { jobs.get(&id()).await }.unwrap_err();
        server.abort();
        assert_eq!(*count.lock().unwrap(), expected);
        assert_eq!(matches!(error, Error::Ambiguous { .. }), create_it, "{error:?}");
        assert_eq!(error.is_retryable(), !create_it);
    }
}

#[tokio::test]
async fn a_create_that_never_left_is_not_ambiguous() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::builder().endpoint(endpoint).api_key(KEY.to_owned().into()).retry(quick()).build().unwrap();
    let error = client.jobs().create(&create()).await.unwrap_err();
    assert!(matches!(error, Error::Transport { attempts: 5, source: TransportError::Connect(_), .. }), "{error:?}");
}

#[tokio::test]
async fn an_unintelligible_answer() {
    let server = MockServer::start().await;
    answers(&server, vec![json(200, "{\"id\":").insert_header("apim-request-id", "6f0c")]).await;
    let jobs = client(&server).jobs();
    let error = jobs.get(&id()).await.unwrap_err();
    assert_eq!(error.to_string(), "`jobs.get` was answered unintelligibly: `{\"id\":`");
    assert!(matches!(&error, Error::Decode { request_id: Some(id), .. } if id == "6f0c"));
    assert!(!error.is_retryable());
    let error = jobs.create(&create()).await.unwrap_err();
    assert!(matches!(error, Error::Ambiguous { .. }), "{error:?}");
    assert_eq!(lines(&server).await.len(), 2);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (server, elsewhere) = (MockServer::start().await, MockServer::start().await);
    serve(&elsewhere, 200, JOB).await;
    answers(&server, vec![ResponseTemplate::new(307).insert_header("location", elsewhere.uri())]).await;
    let error = client(&server).jobs().get(&id()).await.unwrap_err();
    assert_eq!(error.api().unwrap().status, 307);
    assert_eq!(lines(&elsewhere).await, [""; 0]);
}

#[tokio::test]
async fn an_error_tells_all_there_is() {
    let server = MockServer::start().await;
    let answer = json(400, include_str!("../data/error_dated.json"))
        .insert_header("apim-request-id", "6f0c")
        .insert_header("x-ms-client-request-id", "mine")
        .insert_header("x-ms-region", "Sweden Central");
    answers(&server, vec![answer]).await;
    let error = client(&server).jobs().get(&id()).await.unwrap_err();
    let expected =
        "`jobs.get` was answered 400 `unexpectedEntityState`: The job is already in a terminal state. (request 6f0c)";
    assert_eq!(error.to_string(), expected);
    let api = error.api().unwrap();
    assert_eq!(api.inner, ["invalidPayload"]);
    assert_eq!((api.client_request_id.as_deref(), api.region.as_deref()), (Some("mine"), Some("Sweden Central")));
}

#[tokio::test]
async fn a_slow_service_is_given_up() {
    let server = MockServer::start().await;
    answers(&server, vec![json(200, JOB).set_delay(Duration::from_secs(600))]).await;
    let client = builder(&server).request_timeout(Duration::from_millis(30)).build().unwrap();
    let error = client.jobs().get(&id()).await.unwrap_err();
    assert!(matches!(error, Error::Transport { attempts: 5, source: TransportError::TimedOut(_), .. }), "{error:?}");
    let error = client.jobs().create(&create()).await.unwrap_err();
    assert!(matches!(error, Error::Ambiguous { .. }), "{error:?}");
}

#[tokio::test]
async fn the_deadline_is_for_all_attempts_together() {
    let server = MockServer::start().await;
    answers(&server, vec![throttled(&[("retry-after", "50")])]).await;
    let mut policy = quick();
    policy.deadline = Duration::from_secs(40);
    let error = builder(&server).retry(policy).build().unwrap().jobs().get(&id()).await.unwrap_err();
    assert_eq!(error.api().unwrap().attempts, 1);
}

#[test]
fn no_id_leaves_its_place() {
    let hostile = [
        "../../files/file-x/content",
        "..",
        ".",
        "%2e%2e",
        "%2e%2e%2ffiles",
        "a%2fb",
        "a/b",
        "a\\b",
        "a?api-version=x",
        "a#b",
        "a;b",
        "",
        " ",
        "a\r\nx: y",
        "．．",
    ];
    for text in hostile {
        assert!(text.parse::<JobId>().is_err(), "{text:?}");
        assert!(text.parse::<FileId>().is_err(), "{text:?}");
        assert!(text.parse::<CheckpointId>().is_err(), "{text:?}");
        assert!(text.parse::<ModelId>().is_err(), "{text:?}");
        assert!(text.parse::<UploadId>().is_err(), "{text:?}");
        assert!(text.parse::<PartId>().is_err(), "{text:?}");
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn spans_name_the_request_and_no_secret() {
    let server = MockServer::start().await;
    answers(&server, vec![json(500, "planted-body-is-fine"), json(200, JOB).insert_header("apim-request-id", "6f0c")])
        .await;
    let (client, log) = (client(&server), Log::default());
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // While there is but one subscriber, another thread that comes to an event first decides that nobody wants it.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let guard = tracing::subscriber::set_default(subscriber);
    client.jobs().get(&id()).await.unwrap();
    drop(guard);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for expected in
        ["operation=\"jobs.get\"", "method=GET", "attempts=2", "status=200", "request_id=\"6f0c\"", "an attempt failed"]
    {
        assert!(log.contains(expected), "no {expected} in {log}");
    }
    assert!(!log.contains(KEY), "{log}");
    assert!(!format!("{client:?}").contains(KEY));
}

//! Every operation on jobs, on both surfaces: what leaves, and what is made of the answer.

use std::time::{Duration, SystemTime};

use azure_finetuning::{CreateJob, Error, Job, JobStatus, Metadata, Supervised};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::json;
use wiremock::{MockServer, ResponseTemplate};

use crate::support::{answers, body, client, dated, header, json, lines, requests, serve};

const JOB: &str = include_str!("../data/job_pending.json");
const SUCCEEDED: &str = include_str!("../data/job_succeeded.json");
const CONFLICT: &str = include_str!("../data/error_dated.json");
const ID: &str = "ftjob-1";

fn create() -> CreateJob {
    let tuning = Supervised::new().epochs(3.try_into().unwrap());
    CreateJob::supervised("gpt-4.1-mini".parse().unwrap(), "file-1".parse().unwrap(), tuning)
}

#[tokio::test]
async fn a_job_is_created_on_both_surfaces() {
    let server = MockServer::start().await;
    answers(&server, vec![json(200, JOB), json(201, JOB).insert_header("location", "/elsewhere")]).await;
    let created = client(&server).jobs().create(&create()).await.unwrap();
    assert_eq!(created.status, JobStatus::Pending);
    dated(&server, "2025-04-01-preview").jobs().create(&create()).await.unwrap();
    let expected = ["POST /openai/v1/fine_tuning/jobs", "POST /openai/fine_tuning/jobs?api-version=2025-04-01-preview"];
    assert_eq!(lines(&server).await, expected);
    let sent = requests(&server).await;
    assert_eq!(header(&sent[0], "api-key"), Some("planted-key"));
    assert_eq!(header(&sent[0], "content-type"), Some("application/json"));
    assert_eq!(header(&sent[0], "x-ms-client-request-id").unwrap().len(), 36);
    assert!(header(&sent[0], "user-agent").unwrap().starts_with("azure-finetuning/"));
    let method = json!({"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}});
    assert_eq!(body(&sent[0])["method"], method);
    assert_eq!(body(&sent[1])["hyperparameters"], json!({"n_epochs": 3}));
}

#[tokio::test]
async fn each_operation_has_its_path() {
    let server = MockServer::start().await;
    serve(&server, 200, SUCCEEDED).await;
    let (jobs, id) = (client(&server).jobs(), ID.parse().unwrap());
    jobs.get(&id).await.unwrap();
    jobs.cancel(&id).await.unwrap();
    jobs.pause(&id).await.unwrap();
    jobs.resume(&id).await.unwrap();
    let jobs = dated(&server, "2024-10-21").jobs();
    jobs.get(&id).await.unwrap();
    jobs.delete(&id).await.unwrap();
    let expected = [
        "GET /openai/v1/fine_tuning/jobs/ftjob-1",
        "POST /openai/v1/fine_tuning/jobs/ftjob-1/cancel",
        "POST /openai/v1/fine_tuning/jobs/ftjob-1/pause",
        "POST /openai/v1/fine_tuning/jobs/ftjob-1/resume",
        "GET /openai/fine_tuning/jobs/ftjob-1?api-version=2024-10-21",
        "DELETE /openai/fine_tuning/jobs/ftjob-1?api-version=2024-10-21",
    ];
    assert_eq!(lines(&server).await, expected);
    for post in &requests(&server).await[1..4] {
        assert_eq!(header(post, "content-length"), Some("0"));
    }
}

#[tokio::test]
async fn nothing_leaves_for_what_a_surface_lacks() {
    let server = MockServer::start().await;
    let id = ID.parse().unwrap();
    let refused = |error: Error| error.to_string();
    let old = dated(&server, "2024-10-21").jobs();
    let expected = "`jobs.pause` does not exist on API surface `2024-10-21`";
    assert_eq!(refused(old.pause(&id).await.unwrap_err()), expected);
    assert!(matches!(old.resume(&id).await, Err(Error::Unsupported { .. })));
    let expected = "`jobs.delete` does not exist on API surface `v1`";
    assert_eq!(refused(client(&server).jobs().delete(&id).await.unwrap_err()), expected);
    assert_eq!(lines(&server).await, [""; 0]);
}

#[tokio::test]
async fn a_job_deleted_without_a_word() {
    let server = MockServer::start().await;
    answers(&server, vec![ResponseTemplate::new(204)]).await;
    dated(&server, "2024-10-21").jobs().delete(&ID.parse().unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_state_that_is_there_already_is_a_success() {
    let cancelled = r#"{"id":"ftjob-1","status":"cancelled"}"#;
    for (state, expected) in [(cancelled, Some(JobStatus::Cancelled)), (SUCCEEDED, None)] {
        let server = MockServer::start().await;
        answers(&server, vec![json(400, CONFLICT), json(200, state)]).await;
        let result = client(&server).jobs().cancel(&ID.parse().unwrap()).await;
        match expected {
            Some(status) => assert_eq!(result.unwrap().status, status),
            None => assert_eq!(result.unwrap_err().api().unwrap().code.as_deref(), Some("unexpectedEntityState")),
        }
    }
}

fn page(ids: &[&str], has_more: bool) -> ResponseTemplate {
    let jobs: Vec<_> = ids.iter().map(|id| json!({"id": id, "status": "running"})).collect();
    json(200, &json!({"object": "list", "data": jobs, "has_more": has_more}).to_string())
}

#[track_caller]
fn ids(jobs: &[Job]) -> Vec<&str> {
    jobs.iter().map(|job| job.id.as_str()).collect()
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let server = MockServer::start().await;
    answers(&server, vec![page(&["a", "b"], true), page(&["c"], false)]).await;
    let jobs: Vec<Job> = client(&server).jobs().list().page_size(2).stream().try_collect().await.unwrap();
    assert_eq!(ids(&jobs), ["a", "b", "c"]);
    let expected = ["GET /openai/v1/fine_tuning/jobs?limit=2", "GET /openai/v1/fine_tuning/jobs?limit=2&after=b"];
    assert_eq!(lines(&server).await, expected);
}

#[tokio::test]
async fn a_list_ends_though_the_service_never_says_so() {
    for (pages, expected) in [
        (vec![page(&["a", "b"], true), page(&["a", "b"], true)], vec!["a", "b"]),
        (vec![page(&["a"], true), page(&["a", "b"], true), page(&["c"], false)], vec!["a"]),
        (vec![page(&["a"], true), page(&[], true)], vec!["a"]),
        (vec![page(&[], true)], vec![]),
        (
            [page(&["a", "b"], true), page(&["c", "d"], true)].into_iter().cycle().take(12).collect(),
            vec!["a", "b", "c", "d"],
        ),
    ] {
        let server = MockServer::start().await;
        answers(&server, pages).await;
        let jobs: Vec<Job> = client(&server).jobs().list().stream().try_collect().await.unwrap();
        assert_eq!(ids(&jobs), expected);
    }
}

#[tokio::test]
async fn a_list_on_a_dated_version_begins_where_it_is_told() {
    let server = MockServer::start().await;
    answers(&server, vec![page(&["a"], false)]).await;
    let list = dated(&server, "2024-10-21").jobs().list().after("x&y");
    assert_eq!(list.page().await.unwrap().data.len(), 1);
    let expected = ["GET /openai/fine_tuning/jobs?api-version=2024-10-21&after=x%26y"];
    assert_eq!(lines(&server).await, expected);
}

#[tokio::test]
async fn checkpoints_and_events_are_listed() {
    let server = MockServer::start().await;
    answers(
        &server,
        vec![json(200, include_str!("../data/checkpoints.json")), json(200, include_str!("../data/events.json"))],
    )
    .await;
    let (jobs, id) = (client(&server).jobs(), ID.parse().unwrap());
    let checkpoints: Vec<_> = jobs.checkpoints(&id).stream().try_collect().await.unwrap();
    assert_eq!(checkpoints[0].step_number, Some(20));
    assert_eq!(jobs.events(&id).page().await.unwrap().data.len(), 2);
    let expected =
        ["GET /openai/v1/fine_tuning/jobs/ftjob-1/checkpoints", "GET /openai/v1/fine_tuning/jobs/ftjob-1/events"];
    assert_eq!(lines(&server).await, expected);
}

#[tokio::test]
async fn metrics_are_read_from_the_result_files() {
    let server = MockServer::start().await;
    answers(&server, vec![ResponseTemplate::new(200).set_body_string(include_str!("../data/results.csv"))]).await;
    let jobs = client(&server).jobs();
    let job: Job = serde_json::from_str(SUCCEEDED).unwrap();
    let table = jobs.metrics(&job).await.unwrap();
    assert_eq!(table.rows[2].full_valid_loss, Some(0.58));
    assert_eq!(lines(&server).await, ["GET /openai/v1/files/file-abcdabcdabcdabcdabcdabcdabcdabcd/content"]);
    let unfinished: Job = serde_json::from_str(JOB).unwrap();
    assert!(jobs.metrics(&unfinished).await.unwrap().rows.is_empty());
    assert_eq!(lines(&server).await.len(), 1);
}

#[tokio::test]
async fn what_became_of_a_job_is_found() {
    let server = MockServer::start().await;
    let job = |id: &str, members: serde_json::Value| {
        let mut job =
            json!({"id": id, "status": "pending", "created_at": 1000, "training_file": "file-1", "suffix": "mine"});
        job.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        job
    };
    let page = json!({"has_more": false, "data": [
        job("same", json!({"metadata": {"run": "7", "more": "x"}})),
        job("silent", json!({"training_file": null, "suffix": null, "created_at": null})),
        job("skewed", json!({"created_at": 940})),
        job("other-suffix", json!({"suffix": "yours"})),
        job("other-file", json!({"training_file": "file-2"})),
        job("other-run", json!({"metadata": {"run": "8"}})),
        job("older", json!({"created_at": 939})),
    ]});
    serve(&server, 200, &page.to_string()).await;
    let mut metadata = Metadata::default();
    metadata.insert("run", "7").unwrap();
    let wanted = create().suffix("mine".parse().unwrap()).metadata(metadata);
    let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    let found = client(&server).jobs().find_recent(&wanted, since).await.unwrap();
    let found: Vec<&str> = found.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(found, ["same", "silent", "skewed"]);
    let found = client(&server).jobs().find_recent(&create(), since).await.unwrap();
    assert_eq!(found.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), ["silent"]);
}

#[tokio::test]
async fn an_odd_job_costs_a_list_itself_alone() {
    let server = MockServer::start().await;
    let odd = r#"{"data":[{"id":"ftjob-1","status":"running"},{"id":"b a d"}],"has_more":true}"#;
    answers(&server, vec![json(200, odd), page(&["ftjob-2"], false)]).await;
    let items: Vec<Result<Job, Error>> = client(&server).jobs().list().stream().collect().await;
    let ids: Vec<Option<&str>> = items.iter().map(|item| item.as_ref().ok().map(|job| job.id.as_str())).collect();
    assert_eq!(ids, [Some("ftjob-1"), None, Some("ftjob-2")]);
    assert!(matches!(&items[1], Err(Error::Decode { snippet, .. }) if snippet.contains("b a d")));
    assert_eq!(lines(&server).await[1], "GET /openai/v1/fine_tuning/jobs?after=b+a+d");
}

#[tokio::test]
async fn an_odd_job_is_in_the_way_of_the_search_only_if_it_is_new() {
    let server = MockServer::start().await;
    let list = |created: &str| {
        let odd = format!(r#"{{"id":"b a d","created_at":{created}}}"#);
        json(200, &format!(r#"{{"data":[{odd},{{"id":"ftjob-1","status":"pending","created_at":2000}}]}}"#))
    };
    answers(&server, vec![list("1000"), list("2000"), list("null")]).await;
    let (jobs, since) = (client(&server).jobs(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_900));
    assert_eq!(ids(&jobs.find_recent(&create(), since).await.unwrap()), ["ftjob-1"]);
    for _ in 0..2 {
        let error = jobs.find_recent(&create(), since).await.unwrap_err();
        assert!(matches!(error, Error::Decode { operation: "jobs.list", .. }), "{error}");
    }
}

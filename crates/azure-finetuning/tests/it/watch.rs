//! Waiting for a job's end, and following what happens to it: nothing is missed, nothing told twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use azure_finetuning::{Error, Event, FileStatus, FollowOptions, JobId, JobStatus, WaitOptions, WhenPaused};
use futures_util::TryStreamExt as _;
use serde_json::json;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

use crate::support::{answers, builder, client, json, lines, quick};

fn id() -> JobId {
    "ftjob-1".parse().unwrap()
}

fn job(status: &str) -> ResponseTemplate {
    json(200, &json!({"id": "ftjob-1", "status": status}).to_string())
}

fn quick_wait() -> WaitOptions {
    let mut options = WaitOptions::default();
    (options.interval, options.max_interval) = (Duration::from_millis(1), Duration::from_millis(2));
    options
}

fn quick_follow() -> FollowOptions {
    let mut options = FollowOptions::default();
    (options.interval, options.max_interval) = (Duration::from_millis(1), Duration::from_millis(2));
    options
}

#[tokio::test]
async fn a_job_is_waited_for_through_failures() {
    let server = MockServer::start().await;
    let service_is_down = || json(500, "");
    // Five attempts make one look that fails.
    let down = std::iter::repeat_with(service_is_down).take(10);
    let looks = [job("pending"), job("dreaming")].into_iter().chain(down).chain([job("running"), job("succeeded")]);
    answers(&server, looks.collect()).await;
    let done = client(&server).jobs().wait_until_done(&id(), quick_wait()).await.unwrap();
    assert_eq!(done.status, JobStatus::Succeeded);
    assert_eq!(lines(&server).await.len(), 14);
}

#[tokio::test]
async fn too_many_failures_end_the_waiting() {
    let server = MockServer::start().await;
    answers(&server, vec![job("running"), json(500, "")]).await;
    let mut options = quick_wait();
    options.tolerance = 1;
    let error = client(&server).jobs().wait_until_done(&id(), options).await.unwrap_err();
    assert_eq!(error.api().unwrap().status, 500);
    assert_eq!(lines(&server).await.len(), 1 + 2 * 5);
}

#[tokio::test]
async fn a_job_that_is_not_there_is_not_waited_for() {
    let server = MockServer::start().await;
    answers(&server, vec![json(404, "")]).await;
    assert!(client(&server).jobs().wait_until_done(&id(), quick_wait()).await.unwrap_err().is_not_found());
    assert_eq!(lines(&server).await.len(), 1);
}

#[tokio::test]
async fn a_paused_job_is_given_back_or_waited_for() {
    let server = MockServer::start().await;
    answers(&server, vec![job("paused"), job("paused"), job("resuming"), job("failed")]).await;
    let jobs = client(&server).jobs();
    assert_eq!(jobs.wait_until_done(&id(), quick_wait()).await.unwrap().status, JobStatus::Paused);
    let mut options = quick_wait();
    options.when_paused = WhenPaused::Wait;
    assert_eq!(jobs.wait_until_done(&id(), options).await.unwrap().status, JobStatus::Failed);
}

#[tokio::test]
async fn waiting_has_an_end() {
    let server = MockServer::start().await;
    answers(&server, vec![job("running")]).await;
    let mut options = quick_wait();
    options.deadline = Some(Duration::from_millis(40));
    let error = client(&server).jobs().wait_until_done(&id(), options).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
    assert_eq!(error.to_string(), "`jobs.wait_until_done` was not done within 0.04 s");
}

#[tokio::test]
async fn who_is_told_to_wait_for_a_day_is_told_so() {
    let server = MockServer::start().await;
    answers(&server, vec![json(429, "").insert_header("retry-after", "86400")]).await;
    let jobs = client(&server).jobs();
    let soon = |work| tokio::time::timeout(Duration::from_secs(20), work);
    let error = soon(jobs.wait_until_done(&id(), quick_wait())).await.unwrap().unwrap_err();
    assert_eq!(error.api().unwrap().retry_after, Some(Duration::from_secs(86_400)));
    let mut events = jobs.follow_events(&id(), quick_follow());
    let followed = tokio::time::timeout(Duration::from_secs(20), events.try_next()).await.unwrap();
    assert!(followed.unwrap_err().api().unwrap().is_rate_limited());
    assert_eq!(lines(&server).await.len(), 2);
}

#[tokio::test]
async fn any_time_can_be_asked_for() {
    let server = MockServer::start().await;
    answers(&server, vec![json(429, "").insert_header("retry-after-ms", "1"), job("succeeded")]).await;
    let mut retry = quick();
    (retry.deadline, retry.max_retry_after) = (Duration::MAX, Duration::MAX);
    let jobs = builder(&server).retry(retry).build().unwrap().jobs();
    let mut options = quick_wait();
    (options.interval, options.max_interval, options.deadline) = (Duration::MAX, Duration::MAX, Some(Duration::MAX));
    assert_eq!(jobs.wait_until_done(&id(), options).await.unwrap().status, JobStatus::Succeeded);
    // A rest that nobody lives through; what counts is that it begins.
    let waiting = MockServer::start().await;
    answers(&waiting, vec![job("running")]).await;
    options.deadline = Some(Duration::from_millis(40));
    let error = client(&waiting).jobs().wait_until_done(&id(), options).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
}

/// A job whose events become visible look by look, in pages of two; it has ended once all are.
struct Story {
    newest_first: bool,
    visible: Vec<usize>,
    looks: usize,
    fails_once: bool,
}

const TOLD: usize = 7;

impl Story {
    fn answer(&mut self, request: &Request) -> ResponseTemplate {
        if !request.url.path().ends_with("/events") {
            self.looks += 1;
            return job(if self.looks >= self.visible.len() { "succeeded" } else { "running" });
        }
        let query: BTreeMap<_, _> = request.url.query_pairs().into_owned().collect();
        if self.fails_once && query.contains_key("after") {
            self.fails_once = false;
            return json(400, "");
        }
        let count = self.visible[(self.looks - 1).min(self.visible.len() - 1)];
        let mut events: Vec<_> = (0..count).map(event).collect();
        if self.newest_first {
            events.reverse();
        }
        let begin =
            query.get("after").map_or(0, |after| 1 + events.iter().position(|event| event["id"] == **after).unwrap());
        let end = (begin + 2).min(count);
        let page = json!({"data": &events[begin..end], "has_more": end < count});
        json(200, &page.to_string())
    }
}

/// Two events share a second, so that only their ids tell their order.
fn event(index: usize) -> serde_json::Value {
    json!({"id": format!("e{index}"), "created_at": 100 + index.div_ceil(2), "message": index.to_string()})
}

async fn tell(story: Story) -> (Vec<String>, usize) {
    let server = MockServer::start().await;
    let story = Arc::new(Mutex::new(story));
    let answer = move |request: &Request| story.lock().unwrap().answer(request);
    Mock::given(matchers::any()).respond_with(answer).mount(&server).await;
    let events: Vec<Event> =
        builder(&server).build().unwrap().jobs().follow_events(&id(), quick_follow()).try_collect().await.unwrap();
    (events.into_iter().map(|event| event.message).collect(), lines(&server).await.len())
}

#[tokio::test]
async fn each_event_is_told_once_and_in_order() {
    let whole: Vec<String> = (0..TOLD).map(|index| index.to_string()).collect();
    for newest_first in [false, true] {
        for visible in [vec![TOLD], vec![0, TOLD], vec![1, 2, 2, 5, TOLD], vec![3, 3, TOLD, TOLD]] {
            let story = Story { newest_first, visible: visible.clone(), looks: 0, fails_once: false };
            assert_eq!(tell(story).await.0, whole, "{newest_first} {visible:?}");
        }
    }
}

#[tokio::test]
async fn what_is_known_is_not_read_again_but_for_the_last_time() {
    let story = |newest_first| Story { newest_first, visible: vec![6, 6, 6], looks: 0, fails_once: false };
    // Three looks at the job, and 3 + 1 + 3 pages of events, and once more; oldest first, every look reads all.
    assert_eq!(tell(story(true)).await.1, 3 + 3 + 1 + 3 + 3);
    assert_eq!(tell(story(false)).await.1, 3 + 3 + 3 + 3 + 3);
}

#[tokio::test]
async fn what_comes_after_the_end_was_seen_is_told_too() {
    let server = MockServer::start().await;
    let page = |count: usize| json(200, &json!({"data": (0..count).map(event).collect::<Vec<_>>()}).to_string());
    // A look that fails after the end is made again.
    answers(&server, vec![job("succeeded"), page(2), json(429, ""), page(4)]).await;
    let events = client(&server).jobs().follow_events(&id(), quick_follow());
    let events: Vec<String> = events.map_ok(|event| event.message).try_collect().await.unwrap();
    assert_eq!(events, ["0", "1", "2", "3"]);
    assert_eq!(lines(&server).await.iter().filter(|line| !line.contains("/events")).count(), 1);
}

#[tokio::test]
async fn an_error_that_stays_ends_the_story() {
    let server = MockServer::start().await;
    let story = Arc::new(Mutex::new(Story { newest_first: true, visible: vec![4], looks: 0, fails_once: true }));
    let answer = move |request: &Request| story.lock().unwrap().answer(request);
    Mock::given(matchers::any()).respond_with(answer).mount(&server).await;
    let mut events = client(&server).jobs().follow_events(&id(), quick_follow());
    assert_eq!(events.try_next().await.unwrap_err().api().unwrap().status, 400);
    assert!(events.try_next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_file_is_waited_for() {
    let server = MockServer::start().await;
    let file = |status: &str| json(200, &json!({"id": "file-1", "status": status}).to_string());
    let silent = json(200, r#"{"id": "file-1"}"#);
    let states = ["uploaded", "pending", "running", "dreaming", "processed", "error"].map(file);
    answers(&server, states.into_iter().chain([silent, file("pending")]).collect()).await;
    let (files, id) = (client(&server).files(), "file-1".parse().unwrap());
    for expected in [Some(FileStatus::Processed), Some(FileStatus::Error), None] {
        assert_eq!(files.wait_until_processed(&id, quick_wait()).await.unwrap().status, expected);
    }
    assert_eq!(lines(&server).await.len(), 7);
    let mut options = quick_wait();
    options.deadline = Some(Duration::from_millis(20));
    let error = files.wait_until_processed(&id, options).await.unwrap_err();
    assert_eq!(error.to_string(), "`files.wait_until_processed` was not done within 0.02 s");
}

//! Answers of the service are read without loss: what is known is typed, what is not known is kept.

use azure_finetuning::{
    Checkpoint, CheckpointCopy, CopyState, Event, EventKind, EventLevel, File, FilePurpose, FileStatus, Job, JobStatus,
    MethodKind, Page, Setting,
};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const JOB_PENDING: &str = include_str!("../data/job_pending.json");
const JOB_SUCCEEDED: &str = include_str!("../data/job_succeeded.json");
const JOB_FAILED: &str = include_str!("../data/job_failed.json");
const EVENTS: &str = include_str!("../data/events.json");
const CHECKPOINTS: &str = include_str!("../data/checkpoints.json");
const FILE: &str = include_str!("../data/file.json");
const COPY: &str = include_str!("../data/checkpoint_copy.json");

#[test]
fn recorded_answers_survive_a_round_trip() {
    survives::<Job>(JOB_PENDING);
    survives::<Job>(JOB_SUCCEEDED);
    survives::<Job>(JOB_FAILED);
    survives::<Page<Event>>(EVENTS);
    survives::<Page<Checkpoint>>(CHECKPOINTS);
    survives::<File>(FILE);
    survives::<CheckpointCopy>(COPY);
}

/// Nothing but `null`, an empty list of results and the notation of a number may differ.
#[track_caller]
fn survives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(text: &str) {
    let typed: T = serde_json::from_str(text).unwrap();
    let written = serde_json::to_value(&typed).unwrap();
    assert_eq!(plain(written.clone()), plain(serde_json::from_str(text).unwrap()));
    assert_eq!(serde_json::from_value::<T>(written).unwrap(), typed);
}

fn plain(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(key, value)| !(value.is_null() || (key == "result_files" && *value == json!([]))))
            .map(|(key, value)| (key, plain(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Number(number) => json!(number.as_f64()),
        other @ (Value::Null | Value::Bool(_) | Value::String(_)) => other,
    }
}

fn read<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_job_that_waits() {
    let job: Job = read(JOB_PENDING);
    assert_eq!(job.status, JobStatus::Pending);
    assert!(!job.status.is_terminal());
    assert_eq!(job.result_files, []);
    let settings = job.hyperparameters.unwrap();
    assert_eq!(settings.n_epochs, Some(Setting::Undecided));
    assert_eq!(settings.learning_rate_multiplier.unwrap().as_f64(), Some(1.0));
}

#[test]
fn a_job_that_succeeded() {
    let job: Job = read(JOB_SUCCEEDED);
    assert_eq!(
        job.fine_tuned_model.as_ref().unwrap().as_str(),
        "gpt-4.1-mini-2025-04-14.ft-0a1b2c3d4e5f60718293a4b5c6d7e8f9-support"
    );
    assert_eq!(job.suffix(), Some("support"));
    assert_eq!(job.method.as_ref().unwrap().kind, MethodKind::Supervised);
    assert_eq!(job.extra["x_new_field"], json!({"kept": true}));
    assert_eq!(job.failure(), None);
}

#[test]
fn a_job_that_failed() {
    let job: Job = read(JOB_FAILED);
    assert_eq!(job.failure().unwrap().code.as_deref(), Some("jsonlValidationFailed"));
    assert_eq!(job.hyperparameters.unwrap().batch_size, Some(Setting::Auto));
}

#[test]
fn what_the_service_spells_in_two_ways() {
    let job = |members: Value| {
        let mut whole = json!({"id": "ftjob-1", "status": "running"});
        whole.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        serde_json::from_value::<Job>(whole).unwrap()
    };
    assert_eq!(job(json!({"user_provided_suffix": "a"})).suffix(), Some("a"));
    assert_eq!(job(json!({"suffix": "b", "user_provided_suffix": "a"})).suffix(), Some("b"));
    assert_eq!(job(json!({"organisation_id": "o"})).organization_id(), Some("o"));
    assert_eq!(job(json!({"error": {}})).failure(), None);
    assert_eq!(job(json!({"error": null})).failure(), None);
    assert_eq!(job(json!({"status": "canceled"})).status, JobStatus::Cancelled);
    assert_eq!(job(json!({"status": "dreaming"})).status, JobStatus::Unknown("dreaming".into()));
    assert_eq!(job(json!({"created_at": 1795400000.0, "trained_tokens": "12"})).trained_tokens, Some(12));
}

#[test]
fn events_and_checkpoints() {
    let mut events: Page<Event> = read(EVENTS);
    assert_eq!(events.has_more, Some(true));
    events.data.sort_by_key(Event::order);
    assert_eq!(events.data[0].message, "Job started.");
    assert_eq!(events.data[1].kind, Some(EventKind::Metrics));
    assert_eq!(events.data[1].level, Some(EventLevel::Info));
    assert_eq!(events.data[1].data.as_ref().unwrap().train_loss, Some(0.412));
    let checkpoints: Page<Checkpoint> = read(CHECKPOINTS);
    assert_eq!(checkpoints.data[0].metrics.as_ref().unwrap().step, Some(20));
    let copy: CheckpointCopy = read(COPY);
    assert_eq!(copy.copied_account_details[0].status, CopyState::InProgress);
}

#[test]
fn a_file() {
    let file: File = read(FILE);
    assert_eq!(file.bytes, Some(20480));
    assert_eq!(file.purpose, Some(FilePurpose::FineTune));
    assert_eq!(file.status, Some(FileStatus::Processed));
}

#[test]
fn a_page_without_data_or_end_is_empty() {
    let page: Page<Job> = read(r#"{"object":"list","data":null}"#);
    assert!(page.data.is_empty());
    assert_eq!(page.has_more, None);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z -]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,5}", inner, 0..3)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_job_survives(
        id in "[A-Za-z0-9][A-Za-z0-9._:-]{0,40}",
        status in "[a-z_]{0,12}",
        created_at in prop::option::of(any::<i32>()),
        epochs in any_json(),
        new in prop::collection::btree_map("x_[a-z]{1,6}", any_json(), 0..4),
    ) {
        let mut job = json!({
            "id": id, "status": status, "created_at": created_at,
            "hyperparameters": {"n_epochs": epochs},
        });
        job.as_object_mut().unwrap().extend(new);
        survives::<Job>(&job.to_string());
    }
}

/// What a job with these members is, and what is kept of them as it was.
#[track_caller]
fn odd_job(members: serde_json::Value) -> Job {
    let mut job: serde_json::Value = read(r#"{"id":"ftjob-1","status":"running","training_file":"file-1"}"#);
    job.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let job: Job = serde_json::from_value(job).unwrap();
    assert_eq!(job.training_file.as_ref().unwrap().as_str(), "file-1");
    assert_eq!(serde_json::from_value::<Job>(json!(job)).unwrap(), job);
    job
}

#[test]
fn an_odd_member_costs_itself_alone() {
    let job = odd_job(json!({"validation_file": "", "fine_tuned_model": "a/../b", "created_at": "soon", "seed": [1]}));
    assert_eq!((job.validation_file, job.fine_tuned_model, job.created_at, job.seed), (None, None, None, None));
    assert_eq!(
        job.extra,
        *json!({"fine_tuned_model": "a/../b", "created_at": "soon", "seed": [1]}).as_object().unwrap()
    );

    let job = odd_job(json!({"result_files": ["", "file-9", "../x", null], "method": "supervised"}));
    assert_eq!(job.result_files.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["file-9"]);

    let job = odd_job(json!({"error": {"code": 429, "message": "m", "param": {"a": 1}}}));
    let error = job.failure().unwrap();
    assert_eq!((error.code.as_deref(), error.param.as_deref()), (Some("429"), Some(r#"{"a":1}"#)));
    let job = odd_job(json!({"error": "it broke"}));
    assert_eq!(job.failure().unwrap().message.as_deref(), Some("it broke"));

    let job = odd_job(json!({"metadata": {"a": "x", "b": 1, "c": null, "d": {"e": true}}}));
    let labels: Vec<(String, String)> = job.metadata.unwrap().into_iter().collect();
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(labels, [label("a", "x"), label("b", "1"), label("c", "null"), label("d", r#"{"e":true}"#)]);
    assert_eq!(odd_job(json!({"status": 7})).status, JobStatus::Unknown("7".to_owned()));

    let file: File = read(r#"{"id":"file-1","bytes":"many","purpose":null,"status":{"state":"ok"},"expires_at":""}"#);
    assert_eq!((file.bytes, file.expires_at, file.extra.len()), (None, None, 1));
    let event: Event =
        read(r#"{"id":"ftevent-1","created_at":5,"data":{"step":"x","train_loss":"n/a","valid_loss":1}}"#);
    assert_eq!((event.created_at.seconds(), event.data.unwrap().valid_loss), (5, Some(1.0)));
    let checkpoint: Checkpoint =
        read(r#"{"id":"ftchkpt-1","fine_tuning_job_id":"","fine_tuned_model_checkpoint":"a b"}"#);
    assert_eq!((checkpoint.fine_tuning_job_id, checkpoint.fine_tuned_model_checkpoint), (None, None));
    assert!(serde_json::from_str::<Job>(r#"{"id":"../x","status":"running"}"#).is_err());
}

#[test]
fn an_odd_item_costs_itself_alone() {
    let mut jobs: Vec<serde_json::Value> =
        (1..=20).map(|number| json!({"id": format!("ftjob-{number}"), "status": "running"})).collect();
    jobs[19] = json!({"id": "no id", "status": "running"});
    jobs[4]["validation_file"] = json!("");
    let page: Page<Job> = serde_json::from_value(json!({"data": jobs, "has_more": true})).unwrap();
    assert_eq!((page.data.len(), page.unreadable.len(), page.last_id()), (19, 1, Some("no id")));
    assert!(serde_json::from_str::<Page<Job>>(r#"{"data":"none"}"#).is_err());
}

//! What holds for every model, whatever the service writes: nothing it says is lost, and what was read is read again.

use azure_finetuning::{
    Checkpoint, CheckpointCopy, CheckpointId, Deleted, Deployment, DeploymentName, Event, EventId, File, FileId, Grade,
    Hyperparameters, Job, JobId, Model, ModelId, Page, PartId, StepMetrics, Upload, UploadId, UploadPart,
};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value, json};

/// How a member is written.
#[derive(Clone, Copy)]
enum Kind {
    Id,
    /// One of these, or a word nobody knows.
    Word(&'static [&'static str]),
    Text,
    Time,
    Whole,
    Number,
    Setting,
    Any,
    Ids,
    Texts,
    Object(Shape),
    /// Objects of this shape that have an id.
    List(Shape),
    Copies,
}

type Shape = &'static [(&'static str, Kind)];

const JOB: Shape = &[
    ("model", Kind::Text),
    ("created_at", Kind::Time),
    ("finished_at", Kind::Time),
    ("estimated_finish", Kind::Time),
    ("fine_tuned_model", Kind::Id),
    ("training_file", Kind::Id),
    ("validation_file", Kind::Id),
    ("result_files", Kind::Ids),
    ("trained_tokens", Kind::Whole),
    ("hyperparameters", Kind::Object(HYPERPARAMETERS)),
    ("method", Kind::Object(&[("type", Kind::Word(&["supervised", "dpo", "reinforcement"])), ("dpo", Kind::Any)])),
    ("seed", Kind::Whole),
    ("suffix", Kind::Text),
    ("user_provided_suffix", Kind::Text),
    ("organization_id", Kind::Text),
    ("organisation_id", Kind::Text),
    ("error", Kind::Object(&[("code", Kind::Text), ("message", Kind::Text), ("param", Kind::Text)])),
    ("metadata", Kind::Texts),
    ("integrations", Kind::Any),
    ("trainingType", Kind::Any),
];
const HYPERPARAMETERS: Shape = &[
    ("n_epochs", Kind::Setting),
    ("batch_size", Kind::Setting),
    ("learning_rate_multiplier", Kind::Setting),
    ("beta", Kind::Setting),
];
const METRICS: Shape = &[
    ("step", Kind::Whole),
    ("train_loss", Kind::Number),
    ("train_mean_token_accuracy", Kind::Number),
    ("valid_loss", Kind::Number),
    ("valid_mean_token_accuracy", Kind::Number),
    ("full_valid_loss", Kind::Number),
    ("full_valid_mean_token_accuracy", Kind::Number),
];
const EVENT: Shape = &[
    ("created_at", Kind::Time),
    ("level", Kind::Word(&["info", "warn", "error"])),
    ("message", Kind::Text),
    ("type", Kind::Word(&["message", "metrics"])),
    ("data", Kind::Object(METRICS)),
];
const CHECKPOINT: Shape = &[
    ("created_at", Kind::Time),
    ("fine_tuned_model_checkpoint", Kind::Id),
    ("step_number", Kind::Whole),
    ("fine_tuning_job_id", Kind::Id),
    ("metrics", Kind::Object(METRICS)),
];
const COPY: Shape =
    &[("checkpointedModelName", Kind::Id), ("fineTuningJobId", Kind::Id), ("copiedAccountDetails", Kind::Copies)];
const FILE: Shape = &[
    ("bytes", Kind::Whole),
    ("created_at", Kind::Time),
    ("expires_at", Kind::Time),
    ("filename", Kind::Text),
    ("purpose", Kind::Word(&["fine-tune", "fine-tune-results", "batch_output"])),
    ("status", Kind::Word(&["uploaded", "processed", "error"])),
    ("status_details", Kind::Text),
];
const UPLOAD: Shape = &[("status", Kind::Word(&["pending", "expired"])), ("expires_at", Kind::Time)];
const GRADE: Shape = &[
    ("reward", Kind::Number),
    ("metadata", Kind::Object(&[("name", Kind::Text), ("execution_time", Kind::Number), ("scores", Kind::Any)])),
];
const DEPLOYMENT: Shape = &[
    ("sku", Kind::Any),
    (
        "properties",
        Kind::Object(&[("provisioningState", Kind::Word(&["Creating", "Succeeded"])), ("model", Kind::Any)]),
    ),
];

fn any_json() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|number| json!(f64::from(number) / 8.0)),
        ".{0,8}".prop_map(Value::from),
    ];
    let nested = leaf.prop_recursive(2, 8, 3, |inner| {
        let members = prop::collection::btree_map(".{0,5}", inner.clone(), 0..3);
        prop_oneof![
            prop::collection::vec(inner, 0..3).prop_map(Value::from),
            members.prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    nested.boxed()
}

fn id() -> BoxedStrategy<Value> {
    "[A-Za-z0-9][A-Za-z0-9._:-]{0,40}".prop_map(Value::from).boxed()
}

fn value(kind: Kind) -> BoxedStrategy<Value> {
    match kind {
        Kind::Id => id(),
        Kind::Word(known) => {
            prop_oneof![prop::sample::select(known).prop_map(Value::from), "[xyz]{0,6}".prop_map(Value::from)].boxed()
        }
        Kind::Text => ".{0,12}".prop_map(Value::from).boxed(),
        Kind::Time => any::<i32>().prop_map(Value::from).boxed(),
        Kind::Whole => any::<i64>().prop_map(Value::from).boxed(),
        Kind::Number => prop_oneof![any::<i32>().prop_map(Value::from), (-1e9..1e9).prop_map(Value::from)].boxed(),
        Kind::Setting => prop_oneof![Just(json!("auto")), Just(json!(-1)), any_json()].boxed(),
        Kind::Any => any_json(),
        Kind::Ids => prop::collection::vec(id(), 0..3).prop_map(Value::from).boxed(),
        Kind::Texts => prop::collection::btree_map(".{0,5}", ".{0,5}", 0..3).prop_map(|texts| json!(texts)).boxed(),
        Kind::Object(shape) => object(shape, &[]),
        Kind::List(shape) => prop::collection::vec(object(shape, &[ID]), 0..3).prop_map(Value::from).boxed(),
        Kind::Copies => {
            let needed = &[("destinationResourceId", Kind::Text), ("status", Kind::Word(&["Completed", "Failed"]))];
            prop::collection::vec(object(&[("region", Kind::Text)], needed), 0..3).prop_map(Value::from).boxed()
        }
    }
}

/// Needed members, some of the others (some of those null; a kind of method is needed), and some nobody knows.
fn object(shape: Shape, needed: Shape) -> BoxedStrategy<Value> {
    let (mut members, mut maybe) = (Vec::new(), Vec::new());
    for (name, kind) in needed.iter().chain(shape) {
        let is_method = shape.iter().any(|(name, _)| *name == "dpo") && *name == "type";
        if is_method || needed.iter().any(|(needed, _)| needed == name) {
            members.push(value(*kind).prop_map(|value| ((*name).to_owned(), value)).boxed());
        } else {
            let value = prop_oneof![3 => value(*kind).prop_map(Some), 1 => Just(Some(Value::Null)), 2 => Just(None)];
            maybe.push(value.prop_map(|value| value.map(|value| ((*name).to_owned(), value))).boxed());
        }
    }
    let unknown = prop::collection::btree_map("x_[a-z]{1,6}", any_json(), 0..3);
    let whole = |(members, maybe, unknown): (Vec<_>, Vec<Option<_>>, std::collections::BTreeMap<_, _>)| {
        let all = members.into_iter().chain(maybe.into_iter().flatten()).chain(unknown);
        Value::Object(all.collect::<Map<_, _>>())
    };
    (members, maybe, unknown).prop_map(whole).boxed()
}

/// What was said, without what says nothing.
fn said(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let said = members.iter().map(|(name, value)| (name.clone(), said(value)));
            Value::Object(said.filter(|(_, value)| !is_nothing(value)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(said).collect()),
        Value::Number(number) => plain(number),
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

/// A step may be written `20` where the service wrote `20.0`, and a loss the other way round.
fn plain(number: &Number) -> Value {
    match number.as_f64() {
        Some(float) if float.fract() == 0.0 && float.abs() < 1e15 => json!(float as i64),
        _ => number.clone().into(),
    }
}

/// Members that are absent, null and empty mean the same where the type has a default.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(_) => false,
    }
}

fn holds<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(shape: Shape, needed: Shape) {
    let config = ProptestConfig { source_file: Some(file!()), ..ProptestConfig::with_cases(128) };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let law = |value: Value| {
        let text = value.to_string();
        let typed: T = serde_json::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
        let written = serde_json::to_string(&typed).unwrap();
        prop_assert_eq!(said(&serde_json::from_str(&written).unwrap()), said(&value));
        prop_assert_eq!(serde_json::from_str::<T>(&written).unwrap(), typed);
        Ok(())
    };
    runner.run(&object(shape, needed), law).unwrap();
}

const ID: (&str, Kind) = ("id", Kind::Id);
const STATUSES: Kind = Kind::Word(&["created", "pending", "running", "pausing", "paused", "succeeded", "failed"]);

#[test]
fn jobs_survive() {
    holds::<Job>(JOB, &[ID, ("status", STATUSES)]);
    holds::<Hyperparameters>(HYPERPARAMETERS, &[]);
}

#[test]
fn what_a_job_leaves_survives() {
    holds::<Event>(EVENT, &[ID]);
    holds::<StepMetrics>(METRICS, &[]);
    holds::<Checkpoint>(CHECKPOINT, &[ID]);
    holds::<CheckpointCopy>(COPY, &[]);
}

#[test]
fn files_and_uploads_survive() {
    holds::<File>(FILE, &[ID]);
    holds::<Deleted>(&[("id", Kind::Text)], &[]);
    holds::<Upload>(UPLOAD, &[ID]);
    holds::<UploadPart>(&[], &[ID]);
}

#[test]
fn models_grades_and_deployments_survive() {
    holds::<Model>(&[("created", Kind::Time), ("created_at", Kind::Time), ("owned_by", Kind::Text)], &[ID]);
    holds::<Grade>(GRADE, &[]);
    holds::<Deployment>(DEPLOYMENT, &[("name", Kind::Id)]);
}

#[test]
fn pages_survive() {
    holds::<Page<File>>(&[("data", Kind::List(FILE)), ("first_id", Kind::Text)], &[]);
}

proptest! {
    #[test]
    fn an_id_is_one_segment_or_none(text in prop_oneof!["[./%?#\\\\A-Za-z0-9:_-]{0,12}", ".{0,12}"]) {
        macro_rules! check {
            ($($kind:ty),+) => {
                $(if let Ok(id) = text.parse::<$kind>() {
                    prop_assert_eq!(id.as_str(), &*text);
                    let mut url = url::Url::parse("http://127.0.0.1/a/").unwrap();
                    url.path_segments_mut().unwrap().pop_if_empty().push(id.as_str()).push("z");
                    prop_assert_eq!(url.as_str(), format!("http://127.0.0.1/a/{text}/z"));
                })+
            };
        }
        check!(JobId, FileId, CheckpointId, EventId, ModelId, PartId, UploadId, DeploymentName);
    }
}

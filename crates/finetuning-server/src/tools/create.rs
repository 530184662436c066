//! A new job. The client's builders see to it that what is sent is lawful; here arguments that do not fit the method are refused.

use std::num::NonZeroU32;

use azure_finetuning::{
    Client, CreateJob, Dpo, FileId, Grader, Metadata, ModelId, Positive, ReasoningEffort, Reinforcement, Seed,
    Supervised, TrainingType,
};
use serde_json::{Value, json};

use super::{Answer, Definition};
use crate::args::Args;
use crate::failure::Failure;
use crate::schema::{id, input, one_of, output, plain, positive, text, whole};

pub(super) fn definitions() -> Vec<Definition> {
    vec![Definition {
        name: "create_finetuning_job",
        description: "Creates a fine-tuning job, which costs money from then on. If the answer is `ambiguous`, look with \
                      find_finetuning_jobs before trying again: the job may exist.",
        input: input(&[
            ("model", id("the base model, such as gpt-4.1-mini-2025-04-14, or a tuned one to go on from")),
            ("training_file", id("the training file's id")),
            ("validation_file?", id("the validation file's id; reinforcement needs one")),
            ("method?", one_of(&["supervised", "dpo", "reinforcement"], "how to tune; supervised if absent")),
            ("suffix?", text("the end of the tuned model's name: 1 to 40 letters, digits, _ and -")),
            ("seed?", whole("equal seeds make equal training, nearly", 0, 2_147_483_647)),
            ("n_epochs?", whole("passes over the data; the service chooses if absent", 1, 50)),
            ("batch_size?", whole("examples in a step; the service chooses if absent", 1, 100_000)),
            ("learning_rate_multiplier?", positive("factor on the learning rate; the service chooses if absent")),
            ("beta?", positive("dpo only: how closely to keep to the model as it was")),
            ("l2_multiplier?", positive("dpo only: factor on weight decay")),
            (
                "grader?",
                json!({ "type": "object", "description": "reinforcement only, and needed there: a grader as the service documents it" }),
            ),
            ("reasoning_effort?", one_of(&["default", "low", "medium", "high"], "reinforcement only")),
            ("compute_multiplier?", positive("reinforcement only")),
            ("eval_interval?", whole("reinforcement only: steps between evaluations", 1, 100_000)),
            ("eval_samples?", whole("reinforcement only: answers for each example in an evaluation", 1, 1_000)),
            (
                "response_schema?",
                json!({ "type": "object", "description": "reinforcement only: the JSON Schema of answers" }),
            ),
            ("training_type?", text("Azure only, such as GlobalStandard, Standard or Developer")),
            (
                "metadata?",
                json!({ "type": "object", "additionalProperties": { "type": "string" }, "maxProperties": 16, "description": "labels for the job" }),
            ),
        ]),
        output: output(&[("id", plain("string")), ("status", plain("string"))]),
        is_idempotent: false,
    }]
}

/// What the three builders have alike, each as a method of its own.
macro_rules! common {
    ($args:expr, $tuning:expr) => {{
        let mut tuning = $tuning;
        if let Some(epochs) = count($args, "n_epochs")? {
            tuning = tuning.epochs(epochs);
        }
        if let Some(examples) = count($args, "batch_size")? {
            tuning = tuning.batch_size(examples);
        }
        if let Some(factor) = factor($args, "learning_rate_multiplier")? {
            tuning = tuning.learning_rate_multiplier(factor);
        }
        tuning
    }};
}

const OF_DPO: [&str; 2] = ["beta", "l2_multiplier"];
const OF_REINFORCEMENT: [&str; 6] =
    ["grader", "reasoning_effort", "compute_multiplier", "eval_interval", "eval_samples", "response_schema"];

pub(super) async fn create(client: &Client, args: &Args) -> Answer {
    Ok(json!(client.jobs().create(&request(args)?).await?))
}

fn request(args: &Args) -> Result<CreateJob, Failure> {
    let (model, file): (ModelId, FileId) = (args.parse("model")?, args.parse("training_file")?);
    let validation: Option<FileId> = args.maybe("validation_file")?;
    let method = args.text("method").unwrap_or("supervised");
    for (owner, names) in [("dpo", &OF_DPO[..]), ("reinforcement", &OF_REINFORCEMENT[..])] {
        if let Some(name) = names.iter().find(|name| method != owner && args.get(name).is_some()) {
            return Err(Failure::argument(name, format!("it belongs to the method {owner}, and this is {method}")));
        }
    }
    let mut job = match method {
        "dpo" => {
            let mut tuning = common!(args, Dpo::new());
            if let Some(beta) = factor(args, "beta")? {
                tuning = tuning.beta(beta);
            }
            if let Some(factor) = factor(args, "l2_multiplier")? {
                tuning = tuning.l2_multiplier(factor);
            }
            CreateJob::dpo(model, file, tuning)
        }
        "reinforcement" => {
            let grader =
                args.get("grader").cloned().ok_or_else(|| Failure::argument("grader", "reinforcement needs it"))?;
            let grader = Grader::from_json(grader).map_err(|error| Failure::argument("grader", error))?;
            let needed = || Failure::argument("validation_file", "reinforcement needs it");
            CreateJob::reinforcement(model, file, validation.clone().ok_or_else(needed)?, reinforcement(args, grader)?)
        }
        _ => CreateJob::supervised(model, file, common!(args, Supervised::new())),
    };
    if let Some(file) = validation {
        job = job.validation_file(file);
    }
    if let Some(suffix) = args.maybe("suffix")? {
        job = job.suffix(suffix);
    }
    if let Some(seed) = args.whole("seed") {
        let seed = u32::try_from(seed).ok().and_then(|seed| Seed::new(seed).ok());
        job = job.seed(seed.ok_or_else(|| Failure::argument("seed", "it is at most 2147483647"))?);
    }
    if let Some(kind) = args.text("training_type") {
        job = job.training_type(TrainingType::from(kind));
    }
    if let Some(pairs) = args.get("metadata").and_then(Value::as_object) {
        let mut metadata = Metadata::default();
        for (key, value) in pairs {
            let inserted = metadata.insert(key, value.as_str().unwrap_or_default());
            inserted.map_err(|error| Failure::argument("metadata", error))?;
        }
        job = job.metadata(metadata);
    }
    Ok(job)
}

fn reinforcement(args: &Args, grader: Grader) -> Result<Reinforcement, Failure> {
    let mut tuning = common!(args, Reinforcement::new(grader));
    if let Some(effort) = args.text("reasoning_effort") {
        tuning = tuning.reasoning_effort(ReasoningEffort::from(effort));
    }
    if let Some(factor) = factor(args, "compute_multiplier")? {
        tuning = tuning.compute_multiplier(factor);
    }
    if let Some(steps) = count(args, "eval_interval")? {
        tuning = tuning.eval_interval(steps);
    }
    if let Some(answers) = count(args, "eval_samples")? {
        tuning = tuning.eval_samples(answers);
    }
    if let Some(schema) = args.get("response_schema") {
        tuning = tuning.response_schema(schema.clone());
    }
    Ok(tuning)
}

fn count(args: &Args, name: &str) -> Result<Option<NonZeroU32>, Failure> {
    let positive = |number: u64| u32::try_from(number).ok().and_then(NonZeroU32::new);
    let count =
        args.whole(name).map(|number| positive(number).ok_or_else(|| Failure::argument(name, "it is out of range")));
    count.transpose()
}

fn factor(args: &Args, name: &str) -> Result<Option<Positive>, Failure> {
    let factor =
        args.number(name).map(|number| Positive::try_from(number).map_err(|error| Failure::argument(name, error)));
    factor.transpose()
}

//! What a new job is asked for with. Whatever can be built here, the service's documentation allows.

mod parts;
mod tuning;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub use parts::{InvalidRequest, Metadata, Positive, Seed, Suffix, TrainingType, Wandb};
pub use tuning::{Dpo, ReasoningEffort, Reinforcement, Supervised};

use crate::endpoint::ApiSurface;
use crate::id::{FileId, ModelId};
use crate::model::Job;
use tuning::Tuning;

/// A job to be created with [`Jobs::create`](crate::Jobs::create).
///
/// ```
/// # use azure_finetuning::{CreateJob, Supervised};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tuning = Supervised::new().epochs(3.try_into()?).learning_rate_multiplier(0.5.try_into()?);
/// let job = CreateJob::supervised("gpt-4.1-mini-2025-04-14".parse()?, "file-1111".parse()?, tuning)
///     .suffix("support".parse()?)
///     .validation_file("file-2222".parse()?);
/// # let _ = job; Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CreateJob {
    model: ModelId,
    training_file: FileId,
    validation_file: Option<FileId>,
    tuning: Tuning,
    suffix: Option<Suffix>,
    seed: Option<Seed>,
    metadata: Metadata,
    training_type: Option<TrainingType>,
    wandb: Vec<Wandb>,
}

impl CreateJob {
    /// Tunes `model` on examples of good answers. `model` is a base model, or an earlier tuned one to be tuned further.
    #[must_use]
    pub fn supervised(model: ModelId, training_file: FileId, tuning: Supervised) -> Self {
        Self::new(model, training_file, Tuning::Supervised(tuning))
    }

    /// Tunes `model` on pairs of a preferred and a refused answer (direct preference optimisation).
    #[must_use]
    pub fn dpo(model: ModelId, training_file: FileId, tuning: Dpo) -> Self {
        Self::new(model, training_file, Tuning::Dpo(tuning))
    }

    /// Tunes `model` on grades, which needs a validation file. The service pauses such a job once it has cost 5,000 USD; after
    /// it is resumed there is no further limit.
    #[must_use]
    pub fn reinforcement(
        model: ModelId,
        training_file: FileId,
        validation_file: FileId,
        tuning: Reinforcement,
    ) -> Self {
        Self::new(model, training_file, Tuning::Reinforcement(Box::new(tuning))).validation_file(validation_file)
    }

    fn new(model: ModelId, training_file: FileId, tuning: Tuning) -> Self {
        Self {
            model,
            training_file,
            validation_file: None,
            tuning,
            suffix: None,
            seed: None,
            metadata: Metadata::default(),
            training_type: None,
            wandb: Vec::new(),
        }
    }

    /// Validates against this file while tuning.
    #[must_use]
    pub fn validation_file(mut self, file: FileId) -> Self {
        self.validation_file = Some(file);
        self
    }

    /// Ends the tuned model's name with this.
    #[must_use]
    pub fn suffix(mut self, suffix: Suffix) -> Self {
        self.suffix = Some(suffix);
        self
    }

    /// Makes the training repeatable, as far as the service can.
    #[must_use]
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Labels the job, for instance to find it again after [`Error::Ambiguous`](crate::Error::Ambiguous).
    #[must_use]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Where the training runs, which decides its price. Some models cannot be tuned without it.
    #[must_use]
    pub fn training_type(mut self, training_type: TrainingType) -> Self {
        self.training_type = Some(training_type);
        self
    }

    /// Also reports to Weights & Biases.
    #[must_use]
    pub fn wandb(mut self, wandb: Wandb) -> Self {
        self.wandb.push(wandb);
        self
    }

    /// Whether a job may have come of this request: nothing that it says contradicts that.
    pub(crate) fn may_be(&self, job: &Job) -> bool {
        let suffix = self.suffix.as_ref().map(Suffix::as_str);
        let pairs = |found: &BTreeMap<String, String>| {
            self.metadata.pairs().iter().all(|(key, value)| found.get(key) == Some(value))
        };
        job.training_file.as_ref().is_none_or(|found| *found == self.training_file)
            && job.suffix().is_none_or(|found| suffix == Some(found))
            && job.metadata.as_ref().is_none_or(pairs)
    }

    /// The body of the request. Dated versions know supervised tuning only by its hyperparameters, beside everything else.
    pub(crate) fn to_json(&self, surface: &ApiSurface) -> Value {
        let mut body = json!({ "model": self.model, "training_file": self.training_file });
        let mut add = |name: &str, value: Option<Value>| {
            if let (Some(members), Some(value)) = (body.as_object_mut(), value) {
                members.insert(name.to_owned(), value);
            }
        };
        if let (Tuning::Supervised(tuning), true) = (&self.tuning, surface.is_dated()) {
            add("hyperparameters", Some(tuning.hyperparameters()).filter(|it| it != &json!({})));
        } else {
            add("method", Some(self.tuning.to_json()));
        }
        add("validation_file", self.validation_file.as_ref().map(|id| json!(id)));
        add("suffix", self.suffix.as_ref().map(|suffix| json!(suffix.as_str())));
        add("seed", self.seed.map(|seed| json!(seed.get())));
        add("metadata", Some(json!(self.metadata.pairs())).filter(|_| !self.metadata.pairs().is_empty()));
        add("trainingType", self.training_type.as_ref().map(|kind| json!(kind)));
        let wandb: Vec<Value> = self.wandb.iter().map(|wandb| json!({"type": "wandb", "wandb": wandb})).collect();
        add("integrations", Some(json!(wandb)).filter(|_| !wandb.is_empty()));
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grader::{Grader, SimilarityMetric};

    #[track_caller]
    fn check(job: &CreateJob, surface: &str, expected: Value) {
        assert_eq!(job.to_json(&surface.parse().unwrap()), expected);
    }

    fn model() -> ModelId {
        "gpt-4.1-mini".parse().unwrap()
    }

    fn file(id: &str) -> FileId {
        id.parse().unwrap()
    }

    #[test]
    fn supervised_on_both_surfaces() {
        let least = CreateJob::supervised(model(), file("file-1"), Supervised::new());
        check(&least, "2024-10-21", json!({"model": "gpt-4.1-mini", "training_file": "file-1"}));
        check(
            &least,
            "v1",
            json!({"model": "gpt-4.1-mini", "training_file": "file-1", "method": {"type": "supervised", "supervised": {"hyperparameters": {}}}}),
        );
        let tuning = Supervised::new()
            .epochs(3.try_into().unwrap())
            .batch_size(4.try_into().unwrap())
            .learning_rate_multiplier(0.5.try_into().unwrap());
        let mut metadata = Metadata::default();
        metadata.insert("run", "7").unwrap();
        let full = CreateJob::supervised(model(), file("file-1"), tuning)
            .validation_file(file("file-2"))
            .suffix("support".parse().unwrap())
            .seed(Seed::new(105).unwrap())
            .metadata(metadata)
            .training_type(TrainingType::GlobalStandard)
            .wandb(Wandb { project: "p".into(), ..Wandb::default() });
        let settings = json!({"n_epochs": 3, "batch_size": 4, "learning_rate_multiplier": 0.5});
        let mut expected = json!({
            "model": "gpt-4.1-mini", "training_file": "file-1", "validation_file": "file-2", "suffix": "support",
            "seed": 105, "metadata": {"run": "7"}, "trainingType": "GlobalStandard",
            "integrations": [{"type": "wandb", "wandb": {"project": "p"}}],
            "hyperparameters": settings,
        });
        check(&full, "2025-04-01-preview", expected.clone());
        expected.as_object_mut().unwrap().remove("hyperparameters");
        expected["method"] = json!({"type": "supervised", "supervised": {"hyperparameters": settings}});
        check(&full, "preview", expected);
    }

    #[test]
    fn preference() {
        let tuning = Dpo::new().beta(0.1.try_into().unwrap()).l2_multiplier(0.2.try_into().unwrap());
        check(
            &CreateJob::dpo(model(), file("file-1"), tuning),
            "2025-04-01-preview",
            json!({"model": "gpt-4.1-mini", "training_file": "file-1",
                "method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.1, "l2_multiplier": 0.2}}}}),
        );
    }

    #[test]
    fn reinforcement() {
        let grader = Grader::text_similarity("s", "{{sample.output_text}}", "{{item.x}}", SimilarityMetric::RougeL);
        let tuning = Reinforcement::new(grader)
            .epochs(1.try_into().unwrap())
            .reasoning_effort(ReasoningEffort::High)
            .compute_multiplier(1.5.try_into().unwrap())
            .eval_interval(5.try_into().unwrap())
            .eval_samples(2.try_into().unwrap())
            .response_schema(json!({"type": "object"}));
        check(
            &CreateJob::reinforcement("o4-mini".parse().unwrap(), file("file-1"), file("file-2"), tuning),
            "v1",
            json!({"model": "o4-mini", "training_file": "file-1", "validation_file": "file-2",
                "method": {"type": "reinforcement", "reinforcement": {
                    "grader": {"type": "text_similarity", "name": "s", "input": "{{sample.output_text}}",
                        "reference": "{{item.x}}", "evaluation_metric": "rouge_l"},
                    "response_format": {"type": "json_schema", "json_schema": {"type": "object"}},
                    "hyperparameters": {"n_epochs": 1, "reasoning_effort": "high", "compute_multiplier": 1.5,
                        "eval_interval": 5, "eval_samples": 2}}}}),
        );
    }
}

//! The three ways to tune a model, each with the settings it has. What is not set, the service chooses.

use std::num::NonZeroU32;

use serde::Serialize;
use serde_json::{Value, json};

use super::Positive;
use crate::grader::Grader;
use crate::open_enum::open_enum;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tuning {
    Supervised(Supervised),
    Dpo(Dpo),
    Reinforcement(Box<Reinforcement>),
}

impl Tuning {
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Supervised(tuning) => {
                json!({"type": "supervised", "supervised": {"hyperparameters": tuning.hyperparameters()}})
            }
            Self::Dpo(tuning) => json!({"type": "dpo", "dpo": {"hyperparameters": tuning.settings}}),
            Self::Reinforcement(tuning) => {
                let mut inside = json!({"grader": tuning.grader, "hyperparameters": tuning.settings});
                if let (Some(members), Some(schema)) = (inside.as_object_mut(), &tuning.response_schema) {
                    let format = json!({"type": "json_schema", "json_schema": schema});
                    members.insert("response_format".to_owned(), format);
                }
                json!({"type": "reinforcement", "reinforcement": inside})
            }
        }
    }
}

/// Every hyperparameter there is. Which of them can be set is up to the builders.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    n_epochs: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_size: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    learning_rate_multiplier: Option<Positive>,
    #[serde(skip_serializing_if = "Option::is_none")]
    beta: Option<Positive>,
    #[serde(skip_serializing_if = "Option::is_none")]
    l2_multiplier: Option<Positive>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<ReasoningEffort>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compute_multiplier: Option<Positive>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eval_interval: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eval_samples: Option<NonZeroU32>,
}

macro_rules! common {
    () => {
        /// How often the training file is gone through.
        #[must_use]
        pub fn epochs(mut self, epochs: NonZeroU32) -> Self {
            self.settings.n_epochs = Some(epochs);
            self
        }

        /// Examples per step.
        #[must_use]
        pub fn batch_size(mut self, examples: NonZeroU32) -> Self {
            self.settings.batch_size = Some(examples);
            self
        }

        /// Factor on the learning rate of the base model.
        #[must_use]
        pub fn learning_rate_multiplier(mut self, factor: Positive) -> Self {
            self.settings.learning_rate_multiplier = Some(factor);
            self
        }
    };
}

/// Tuning on examples of good answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Supervised {
    settings: Settings,
}

impl Supervised {
    /// With everything up to the service.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    common!();

    pub(super) fn hyperparameters(&self) -> Value {
        json!(self.settings)
    }
}

/// Tuning on pairs of a preferred and a refused answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dpo {
    settings: Settings,
}

impl Dpo {
    /// With everything up to the service.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    common!();

    /// How closely the tuned model stays to the base model.
    #[must_use]
    pub fn beta(mut self, beta: Positive) -> Self {
        self.settings.beta = Some(beta);
        self
    }

    /// Factor on the penalty for large weights.
    #[must_use]
    pub fn l2_multiplier(mut self, factor: Positive) -> Self {
        self.settings.l2_multiplier = Some(factor);
        self
    }
}

open_enum!(
    /// How long a reasoning model thinks.
    ReasoningEffort {
        /// As long as the model does by itself.
        Default = "default",
        /// Little.
        Low = "low",
        /// Some.
        Medium = "medium",
        /// Much.
        High = "high",
    }
);

/// Tuning on the grades of a grader.
#[derive(Clone, Debug, PartialEq)]
pub struct Reinforcement {
    grader: Grader,
    response_schema: Option<Value>,
    settings: Settings,
}

impl Reinforcement {
    /// Graded by `grader`, everything else up to the service.
    #[must_use]
    pub fn new(grader: Grader) -> Self {
        Self { grader, response_schema: None, settings: Settings::default() }
    }

    common!();

    /// Makes the model answer with JSON of this schema (`response_format.json_schema`).
    #[must_use]
    pub fn response_schema(mut self, schema: Value) -> Self {
        self.response_schema = Some(schema);
        self
    }

    /// How long the model thinks.
    #[must_use]
    pub fn reasoning_effort(mut self, effort: ReasoningEffort) -> Self {
        self.settings.reasoning_effort = Some(effort);
        self
    }

    /// Factor on the computing that goes into exploring answers.
    #[must_use]
    pub fn compute_multiplier(mut self, factor: Positive) -> Self {
        self.settings.compute_multiplier = Some(factor);
        self
    }

    /// Steps between two evaluations.
    #[must_use]
    pub fn eval_interval(mut self, steps: NonZeroU32) -> Self {
        self.settings.eval_interval = Some(steps);
        self
    }

    /// Answers per example of the validation file in an evaluation.
    #[must_use]
    pub fn eval_samples(mut self, answers: NonZeroU32) -> Self {
        self.settings.eval_samples = Some(answers);
        self
    }
}

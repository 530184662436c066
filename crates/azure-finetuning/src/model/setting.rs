//! Hyperparameters as the service reports them: numbers, `"auto"`, `-1`, or something new.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Number, Value};

use super::Extra;

/// One hyperparameter of a job.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Setting {
    /// `"auto"`: the service chooses.
    Auto,
    /// `-1`: the service has not chosen yet.
    Undecided,
    /// A number.
    Number(Number),
    /// Something else, kept as it was.
    Unknown(Value),
}

impl Setting {
    /// The number, where there is one; `None` for `"auto"` and `-1`.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => number.as_f64(),
            Self::Auto | Self::Undecided | Self::Unknown(_) => None,
        }
    }
}

impl From<Value> for Setting {
    fn from(value: Value) -> Self {
        match value {
            Value::String(text) if text == "auto" => Self::Auto,
            Value::Number(number) if number.as_f64() == Some(-1.0) => Self::Undecided,
            Value::Number(number) => Self::Number(number),
            other @ (Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
                Self::Unknown(other)
            }
        }
    }
}

impl Serialize for Setting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Undecided => serializer.serialize_i64(-1),
            Self::Number(number) => number.serialize(serializer),
            Self::Unknown(value) => value.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from)
    }
}

/// The hyperparameters of a job, as the service reports them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hyperparameters {
    /// How often the training file is gone through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_epochs: Option<Setting>,
    /// Examples per step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<Setting>,
    /// Factor on the learning rate of the base model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate_multiplier: Option<Setting>,
    /// Preference tuning only: how closely the tuned model stays to the base model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta: Option<Setting>,
    /// Members this crate does not know, and those of reinforcement (`reasoning_effort`, `eval_interval` and others).
    #[serde(flatten)]
    pub extra: Extra,
}

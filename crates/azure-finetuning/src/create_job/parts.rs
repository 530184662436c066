//! Members of a new job that have rules of their own.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Serialize;

use crate::open_enum::open_enum;

/// Why a request cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRequest {
    /// A suffix has 1 to 40 ASCII letters, digits, `_` and `-`.
    #[error("a suffix has 1 to 40 letters, digits, `_` and `-`")]
    Suffix,
    /// A seed is at most 2147483647.
    #[error("a seed is at most 2147483647, not {0}")]
    Seed(u32),
    /// The number is not positive, or not finite.
    #[error("the number is not positive and finite")]
    NotPositive,
    /// There are 16 pairs already.
    #[error("metadata has at most 16 pairs")]
    TooManyPairs,
    /// A key has 1 to 64 characters.
    #[error("a metadata key has 1 to 64 characters")]
    MetadataKey,
    /// A value has at most 512 characters.
    #[error("a metadata value has at most 512 characters")]
    MetadataValue,
    /// The labels that pass are some of all labels.
    #[error("the passing labels are not some of the labels")]
    Labels,
    /// A grader's source has at most 256 kB.
    #[error("a grader's source has {0} bytes, more than 262144")]
    Source(usize),
    /// A grader of graders has at least one, none of which is a grader of graders.
    #[error("a multi grader has at least one grader, none of which is a multi grader")]
    Graders,
    /// A grader has a name, and a type the service knows.
    #[error(
        "a grader has a `name`, and a `type` of string_check, text_similarity, score_model, label_model, python or multi"
    )]
    Grader,
    /// The range's beginning is not below its end.
    #[error("the range is empty")]
    Range,
}

/// The end of a tuned model's name: 1 to 40 ASCII letters, digits, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suffix(Box<str>);

impl Suffix {
    /// The suffix.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Suffix {
    type Err = InvalidRequest;

    fn from_str(text: &str) -> Result<Self, InvalidRequest> {
        let lawful = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if lawful && (1..=40).contains(&text.len()) { Ok(Self(text.into())) } else { Err(InvalidRequest::Suffix) }
    }
}

/// A seed: 0 to 2147483647.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(u32);

impl Seed {
    /// A seed.
    ///
    /// # Errors
    /// [`InvalidRequest::Seed`] above 2147483647.
    pub fn new(seed: u32) -> Result<Self, InvalidRequest> {
        if i32::try_from(seed).is_ok() { Ok(Self(seed)) } else { Err(InvalidRequest::Seed(seed)) }
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

/// A finite number above zero.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Positive(f64);

impl TryFrom<f64> for Positive {
    type Error = InvalidRequest;

    fn try_from(number: f64) -> Result<Self, InvalidRequest> {
        if number.is_finite() && number > 0.0 { Ok(Self(number)) } else { Err(InvalidRequest::NotPositive) }
    }
}

/// Labels of a job: at most 16 pairs, keys up to 64 characters, values up to 512.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata(BTreeMap<String, String>);

impl Metadata {
    /// Adds a pair, or replaces the value of its key.
    ///
    /// # Errors
    /// [`InvalidRequest`] when the service would not take it; then nothing has changed.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) -> Result<(), InvalidRequest> {
        let (key, value) = (key.into(), value.into());
        if !(1..=64).contains(&key.chars().count()) {
            return Err(InvalidRequest::MetadataKey);
        }
        if value.chars().count() > 512 {
            return Err(InvalidRequest::MetadataValue);
        }
        if self.0.len() >= 16 && !self.0.contains_key(&key) {
            return Err(InvalidRequest::TooManyPairs);
        }
        self.0.insert(key, value);
        Ok(())
    }

    /// The pairs, by key.
    #[must_use]
    pub fn pairs(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

open_enum!(
    /// Where a training runs.
    TrainingType {
        /// In the resource's region.
        Standard = "Standard" | "standard",
        /// Anywhere, for less.
        GlobalStandard = "GlobalStandard" | "globalstandard",
        /// On spare capacity, for least; may be interrupted and goes on by itself.
        Developer = "Developer" | "developerTier",
    }
);

/// A project of Weights & Biases to report to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Wandb {
    /// The project.
    pub project: String,
    /// The run's name; the job's id if this is `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The team or user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// Tags of the run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_the_parts() {
        for (suffix, is_lawful) in [
            ("a_B-9", true),
            (&*"a".repeat(40), true),
            (&*"a".repeat(41), false),
            ("", false),
            ("a b", false),
            ("ä", false),
        ] {
            assert_eq!(suffix.parse::<Suffix>().is_ok(), is_lawful, "{suffix}");
        }
        assert!(Seed::new(2_147_483_647).is_ok());
        assert_eq!(Seed::new(2_147_483_648), Err(InvalidRequest::Seed(2_147_483_648)));
        for number in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Positive::try_from(number).is_err(), "{number}");
        }
    }

    #[test]
    fn limits_of_metadata() {
        let mut metadata = Metadata::default();
        assert_eq!(metadata.insert("", "v"), Err(InvalidRequest::MetadataKey));
        assert_eq!(metadata.insert("ä".repeat(65), "v"), Err(InvalidRequest::MetadataKey));
        assert_eq!(metadata.insert("k", "v".repeat(513)), Err(InvalidRequest::MetadataValue));
        for key in 0..16 {
            metadata.insert(key.to_string(), "ä".repeat(512)).unwrap();
        }
        assert_eq!(metadata.insert("more", "v"), Err(InvalidRequest::TooManyPairs));
        assert_eq!(metadata.insert("3", "replaced"), Ok(()));
    }
}

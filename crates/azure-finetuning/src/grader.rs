//! Graders: what says how good an answer is.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::create_job::InvalidRequest;
use crate::id::ModelId;
use crate::open_enum::open_enum;

/// The largest source of a python grader, in bytes.
const LARGEST_SOURCE: usize = 256 * 1024;

/// Grades an answer. Texts may contain templates such as `{{ sample.output_text }}` and `{{ item.answer }}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Grader(Value);

open_enum!(
    /// How two texts are compared.
    StringOperation {
        /// They are equal.
        Equal = "eq",
        /// They differ.
        NotEqual = "ne",
        /// One contains the other.
        Like = "like",
        /// One contains the other, whatever the case of letters.
        LikeIgnoringCase = "ilike",
    }
);

open_enum!(
    /// How the likeness of two texts is measured.
    SimilarityMetric {
        /// By edit distance.
        FuzzyMatch = "fuzzy_match",
        /// BLEU.
        Bleu = "bleu",
        /// Google-BLEU.
        Gleu = "gleu",
        /// METEOR.
        Meteor = "meteor",
        /// ROUGE of single words.
        Rouge1 = "rouge_1",
        /// ROUGE of two words.
        Rouge2 = "rouge_2",
        /// ROUGE of three words.
        Rouge3 = "rouge_3",
        /// ROUGE of four words.
        Rouge4 = "rouge_4",
        /// ROUGE of five words.
        Rouge5 = "rouge_5",
        /// ROUGE of the longest common sequence.
        RougeL = "rouge_l",
    }
);

/// A message to a model that grades.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GraderMessage {
    /// Who speaks: `system`, `developer`, `user` or `assistant`.
    pub role: String,
    /// What is said; may contain templates.
    pub content: String,
}

impl Grader {
    /// 1 if `input` and `reference` compare so, else 0.
    #[must_use]
    pub fn string_check(name: &str, input: &str, reference: &str, operation: StringOperation) -> Self {
        let (kind, operation) = ("string_check", operation.as_str());
        Self(json!({"type": kind, "name": name, "input": input, "reference": reference, "operation": operation}))
    }

    /// How alike `input` and `reference` are.
    #[must_use]
    pub fn text_similarity(name: &str, input: &str, reference: &str, metric: SimilarityMetric) -> Self {
        let (kind, metric) = ("text_similarity", metric.as_str());
        Self(json!({"type": kind, "name": name, "input": input, "reference": reference, "evaluation_metric": metric}))
    }

    /// The number that `model` answers to these messages.
    #[must_use]
    pub fn score_model(name: &str, model: &ModelId, input: &[GraderMessage]) -> Self {
        Self(json!({"type": "score_model", "name": name, "model": model, "input": input}))
    }

    /// The same, when the number lies between `low` and `high`.
    ///
    /// # Errors
    /// [`InvalidRequest::Range`] unless `low` is below `high` and both are finite.
    pub fn score_model_within(
        name: &str,
        model: &ModelId,
        input: &[GraderMessage],
        low: f64,
        high: f64,
    ) -> Result<Self, InvalidRequest> {
        if !(low.is_finite() && high.is_finite() && low < high) {
            return Err(InvalidRequest::Range);
        }
        Ok(Self::score_model(name, model, input).with("range", json!([low, high])))
    }

    /// 1 if the label that `model` answers is one of `passing`, else 0.
    ///
    /// # Errors
    /// [`InvalidRequest::Labels`] unless `passing` is some of `labels`.
    pub fn label_model(
        name: &str,
        model: &ModelId,
        input: &[GraderMessage],
        labels: &[&str],
        passing: &[&str],
    ) -> Result<Self, InvalidRequest> {
        if passing.is_empty() || !passing.iter().all(|label| labels.contains(label)) {
            return Err(InvalidRequest::Labels);
        }
        let grader = Self(json!({"type": "label_model", "name": name, "model": model, "input": input}));
        Ok(grader.with("labels", json!(labels)).with("passing_labels", json!(passing)))
    }

    /// What the function `grade(sample, item)` of this Python source returns. The service runs it, nobody here does.
    ///
    /// # Errors
    /// [`InvalidRequest::Source`] above 256 kB.
    pub fn python(name: &str, source: &str) -> Result<Self, InvalidRequest> {
        if source.len() > LARGEST_SOURCE {
            return Err(InvalidRequest::Source(source.len()));
        }
        Ok(Self(json!({"type": "python", "name": name, "source": source})))
    }

    /// What a formula over other graders gives, such as `0.5 * style + 0.5 * truth`.
    ///
    /// # Errors
    /// [`InvalidRequest::Graders`] unless there are graders, none of which is itself a multi grader.
    pub fn multi(name: &str, graders: &BTreeMap<String, Self>, formula: &str) -> Result<Self, InvalidRequest> {
        let is_multi = |grader: &Self| grader.0.get("type") == Some(&json!("multi"));
        if graders.is_empty() || graders.values().any(is_multi) {
            return Err(InvalidRequest::Graders);
        }
        Ok(Self(json!({"type": "multi", "name": name, "graders": graders, "calculate_output": formula})))
    }

    /// The grade from which on an answer passes.
    #[must_use]
    pub fn pass_threshold(self, grade: f64) -> Self {
        self.with("pass_threshold", json!(grade))
    }

    /// A grader that is written as JSON already, as the service documents it.
    ///
    /// # Errors
    /// [`InvalidRequest::Grader`] without a `name` or with a `type` that is not one of the six, [`InvalidRequest::Source`] above
    /// 256 kB, [`InvalidRequest::Graders`] as for [`Grader::multi`]. All else is the service's to judge.
    pub fn from_json(grader: Value) -> Result<Self, InvalidRequest> {
        const KINDS: [&str; 6] = ["string_check", "text_similarity", "score_model", "label_model", "python", "multi"];
        let text = |name: &str| grader.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("name").is_empty() || !KINDS.contains(&text("type")) {
            return Err(InvalidRequest::Grader);
        }
        if text("source").len() > LARGEST_SOURCE {
            return Err(InvalidRequest::Source(text("source").len()));
        }
        if text("type") == "multi" {
            let inner = grader.get("graders").and_then(Value::as_object).filter(|inner| !inner.is_empty());
            for inner in inner.ok_or(InvalidRequest::Graders)?.values() {
                if Self::from_json(inner.clone())?.0.get("type") == Some(&json!("multi")) {
                    return Err(InvalidRequest::Graders);
                }
            }
        }
        Ok(Self(grader))
    }

    /// The grader as it is sent.
    #[must_use]
    pub fn as_json(&self) -> &Value {
        &self.0
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        if let Some(members) = self.0.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> ModelId {
        "gpt-4.1".parse().unwrap()
    }

    #[test]
    fn graders_as_they_are_sent() {
        let input = [GraderMessage { role: "user".into(), content: "{{ item.x }}".into() }];
        let messages = json!([{"role": "user", "content": "{{ item.x }}"}]);
        let check = Grader::string_check("c", "a", "b", StringOperation::LikeIgnoringCase).pass_threshold(0.5);
        let sent_check = json!({"type": "string_check", "name": "c", "input": "a", "reference": "b",
            "operation": "ilike", "pass_threshold": 0.5});
        assert_eq!(check.as_json(), &sent_check);
        let score = Grader::score_model_within("s", &model(), &input, 0.0, 5.0).unwrap();
        let sent_score =
            json!({"type": "score_model", "name": "s", "model": "gpt-4.1", "input": messages, "range": [0.0, 5.0]});
        assert_eq!(score.as_json(), &sent_score);
        let label = Grader::label_model("l", &model(), &input, &["good", "bad"], &["good"]).unwrap();
        assert_eq!(label.as_json()["passing_labels"], json!(["good"]));
        let graders = [("a".to_owned(), check), ("b".to_owned(), score)].into();
        let multi = Grader::multi("m", &graders, "a + b").unwrap();
        let sent = json!({"type": "multi", "name": "m", "graders": {"a": sent_check, "b": sent_score}, "calculate_output": "a + b"});
        assert_eq!(multi.as_json(), &sent);
    }

    #[test]
    fn graders_that_cannot_be_made() {
        let failed = |made: Result<Grader, InvalidRequest>| made.unwrap_err().to_string();
        let labels = |passing: &[&str]| failed(Grader::label_model("l", &model(), &[], &["a"], passing));
        assert_eq!(labels(&["b"]), "the passing labels are not some of the labels");
        assert_eq!(labels(&[]), "the passing labels are not some of the labels");
        let source = "x".repeat(LARGEST_SOURCE + 1);
        assert_eq!(failed(Grader::python("p", &source)), "a grader's source has 262145 bytes, more than 262144");
        assert_eq!(failed(Grader::score_model_within("s", &model(), &[], 1.0, 1.0)), "the range is empty");
        let one = [("a".to_owned(), Grader::python("p", "").unwrap())].into();
        let nested = [("m".to_owned(), Grader::multi("m", &one, "a").unwrap())].into();
        for graders in [nested, BTreeMap::new()] {
            let message = "a multi grader has at least one grader, none of which is a multi grader";
            assert_eq!(failed(Grader::multi("m", &graders, "m")), message);
        }
    }
}

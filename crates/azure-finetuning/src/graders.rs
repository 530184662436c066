//! Tries graders out. Only the v1 surface has this, and only as alpha.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::Client;
use crate::error::Error;
use crate::grader::Grader;
use crate::model::Extra;
use crate::transport::{Body, Call};

/// Operations on graders. From [`Client::graders`].
#[derive(Clone, Debug)]
pub struct Graders {
    client: Client,
}

impl Client {
    /// Operations on graders.
    #[must_use]
    pub fn graders(&self) -> Graders {
        Graders { client: self.clone() }
    }
}

/// What a grader says of one answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Grade {
    /// The grade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<f64>,
    /// How it came about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<GradeMetadata>,
    /// The grades of the graders in a multi grader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_rewards: Option<BTreeMap<String, Value>>,
    /// Members this crate does not know, such as `model_grader_token_usage_per_model`.
    #[serde(flatten)]
    pub extra: Extra,
}

/// How a grade came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GradeMetadata {
    /// The grader's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The time it took, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_time: Option<f64>,
    /// What went wrong: members that are `true`, and `…_details` for some of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<Extra>,
    /// Members this crate does not know, such as `type`, `scores`, `token_usage`, `sampled_model_name`.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Graders {
    /// Grades one answer, which may cost tokens (`POST /fine_tuning/alpha/graders/run`). `item` is what templates call so.
    ///
    /// # Errors
    /// [`Error::Unsupported`] on dated versions; [`Error::Ambiguous`] when no answer came, since grading costs.
    pub async fn run(&self, grader: &Grader, sample: &str, item: Option<&Value>) -> Result<Grade, Error> {
        let mut body = json!({ "grader": grader, "model_sample": sample });
        if let (Some(members), Some(item)) = (body.as_object_mut(), item) {
            members.insert("item".to_owned(), item.clone());
        }
        self.client.json(self.call("graders.run", "run", &body)?).await
    }

    /// Whether the service would take a grader; gives it back as the service understands it
    /// (`POST /fine_tuning/alpha/graders/validate`).
    ///
    /// # Errors
    /// [`Error::Unsupported`] on dated versions; [`Error::Api`] when the grader is refused.
    pub async fn validate(&self, grader: &Grader) -> Result<Value, Error> {
        let call = self.call("graders.validate", "validate", &json!({ "grader": grader }))?.repeatable();
        let mut answer: Value = self.client.json(call).await?;
        Ok(answer.get_mut("grader").map(Value::take).unwrap_or(answer))
    }

    fn call(&self, operation: &'static str, verb: &str, body: &Value) -> Result<Call, Error> {
        if self.client.surface().is_dated() {
            return Err(self.client.unsupported(operation));
        }
        let url = self.client.url(&["fine_tuning", "alpha", "graders", verb]);
        Ok(Call::create(operation, url, Body::Json(body.to_string().into())))
    }
}

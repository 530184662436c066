//! Operations on models.

use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::Error;
use crate::id::ModelId;
use crate::model::lenient::tolerant;
use crate::model::{Extra, UnixTime};
use crate::pages::{List, Listed};
use crate::transport::Call;

tolerant!(
    ["id"]
    /// A model of the resource: a base model or a tuned one (`model`).
    #[derive(Clone, Debug, PartialEq, Serialize)]
    #[non_exhaustive]
    pub struct Model {
        /// The model's id.
        pub id: ModelId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        created: Option<UnixTime>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        created_at: Option<UnixTime>,
        /// Members this crate does not know: `owned_by` on the v1 surface; `status`, `capabilities`, `lifecycle_status`,
        /// `deprecation` and others on dated ones.
        #[serde(flatten)]
        pub extra: Extra,
    }
);

impl Model {
    /// When the model was made, whichever way the API surface spells it.
    #[must_use]
    pub fn created_at(&self) -> Option<UnixTime> {
        self.created.or(self.created_at)
    }
}

impl Listed for Model {
    fn cursor(&self) -> &str {
        self.id.as_str()
    }
}

/// Operations on models. From [`Client::models`].
#[derive(Clone, Debug)]
pub struct Models {
    client: Client,
}

impl Client {
    /// Operations on models.
    #[must_use]
    pub fn models(&self) -> Models {
        Models { client: self.clone() }
    }
}

impl Models {
    /// The models of the resource, base models and tuned ones (`GET /models`).
    pub fn list(&self) -> List<Model> {
        List::new(self.client.clone(), "models.list", self.client.url(&["models"]))
    }

    /// One model (`GET /models/{id}`).
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such model.
    pub async fn get(&self, id: &ModelId) -> Result<Model, Error> {
        self.client.json(Call::get("models.get", self.client.url(&["models", id.as_str()]))).await
    }
}

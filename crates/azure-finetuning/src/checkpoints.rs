//! Copies of checkpoints in other accounts. Only the v1 surface has them.

use serde_json::json;

use crate::client::Client;
use crate::error::Error;
use crate::id::{CheckpointId, JobId};
use crate::model::CheckpointCopy;
use crate::transport::{Body, Call};

/// What asks for this preview.
const PREVIEW: (&str, &str) = ("aoai-copy-ft-checkpoints", "preview");

/// Operations on checkpoints; listing them is [`Jobs::checkpoints`](crate::Jobs::checkpoints). From [`Client::checkpoints`].
#[derive(Clone, Debug)]
pub struct Checkpoints {
    client: Client,
}

impl Client {
    /// Operations on checkpoints.
    #[must_use]
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints { client: self.clone() }
    }
}

impl Checkpoints {
    /// Begins to copy a checkpoint to another account: `destination` is its resource id
    /// (`/subscriptions/…/providers/Microsoft.CognitiveServices/accounts/NAME`), `region` where it is
    /// (`POST /fine_tuning/jobs/{job}/checkpoints/{checkpoint}/copy`).
    ///
    /// # Errors
    /// [`Error::Unsupported`] on dated versions; [`Error::Ambiguous`] when the copy may have begun although no answer came:
    /// [`Checkpoints::copy_status`] tells.
    pub async fn copy(
        &self,
        job: &JobId,
        checkpoint: &CheckpointId,
        destination: &str,
        region: &str,
    ) -> Result<CheckpointCopy, Error> {
        const OPERATION: &str = "checkpoints.copy";
        let body = json!({ "destinationResourceId": destination, "region": region });
        let body = Body::Json(body.to_string().into());
        let call = Call::create(OPERATION, self.url(OPERATION, job, checkpoint)?, body);
        self.client.json(call.header(PREVIEW)).await
    }

    /// How far the copies of a checkpoint are (`GET` on the same path).
    ///
    /// # Errors
    /// [`Error::Unsupported`] on dated versions.
    pub async fn copy_status(&self, job: &JobId, checkpoint: &CheckpointId) -> Result<CheckpointCopy, Error> {
        const OPERATION: &str = "checkpoints.copy_status";
        self.client.json(Call::get(OPERATION, self.url(OPERATION, job, checkpoint)?).header(PREVIEW)).await
    }

    fn url(&self, operation: &'static str, job: &JobId, checkpoint: &CheckpointId) -> Result<url::Url, Error> {
        if self.client.surface().is_dated() {
            return Err(self.client.unsupported(operation));
        }
        let path = ["fine_tuning", "jobs", job.as_str(), "checkpoints", checkpoint.as_str(), "copy"];
        Ok(self.client.url(&path))
    }
}

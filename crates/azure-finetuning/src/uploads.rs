//! Uploads in parts, for files that are too large to be sent at once.

mod from_disk;

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::Client;
use crate::error::Error;
use crate::id::{PartId, UploadId};
use crate::model::lenient::tolerant;
use crate::model::{Extra, File, FilePurpose, UnixTime};
use crate::open_enum::open_enum;
use crate::transport::{Body, Call, Form, Source};

open_enum!(
    /// Where an upload stands.
    UploadStatus {
        /// Taking parts.
        Pending = "pending",
        /// Put together; see [`Upload::file`].
        Completed = "completed",
        /// Given up.
        Cancelled = "cancelled",
        /// Not completed in time.
        Expired = "expired",
    }
);

tolerant!(
    ["id"]
    /// An upload in parts (`upload`).
    #[derive(Clone, Debug, PartialEq, Serialize)]
    #[non_exhaustive]
    pub struct Upload {
        /// The upload's id.
        pub id: UploadId,
        /// Where it stands.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub status: Option<UploadStatus>,
        /// When it ends by itself, two hours after it began.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub expires_at: Option<UnixTime>,
        /// The file, once the upload is completed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub file: Option<File>,
        /// Members this crate does not know, such as `object`, `filename`, `bytes`, `purpose`.
        #[serde(flatten)]
        pub extra: Extra,
    }
);

tolerant!(
    ["id"]
    /// One part of an upload (`upload.part`).
    #[derive(Clone, Debug, PartialEq, Serialize)]
    #[non_exhaustive]
    pub struct UploadPart {
        /// The part's id.
        pub id: PartId,
        /// Members this crate does not know, such as `object`, `created_at`, `upload_id`.
        #[serde(flatten)]
        pub extra: Extra,
    }
);

/// Operations on uploads in parts. From [`Client::uploads`].
#[derive(Clone, Debug)]
pub struct Uploads {
    client: Client,
}

impl Client {
    /// Operations on uploads in parts.
    #[must_use]
    pub fn uploads(&self) -> Uploads {
        Uploads { client: self.clone() }
    }
}

impl Uploads {
    /// Begins an upload of `bytes` bytes in all, 9 GB at most (`POST /uploads`).
    ///
    /// # Errors
    /// [`Error::Ambiguous`] when it may have begun although no answer came; it then ends by itself.
    pub async fn create(&self, filename: &str, purpose: FilePurpose, bytes: u64) -> Result<Upload, Error> {
        let mime = "application/jsonl";
        let body = json!({ "filename": filename, "purpose": purpose, "bytes": bytes, "mime_type": mime });
        let body = Body::Json(body.to_string().into());
        self.client.json(Call::create("uploads.create", self.client.url(&["uploads"]), body)).await
    }

    /// Uploads a file from disk in parts of `part_size` bytes: begins, sends each part, puts them together. One part at a time is
    /// held in memory; the service takes parts of up to 64 MB.
    ///
    /// A part without an answer is sent again, which does no harm. When it fails for good, the upload is given up.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read or changes its size meanwhile; otherwise as for each of the steps.
    pub async fn upload(
        &self,
        path: impl AsRef<Path>,
        purpose: FilePurpose,
        part_size: NonZeroU32,
    ) -> Result<Upload, Error> {
        from_disk::upload(self, path.as_ref(), purpose, part_size).await
    }

    /// Adds a part (`POST /uploads/{id}/parts`). Parts may be sent in any order, also at once.
    ///
    /// # Errors
    /// [`Error::Ambiguous`] when it may be there although no answer came. Sending it again does no harm here: only the parts
    /// named at the end are put together.
    pub async fn add_part(&self, id: &UploadId, data: impl Into<Bytes>) -> Result<UploadPart, Error> {
        let source = Source::Bytes(data.into());
        let form = Form { fields: Vec::new(), part: "data", filename: "data".to_owned(), source, sent: Arc::default() };
        let url = self.url(id, "parts");
        self.client.json(Call::create("uploads.add_part", url, Body::Form(form))).await
    }

    /// Puts the parts together in this order (`POST /uploads/{id}/complete`).
    ///
    /// # Errors
    /// [`Error::Api`] when parts or bytes are missing; [`Error::Ambiguous`] when the file may be there although no answer came.
    pub async fn complete(&self, id: &UploadId, parts: &[PartId]) -> Result<Upload, Error> {
        let body = Body::Json(json!({ "part_ids": parts }).to_string().into());
        self.client.json(Call::create("uploads.complete", self.url(id, "complete"), body)).await
    }

    /// Gives an upload up (`POST /uploads/{id}/cancel`).
    ///
    /// # Errors
    /// [`Error::Api`] when it has ended already.
    pub async fn cancel(&self, id: &UploadId) -> Result<Upload, Error> {
        self.client.json(Call::post("uploads.cancel", self.url(id, "cancel"))).await
    }

    fn url(&self, id: &UploadId, verb: &str) -> url::Url {
        self.client.url(&["uploads", id.as_str(), verb])
    }
}

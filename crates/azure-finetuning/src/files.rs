//! Operations on files.

mod content;

pub use content::FileContent;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::client::Client;
use crate::error::Error;
use crate::id::FileId;
use crate::jobs::WaitOptions;
use crate::model::{Deleted, File, FilePurpose, FileStatus};
use crate::pages::List;
use crate::transport::{Body, Call, Form, Source};

/// Operations on files. From [`Client::files`].
#[derive(Clone, Debug)]
pub struct Files {
    client: Client,
}

impl Client {
    /// Operations on files.
    #[must_use]
    pub fn files(&self) -> Files {
        Files { client: self.clone() }
    }
}

/// A file is checked within minutes, but a state that nobody knows may be an end.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

fn bounded(mut options: WaitOptions) -> WaitOptions {
    options.deadline.get_or_insert(PATIENCE);
    options
}

#[derive(Serialize)]
struct Import<'a> {
    purpose: &'a FilePurpose,
    filename: &'a str,
    content_url: &'a str,
}

impl Files {
    /// Uploads a file from disk, under its own name (`POST /files`). The file is read while it is sent, never as a whole.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, is no regular file, or has a control character in its name;
    /// [`Error::Ambiguous`] when it may be there although no answer came.
    pub async fn upload(&self, path: impl AsRef<Path>, purpose: FilePurpose) -> Result<File, Error> {
        self.upload_counted(path, purpose, Arc::default()).await
    }

    /// As [`Files::upload`], and `sent` says meanwhile how many bytes of the file have been handed to the connection; from 0 again when
    /// another attempt begins.
    ///
    /// # Errors
    /// As for [`Files::upload`].
    pub async fn upload_counted(
        &self,
        path: impl AsRef<Path>,
        purpose: FilePurpose,
        sent: Arc<AtomicU64>,
    ) -> Result<File, Error> {
        let path = path.as_ref();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.ok_or_else(|| {
            let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, "the path names no file");
            Error::Io { operation: "files.upload", source }
        })?;
        self.send(name, purpose, Source::Path(path.to_owned()), sent).await
    }

    /// Uploads bytes under a name (`POST /files`). The service wants training data as JSON lines in UTF-8 with a byte order mark.
    ///
    /// # Errors
    /// [`Error::Io`] for a name with a control character; [`Error::Ambiguous`] when the file may be there although no answer
    /// came.
    pub async fn upload_bytes(
        &self,
        filename: impl Into<String>,
        bytes: impl Into<Bytes>,
        purpose: FilePurpose,
    ) -> Result<File, Error> {
        self.send(filename.into(), purpose, Source::Bytes(bytes.into()), Arc::default()).await
    }

    /// Lets the service fetch a file from a URL, such as a blob's with a signature (`POST /files/import`). Only dated API
    /// versions have this.
    ///
    /// # Errors
    /// [`Error::Unsupported`] on the v1 surface; [`Error::Ambiguous`] when the file may be there although no answer came.
    pub async fn import(&self, filename: &str, content_url: &str, purpose: FilePurpose) -> Result<File, Error> {
        const OPERATION: &str = "files.import";
        if !self.client.surface().is_dated() {
            return Err(self.client.unsupported(OPERATION));
        }
        let import = Import { purpose: &purpose, filename, content_url };
        let body =
            serde_json::to_vec(&import).map_err(|error| Error::Io { operation: OPERATION, source: error.into() })?;
        self.client.json(Call::create(OPERATION, self.client.url(&["files", "import"]), Body::Json(body.into()))).await
    }

    /// The files of the resource, of one purpose or of all (`GET /files`).
    pub fn list(&self, purpose: Option<FilePurpose>) -> List<File> {
        let mut url = self.client.url(&["files"]);
        if let Some(purpose) = purpose {
            url.query_pairs_mut().append_pair("purpose", purpose.as_str());
        }
        List::new(self.client.clone(), "files.list", url)
    }

    /// What the service knows of a file (`GET /files/{id}`).
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such file.
    pub async fn get(&self, id: &FileId) -> Result<File, Error> {
        self.client.json(Call::get("files.get", self.client.url(&["files", id.as_str()]))).await
    }

    /// Asks for a file again and again until the service has looked at it, with good or bad result: see [`File::status`].
    /// A file is ready for a job when that is [`FileStatus::Processed`].
    ///
    /// # Errors
    /// [`Error::Deadline`] when that takes longer than [`WaitOptions::deadline`]; than an hour, if there is none.
    pub async fn wait_until_processed(&self, id: &FileId, options: WaitOptions) -> Result<File, Error> {
        let is_over = |file: &File| match &file.status {
            Some(FileStatus::Uploaded | FileStatus::Pending | FileStatus::Running | FileStatus::Unknown(_)) => false,
            Some(FileStatus::Processed | FileStatus::Error | FileStatus::Deleting | FileStatus::Deleted) => true,
            // A service that says nothing has nothing to wait for.
            None => true,
        };
        crate::jobs::wait::until("files.wait_until_processed", bounded(options), || self.get(id), is_over).await
    }

    /// The bytes of a file, as they come (`GET /files/{id}/content`).
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such file.
    pub async fn content(&self, id: &FileId) -> Result<FileContent, Error> {
        const OPERATION: &str = "files.content";
        let url = self.client.url(&["files", id.as_str(), "content"]);
        let call = Call { accept: "*/*", ..Call::get(OPERATION, url) };
        Ok(FileContent::new(OPERATION, self.client.open(call).await?, self.client.idle_timeout()))
    }

    /// Deletes a file (`DELETE /files/{id}`). There is no way back.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such file, perhaps because an earlier attempt has deleted it.
    pub async fn delete(&self, id: &FileId) -> Result<Deleted, Error> {
        let call = Call::delete("files.delete", self.client.url(&["files", id.as_str()]));
        // Older versions of the API answer nothing.
        Ok(self.client.json::<Option<Deleted>>(call).await?.unwrap_or_default())
    }

    async fn send(
        &self,
        filename: String,
        purpose: FilePurpose,
        source: Source,
        sent: Arc<AtomicU64>,
    ) -> Result<File, Error> {
        let fields = vec![("purpose", purpose.as_str().to_owned())];
        let body = Body::Form(Form { fields, part: "file", filename, source, sent });
        self.client.json(Call::create("files.upload", self.client.url(&["files"]), body)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_waited_for_for_ever() {
        assert_eq!(bounded(WaitOptions::default()).deadline, Some(PATIENCE));
        let given = WaitOptions { deadline: Some(Duration::MAX), ..WaitOptions::default() };
        assert_eq!(bounded(given), given);
    }
}

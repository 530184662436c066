//! The bytes of a file at the service, as they come.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::error::{Error, TransportError};

/// The bytes of a file. Nothing is held but the piece that came last.
#[derive(Debug)]
#[must_use = "the content is still to be read"]
pub struct FileContent {
    /// What errors call it.
    operation: &'static str,
    response: reqwest::Response,
    idle_timeout: Duration,
}

impl FileContent {
    pub(crate) fn new(operation: &'static str, response: reqwest::Response, idle_timeout: Duration) -> Self {
        Self { operation, response, idle_timeout }
    }

    /// How many bytes there are, where the service says so.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The bytes, piece by piece. Ends after an error: [`Error::Transport`] when the connection breaks or falls silent.
    #[must_use]
    pub fn into_stream(self) -> BoxStream<'static, Result<Bytes, Error>> {
        stream::try_unfold(self, async |mut content| {
            let chunk = tokio::time::timeout(content.idle_timeout, content.response.chunk()).await;
            let chunk = match chunk {
                Ok(chunk) => chunk.map_err(|error| TransportError::Broken(error.without_url())),
                Err(_) => Err(TransportError::TimedOut(content.idle_timeout)),
            };
            let operation = content.operation;
            let chunk = chunk.map_err(|source| Error::Transport { operation, attempts: 1, source })?;
            Ok(chunk.map(|chunk| (chunk, content)))
        })
        .boxed()
    }

    /// All bytes at once, if there are not more than `limit`.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond `limit`, [`Error::Transport`] when the connection breaks.
    pub async fn bytes(self, limit: u64) -> Result<Bytes, Error> {
        let mut bytes = Vec::new();
        self.write_to(&mut bytes, limit).await?;
        Ok(bytes.into())
    }

    /// Writes the bytes, if there are not more than `limit`, and says how many there were.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond `limit`, [`Error::Transport`] when the connection breaks, [`Error::Io`] when writing fails;
    /// what was written until then stays.
    pub async fn write_to(self, to: &mut (impl AsyncWrite + Unpin + ?Sized), limit: u64) -> Result<u64, Error> {
        let operation = self.operation;
        let failed = |source| Error::Io { operation, source };
        let too_large = Error::TooLarge { operation, limit };
        if self.length().is_some_and(|length| length > limit) {
            return Err(too_large);
        }
        let mut written: u64 = 0;
        let mut chunks = self.into_stream();
        while let Some(chunk) = chunks.try_next().await? {
            written += chunk.len() as u64;
            if written > limit {
                return Err(too_large);
            }
            to.write_all(&chunk).await.map_err(failed)?;
        }
        to.flush().await.map_err(failed)?;
        Ok(written)
    }
}

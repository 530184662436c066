//! Bodies of requests. Each can be made again for another attempt; a file is read from disk while it is sent.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use reqwest::RequestBuilder;
use reqwest::header::CONTENT_TYPE;
use reqwest::multipart::Part;
use tokio::fs::File;
use tokio_util::io::ReaderStream;

/// How much of a file is read at a time, in bytes.
const CHUNK: usize = 64 * 1024;

/// The body of a request.
#[derive(Debug)]
pub(crate) enum Body {
    None,
    Json(Bytes),
    Form(Form),
}

/// A form with one file.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) fields: Vec<(&'static str, String)>,
    /// The name of the part with the file.
    pub(crate) part: &'static str,
    pub(crate) filename: String,
    pub(crate) source: Source,
    /// The bytes of the file that were sent, of the latest attempt.
    pub(crate) sent: Arc<AtomicU64>,
}

/// Where a file's bytes come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Path(PathBuf),
    Bytes(Bytes),
}

impl Body {
    pub(super) fn is_large(&self) -> bool {
        matches!(self, Self::Form(_))
    }

    pub(super) async fn add_to(
        &self,
        request: RequestBuilder,
        progress: &Arc<AtomicU64>,
    ) -> io::Result<RequestBuilder> {
        Ok(match self {
            Self::None => request,
            Self::Json(json) => request.header(CONTENT_TYPE, "application/json").body(json.clone()),
            Self::Form(form) => request.multipart(form.build(progress).await?),
        })
    }
}

impl Form {
    async fn build(&self, progress: &Arc<AtomicU64>) -> io::Result<reqwest::multipart::Form> {
        // The name stands in a header of the part, and what quotes it there lets line breaks through.
        if self.filename.chars().any(char::is_control) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the file's name contains a control character"));
        }
        self.sent.store(0, Ordering::Relaxed);
        let counters = (Arc::clone(progress), Arc::clone(&self.sent));
        let part = match &self.source {
            Source::Path(path) => {
                let (file, length) = open(path).await?;
                stream_part(ReaderStream::with_capacity(file, CHUNK), length, counters)
            }
            Source::Bytes(bytes) => stream_part(chunks(bytes.clone()), bytes.len() as u64, counters),
        };
        let part = part.file_name(self.filename.clone()).mime_str("application/octet-stream");
        let text =
            |form: reqwest::multipart::Form, (name, value): &(&'static str, String)| form.text(*name, value.clone());
        let form = self.fields.iter().fold(reqwest::multipart::Form::new(), text);
        Ok(form.part(self.part, part.map_err(io::Error::other)?))
    }
}

/// Opens a file to be sent, and says how long it is. A pipe would be waited for, a device has no end.
pub(crate) async fn open(path: &Path) -> io::Result<(File, u64)> {
    if !tokio::fs::metadata(path).await?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let file = File::open(path).await?;
    let length = file.metadata().await?.len();
    Ok((file, length))
}

fn chunks(bytes: Bytes) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::unfold(bytes, |mut rest| async move {
        let chunk = rest.split_to(rest.len().min(CHUNK));
        (!chunk.is_empty()).then_some((Ok(chunk), rest))
    })
}

fn stream_part(
    chunks: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    length: u64,
    (progress, sent): (Arc<AtomicU64>, Arc<AtomicU64>),
) -> Part {
    let counted = chunks.inspect(move |chunk| {
        progress.fetch_add(1, Ordering::Relaxed);
        let bytes = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        sent.fetch_add(bytes, Ordering::Relaxed);
    });
    Part::stream_with_length(reqwest::Body::wrap_stream(counted), length)
}

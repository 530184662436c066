//! A file from disk, in parts: no more of it in memory than one part.

use std::io;
use std::num::NonZeroU32;
use std::path::Path;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{Upload, Uploads};
use crate::error::Error;
use crate::id::{PartId, UploadId};
use crate::model::FilePurpose;

const OPERATION: &str = "uploads.upload";

/// How often a part is sent that gets no answer.
const TRIES: u32 = 3;

pub(super) async fn upload(
    uploads: &Uploads,
    path: &Path,
    purpose: FilePurpose,
    part_size: NonZeroU32,
) -> Result<Upload, Error> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.ok_or_else(|| failed(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file")))?;
    let (mut file, length) = crate::transport::open(path).await.map_err(failed)?;
    let upload = uploads.create(&name, purpose, length).await?;
    let sent = match send(uploads, &upload.id, &mut file, length, part_size).await {
        Ok(parts) => uploads.complete(&upload.id, &parts).await,
        Err(error) => Err(error),
    };
    // What may have been put together is left alone; all else is of no use.
    if let Err(error) = &sent
        && !matches!(error, Error::Ambiguous { .. })
        && let Err(error) = uploads.cancel(&upload.id).await
    {
        tracing::debug!(%error, "an upload that failed could not be given up; it ends by itself");
    }
    sent
}

async fn send(
    uploads: &Uploads,
    id: &UploadId,
    file: &mut (impl AsyncRead + Unpin),
    length: u64,
    part_size: NonZeroU32,
) -> Result<Vec<PartId>, Error> {
    let (mut parts, mut sent) = (Vec::new(), 0);
    loop {
        let mut part = Vec::new();
        let read = file.take(part_size.get().into()).read_to_end(&mut part).await.map_err(failed)?;
        sent += read as u64;
        if read == 0 {
            break;
        }
        parts.push(send_part(uploads, id, part.into()).await?);
    }
    if sent == length {
        return Ok(parts);
    }
    Err(failed(io::Error::new(io::ErrorKind::UnexpectedEof, "the file has changed its size")))
}

async fn send_part(uploads: &Uploads, id: &UploadId, part: Bytes) -> Result<PartId, Error> {
    let mut tries = 1;
    loop {
        match uploads.add_part(id, part.clone()).await {
            Ok(part) => return Ok(part.id),
            Err(Error::Ambiguous { .. }) if tries < TRIES => tries += 1,
            // A part more or less is nothing to be careful about.
            Err(Error::Ambiguous { source, .. }) => return Err(*source),
            Err(error) => return Err(error),
        }
    }
}

fn failed(source: io::Error) -> Error {
    Error::Io { operation: OPERATION, source }
}

//! The bytes of a file, in memory or on disk, and a sink that collects them as they come.

use std::io::{self, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tempfile::{NamedTempFile, TempPath};
use tokio::io::AsyncWriteExt as _;

use crate::problem::Problem;
use crate::training::Checked;
use crate::world::Shared;

/// What all files in memory may hold together.
const MEMORY: u64 = 64 << 20;
/// What one file on disk may hold.
const DISK: u64 = 9 << 30;

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Memory(Bytes),
    /// Deleted with the last that knows of it.
    Disk {
        path: Arc<TempPath>,
        bytes: u64,
    },
}

impl Content {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Disk { bytes, .. } => *bytes,
        }
    }

    pub(crate) fn in_memory(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Disk { .. } => 0,
        }
    }

    /// Reads it as training data, away from the threads that serve.
    pub(crate) async fn check(&self) -> Result<Checked, Problem> {
        let content = self.clone();
        let check = move || match content {
            Self::Memory(bytes) => Checked::of(&*bytes),
            Self::Disk { path, .. } => Checked::of(BufReader::new(std::fs::File::open(&*path)?)),
        };
        tokio::task::spawn_blocking(check).await.map_err(Problem::internal)?.map_err(Problem::internal)
    }
}

/// Takes bytes as they come.
pub(crate) enum Sink {
    Memory { bytes: BytesMut, room: u64 },
    Disk { file: tokio::fs::File, path: TempPath, bytes: u64 },
}

impl Sink {
    pub(crate) async fn new(shared: &Shared) -> Result<Self, Problem> {
        let Some(folder) = shared.directory.clone() else {
            return Ok(Self::Memory {
                bytes: BytesMut::new(),
                room: MEMORY.saturating_sub(shared.world().bytes_in_memory()),
            });
        };
        let (file, path) = create(folder).await.map_err(Problem::internal)?;
        Ok(Self::Disk { file, path, bytes: 0 })
    }

    pub(crate) async fn write(&mut self, part: &[u8]) -> Result<(), Problem> {
        match self {
            Self::Memory { bytes, room } => {
                if (bytes.len() + part.len()) as u64 > *room {
                    let most = MEMORY >> 20;
                    return Err(Problem::quota(format!(
                        "Files may hold {most} MiB together; on disk they may hold more."
                    )));
                }
                bytes.extend_from_slice(part);
                Ok(())
            }
            Self::Disk { file, bytes, .. } => {
                *bytes += part.len() as u64;
                if *bytes > DISK {
                    return Err(Problem::quota(format!("A file may hold {} GiB.", DISK >> 30)));
                }
                file.write_all(part).await.map_err(Problem::internal)
            }
        }
    }

    pub(crate) async fn add(&mut self, content: &Content) -> Result<(), Problem> {
        match content {
            Content::Memory(bytes) => self.write(bytes).await,
            Content::Disk { path, .. } => {
                use tokio::io::AsyncReadExt as _;
                let mut file = tokio::fs::File::open(&***path).await.map_err(Problem::internal)?;
                let mut buffer = vec![0; 64 << 10];
                loop {
                    let read = file.read(&mut buffer).await.map_err(Problem::internal)?;
                    match buffer.get(..read).filter(|part| !part.is_empty()) {
                        Some(part) => self.write(part).await?,
                        None => return Ok(()),
                    }
                }
            }
        }
    }

    pub(crate) async fn done(self) -> Result<Content, Problem> {
        match self {
            Self::Memory { bytes, .. } => Ok(Content::Memory(bytes.freeze())),
            Self::Disk { mut file, path, bytes } => {
                file.flush().await.map_err(Problem::internal)?;
                Ok(Content::Disk { path: Arc::new(path), bytes })
            }
        }
    }
}

async fn create(folder: PathBuf) -> io::Result<(tokio::fs::File, TempPath)> {
    let made = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&folder)?;
        NamedTempFile::with_prefix_in("file-", folder)
    });
    let (file, path) = made.await.map_err(io::Error::other)??.into_parts();
    Ok((tokio::fs::File::from_std(file), path))
}

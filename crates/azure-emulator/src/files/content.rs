//! The bytes of a file, in memory or on disk, and a sink that collects them as they come.

use std::io::{self, BufReader};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// Bytes in memory that count from the first on until nobody knows of them any more: uploads at once share the bound.
#[derive(Debug)]
pub(crate) struct Held {
    of: Arc<AtomicU64>,
    bytes: BytesMut,
}

impl Held {
    /// Takes these too, if there is room.
    fn take(&mut self, part: &[u8]) -> bool {
        let grown = |all: u64| all.checked_add(part.len() as u64).filter(|all| *all <= MEMORY);
        let is_room = self.of.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).is_ok();
        if is_room {
            self.bytes.extend_from_slice(part);
        }
        is_room
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes.len() as u64, Ordering::Relaxed);
    }
}

/// Takes bytes as they come.
pub(crate) enum Sink {
    Memory(Held),
    Disk { file: tokio::fs::File, path: TempPath, bytes: u64 },
}

impl Sink {
    pub(crate) async fn new(shared: &Shared) -> Result<Self, Problem> {
        let Some(folder) = shared.directory.clone() else {
            return Ok(Self::Memory(Held { of: Arc::clone(&shared.memory), bytes: BytesMut::new() }));
        };
        let (file, path) = create(folder).await.map_err(Problem::internal)?;
        Ok(Self::Disk { file, path, bytes: 0 })
    }

    pub(crate) async fn write(&mut self, part: &[u8]) -> Result<(), Problem> {
        match self {
            Self::Memory(held) => held.take(part).then_some(()).ok_or_else(|| {
                Problem::quota(format!("Files may hold {} MiB together; on disk they may hold more.", MEMORY >> 20))
            }),
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
            Self::Memory(held) => Ok(Content::Memory(Bytes::from_owner(held))),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_at_once_share_the_memory() {
        let of = Arc::default();
        let held = || Held { of: Arc::clone(&of), bytes: BytesMut::new() };
        let (mut one, mut other, half) = (held(), held(), vec![0; 32 << 20]);
        assert!(one.take(&half) && other.take(&half) && !one.take(b"a") && !other.take(b"a"));
        let kept = Bytes::from_owner(one);
        assert!(!other.take(b"a"), "what is complete counts on");
        drop(kept);
        assert!(other.take(b"a"));
        drop(other);
        assert_eq!(of.load(Ordering::Relaxed), 0);
    }
}

//! A client's file: read once, replaced whole or not at all, never when somebody else wrote it in between.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::backup;
use crate::error::Error;

/// The largest file that is edited. Claude Code's own grows to some mebibytes.
pub const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A file as it was read.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    text: Option<String>,
}

impl ConfigFile {
    /// Follows symbolic links: what is replaced later is the file that they lead to.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let path = real(path)?;
        let text = match fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(source) => return Err(Error::Read { path, source }),
            Ok(metadata) if !metadata.is_file() => return Err(Error::Unfit { path, why: "is no file" }),
            Ok(_) => Some(text(&path)?),
        };
        Ok(Self { path, text })
    }

    /// Where it really is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it; None if it is not there.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Replaces the text, after a backup: its path.
    pub fn write(&self, text: &str) -> Result<PathBuf, Error> {
        self.check()?;
        let backup = backup::keep(self, text)?;
        if let Err(error) = self.replace(text) {
            // It would be the way back from something that was never written.
            drop(fs::remove_file(&backup));
            return Err(error);
        }
        backup::prune(self)?;
        Ok(backup)
    }

    /// Nobody else has written it, and it may be written.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if Self::read(&self.path)?.text != self.text {
            return Err(Error::Meanwhile { path: self.path.clone() });
        }
        // A new file by the old name would go around the permission.
        match self.metadata()? {
            Some(metadata) if metadata.permissions().readonly() => {
                Err(Error::Unfit { path: self.path.clone(), why: "is read-only" })
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(crate) fn replace(&self, text: &str) -> Result<(), Error> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let beside = self.path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        let done = create(&beside, text, self.metadata()?.as_ref()).and_then(|()| fs::rename(&beside, &self.path));
        if done.is_err() {
            drop(fs::remove_file(&beside));
        }
        done.map_err(|source| Error::Write { path: self.path.clone(), source })
    }

    pub(crate) fn metadata(&self) -> Result<Option<Metadata>, Error> {
        match fs::metadata(&self.path) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Read { path: self.path.clone(), source }),
        }
    }
}

fn real(path: &Path) -> Result<PathBuf, Error> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => match path.canonicalize() {
            Ok(path) => Ok(path),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(Error::Unfit { path: path.to_owned(), why: "is a symbolic link to nothing" })
            }
            Err(source) => Err(Error::Read { path: path.to_owned(), source }),
        },
        Ok(_) | Err(_) => Ok(path.to_owned()),
    }
}

fn text(path: &Path) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    let length = read.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    if u64::try_from(length).is_ok_and(|length| length > MAX_BYTES) {
        return Err(Error::Unfit { path: path.to_owned(), why: "is larger than 16 MiB" });
    }
    String::from_utf8(bytes).map_err(|_| Error::Unfit { path: path.to_owned(), why: "is not UTF-8" })
}

/// A new file with the owner and the permissions of another. Until it has them, only we can read it.
pub(crate) fn create(path: &Path, text: &str, like: Option<&Metadata>) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if like.is_some() {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    if let Some(like) = like {
        #[cfg(unix)]
        own(path, &file.metadata()?, like)?;
        file.set_permissions(like.permissions())?;
    }
    file.sync_all()
}

/// A file that now belongs to somebody else, such as root, is lost to the client.
#[cfg(unix)]
fn own(path: &Path, now: &Metadata, like: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, chown};
    if now.uid() != like.uid() {
        chown(path, Some(like.uid()), Some(like.gid()))?;
    } else if now.gid() != like.gid() {
        // Not everybody may; the owner is what matters.
        drop(chown(path, None, Some(like.gid())));
    }
    Ok(())
}

//! Backups, and the way back. A backup of `mcp.json` lies beside it as `mcp.json.toolgate-backup-3-HASH`: its number, and a
//! hash of what was written in its place. That hash is all that undoing needs: while the file still has it, nothing is lost by
//! putting the backup back. A backup that ends in `-none` says that there was no file.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::file::{self, ConfigFile};

/// How many backups of a file are kept; the oldest goes first.
pub const MAX_BACKUPS: usize = 10;

const NONE: &str = "none";

struct Backup {
    number: u64,
    /// Of what was written when this was kept.
    hash: String,
    /// There was no file.
    is_none: bool,
    path: PathBuf,
}

/// Keeps what is in the file now, which `written` is about to replace.
pub(crate) fn keep(file: &ConfigFile, written: &str) -> Result<PathBuf, Error> {
    let kept = list(file)?;
    let number = kept.last().map_or(1, |last| last.number.saturating_add(1));
    let end = if file.text().is_some() { String::new() } else { format!("-{NONE}") };
    let path = file.path().with_file_name(format!("{}{number}-{}{end}", prefix(file)?, hash(written)));
    let created = file::create(&path, file.text().unwrap_or_default(), file.metadata()?.as_ref());
    created.map_err(|source| Error::Write { path: path.clone(), source })?;
    Ok(path)
}

/// Lets go of the oldest.
pub(crate) fn prune(file: &ConfigFile) -> Result<(), Error> {
    let kept = list(file)?;
    let too_many = kept.len().saturating_sub(MAX_BACKUPS);
    // One too many is better than to fail after all is done.
    kept.iter().take(too_many).for_each(|old| drop(fs::remove_file(&old.path)));
    Ok(())
}

/// A step back that loses nothing.
pub struct Undo {
    file: ConfigFile,
    backup: Backup,
    before: Option<String>,
}

impl Undo {
    /// The way back from what is in the file, if that is what Toolgate wrote.
    pub fn find(file: ConfigFile) -> Result<Self, Error> {
        let mut kept = list(&file)?;
        let now = file.text().map(hash);
        let Some(position) = kept.iter().rposition(|backup| now.as_ref() == Some(&backup.hash)) else {
            let path = file.path().to_owned();
            return Err(match kept.pop() {
                Some(newest) => Error::Since { path, waiting: Waiting(newest.path) },
                None => Error::NoBackup { path },
            });
        };
        let backup = kept.swap_remove(position);
        let before = if backup.is_none {
            None
        } else {
            let read = ConfigFile::read(&backup.path)?;
            Some(read.text().unwrap_or_default().to_owned())
        };
        Ok(Self { file, backup, before })
    }

    /// The file.
    pub fn file(&self) -> &ConfigFile {
        &self.file
    }

    /// What was in the file; None if it was not there.
    pub fn before(&self) -> Option<&str> {
        self.before.as_deref()
    }

    /// Puts it back. The backup is the file then, and goes.
    pub fn apply(self) -> Result<(), Error> {
        self.file.check()?;
        match &self.before {
            Some(before) => self.file.replace(before)?,
            None => fs::remove_file(self.file.path())
                .map_err(|source| Error::Write { path: self.file.path().to_owned(), source })?,
        }
        drop(fs::remove_file(&self.backup.path));
        Ok(())
    }
}

/// Where the newest backup lies that was not put back.
#[derive(Debug)]
pub struct Waiting(PathBuf);

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the newest backup is `{}`", self.0.display())
    }
}

/// All backups of a file, the oldest first.
fn list(file: &ConfigFile) -> Result<Vec<Backup>, Error> {
    let folder = file.path().parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |source| Error::Read { path: folder.to_owned(), source };
    let prefix = prefix(file)?;
    let mut all = Vec::new();
    if !folder.exists() {
        return Ok(all);
    }
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let backup = name.to_str().and_then(|name| name.strip_prefix(&prefix));
        all.extend(backup.and_then(|rest| parse(rest, entry.path())));
    }
    all.sort_unstable_by_key(|backup| backup.number);
    Ok(all)
}

fn parse(rest: &str, path: PathBuf) -> Option<Backup> {
    let (number, rest) = rest.split_once('-')?;
    let (hash, end) = rest.split_once('-').map_or((rest, None), |(hash, end)| (hash, Some(end)));
    if end.is_some_and(|end| end != NONE) {
        return None;
    }
    Some(Backup { number: number.parse().ok()?, hash: hash.to_owned(), is_none: end.is_some(), path })
}

fn prefix(file: &ConfigFile) -> Result<String, Error> {
    let name = file.path().file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Error::Unfit { path: file.path().to_owned(), why: "has no name in UTF-8" })?;
    Ok(format!("{name}.toolgate-backup-"))
}

/// Half of a SHA-256: nobody has a reason to forge one, and the name stays short.
fn hash(text: &str) -> String {
    HEXLOWER.encode(Sha256::digest(text.as_bytes()).get(..16).unwrap_or_default())
}

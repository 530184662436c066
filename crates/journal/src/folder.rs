//! The folder of a journal: which segments are there, in their order.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

const PREFIX: &str = "journal-";
const SUFFIX: &str = ".jsonl";

/// A file of the journal. Its name carries the number of its first record, so that names sort as records do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    pub first: u64,
    pub path: PathBuf,
}

impl Segment {
    pub(crate) fn at(folder: &Path, first: u64) -> Self {
        Self { first, path: folder.join(format!("{PREFIX}{first:020}{SUFFIX}")) }
    }

    /// The name without its folder.
    pub fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// The folder, if it is not there: for its owner's eyes only, as all that is in it.
pub fn make(folder: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// All segments in the folder, the oldest first. Other files are not looked at.
pub fn segments(folder: &Path) -> std::io::Result<Vec<Segment>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if let Some(first) = first(&path) {
            found.push(Segment { first, path });
        }
    }
    found.sort();
    Ok(found)
}

/// The number of a segment's first record, by its name.
pub(crate) fn first(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    digits.parse().ok().filter(|_| digits.len() == 20)
}

//! Where a value was written: it decides who wins, what a relative path belongs to, and what people are told.

use std::path::{Path, PathBuf};
use std::{fmt, io};

/// Where a value was written. The order is the order of the layers: a later one wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    Default,
    File(PathBuf),
    Env(String),
    Flag(String),
    /// What the admin API manages.
    Store,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(name) => write!(f, "env {name}"),
            Self::Flag(key) => write!(f, "flag {key}"),
            Self::Store => f.write_str("the store"),
        }
    }
}

impl Origin {
    /// Reads back what `Display` wrote: the `config` crate carries one text along with each value.
    pub(super) fn decode(text: Option<&str>) -> Self {
        match text.and_then(|text| text.split_once(' ')) {
            Some(("file", path)) => Self::File(path.into()),
            Some(("env", name)) => Self::Env(name.to_owned()),
            Some(("flag", key)) => Self::Flag(key.to_owned()),
            Some(_) | None => Self::Default,
        }
    }

    /// Which layer this is; values of one layer cannot override each other.
    pub(super) fn layer(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File(_) => 1,
            Self::Env(_) => 2,
            Self::Flag(_) => 3,
            Self::Store => 4,
        }
    }

    /// A relative path belongs to the file that names it; from elsewhere, to the working directory.
    pub(super) fn resolve(&self, path: &str) -> io::Result<PathBuf> {
        let folder = match self {
            Self::File(file) => file.parent().unwrap_or(Path::new("")),
            Self::Default | Self::Env(_) | Self::Flag(_) | Self::Store => Path::new(""),
        };
        std::path::absolute(folder.join(path))
    }
}

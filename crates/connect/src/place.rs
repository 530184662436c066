//! Where a client's file is on this machine. The environment is a parameter.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::client::Client;
use crate::error::Error;

/// The systems that clients keep their files differently on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Os {
    /// Linux and its relatives.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

impl Os {
    /// The one that this program was built for.
    pub const HERE: Self = if cfg!(windows) {
        Self::Windows
    } else if cfg!(target_os = "macos") {
        Self::MacOs
    } else {
        Self::Linux
    };
}

/// What the place of a file depends on.
pub struct Surroundings<'a> {
    /// The system.
    pub os: Os,
    /// The environment.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// The folder of the project.
    pub project: &'a Path,
}

/// A file, and the folder that is there if its client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The client's own folder; folders below it are made without asking.
    pub own: PathBuf,
    /// The file.
    pub file: PathBuf,
}

impl Place {
    /// The user's file of a client.
    pub fn of_user(client: &Client, here: &Surroundings<'_>) -> Result<Self, Error> {
        let mut candidates = client.user(here.os).iter();
        candidates.find_map(|path| here.resolve(path)).ok_or(Error::NoHome)
    }

    /// The file of a client in the project.
    pub fn of_project(client: &Client, here: &Surroundings<'_>) -> Result<Self, Error> {
        let path = client.project.as_deref().ok_or_else(|| Error::NoProject { client: client.name.clone() })?;
        here.resolve(path).ok_or(Error::NoHome)
    }

    /// A file that was named.
    pub fn of_file(file: &Path) -> Self {
        let own = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self { own: own.to_owned(), file: file.to_owned() }
    }

    /// Whether the client is there; its absence does not matter if its folder is to be made.
    pub fn check(&self, create: bool) -> Result<(), Error> {
        if create || self.own.is_dir() { Ok(()) } else { Err(Error::NoFolder { folder: self.own.clone() }) }
    }

    /// Makes the folder of the file.
    pub fn make(&self) -> Result<(), Error> {
        match self.file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            None => Ok(()),
            Some(folder) => {
                std::fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.to_owned(), source })
            }
        }
    }
}

impl Surroundings<'_> {
    fn resolve(&self, path: &str) -> Option<Place> {
        let (own, rest) = path.split_once("//")?;
        let own = self.folder(own)?;
        let file = join(own.clone(), rest);
        Some(Place { own, file })
    }

    fn folder(&self, path: &str) -> Option<PathBuf> {
        let (base, rest) = path.split_once('/').unwrap_or((path, ""));
        let base = match base {
            "." => self.project.to_owned(),
            "~" => self.absolute(if self.os == Os::Windows { "USERPROFILE" } else { "HOME" })?,
            _ => self.absolute(base.strip_prefix('$')?)?,
        };
        Some(join(base, rest))
    }

    /// A relative path in a variable would mean another place in each working directory.
    fn absolute(&self, variable: &str) -> Option<PathBuf> {
        let path = PathBuf::from((self.variable)(variable)?);
        path.has_root().then_some(path)
    }
}

fn join(base: PathBuf, rest: &str) -> PathBuf {
    rest.split('/').filter(|part| !part.is_empty()).fold(base, |path, part| path.join(part))
}

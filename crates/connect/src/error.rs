//! What can be wrong: with what was asked for, with a file, with the disk.

use std::path::PathBuf;

use crate::backup::Waiting;

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data file itself is bad.
    #[error("the list of clients cannot be read: {0}")]
    Data(String),
    /// Not a name that all clients take.
    #[error(
        "`{0}` is no name of a server: expected 1 to 64 of `A-Z`, `a-z`, `0-9`, `_` and `-`, with a letter or digit first"
    )]
    Name(String),
    /// Not the name of a variable.
    #[error("that is no name of an environment variable; the name is wanted, never the token itself")]
    Variable,
    /// One name cannot stand for two entries.
    #[error("one name is not enough for several servers")]
    OneName,
    /// Not the address of a gateway.
    #[error("`{url}` cannot be the gateway: {why}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Clients would replace a part of it.
    #[error("`{program}` has a `$` in its path, which clients read as a variable: move the program")]
    Program {
        /// The path.
        program: String,
    },
    /// The client has no way of naming a variable.
    #[error("{client} takes no token from a variable{}", if *.is_http { " for a URL; `--stdio` lets it start a bridge that does" } else { "" })]
    NoToken {
        /// Its name.
        client: String,
        /// Whether that is so for URLs only.
        is_http: bool,
    },
    /// The client knows no projects.
    #[error("{client} has no file for a project")]
    NoProject {
        /// Its name.
        client: String,
    },
    /// Nobody knows where the user's files are.
    #[error("the home folder is not known: `HOME` (on Windows `USERPROFILE`) is not set to an absolute path")]
    NoHome,
    /// The client is not installed, it seems.
    #[error("there is no folder `{}`: is the client installed? `--create` makes the folder", folder.display())]
    NoFolder {
        /// The client's own folder.
        folder: PathBuf,
    },
    /// The file is not what its client could read.
    #[error("`{}`:{line}:{column}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// The file has another shape than its client documents.
    #[error("`{}`: {message}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The file is none that could be edited.
    #[error("`{}` {why}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Somebody wrote the file after it was read.
    #[error("`{}` was changed meanwhile, and is left as it is now", path.display())]
    Meanwhile {
        /// The file.
        path: PathBuf,
    },
    /// There is no backup.
    #[error("`{}` has no backup of Toolgate's", path.display())]
    NoBackup {
        /// The file.
        path: PathBuf,
    },
    /// There are backups, but putting one back would lose what was written since.
    #[error("`{}` was changed since Toolgate wrote it, and is left as it is; {waiting}; `--remove` takes out the entry alone", path.display())]
    Since {
        /// The file.
        path: PathBuf,
        /// The newest backup.
        waiting: Waiting,
    },
    /// The disk says no.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The disk says no.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// What.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

//! Where a store is: what its URL says, and how each engine is opened. The URL may have a password, so no error repeats it.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use url::Url;

use crate::{Options, StoreError};

/// What may stand in the query of a PostgreSQL URL. sqlx logs the value of what it does not know, and that may be a misspelt password.
const PARAMETERS: &[&str] = &[
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

pub(crate) enum Place {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

impl Place {
    pub(crate) fn parse(url: &str) -> Result<Self, StoreError> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            return sqlite_path(path.strip_prefix("//").unwrap_or(path));
        }
        let url =
            Url::parse(url).map_err(|_| StoreError::Url("is not a URL: write `sqlite:PATH` or `postgres://…`"))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(StoreError::Url("has an unknown scheme: write `sqlite:PATH` or `postgres://…`"));
        }
        if url.query_pairs().any(|(key, _)| !PARAMETERS.contains(&&*key)) {
            return Err(StoreError::Url("has an unknown parameter"));
        }
        let options =
            PgConnectOptions::from_url(&url).map_err(|_| StoreError::Url("has a parameter that cannot be read"))?;
        Ok(Self::Postgres(Box::new(options)))
    }
}

fn sqlite_path(path: &str) -> Result<Place, StoreError> {
    match path {
        "" => Err(StoreError::Url("has no path: write `sqlite:PATH`")),
        path if path.starts_with(":memory:") => Err(StoreError::Url("is of a database in memory, which keeps nothing")),
        path if path.contains(['?', '#', '\0']) => Err(StoreError::Url("has a path with `?`, `#` or NUL in it")),
        path => Ok(Place::Sqlite(PathBuf::from(path))),
    }
}

/// The file and its folder, made if they are not there and may be: for our eyes only. SQLite gives its `-wal` and `-shm` the mode of the file.
pub(crate) fn find_file(path: &Path, create: bool) -> io::Result<()> {
    if !create {
        return path.metadata().map(drop);
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// `synchronous=FULL`, since a token that was revoked must still be revoked after a power failure, and changes are rare.
pub(crate) fn sqlite(path: &Path, options: &Options) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(options.acquire)
        .disable_statement_logging()
}

/// The server gives up as well: what this process no longer waits for must not hold a lock that others wait for.
pub(crate) fn postgres(base: PgConnectOptions, options: &Options) -> PgConnectOptions {
    let milliseconds = |span: Duration| span.as_millis().to_string();
    let name = base.get_application_name().unwrap_or("toolgate").to_owned();
    base.application_name(&name)
        .options([
            ("statement_timeout", milliseconds(options.timeout)),
            ("idle_in_transaction_session_timeout", milliseconds(options.timeout)),
        ])
        .disable_statement_logging()
}

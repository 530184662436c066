//! What can go wrong, told apart by what a caller would do about it.

use std::time::Duration;

use crate::api_error::ApiError;
use crate::auth::AuthError;
use crate::endpoint::InvalidEndpoint;
use crate::id::InvalidId;

/// Why an operation did not give its result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The service answered with an error.
    #[error(transparent)]
    Api(#[from] Box<ApiError>),
    /// No token could be had, or the credential does not fit the operation.
    #[error("`{operation}` cannot be authorised")]
    Auth {
        /// The operation, such as `jobs.get`.
        operation: &'static str,
        /// Why.
        source: AuthError,
    },
    /// No answer: the connection failed, was cut, or stayed silent for too long.
    #[error("`{operation}` got no answer after {attempts} attempts")]
    Transport {
        /// The operation, such as `jobs.get`.
        operation: &'static str,
        /// How often it was tried.
        attempts: u32,
        /// What happened to the last attempt.
        source: TransportError,
    },
    /// The deadline of the whole operation has passed.
    #[error("`{operation}` was not done within {} s", .after.as_secs_f64())]
    Deadline {
        /// The operation, such as `jobs.wait`.
        operation: &'static str,
        /// The time it was given.
        after: Duration,
    },
    /// The service may or may not have done what was asked, and doing it twice would cost. Look before you ask again:
    /// list the jobs or files and see whether a new one is there.
    #[error("`{operation}` may or may not have happened; look before asking again")]
    Ambiguous {
        /// The operation, such as `jobs.create`.
        operation: &'static str,
        /// What was seen: [`Error::Api`] or [`Error::Transport`].
        source: Box<Self>,
    },
    /// The service answered something that is not what its documentation says.
    #[error("`{operation}` was answered unintelligibly: `{snippet}`")]
    Decode {
        /// The operation, such as `jobs.get`.
        operation: &'static str,
        /// The beginning of the answer.
        snippet: String,
        /// The request's id at the service.
        request_id: Option<String>,
        /// Where reading stopped.
        source: serde_json::Error,
    },
    /// A result file is not a table.
    #[error("`{operation}` found a result file that is not a table")]
    Csv {
        /// The operation, such as `jobs.metrics`.
        operation: &'static str,
        /// Where reading stopped.
        source: csv::Error,
    },
    /// The answer is larger than was allowed.
    #[error("`{operation}` was answered with more than {limit} bytes")]
    TooLarge {
        /// The operation, such as `files.content`.
        operation: &'static str,
        /// The bytes that were allowed.
        limit: u64,
    },
    /// The metrics of a job have more rows or columns than are held in memory.
    #[error("`{operation}` found metrics that take more than {limit} bytes of memory")]
    TableTooLarge {
        /// The operation, such as `jobs.metrics`.
        operation: &'static str,
        /// The bytes that they may take.
        limit: usize,
    },
    /// The API surface of this client does not have the operation.
    #[error("`{operation}` does not exist on API surface `{surface}`")]
    Unsupported {
        /// The operation, such as `jobs.delete`.
        operation: &'static str,
        /// The surface, as in `api-version`.
        surface: String,
    },
    /// A local file could not be read or written.
    #[error("`{operation}` could not use a local file")]
    Io {
        /// The operation, such as `files.upload`.
        operation: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The client was built with settings that cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A text is not an id.
    #[error(transparent)]
    InvalidId(#[from] InvalidId),
}

impl Error {
    /// Whether the same request could succeed later. The client has already tried as often as its
    /// [`RetryPolicy`](crate::RetryPolicy) says. Never true for [`Error::Ambiguous`].
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Api(error) => error.is_retryable(),
            Self::Auth { source, .. } => source.is_retryable(),
            Self::Transport { .. } | Self::Deadline { .. } => true,
            Self::Ambiguous { .. }
            | Self::Decode { .. }
            | Self::Csv { .. }
            | Self::TooLarge { .. }
            | Self::TableTooLarge { .. }
            | Self::Unsupported { .. }
            | Self::Io { .. }
            | Self::Config(_)
            | Self::InvalidId(_) => false,
        }
    }

    /// Whether the service says that the thing does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.api().is_some_and(|error| error.status == 404)
    }

    /// The service's own error, also behind [`Error::Ambiguous`].
    #[must_use]
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            Self::Ambiguous { source, .. } => source.api(),
            Self::Auth { .. }
            | Self::Transport { .. }
            | Self::Deadline { .. }
            | Self::Decode { .. }
            | Self::Csv { .. }
            | Self::TooLarge { .. }
            | Self::TableTooLarge { .. }
            | Self::Unsupported { .. }
            | Self::Io { .. }
            | Self::Config(_)
            | Self::InvalidId(_) => None,
        }
    }
}

/// What happened to a request that got no answer. Says nothing of addresses or headers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The service was too slow.
    #[error("nothing came for {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The connection could not be made, so the request never left.
    #[error("no connection")]
    Connect(#[source] reqwest::Error),
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] reqwest::Error),
}

/// Why a client cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No endpoint was given.
    #[error("no endpoint was given")]
    NoEndpoint,
    /// No credential was given.
    #[error("no credential was given")]
    NoCredential,
    /// The endpoint cannot be used.
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
    /// The API version is not a date with an optional `-preview`, nor `v1`, nor `preview`.
    #[error("`{0}` is not an API version such as `v1`, `preview` or `2024-10-21`")]
    ApiVersion(String),
    /// The key contains what cannot stand in a header.
    #[error("the API key contains characters that cannot stand in a header")]
    ApiKey,
    /// An environment variable is not text.
    #[error("environment variable `{0}` is not text")]
    Variable(&'static str),
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be made")]
    Http(#[source] reqwest::Error),
}

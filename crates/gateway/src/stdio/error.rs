//! Why a program gave no answer.

use std::time::Duration;

#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum StdioError {
    #[error("`{program}` cannot be started ({reason}): {hint}")]
    Spawn { program: String, reason: String, hint: &'static str },
    #[error("the process ended ({0})")]
    Died(String),
    #[error("the process keeps ending: it is started again in {0:?} at the earliest")]
    Crashing(Duration),
    #[error("there is no room for another process: `servers.{server}.processes` is {max}")]
    Full { server: String, max: usize },
    #[error("the client takes its events too slowly")]
    Overflow,
    #[error("the session has ended")]
    Gone,
    #[error("too many subscriptions in one session")]
    Subscriptions,
    #[error("the gateway is ending")]
    Ending,
    #[error("the message cannot be written as one line")]
    NotALine,
    #[error("no randomness to make a session id of")]
    NoRandomness,
}

impl StdioError {
    /// Is the process gone, so that the next one may be another program? Everything else is one client's own trouble.
    pub(crate) fn is_the_end(&self) -> bool {
        match self {
            Self::Spawn { .. } | Self::Died(_) => true,
            Self::Crashing(_)
            | Self::Full { .. }
            | Self::Overflow
            | Self::Gone
            | Self::Subscriptions
            | Self::Ending
            | Self::NotALine
            | Self::NoRandomness => false,
        }
    }
}

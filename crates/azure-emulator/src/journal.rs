//! What was asked, in order: so that a test can prove that something was sent once, or never. No credential is kept.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, header};
use serde::Serialize;

/// The newest so many requests are kept.
const KEPT: usize = 20_000;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recorded {
    pub method: String,
    pub path: String,
    pub query: String,
    /// Names in lower case; the values of those that authenticate are `***`.
    pub headers: Vec<(String, String)>,
    /// Which connection it came on, counted from 1: equal numbers show reuse.
    pub connection: u64,
    /// None when the connection was dropped instead.
    pub status: Option<u16>,
}

#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<VecDeque<Recorded>>);

impl Journal {
    pub(crate) fn add(&self, recorded: Recorded) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(recorded);
    }

    pub(crate) fn all(&self) -> Vec<Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

pub(crate) fn redacted(headers: &HeaderMap) -> Vec<(String, String)> {
    let secret = |name: &header::HeaderName| {
        *name == header::AUTHORIZATION
            || matches!(
                name.as_str(),
                "api-key" | "x-emulator-token" | "x-ms-authorization-auxiliary" | "x-identity-header"
            )
    };
    let shown = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
        let value = if secret(name) { "***".into() } else { String::from_utf8_lossy(value.as_bytes()).into_owned() };
        (name.as_str().to_owned(), value)
    };
    headers.iter().map(shown).collect()
}

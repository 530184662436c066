//! What was asked, in order: so that a test can prove that something was sent once, or never. No credential is kept.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, header};
use serde::Serialize;

/// The newest so many requests are kept.
const KEPT: usize = 20_000;
/// And no more of them than have about so many bytes together.
const LARGEST: usize = 16 << 20;

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
    /// None when the connection was dropped instead, and as long as there is no answer.
    pub status: Option<u16>,
}

#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// How many were kept once and are not any more: the number of the first that is.
    gone: u64,
    requests: VecDeque<Recorded>,
    bytes: usize,
}

impl Recorded {
    fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| size_of::<(String, String)>() + name.len() + value.len());
        size_of::<Self>() + self.method.len() + self.path.len() + self.query.len() + headers.sum::<usize>()
    }
}

impl Journal {
    /// Notes a request as it arrives, so that none is under way unseen; its number is for [`Journal::answered`].
    pub(crate) fn add(&self, recorded: Recorded) -> u64 {
        let mut kept = self.kept();
        kept.bytes += recorded.bytes();
        while (kept.requests.len() >= KEPT || kept.bytes > LARGEST)
            && let Some(oldest) = kept.requests.pop_front()
        {
            kept.bytes -= oldest.bytes();
            kept.gone += 1;
        }
        kept.requests.push_back(recorded);
        kept.gone + kept.requests.len() as u64 - 1
    }

    pub(crate) fn answered(&self, number: u64, status: u16) {
        let mut kept = self.kept();
        let at = number.checked_sub(kept.gone).and_then(|at| usize::try_from(at).ok());
        if let Some(recorded) = at.and_then(|at| kept.requests.get_mut(at)) {
            recorded.status = Some(status);
        }
    }

    pub(crate) fn all(&self) -> Vec<Recorded> {
        self.kept().requests.iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        let mut kept = self.kept();
        kept.gone += kept.requests.len() as u64;
        kept.requests.clear();
        kept.bytes = 0;
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

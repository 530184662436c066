//! One exchange with the service, repeated when that is safe: authorisation, attempts, delays, and what the failures mean.

mod body;
mod call;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::Instrument as _;

pub(crate) use body::{Body, Form, Source, open};
pub(crate) use call::Call;

use crate::api_error::{ApiError, request_id, snippet};
use crate::auth::{AccessToken, AuthError, Credential};
use crate::error::{Error, TransportError};
use crate::retry::{Repeat, RetryPolicy, is_transient, surely_not_done};

/// The most that is read of a JSON answer, in bytes.
const LARGEST_ANSWER: u64 = 64 * 1024 * 1024;

/// The most that is read of an error's body, in bytes.
const LARGEST_ERROR: u64 = 64 * 1024;

/// Sends requests. Knows nothing of what they mean.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) http: reqwest::Client,
    pub(crate) retry: RetryPolicy,
    /// For one attempt whose bodies are small.
    pub(crate) request_timeout: Duration,
    /// For silence while a large body moves.
    pub(crate) idle_timeout: Duration,
}

/// A successful answer.
struct Answer {
    response: Response,
    /// What was read of it: nothing, if the call is [`Call::is_streamed`].
    body: Bytes,
}

impl Transport {
    /// Sends a request and reads its answer as JSON; an empty answer as `null`.
    pub(crate) async fn json<T: DeserializeOwned>(&self, credential: &Credential, call: Call) -> Result<T, Error> {
        let answer = self.run(credential, &call).await?;
        let body = if answer.body.is_empty() { b"null" } else { &*answer.body };
        serde_json::from_slice(body).map_err(|source| {
            let snippet = snippet(&String::from_utf8_lossy(&answer.body));
            let request_id = request_id(answer.response.headers());
            let error = Error::Decode { operation: call.operation, snippet, request_id, source };
            call.after_leaving(error)
        })
    }

    /// Sends a request and hands its answer over unread.
    pub(crate) async fn open(&self, credential: &Credential, call: Call) -> Result<Response, Error> {
        let call = Call { is_streamed: true, ..call };
        Ok(self.run(credential, &call).await?.response)
    }

    async fn run(&self, credential: &Credential, call: &Call) -> Result<Answer, Error> {
        let span = tracing::info_span!(
            "azure_finetuning",
            operation = call.operation,
            method = %call.method,
            status = tracing::field::Empty,
            attempts = tracing::field::Empty,
            request_id = tracing::field::Empty,
        );
        self.attempts(credential, call).instrument(span).await
    }

    async fn attempts(&self, credential: &Credential, call: &Call) -> Result<Answer, Error> {
        let deadline = moment(self.retry.deadline);
        let mut attempts = 0;
        let mut is_token_new = false;
        loop {
            attempts += 1;
            tracing::Span::current().record("attempts", attempts);
            let remaining = deadline.saturating_duration_since(Instant::now());
            let authorised = tokio::time::timeout(remaining, authorise(credential)).await;
            let auth = authorised.unwrap_or(Err(AuthError::TimedOut));
            let auth = auth.map_err(|source| Error::Auth { operation: call.operation, source })?;
            let failure = match self.attempt(call, &auth, deadline).await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            tracing::debug!(attempts, %failure, "an attempt failed");
            // A token may be withdrawn before its end. The refusal proves that nothing was done, so one more try is safe.
            if let (Some(401), Auth::Token(token, _), Credential::Token(cache)) = (failure.status(), &auth, credential)
                && !is_token_new
            {
                cache.discard(token).await;
                is_token_new = true;
                attempts -= 1;
                continue;
            }
            let may_repeat = failure.is_transient() && (call.repeat == Repeat::Safe || failure.surely_not_done());
            let delay = self.retry.delay(attempts, failure.asked()).filter(|_| may_repeat);
            match delay.filter(|delay| *delay < deadline.saturating_duration_since(Instant::now())) {
                Some(delay) => tokio::time::sleep(delay).await,
                None if failure.surely_not_done() => return Err(failure.into_error(call.operation, attempts)),
                None => return Err(call.after_leaving(failure.into_error(call.operation, attempts))),
            }
        }
    }

    async fn attempt(&self, call: &Call, auth: &Auth, deadline: Instant) -> Result<Answer, Failure> {
        let progress = Arc::new(AtomicU64::new(0));
        let work = async {
            let mut response = self.send(call, auth, &progress).await?;
            progress.fetch_add(1, Ordering::Relaxed);
            let status = response.status().as_u16();
            let span = tracing::Span::current();
            span.record("status", status);
            if let Some(id) = request_id(response.headers()) {
                span.record("request_id", id);
            }
            if response.status().is_success() {
                let body = if call.is_streamed { Bytes::new() } else { whole(&mut response, LARGEST_ANSWER).await? };
                return Ok(Answer { response, body });
            }
            let headers = response.headers().clone();
            // What cannot be read of an error is done without.
            let body = beginning(response, LARGEST_ERROR).await;
            Err(Failure::Answer(Box::new(ApiError::read(call.operation, status, &headers, &body))))
        };
        if call.body.is_large() {
            return unless_silent(work, self.idle_timeout, &progress).await;
        }
        let limit = self.request_timeout.min(deadline.saturating_duration_since(Instant::now()));
        let timed_out = |_| Err(Failure::Transport(TransportError::TimedOut(limit)));
        tokio::time::timeout(limit, work).await.unwrap_or_else(timed_out)
    }

    async fn send(&self, call: &Call, auth: &Auth, progress: &Arc<AtomicU64>) -> Result<Response, Failure> {
        let (name, value) = auth.header();
        let request = self.http.request(call.method.clone(), call.url.clone()).header(name, value);
        let request = request.header(ACCEPT, call.accept).header("x-ms-client-request-id", new_request_id());
        let request = call.headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = call.body.add_to(request, progress).await.map_err(Failure::Io)?;
        request.send().await.map_err(Failure::from)
    }
}

/// The moment after this time; years from now where no clock can tell it.
fn moment(after: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(after).unwrap_or_else(|| now + FAR)
}

async fn whole(response: &mut Response, limit: u64) -> Result<Bytes, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() as u64 > limit {
            return Err(Failure::TooLarge(limit));
        }
    }
    Ok(body.into())
}

async fn beginning(mut response: Response, limit: u64) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() as u64 > limit {
            break;
        }
    }
    body
}

/// Lets work take its time as long as `progress` moves.
async fn unless_silent<T>(
    work: impl Future<Output = Result<T, Failure>>,
    idle: Duration,
    progress: &AtomicU64,
) -> Result<T, Failure> {
    tokio::pin!(work);
    loop {
        let seen = progress.load(Ordering::Relaxed);
        match tokio::time::timeout(idle, &mut work).await {
            Ok(done) => return done,
            Err(_) if progress.load(Ordering::Relaxed) == seen => {
                return Err(Failure::Transport(TransportError::TimedOut(idle)));
            }
            Err(_) => {}
        }
    }
}

/// What authorises one attempt.
enum Auth {
    Key(HeaderValue),
    Token(AccessToken, HeaderValue),
}

impl Auth {
    fn header(&self) -> (HeaderName, HeaderValue) {
        match self {
            Self::Key(value) => (HeaderName::from_static("api-key"), value.clone()),
            Self::Token(_, value) => (AUTHORIZATION, value.clone()),
        }
    }
}

async fn authorise(credential: &Credential) -> Result<Auth, AuthError> {
    let sensitive = |text: &str| {
        let mut value = HeaderValue::from_str(text).map_err(|_| AuthError::Characters)?;
        value.set_sensitive(true);
        Ok(value)
    };
    match credential {
        Credential::Key(key) => Ok(Auth::Key(sensitive(key.expose_secret())?)),
        Credential::Token(cache) => {
            let token = cache.token().await?;
            let value = sensitive(&format!("Bearer {}", token.secret.expose_secret()))?;
            Ok(Auth::Token(token, value))
        }
    }
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Answer(Box<ApiError>),
    #[error(transparent)]
    Transport(TransportError),
    #[error("the answer has more than {0} bytes")]
    TooLarge(u64),
    #[error("a local file cannot be read")]
    Io(#[source] std::io::Error),
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        // The address may name people's resources; the operation says enough.
        let error = error.without_url();
        Self::Transport(if error.is_connect() { TransportError::Connect(error) } else { TransportError::Broken(error) })
    }
}

impl Failure {
    fn status(&self) -> Option<u16> {
        match self {
            Self::Answer(error) => Some(error.status),
            Self::Transport(_) | Self::TooLarge(_) | Self::Io(_) => None,
        }
    }

    fn asked(&self) -> Option<Duration> {
        match self {
            Self::Answer(error) => error.retry_after,
            Self::Transport(_) | Self::TooLarge(_) | Self::Io(_) => None,
        }
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Answer(error) => is_transient(error.status),
            Self::Transport(_) => true,
            Self::TooLarge(_) | Self::Io(_) => false,
        }
    }

    fn surely_not_done(&self) -> bool {
        match self {
            Self::Answer(error) => surely_not_done(error.status, error.retry_after),
            Self::Transport(error) => matches!(error, TransportError::Connect(_)),
            Self::TooLarge(_) => false,
            Self::Io(_) => true,
        }
    }

    fn into_error(self, operation: &'static str, attempts: u32) -> Error {
        match self {
            Self::Answer(mut error) => {
                error.attempts = attempts;
                Error::Api(error)
            }
            Self::Transport(source) => Error::Transport { operation, attempts, source },
            Self::TooLarge(limit) => Error::TooLarge { operation, limit },
            Self::Io(source) => Error::Io { operation, source },
        }
    }
}

/// A random UUID (version 4). It names a request, it guards nothing.
fn new_request_id() -> String {
    let random = fastrand::u128(..);
    let marked = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{marked:032x}");
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_a_uuid() {
        for _ in 0..100 {
            let id = new_request_id();
            let lengths: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
            assert_eq!(id.as_bytes()[14], b'4', "{id}");
            assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
        }
    }
}

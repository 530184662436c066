//! Asks a token endpoint over HTTP: one exchange, repeated on passing failures, for every provider alike.

use std::time::{Duration, SystemTime};

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use url::Url;
use url::form_urlencoded::Serializer;

use super::{AccessToken, AuthError};
use crate::retry::{RetryPolicy, asked_delay};

/// The most that is read of an answer, in bytes.
const LARGEST: usize = 256 * 1024;

/// An endpoint that gives out tokens, and how patiently it is asked.
#[derive(Clone, Debug)]
pub(super) struct TokenEndpoint {
    pub(super) retry: RetryPolicy,
    /// Whether an answer with this status is worth another try.
    pub(super) transient: fn(u16) -> bool,
    /// The metadata address of a virtual machine must not go through a proxy.
    pub(super) direct: bool,
}

impl TokenEndpoint {
    /// For the token service of Microsoft Entra.
    pub(super) fn entra() -> Self {
        Self { retry: RetryPolicy::default(), transient: crate::retry::is_transient, direct: false }
    }

    /// Posts a form, as OAuth 2.0 has it.
    pub(super) async fn post(&self, url: Url, form: &[(&str, &str)]) -> Result<AccessToken, AuthError> {
        let body = Serializer::new(String::new()).extend_pairs(form).finish();
        self.ask(|client| {
            let request = client.post(url.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            request.body(body.clone())
        })
        .await
    }

    pub(super) async fn ask(&self, request: impl Fn(&Client) -> RequestBuilder) -> Result<AccessToken, AuthError> {
        let client = self.client()?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (error, asked) = match exchange(request(&client)).await {
                Ok(token) => return Ok(token),
                Err(failure) => failure,
            };
            let again = match error.status() {
                Some(status) => (self.transient)(status),
                None => error.is_retryable(),
            };
            match self.retry.delay(attempts, asked).filter(|_| again) {
                Some(delay) => tokio::time::sleep(delay).await,
                None => return Err(error),
            }
        }
    }

    // Tokens are asked for about once an hour: a connection of its own each time costs nothing and keeps nothing open.
    fn client(&self) -> Result<Client, AuthError> {
        let builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(30));
        let builder = if self.direct { builder.no_proxy() } else { builder };
        builder.build().map_err(AuthError::Unreachable)
    }
}

type Failure = (AuthError, Option<Duration>);

async fn exchange(request: RequestBuilder) -> Result<AccessToken, Failure> {
    let broken = |error: reqwest::Error| (AuthError::Unreachable(error.without_url()), None);
    let mut response = request.send().await.map_err(broken)?;
    let (status, asked) = (response.status(), asked_delay(response.headers()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST {
            return Err((AuthError::Unintelligible("it is too large"), None));
        }
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if status.is_success() {
        return read(&body, SystemTime::now()).map_err(|error| (error, None));
    }
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(crate::api_error::snippet);
    let message = text("error_description").or_else(|| text("message")).unwrap_or_default();
    Err((AuthError::Refused { status: status.as_u16(), code: text("error"), message }, asked))
}

/// Reads a token. Some endpoints tell its life, some its end; some as numbers, some as texts.
fn read(body: &Value, now: SystemTime) -> Result<AccessToken, AuthError> {
    let secret = body.get("access_token").and_then(Value::as_str).filter(|token| !token.is_empty());
    let secret = secret.ok_or(AuthError::Unintelligible("it has no `access_token`"))?;
    let seconds = |name: &str| {
        let value = body.get(name)?;
        value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()).map(Duration::from_secs)
    };
    let life = seconds("expires_in").and_then(|life| now.checked_add(life));
    let end = || seconds("expires_on").and_then(|end| SystemTime::UNIX_EPOCH.checked_add(end));
    let expires_on = life.or_else(end).ok_or(AuthError::Unintelligible("it does not say when it ends"))?;
    Ok(AccessToken { secret: secret.to_owned().into(), expires_on })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        let read = read(&serde_json::from_str(body).unwrap(), SystemTime::UNIX_EPOCH);
        let found = read.map_or_else(
            |error| error.to_string(),
            |token| format!("{} s", token.expires_on.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()),
        );
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn every_form_of_a_token() {
        check(r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"t"}"#, "3599 s");
        check(r#"{"expires_in":"3599","access_token":"t"}"#, "3599 s");
        check(r#"{"access_token":"t","expires_on":"1795403599","token_type":"Bearer"}"#, "1795403599 s");
        check(r#"{"access_token":"t","expires_on":1795403599}"#, "1795403599 s");
        check(r#"{"access_token":"t"}"#, "the token service's answer is not a token: it does not say when it ends");
        check(r#"{"access_token":""}"#, "the token service's answer is not a token: it has no `access_token`");
        check("[]", "the token service's answer is not a token: it has no `access_token`");
    }
}

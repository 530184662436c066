//! Tokens by OAuth 2.0 client credentials (RFC 6749, section 4.4): fetched when first needed, kept until shortly before they end.
//! However many calls wait, one asks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use mcp::Object;
use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::clients::{self, HttpClient};
use crate::config::{Bounds, ClientCredentials, ClientSecretIn};
use crate::server::Road;
use crate::upstream::Departing;

/// What a token endpoint may answer with.
const MAX_ANSWER: usize = 64 * 1024;

/// How long one fetch may take, whoever waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// After a failure nobody asks again for this long; the failure is the answer.
const PAUSE: Duration = Duration::from_secs(1);

/// A token is used for this share of its life, and at most until [`MARGIN`] before its end.
const USED_SHARE: (u32, u32) = (4, 5);
const MARGIN: Duration = Duration::from_secs(30);

/// The life of a token whose endpoint does not say; also the longest one that is believed.
const UNSAID: Duration = Duration::from_secs(5 * 60);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Why there is no token. For the log: nothing of the secret or of a token is in it.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the token endpoint cannot be reached: {0}")]
    Unreachable(Arc<str>),
    #[error("the token endpoint did not answer in time")]
    Slow,
    #[error("the token endpoint answered {status}{}", said.as_ref().map(|said| format!(": {said}")).unwrap_or_default())]
    Refused { status: StatusCode, said: Option<Arc<str>> },
    #[error("the token endpoint gave no bearer token")]
    NoToken,
    #[error("a credential cannot be used: {0}")]
    Unusable(Arc<str>),
}

pub(crate) struct OAuth {
    settings: ClientCredentials,
    client: HttpClient,
    current: ArcSwapOption<Token>,
    /// Held by whoever asks; the last failure, and when it was.
    turn: Mutex<Option<(TokenError, Instant)>>,
}

struct Token {
    header: HeaderValue,
    until: Instant,
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl OAuth {
    pub(crate) fn new(settings: &ClientCredentials, road: &Road, bounds: &Bounds) -> Self {
        let client = clients::client(road, bounds);
        Self { settings: settings.clone(), client, current: ArcSwapOption::empty(), turn: Mutex::new(None) }
    }

    /// The `Authorization` to show.
    pub(crate) async fn token(&self, deadline: Instant) -> Result<HeaderValue, TokenError> {
        if let Some(header) = self.current() {
            return Ok(header);
        }
        let mut failed = tokio::time::timeout_at(deadline, self.turn.lock()).await.map_err(|_| TokenError::Slow)?;
        if let Some(header) = self.current() {
            return Ok(header); // whoever had the turn before has it
        }
        if let Some((error, at)) = &*failed
            && at.elapsed() < PAUSE
        {
            return Err(error.clone());
        }
        let patience = deadline.min(Instant::now() + PATIENCE);
        let fetched = tokio::time::timeout_at(patience, self.fetch()).await.unwrap_or(Err(TokenError::Slow));
        match fetched {
            Ok(token) => {
                let header = token.header.clone();
                self.current.store(Some(Arc::new(token)));
                *failed = None;
                Ok(header)
            }
            Err(error) => {
                *failed = Some((error.clone(), Instant::now()));
                Err(error)
            }
        }
    }

    /// The server refused it. A newer one stays.
    pub(crate) fn forget(&self, refused: &HeaderValue) {
        let current = self.current.load();
        if current.as_ref().is_some_and(|token| token.header == *refused) {
            self.current.compare_and_swap(&current, None);
        }
    }

    fn current(&self) -> Option<HeaderValue> {
        let token = self.current.load();
        token.as_ref().filter(|token| Instant::now() < token.until).map(|token| token.header.clone())
    }

    async fn fetch(&self) -> Result<Token, TokenError> {
        let asked = Instant::now();
        let request = self.request().ok_or(TokenError::NoToken)?;
        let unreachable = |error: &dyn std::error::Error| TokenError::Unreachable(crate::policies::chain(error).into());
        let answer = self.client.request(request).await.map_err(|error| unreachable(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| unreachable(&*error))?.to_bytes();
        if status != StatusCode::OK {
            return Err(TokenError::Refused { status, said: error_code(&body) });
        }
        Token::read(&body, asked).ok_or(TokenError::NoToken)
    }

    fn request(&self) -> Option<Request<Departing>> {
        let ClientCredentials { token_url, client_id, client_secret, scope, resource, audience, secret_in } =
            &self.settings;
        let secret = client_secret.expose_secret();
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        for (key, value) in [("scope", scope), ("resource", resource), ("audience", audience)] {
            if let Some(value) = value {
                form.append_pair(key, value);
            }
        }
        let mut request = Request::builder().method(Method::POST).uri(token_url);
        match secret_in {
            ClientSecretIn::Header => request = request.header(AUTHORIZATION, basic(client_id, secret)?),
            ClientSecretIn::Body => drop(form.append_pair("client_id", client_id).append_pair("client_secret", secret)),
        }
        let body = Departing::new(Bytes::from(form.finish()), None);
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").header(ACCEPT, "application/json");
        request.body(body).ok()
    }
}

/// Both parts are form-encoded before they are joined (RFC 6749, section 2.3.1).
fn basic(id: &str, secret: &str) -> Option<HeaderValue> {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let joined = BASE64_STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)));
    let mut header = HeaderValue::from_str(&format!("Basic {joined}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

impl Token {
    /// None for anything but a bearer token (RFC 6749, section 5.1).
    fn read(body: &[u8], asked: Instant) -> Option<Self> {
        let answer = Object::read(str::from_utf8(body).ok()?)?;
        let text = |key| answer.text(key);
        if !text("token_type")?.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let token = text("access_token")?;
        // What RFC 6750 lets a bearer token be: no space in it can make two of it.
        let lawful = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if token.is_empty() || !token.bytes().all(lawful) {
            return None;
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
        header.set_sensitive(true);
        let life = answer.get("expires_in").and_then(|life| life.get().trim_matches('"').parse().ok());
        let life = life.map_or(UNSAID, Duration::from_secs).min(LONGEST);
        Some(Self { header, until: asked + used(life) })
    }
}

/// How long a token of that life is used.
fn used(life: Duration) -> Duration {
    let (share, of) = USED_SHARE;
    (life * share / of).max(life.saturating_sub(MARGIN))
}

/// The `error` of RFC 6749, section 5.2; only if it is one of its words, since what stands there may be anything.
fn error_code(body: &[u8]) -> Option<Arc<str>> {
    const WORDS: [&str; 7] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
    ];
    let said = Object::read(str::from_utf8(body).ok()?)?.text("error")?.into_owned();
    WORDS.contains(&said.as_str()).then(|| said.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<(HeaderValue, Duration)> {
        let asked = Instant::now();
        Token::read(body.as_bytes(), asked).map(|token| (token.header, token.until - asked))
    }

    #[test]
    fn only_a_bearer_token_is_taken() {
        let (header, used) = read(r#"{"access_token":"a.b-c","token_type":"bearer","expires_in":3600}"#).unwrap();
        assert_eq!((header.as_bytes(), used), (&b"Bearer a.b-c"[..], Duration::from_secs(3570)));
        assert!(header.is_sensitive());
        for bad in [
            "",
            "[]",
            r#"{"access_token":"a","token_type":"mac"}"#,
            r#"{"access_token":"a"}"#,
            r#"{"token_type":"Bearer"}"#,
            r#"{"access_token":"","token_type":"Bearer"}"#,
            r#"{"access_token":"a b","token_type":"Bearer"}"#,
            r#"{"access_token":"a\r\nX: y","token_type":"Bearer"}"#,
            r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#,
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_token_is_not_used_to_its_very_end() {
        let used = |expires: &str| {
            read(&format!(r#"{{"access_token":"a","token_type":"Bearer","expires_in":{expires}}}"#))
                .unwrap()
                .1
                .as_secs()
        };
        assert_eq!(used("600"), 570);
        assert_eq!(used("\"600\""), 570, "some write it as text");
        assert_eq!(used("10"), 8);
        assert_eq!(used("0"), 0);
        assert_eq!(used("null"), 270);
        assert_eq!(used("99999999999"), 24 * 60 * 60 - 30);
    }

    #[test]
    fn id_and_secret_are_encoded_before_they_are_joined() {
        let header = basic("a:b", "p@ss word").unwrap();
        assert_eq!(header.to_str().unwrap(), format!("Basic {}", BASE64_STANDARD.encode("a%3Ab:p%40ss+word")));
    }

    #[test]
    fn what_a_token_endpoint_says_is_told_only_in_the_words_of_the_rfc() {
        assert_eq!(error_code(br#"{"error":"invalid_client"}"#).as_deref(), Some("invalid_client"));
        assert_eq!(error_code(br#"{"error":"secret leaked: hunter2"}"#), None);
    }
}

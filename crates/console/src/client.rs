//! The admin API from the other side, for the command line. What a person sees of it is made here; `proxy` only says what was asked.

mod admins;
mod agents;
mod approvals;
mod credentials;
mod policies;
mod servers;
mod settings;
mod table;

use std::time::Duration;

use http::{Method, StatusCode};
use reqwest::RequestBuilder;
use reqwest::header::{CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use serde_json::Value;
use url::Url;

pub use self::agents::NewAgent;
pub use self::approvals::{NewGrant, Of};
pub use self::credentials::NewCredential;
pub use self::table::Told;
use crate::reply::part;

/// An answer begins and ends within this time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of an answer.
const MAX_ANSWER: usize = 16 << 20;

/// Pages of a list that are read: 100,000 objects.
const MAX_PAGES: usize = 500;

/// Talks to one gateway as one admin.
pub struct Client {
    base: Url,
    /// Not `Debug`.
    token: String,
    http: reqwest::Client,
}

/// Why there is no answer, or not the one that was wished for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("`{0}` is not an address such as http://127.0.0.1:4481")]
    Address(String),
    #[error("`{0}` is not this machine: an admin's token is sent over https only")]
    Exposed(String),
    #[error("this is no admin's token: it begins with `tga_` and has 47 characters")]
    Token,
    #[error("no gateway answers at {url}: is `toolgate serve` running there?")]
    NotRunning { url: Url, source: reqwest::Error },
    #[error("the gateway at {url} did not answer in full")]
    Broken { url: Url, source: reqwest::Error },
    #[error("what answers at {0} is not the admin API of a gateway")]
    Odd(Url),
    #[error("{detail}{}", lines(.errors))]
    Refused { status: u16, code: String, detail: String, errors: Vec<String> },
}

impl ClientError {
    /// Was it the gateway who said no? Then trying again is no use.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

fn lines(errors: &[String]) -> String {
    errors.iter().map(|error| format!("\n  {error}")).collect()
}

/// A good answer.
struct Answer {
    tag: Option<String>,
    body: Value,
}

/// What is to be there.
enum When<'a> {
    Always,
    /// Nothing yet.
    New,
    /// This version.
    Tag(&'a str),
}

impl Client {
    pub fn new(url: &str, token: &str) -> Result<Self, ClientError> {
        if !crate::secret::is_shaped(token, crate::secret::ADMIN) {
            return Err(ClientError::Token);
        }
        let base = address(url)?;
        Ok(Self { http: http(&base)?, base, token: token.to_owned() })
    }

    async fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.send(Method::GET, path, When::Always, None).await
    }

    /// All pages of a list.
    async fn all(&self, path: &str) -> Result<Vec<Value>, ClientError> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        let and = if path.contains('?') { '&' } else { '?' };
        for _ in 0..MAX_PAGES {
            let more = cursor.map(|cursor| format!("&cursor={}", part(&cursor))).unwrap_or_default();
            let mut body = self.get(&format!("{path}{and}limit=200{more}")).await?.body;
            if let Some(Value::Array(items)) = body.get_mut("items").map(Value::take) {
                all.extend(items);
            }
            cursor = body.get("next").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                return Ok(all);
            }
        }
        Ok(all)
    }

    /// Removes what there is now.
    async fn remove(&self, path: &str) -> Result<Answer, ClientError> {
        let tag = self.get(path).await?.tag.unwrap_or_default();
        self.send(Method::DELETE, path, When::Tag(&tag), None).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        when: When<'_>,
        body: Option<&Value>,
    ) -> Result<Answer, ClientError> {
        self.send_text(method, path, when, body.map(Value::to_string)).await
    }

    /// The body is JSON.
    async fn send_text(
        &self,
        method: Method,
        path: &str,
        when: When<'_>,
        body: Option<String>,
    ) -> Result<Answer, ClientError> {
        let url = self.base.join(path).map_err(|_| ClientError::Address(path.to_owned()))?;
        let mut request = self.http.request(method, url.clone()).bearer_auth(&self.token);
        request = match when {
            When::Always => request,
            When::New => request.header(IF_NONE_MATCH, "*"),
            When::Tag(tag) => request.header(IF_MATCH, tag),
        };
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        answer(request, url).await
    }
}

/// Signs in with a link that the gateway printed, and makes a token of it: the name of the admin, and the token.
pub async fn login(link: &str, label: &str) -> Result<(String, String), ClientError> {
    let base = address(link)?;
    let secret = base.fragment().unwrap_or_default().to_owned();
    let http = http(&base)?;
    let at = |path: &str| base.join(path).map_err(|_| ClientError::Address(link.to_owned()));
    let url = at("/api/v1/login")?;
    let login = http.post(url.clone()).json(&serde_json::json!({ "token": secret }));
    let response = login.send().await.map_err(|source| ClientError::NotRunning { url: url.clone(), source })?;
    let cookie = response.headers().get("set-cookie").and_then(|line| line.to_str().ok()).unwrap_or_default();
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    let told = read(response, url).await?.body;
    let text = |member: &str| told.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, csrf) = (text("name"), text("csrf"));
    let signed = |request: RequestBuilder| {
        request
            .header("cookie", &cookie)
            .header("x-csrf-token", &csrf)
            .header("origin", base.origin().ascii_serialization())
    };
    let url = at("/api/v1/me/tokens")?;
    let made = answer(signed(http.post(url.clone()).json(&serde_json::json!({ "label": label }))), url).await;
    let url = at("/api/v1/logout")?;
    // The session was for this; it ends by itself if it cannot be ended.
    _ = answer(signed(http.post(url.clone())), url.clone()).await;
    let token = made?.body.get("token").and_then(Value::as_str).map(str::to_owned);
    token.map(|token| (name, token)).ok_or(ClientError::Odd(url))
}

fn address(url: &str) -> Result<Url, ClientError> {
    let odd = || ClientError::Address(url.split('#').next().unwrap_or_default().to_owned());
    let base: Url = url.parse().map_err(|_| odd())?;
    let local = match base.host().ok_or_else(odd)? {
        url::Host::Domain(name) => name == "localhost",
        url::Host::Ipv4(ip) => ip.is_loopback(),
        url::Host::Ipv6(ip) => ip.is_loopback(),
    };
    match base.scheme() {
        "https" => Ok(base),
        "http" if local => Ok(base),
        "http" => Err(ClientError::Exposed(base.host_str().unwrap_or_default().to_owned())),
        _ => Err(odd()),
    }
}

/// No proxy, since what is sent opens everything; and no other address than the one that was said.
fn http(base: &Url) -> Result<reqwest::Client, ClientError> {
    builder().timeout(PATIENCE).build().map_err(|source| ClientError::Broken { url: base.clone(), source })
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).connect_timeout(PATIENCE)
}

async fn answer(request: RequestBuilder, url: Url) -> Result<Answer, ClientError> {
    let response = request.send().await.map_err(|source| ClientError::NotRunning { url: url.clone(), source })?;
    read(response, url).await
}

async fn read(mut response: reqwest::Response, url: Url) -> Result<Answer, ClientError> {
    let status = response.status();
    let tag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
    let mut bytes = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|source| ClientError::Broken { url: url.clone(), source })? {
        if bytes.len() + part.len() > MAX_ANSWER {
            return Err(ClientError::Odd(url));
        }
        bytes.extend_from_slice(&part);
    }
    if status == StatusCode::NO_CONTENT {
        return Ok(Answer { tag, body: Value::Null });
    }
    let body: Value = serde_json::from_slice(&bytes).map_err(|_| ClientError::Odd(url.clone()))?;
    if status.is_success() {
        return Ok(Answer { tag, body });
    }
    let text = |member: &str| body.get(member).and_then(Value::as_str).map(str::to_owned);
    let (code, detail) = text("code").zip(text("detail")).ok_or(ClientError::Odd(url))?;
    let errors = body.get("errors").and_then(Value::as_array).into_iter().flatten();
    // Of one error alone, the detail says it all.
    let errors = errors.filter(|error| !is_said(error, &detail)).map(told).collect();
    Err(ClientError::Refused { status: status.as_u16(), code, detail, errors })
}

fn is_said(error: &Value, detail: &str) -> bool {
    error.get("detail").and_then(Value::as_str).is_some_and(|said| detail.ends_with(said))
}

/// One of several errors, with its place.
fn told(error: &Value) -> String {
    let text = |member: &str| error.get(member).and_then(Value::as_str);
    let place = match (error.get("line").and_then(Value::as_u64), error.get("column").and_then(Value::as_u64)) {
        (Some(line), Some(column)) => format!("{line}:{column}"),
        (line, _) => line.map(|line| line.to_string()).or(text("path").map(str::to_owned)).unwrap_or_default(),
    };
    let help = text("help").map(|help| format!(" ({help})")).unwrap_or_default();
    format!("{place}: {}{help}", text("message").or(text("detail")).unwrap_or_default())
}

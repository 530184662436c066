//! Stands before every route: who asks, may that role do this, and does a browser's request come from our own page.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use gateway::Act;
use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderName, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method, Uri};
use store::{Admin, Kept};

use crate::etag::one;
use crate::here::{Deed, Here, State};
use crate::idempotency;
use crate::problem::{Code, Problem};
use crate::roles::{self, Care, Role, Rule, Who};
use crate::secret::{self, ADMIN, Hash};

const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");

/// Bytes of a session's id as text.
const SESSION: usize = 43;

/// A session nobody uses for so long is over. Each use puts the end off, but not beyond `SESSION_MOST_MS` after the login.
pub(crate) const SESSION_IDLE_MS: i64 = 30 * 60 * 1_000;
pub(crate) const SESSION_MOST_MS: i64 = 12 * 60 * 60 * 1_000;

/// A session's end is put off when so much of its time has passed: not every request writes.
const SESSION_STEP_MS: i64 = 60 * 1_000;

/// From where a request came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// An admin, known.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) name: Arc<str>,
    /// What is known of them here is of this version.
    pub(crate) version: i64,
    pub(crate) role: Role,
    /// What rules that say who approves may name beside the name.
    pub(crate) groups: Arc<[String]>,
    pub(crate) by: By,
    peer: Arc<str>,
    /// SHA-256 of what was shown: to look again later whether it is still good, and what answers that are kept are sealed with.
    pub(crate) shown: Shown,
}

#[derive(Clone)]
pub(crate) enum By {
    Token,
    /// With the session's own CSRF token.
    Session(Arc<str>),
    /// By a link that is for one decision.
    Link,
}

/// What a caller has shown. Its hash is in the store; the secret is not kept anywhere.
#[derive(Clone)]
pub(crate) struct Shown {
    secret: Arc<str>,
}

impl Shown {
    pub(crate) fn hash(&self) -> Hash {
        secret::hash(&self.secret)
    }

    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }
}

impl Caller {
    pub(crate) fn new(admin: Kept<Admin>, by: By, peer: Peer, shown: &str) -> Self {
        Self {
            name: admin.id.into(),
            version: admin.version,
            role: admin.value.role.into(),
            groups: admin.value.groups.into(),
            by,
            peer: peer.0.to_string().into(),
            shown: Shown { secret: shown.into() },
        }
    }

    pub(crate) fn act<'a>(&'a self, deed: Deed<'a>) -> Act<'a> {
        let via = match self.by {
            By::Token => "token",
            By::Session(_) => "session",
            By::Link => "link",
        };
        let Deed { action, id, from } = deed;
        Act { admin: Some(&self.name), via, peer: &self.peer, action, id, from, ..Act::default() }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    /// A handler that asks for a caller on a route that needs none is a defect, and nobody gets in by it.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(|| Problem::unauthenticated("nobody is known here"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().copied().ok_or_else(|| Problem::new(Code::Internal, "the peer is not known"))
    }
}

/// The door of every route.
pub(crate) async fn guard(
    axum::extract::State(here): State,
    path: MatchedPath,
    peer: Peer,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    // INVARIANT: no rule, no handler.
    let Some(rule) = roles::find(request.method(), path.as_str()) else {
        return Err(Problem::method_not_allowed(&roles::allowed(path.as_str())));
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        same_scheme(request.headers(), here.secure)?;
    }
    if rule.who == Who::Anyone {
        return Ok(next.run(request).await);
    }
    let caller = here.known(request.method(), request.headers(), peer).await?;
    if !rule.who.includes(caller.role) {
        return Err(here.forbidden(&caller, rule).await);
    }
    request.extensions_mut().insert(caller.clone());
    match rule.care {
        Care::Key | Care::VersionAndKey => idempotency::once(&here, &caller, request, next).await,
        Care::Plain | Care::Version | Care::VersionOrNew => Ok(next.run(request).await),
    }
}

impl Here {
    /// Who asks, by a token or a session; and if by a session, whether it is the session's owner who wants this.
    async fn known(&self, method: &Method, headers: &HeaderMap, peer: Peer) -> Result<Caller, Problem> {
        let secure = self.secure;
        let found = match one(headers, &AUTHORIZATION)? {
            Some(line) => self.by_token(line, peer).await,
            None => match session_id(headers, secure)? {
                Some(id) => self.by_session(id, peer).await,
                None => return Err(Problem::unauthenticated("send `Authorization: Bearer tga_…`, or sign in")),
            },
        };
        let caller = match found? {
            Some(caller) => caller,
            None => return Err(self.refused(peer, "authenticate").await),
        };
        if let By::Session(csrf) = &caller.by
            && !matches!(*method, Method::GET | Method::HEAD)
        {
            from_here(headers, csrf)?;
        }
        Ok(caller)
    }

    async fn by_token(&self, line: &str, peer: Peer) -> Result<Option<Caller>, Problem> {
        let token = line.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"));
        let Some(token) = token.map(|(_, token)| token.trim()).filter(|token| secret::is_shaped(token, ADMIN)) else {
            return Ok(None);
        };
        let admin = self.store.admin_by_token(&secret::hash(token), self.now()).await?;
        Ok(admin.map(|admin| Caller::new(admin, By::Token, peer, token)))
    }

    /// Who is signed in, for a page that is there for everybody.
    pub(crate) async fn signed_in(&self, headers: &HeaderMap, peer: Peer) -> Result<Option<Caller>, Problem> {
        match session_id(headers, self.secure)? {
            Some(id) => self.by_session(id, peer).await,
            None => Ok(None),
        }
    }

    async fn by_session(&self, id: &str, peer: Peer) -> Result<Option<Caller>, Problem> {
        let (hash, now) = (secret::hash(id), self.now());
        let Some((session, admin)) = self.store.session(&hash, now).await? else { return Ok(None) };
        if session.expires_ms - now < SESSION_IDLE_MS - SESSION_STEP_MS {
            self.store.extend_session(&hash, now + SESSION_IDLE_MS, SESSION_MOST_MS).await?;
        }
        Ok(Some(Caller::new(admin, By::Session(secret::csrf(id).into()), peer, id)))
    }

    /// Is it still so? For answers that go on for long.
    pub(crate) async fn still(&self, caller: &Caller) -> bool {
        let (hash, now) = (caller.shown.hash(), self.now());
        let admin = match caller.by {
            By::Token => self.store.admin_by_token(&hash, now).await,
            By::Session(_) => self.store.session(&hash, now).await.map(|found| found.map(|(_, admin)| admin)),
            // It is for one decision, and nothing goes on by it.
            By::Link => return false,
        };
        admin.is_ok_and(|admin| admin.is_some_and(|admin| Role::from(admin.value.role) == caller.role))
    }

    /// Somebody who is not known: on record, as often as a minute takes of one address. A login is refused without a look beyond that;
    /// a token or a session is looked at all the same, so that nobody's failures keep somebody else out.
    pub(crate) async fn refused(&self, peer: Peer, action: &str) -> Problem {
        let now = self.now();
        let problem = Problem::unauthenticated("that is not known here, or no longer");
        if self.throttle.wait(peer.0, now).is_some() {
            return problem;
        }
        self.throttle.failed(peer.0, now);
        let address = peer.0.to_string();
        let code = Some(problem.code.as_str());
        let act = Act { peer: &address, action, outcome: "refused", code, ..Act::default() };
        match self.record(act).await {
            Ok(()) => problem,
            Err(unrecorded) => unrecorded,
        }
    }

    async fn forbidden(&self, caller: &Caller, rule: &Rule) -> Problem {
        let deed = Deed { action: "forbidden", id: rule.path, from: None };
        let code = Some(Code::Forbidden.as_str());
        match self.record(Act { outcome: "refused", code, ..caller.act(deed) }).await {
            Ok(()) => Problem::new(Code::Forbidden, format!("the role `{}` may not do this", caller.role.as_str())),
            Err(unrecorded) => unrecorded,
        }
    }
}

/// A page of another site can send our cookie in some ways, but it cannot read our token, nor say that it is us.
fn from_here(headers: &HeaderMap, csrf: &str) -> Result<(), Problem> {
    match one(headers, &CSRF)?.is_some_and(|shown| secret::same(shown, csrf)) {
        true => same_origin(headers, true),
        false => Err(Problem::new(Code::Csrf, "send the session's `X-CSRF-Token`")),
    }
}

/// Does a browser send this from our own page? Programs say no `Origin`.
pub(crate) fn same_origin(headers: &HeaderMap, required: bool) -> Result<(), Problem> {
    let Some(origin) = one(headers, &ORIGIN)? else {
        return if required { Err(Problem::new(Code::Csrf, "`Origin` is missing")) } else { Ok(()) };
    };
    let origin = origin.parse::<Uri>().ok();
    let (origin, host) = (origin.as_ref().and_then(Uri::authority), one(headers, &HOST)?);
    match origin.zip(host).is_some_and(|(origin, host)| origin.as_str().eq_ignore_ascii_case(host)) {
        true => Ok(()),
        false => Err(Problem::new(
            Code::Csrf,
            "`Origin` is not this page's: open it at the gateway's own address; a proxy on the way must leave `Host` as the browser sent it",
        )),
    }
}

/// Over TLS, a page that has our name and came without it is anybody's who sits on the way.
fn same_scheme(headers: &HeaderMap, secure: bool) -> Result<(), Problem> {
    let origin = one(headers, &ORIGIN)?.and_then(|origin| origin.parse::<Uri>().ok());
    match origin.is_some_and(|origin| secure && origin.scheme_str() == Some("http"))
        && same_origin(headers, true).is_ok()
    {
        true => Err(Problem::new(Code::Csrf, "`Origin` is not this page's: it is not https")),
        false => Ok(()),
    }
}

/// The name of the cookie. Browsers take `__Host-` only over TLS; then no other host or path can set it.
pub(crate) fn cookie_name(secure: bool) -> &'static str {
    if secure { "__Host-toolgate_session" } else { "toolgate_session" }
}

/// The session's id that a browser shows. Of several, none: somebody may have slipped us one.
pub(crate) fn session_id(headers: &HeaderMap, secure: bool) -> Result<Option<&str>, Problem> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut ids = pairs.filter(|(name, _)| *name == cookie_name(secure)).map(|(_, id)| id);
    match (ids.next(), ids.next()) {
        (Some(_), Some(_)) => Err(Problem::new(Code::Malformed, "there are several session cookies")),
        (id, _) => Ok(id.filter(|id| id.len() == SESSION)),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn over_tls_our_own_page_is_https() {
        let check = |origin: &'static str, secure| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("gate.example:4481"));
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
            same_scheme(&headers, secure).is_ok()
        };
        assert!(!check("http://gate.example:4481", true));
        for (origin, secure) in [
            ("https://gate.example:4481", true),
            ("http://gate.example:4481", false),
            // A proxy in front may speak TLS.
            ("https://gate.example:4481", false),
            // Whose page that is, others judge.
            ("http://other.example", true),
            ("null", true),
        ] {
            assert!(check(origin, secure), "{origin} {secure}");
        }
    }
}

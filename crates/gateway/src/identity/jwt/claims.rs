//! What a token claims: read as the operator says, believed by nobody here. Claims of the wrong type are no claims.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::token::{Compact, Malformed};
use super::{Bearer, Invalid};
use crate::config::Issuer;

/// Of an agent's id, with its prefix, and of a label.
const MAX_TEXT: usize = 256;

/// What callers are called that nobody knows. Nobody else is.
const NOBODY: &str = "anonymous";

pub(super) struct Claims(Map<String, Value>);

impl Claims {
    pub(super) fn read(compact: &Compact<'_>) -> Result<Self, Malformed> {
        compact.claims().map(Self)
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        self.0.get("iss")?.as_str()
    }

    pub(super) fn times(&self, now: f64, leeway: Duration) -> Result<(), Invalid> {
        let leeway = leeway.as_secs_f64();
        let (expiry, earliest, issued) = (self.date("exp")?, self.date("nbf")?, self.date("iat")?);
        // INVARIANT: a token that never expires is none
        if expiry.ok_or(Invalid::NoExpiry)? + leeway <= now {
            return Err(Invalid::Expired);
        }
        if earliest.is_some_and(|earliest| earliest - leeway > now) {
            return Err(Invalid::Early);
        }
        if issued.is_some_and(|issued| issued - leeway > now) {
            return Err(Invalid::IssuedLater);
        }
        Ok(())
    }

    pub(super) fn audience(&self, is_ours: impl Fn(&str) -> bool) -> Result<(), Invalid> {
        let found = match self.0.get("aud") {
            Some(Value::String(one)) => is_ours(one),
            Some(Value::Array(all)) => {
                all.iter().all(Value::is_string) && all.iter().filter_map(Value::as_str).any(is_ours)
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
        };
        if found { Ok(()) } else { Err(Invalid::Audience) }
    }

    /// The claims in our words.
    pub(super) fn bearer(&self, rules: &Issuer, leeway: Duration) -> Result<Bearer, Invalid> {
        let id = at(&self.0, &rules.agent)
            .filter(|id| id.is_string())
            .and_then(plain)
            .filter(|id| !id.is_empty())
            .ok_or(Invalid::Nobody)?;
        let agent = format!("{}{id}", rules.prefix);
        if agent.len() > MAX_TEXT || agent.starts_with(NOBODY) {
            return Err(Invalid::Nobody);
        }
        let labels = rules.labels.iter().filter_map(|(label, path)| {
            let value = at(&self.0, path).and_then(plain)?;
            Some((label.clone(), value.into()))
        });
        Ok(Bearer {
            agent: agent.into(),
            issuer: Arc::clone(&rules.name),
            labels: labels.collect(),
            scopes: self.scopes(),
            until: until(self.date("exp")?.ok_or(Invalid::NoExpiry)? + leeway.as_secs_f64()),
            certificate: self.confirmation()?,
        })
    }

    /// A claim that is there is a number, or the token is none.
    fn date(&self, name: &str) -> Result<Option<f64>, Malformed> {
        match self.0.get(name) {
            None => Ok(None),
            Some(date) => date.as_f64().map(Some).ok_or(Malformed::Json),
        }
    }

    /// `scope` as in RFC 9068, or `scp` as some issuers have it, as a text or a list.
    fn scopes(&self) -> BTreeSet<Box<str>> {
        match self.0.get("scope").or_else(|| self.0.get("scp")) {
            Some(Value::String(text)) => text.split(' ').filter(|scope| !scope.is_empty()).map(Into::into).collect(),
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(Into::into).collect(),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => BTreeSet::new(),
        }
    }

    /// The certificate that must be shown with the token. A token that is bound to something else is not for bearers.
    fn confirmation(&self) -> Result<Option<[u8; 32]>, Invalid> {
        let Some(confirmation) = self.0.get("cnf") else { return Ok(None) };
        let members = confirmation.as_object().ok_or(Invalid::Confirmation)?;
        let print = members.get("x5t#S256").filter(|_| members.len() == 1).and_then(Value::as_str);
        let print = print.and_then(|print| BASE64_URL_SAFE_NO_PAD.decode(print).ok());
        let print = print.and_then(|print| print.try_into().ok());
        print.map(Some).ok_or(Invalid::Confirmation)
    }
}

/// The end of a token's time: that of the world, if it says so.
fn until(expiry: f64) -> SystemTime {
    const FOREVER: Duration = Duration::from_secs(1 << 40);
    let after = Duration::try_from_secs_f64(expiry).unwrap_or(if expiry > 0.0 { FOREVER } else { Duration::ZERO });
    SystemTime::UNIX_EPOCH + after.min(FOREVER)
}

/// A path such as `groups.0` or `org.team`. A member that is called like all of it, or all of its rest, comes first: names of claims may
/// have dots.
fn at<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    if let Some(found) = claims.get(path) {
        return Some(found);
    }
    let (first, rest) = path.split_once('.')?;
    match claims.get(first)? {
        Value::Object(inner) => at(inner, rest),
        Value::Array(items) => items.get(rest.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// A value that can be a label: short, and without characters that would mislead whoever reads a log.
fn plain(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    (text.len() <= MAX_TEXT && !text.chars().any(char::is_control)).then_some(text)
}

//! Versions of what is kept, as entity tags. Whoever changes something says which version was seen, so no change is lost.

use axum::extract::FromRequestParts;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::problem::{Code, Problem};

/// What a version is called. The store never gives a version twice, so two things by one name, one after the other, never share a tag.
pub(crate) fn tag(version: i64) -> String {
    format!("\"{version}\"")
}

/// What a writer has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// `If-None-Match: *`: nothing, and it is to be made.
    Nothing,
    /// `If-Match`: one of these.
    Tags(Vec<String>),
    /// `If-Match: *`: whatever there is.
    Anything,
}

/// What must be there for a change, and what must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Create,
    /// The version that is to be changed, for the store to compare once more.
    Update(i64),
}

impl Seen {
    /// Holds the version that is there against what was seen.
    pub(crate) fn against(&self, what: &str, id: &str, there: Option<i64>) -> Result<Change, Problem> {
        let stale = |detail: &str| Problem::new(Code::Stale, format!("{what} `{id}` {detail}"));
        match (self, there) {
            (Self::Nothing, None) => Ok(Change::Create),
            (Self::Nothing, Some(_)) => Err(stale("is there already")),
            (Self::Tags(_) | Self::Anything, None) => Err(Problem::not_found(what, id)),
            (Self::Anything, Some(version)) => Ok(Change::Update(version)),
            (Self::Tags(tags), Some(version)) => match tags.contains(&tag(version)) {
                true => Ok(Change::Update(version)),
                false => Err(stale("was changed since: read it again").with("current", tag(version))),
            },
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Seen {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match (one(&parts.headers, &IF_MATCH)?, one(&parts.headers, &IF_NONE_MATCH)?) {
            (None, None) => Err(Problem::new(
                Code::PreconditionRequired,
                "send `If-Match` with the `ETag` that you read, or `If-None-Match: *` to create",
            )),
            (Some(_), Some(_)) => Err(Problem::invalid("If-Match", "goes not together with `If-None-Match`")),
            (None, Some("*")) => Ok(Self::Nothing),
            (None, Some(_)) => Err(Problem::invalid("If-None-Match", "can only be `*` here")),
            (Some("*"), None) => Ok(Self::Anything),
            (Some(list), None) => Ok(Self::Tags(list.split(',').map(|tag| tag.trim().to_owned()).collect())),
        }
    }
}

/// Does the client have this already? `If-None-Match` of a read; weak tags compare like strong ones there.
pub(crate) fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let lists = headers.get_all(IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    lists
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == tag.as_bytes())
}

/// A header of which there is one line at most, in plain text.
pub(crate) fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next();
    if lines.next().is_some() {
        return Err(Problem::new(Code::Malformed, format!("there are several `{name}` headers")));
    }
    let plain = |value: &'h HeaderValue| value.to_str().map(str::trim);
    first.map(plain).transpose().map_err(|_| Problem::new(Code::Malformed, format!("`{name}` is not plain text")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seen: &Seen, there: Option<i64>, expected: Result<Change, Code>) {
        assert_eq!(seen.against("server", "s", there).map_err(|problem| problem.code), expected, "{seen:?} {there:?}");
    }

    #[test]
    fn a_change_needs_what_was_seen() {
        let tags = |version| Seen::Tags(vec![tag(version)]);
        check(&Seen::Nothing, None, Ok(Change::Create));
        check(&Seen::Nothing, Some(1), Err(Code::Stale));
        check(&Seen::Anything, None, Err(Code::NotFound));
        check(&Seen::Anything, Some(4), Ok(Change::Update(4)));
        check(&tags(4), Some(4), Ok(Change::Update(4)));
        check(&tags(3), Some(4), Err(Code::Stale));
        check(&tags(4), None, Err(Code::NotFound));
        check(&Seen::Tags(vec![format!("W/{}", tag(4))]), Some(4), Err(Code::Stale));
    }
}

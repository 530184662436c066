//! Lists in pages. A cursor is the last id that was given out; what comes after it is the next page, whatever came and went meanwhile.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;

pub(crate) const DEFAULT_LIMIT: usize = 50;
pub(crate) const MAX_LIMIT: usize = 200;

/// Which page is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// How many at most
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before
    cursor: Option<String>,
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// The cursor of the next page; absent on the last one
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

impl Paging {
    pub(crate) fn new(limit: Option<usize>, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }

    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        match (1..=MAX_LIMIT).contains(&limit) {
            true => Ok(limit),
            false => Err(Problem::invalid("limit", format!("must be from 1 to {MAX_LIMIT}"))),
        }
    }

    /// The id after which the page begins.
    pub(crate) fn after(&self) -> Result<Option<String>, Problem> {
        self.cursor.as_deref().map(open).transpose()
    }

    /// The page of `all`, which are in the order of their ids.
    pub(crate) fn of<T>(
        &self,
        all: impl IntoIterator<Item = T>,
        id: impl Fn(&T) -> String,
    ) -> Result<Page<T>, Problem> {
        let (limit, after) = (self.limit()?, self.after()?);
        let rest = all.into_iter().filter(|item| after.as_ref().is_none_or(|after| id(item) > *after));
        let mut items: Vec<T> = rest.take(limit + 1).collect();
        let next = (items.len() > limit).then(|| {
            items.truncate(limit);
            items.last().map(|last| seal(&id(last))).unwrap_or_default()
        });
        Ok(Page { items, next })
    }
}

pub(crate) fn seal(id: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("1{id}"))
}

fn open(cursor: &str) -> Result<String, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let id = text.as_deref().and_then(|text| text.strip_prefix('1')).map(str::to_owned);
    id.ok_or_else(|| Problem::invalid("cursor", "is not one that was given out"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_everything_once() {
        let all: Vec<String> = (0..7).map(|n| format!("s{n}")).collect();
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let paging = Paging { limit: Some(3), cursor };
            let page = paging.of(all.clone(), Clone::clone).unwrap();
            assert!(page.items.len() <= 3);
            seen.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn a_cursor_is_not_guessed_at() {
        for cursor in ["", "s1", "%%", "czE"] {
            assert!(Paging { limit: None, cursor: Some(cursor.into()) }.after().is_err(), "{cursor}");
        }
        for limit in [0, MAX_LIMIT + 1] {
            assert!(Paging { limit: Some(limit), cursor: None }.limit().is_err());
        }
    }
}

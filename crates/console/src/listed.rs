//! What all kinds of objects have in common: lists of two sources in one order, and how a document is removed.

use http::StatusCode;
use store::{Document, Kept, StoreError};

use crate::etag::{Change, Seen};
use crate::guard::Caller;
use crate::here::{Deed, Here};
use crate::page::{Page, Paging};
use crate::problem::Problem;

/// One more than the page has, to know whether there is a next one.
pub(crate) fn one_more(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX).saturating_add(1)
}

pub(crate) fn sorted<T>(views: impl Iterator<Item = T>, id: impl Fn(&T) -> String) -> Vec<T> {
    let mut views: Vec<T> = views.collect();
    views.sort_by_key(id);
    views
}

/// `kept` are those after the cursor, one more than the page holds; `files` are all that files manage. What both have is the file's.
pub(crate) fn merge<T>(
    paging: &Paging,
    files: Vec<T>,
    kept: impl Iterator<Item = T>,
    id: impl Fn(&T) -> String,
) -> Result<Page<T>, Problem> {
    let mut all: Vec<T> = kept.filter(|kept| files.iter().all(|file| id(file) != id(kept))).collect();
    all.extend(files);
    paging.of(sorted(all.into_iter(), &id), id)
}

/// Removes a document that `may` go.
pub(crate) async fn delete<D: Document + Clone>(
    here: &Here,
    caller: &Caller,
    what: &'static str,
    action: &'static str,
    id: &str,
    seen: Seen,
    may: impl FnOnce(&Kept<D>) -> Result<(), Problem>,
) -> Result<StatusCode, Problem> {
    let changing = here.changing().await;
    let Change::Update(version) = seen.against(what, id, here.store.version::<D>(id).await?)? else {
        return Err(Problem::invalid("If-None-Match", "what is removed must be there"));
    };
    match here.store.get::<D>(id).await {
        Ok(kept) => may(&kept)?,
        // To be removed is all that it is good for.
        Err(StoreError::Corrupt { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let deed = Deed { action, id, from: Some(version) };
    changing.carry_out(caller, deed, here.store.delete::<D>(id, Some(version)), |_| None).await?;
    Ok(StatusCode::NO_CONTENT)
}

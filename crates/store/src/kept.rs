//! A record as it is kept, and a page of them.

/// A record, with what the store knows of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept<T> {
    pub id: String,
    /// The store's revision that wrote it: never given twice, so it serves as an ETag even when a record was removed and made again.
    pub version: i64,
    pub created_ms: i64,
    pub updated_ms: i64,
    pub value: T,
}

/// Some records in the order of their ids, and where the next page begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// What to pass as `after` for the next page; none when this is the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// `items` has one more than the page, if there is a next one.
    pub(crate) fn cut(mut items: Vec<T>, size: usize, id: impl Fn(&T) -> String) -> Self {
        let more = items.len() > size;
        items.truncate(size);
        let next = if more { items.last().map(id) } else { None };
        Self { items, next }
    }
}

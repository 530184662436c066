//! Lists that come in pages, read as one stream.

use std::collections::HashSet;

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::api_error::snippet;
use crate::client::Client;
use crate::error::Error;
use crate::model::{Checkpoint, Event, File, Job, Page};
use crate::transport::Call;

/// A list at the service. Nothing is asked for until a page or a stream is polled.
#[derive(Clone, Debug)]
#[must_use = "a list asks for nothing by itself"]
pub struct List<T> {
    client: Client,
    operation: &'static str,
    url: Url,
    limit: Option<u32>,
    after: Option<String>,
    kind: std::marker::PhantomData<fn() -> T>,
}

impl<T: Listed> List<T> {
    pub(crate) fn new(client: Client, operation: &'static str, url: Url) -> Self {
        Self { client, operation, url, limit: None, after: None, kind: std::marker::PhantomData }
    }

    /// Asks for pages of this many items; the service has its own default (10 or 20) and its own maximum.
    pub fn page_size(mut self, items: u32) -> Self {
        self.limit = Some(items);
        self
    }

    /// Begins after the item with this id.
    pub fn after(mut self, id: impl Into<String>) -> Self {
        self.after = Some(id.into());
        self
    }

    /// One page.
    ///
    /// # Errors
    /// [`Error`], as for any operation.
    pub async fn page(&self) -> Result<Page<T>, Error> {
        let call = Call::get(self.operation, self.url.clone());
        let call = call.query("limit", self.limit).query("after", self.after.as_deref());
        self.client.json(call).await
    }

    /// All items from here on, page after page, in the order of the service. Ends after an error, but for one: an item that cannot be
    /// read is an [`Error::Decode`] at the end of its page, and the stream goes on after it.
    ///
    /// The end is where the service says so, where a page is empty, or where a page begins or ends with the end of one before it.
    pub fn stream(self) -> BoxStream<'static, Result<T, Error>> {
        let operation = self.operation;
        let items = move |page: Page<T>| {
            let errors = page.unreadable.into_iter().filter_map(move |item| unreadable::<T>(operation, &item));
            stream::iter(page.data.into_iter().map(Ok).chain(errors.map(Err)))
        };
        self.pages().map_ok(items).try_flatten().boxed()
    }

    /// The same as [`List::stream`], a page at a time; what cannot be read is in [`Page::unreadable`].
    pub fn pages(self) -> BoxStream<'static, Result<Page<T>, Error>> {
        let passed: HashSet<String> = self.after.iter().cloned().collect();
        stream::try_unfold(Some((self, passed)), |state| async {
            let Some((mut list, mut passed)) = state else { return Ok(None) };
            let page = list.page().await?;
            if page.data.is_empty() && page.unreadable.is_empty() {
                return Ok(None);
            }
            // Without an id there is nothing to continue after.
            let Some(last) = page.last_id().map(str::to_owned) else { return Ok(Some((page, None))) };
            // A service that does not know cursors answers the same page for ever; one that repeats them, the same few.
            let is_repeated = |cursor: &str| passed.contains(cursor);
            if is_repeated(&last) || page.first_id().is_some_and(is_repeated) {
                return Ok(None);
            }
            let next = (page.has_more == Some(true)).then(|| {
                passed.insert(last.clone());
                list.after = Some(last);
                (list, passed)
            });
            Ok(Some((page, next)))
        })
        .boxed()
    }
}

/// Why an item cannot be read.
pub(crate) fn unreadable<T: Listed>(operation: &'static str, item: &Value) -> Option<Error> {
    let source = T::deserialize(item).err()?;
    Some(Error::Decode { operation, snippet: snippet(&item.to_string()), request_id: None, source })
}

/// What stands in lists: it has an id to continue after.
pub trait Listed: Serialize + DeserializeOwned + Send + 'static {
    /// The id.
    fn cursor(&self) -> &str;
}

macro_rules! listed {
    ($($kind:ty),+) => {
        $(impl Listed for $kind {
            fn cursor(&self) -> &str {
                self.id.as_str()
            }
        })+
    };
}

listed!(Job, Event, Checkpoint, File);

//! One page of a list.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::Extra;

/// One page of a list, as the service cut it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(bound = "T: Serialize")]
#[non_exhaustive]
pub struct Page<T> {
    /// The items, in the order of the service.
    pub data: Vec<T>,
    /// Items that cannot be read, such as one whose id is none, as they were. They do not cost the page its other items.
    #[serde(skip_serializing)]
    pub unreadable: Vec<Value>,
    /// Whether the service says that more items follow; `None` where it says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_more: Option<bool>,
    /// Members this crate does not know, such as `object`, `first_id`, `last_id`.
    #[serde(flatten)]
    pub extra: Extra,
    /// The ids of the first and of the last item that has one, readable or not.
    #[serde(skip_serializing)]
    ends: Option<(String, String)>,
}

impl<T> Page<T> {
    /// The id of the page's last item, to continue after with [`List::after`](crate::List::after): also of one that cannot be read.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.ends.as_ref().map(|(_, last)| last.as_str())
    }

    pub(crate) fn first_id(&self) -> Option<&str> {
        self.ends.as_ref().map(|(first, _)| first.as_str())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Page<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut extra = Extra::deserialize(deserializer)?;
        let items = match extra.remove("data") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(D::Error::custom("`data` is no list")),
        };
        let has_more = extra.get("has_more").and_then(Value::as_bool);
        if has_more.is_some() || extra.get("has_more").is_some_and(Value::is_null) {
            extra.remove("has_more");
        }
        let mut ids = items.iter().filter_map(|item| item.get("id")?.as_str()).filter(|id| !id.is_empty());
        let ends = ids.next().map(|first| (first.to_owned(), ids.next_back().unwrap_or(first).to_owned()));
        let (mut data, mut unreadable) = (Vec::with_capacity(items.len()), Vec::new());
        for item in items {
            match T::deserialize(&item) {
                Ok(read) => data.push(read),
                Err(_) => unreadable.push(item),
            }
        }
        Ok(Self { data, unreadable, has_more, extra, ends })
    }
}

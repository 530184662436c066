//! One page of a list.

use serde::{Deserialize, Serialize};

use super::{Extra, lenient};

/// One page of a list, as the service cut it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "T: Serialize + serde::de::DeserializeOwned")]
#[non_exhaustive]
pub struct Page<T> {
    /// The items, in the order of the service.
    #[serde(default, deserialize_with = "lenient::present")]
    pub data: Vec<T>,
    /// Whether the service says that more items follow; `None` where it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_more: Option<bool>,
    /// Members this crate does not know, such as `object`, `first_id`, `last_id`.
    #[serde(flatten)]
    pub extra: Extra,
}

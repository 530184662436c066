//! A setting that is changed while nodes run: a key and any JSON.

use serde::{Deserialize, Serialize};

use crate::document::Document;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Setting(pub serde_json::Value);

impl Document for Setting {
    const KIND: &'static str = "setting";
    const MAX: i64 = 1000;
}

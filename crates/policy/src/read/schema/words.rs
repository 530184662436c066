//! Strings, and the few words of which one may stand somewhere, each with what it means.

use serde_json::{Value, json};

pub(super) fn string(about: &str) -> Value {
    json!({ "description": about, "type": "string" })
}

/// `about` matches on the meaning, so that the compiler finds the word that nobody described.
pub(super) fn one_of<T: Copy>(words: &[(&str, T)], about: impl Fn(T) -> &'static str) -> Value {
    let word = |(word, meaning): &(&str, T)| json!({ "const": word, "description": about(*meaning) });
    json!({ "oneOf": words.iter().map(word).collect::<Vec<_>>() })
}

/// Words that need no explanation.
pub(super) fn plain<T>(words: &[(&str, T)], about: &str) -> Value {
    json!({ "description": about, "enum": words.iter().map(|(word, _)| *word).collect::<Vec<_>>() })
}

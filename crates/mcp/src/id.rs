//! A JSON-RPC request id as it was written: a string or an integer of 64 bits, and nothing else (R3).

use serde_json::value::RawValue;

/// The id's JSON text, ready to be written back to its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id<'a>(&'a str);

impl<'a> Id<'a> {
    /// Ids are remembered while a request is open: the longest one that is, in bytes, as written.
    pub const MAX: usize = 256;

    /// None for what is longer than that, and for null, fractions, exponents, integers beyond i64, booleans, arrays and objects.
    pub fn read(raw: &'a RawValue) -> Option<Self> {
        let text = raw.get();
        if text.len() > Self::MAX {
            return None;
        }
        let lawful = text.starts_with('"') || text.parse::<i64>().is_ok_and(|_| !text.starts_with('+'));
        lawful.then_some(Self(text))
    }

    /// As written, quotes and escapes included.
    pub fn as_json(&self) -> &'a str {
        self.0
    }

    /// The number, when the id is one of the non-negative numbers that we give out.
    pub fn ours(&self) -> Option<u64> {
        self.0.parse().ok()
    }
}

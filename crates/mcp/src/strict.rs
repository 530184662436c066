//! The strict reader: one RFC 8259 document that every JSON reader reads alike. No duplicate key at any depth, at most
//! 128 deep (R1, R2).

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use smallvec::SmallVec;

/// How deep arrays and objects may nest, the outermost one included.
pub(crate) const MAX_DEPTH: usize = 128;

/// Keys of one object up to here are compared one by one; beyond, they are hashed.
const FEW_KEYS: usize = 16;

const DUPLICATE: &str = "duplicate key";
const DEPTH: &str = "nesting deeper than 128";
const PRIVATE: &str = "private key";

/// serde_json's own marks: its `Value` takes an object that starts with such a key for the JSON inside the string that
/// follows, so a server written in Rust would read another value than everybody else.
const PRIVATE_PREFIX: &str = "$serde_json::private::";

/// Why a text is not one strict JSON document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotStrict {
    #[error("duplicate key, at byte {0}")]
    Duplicate(usize),
    #[error("nested deeper than 128, at byte {0}")]
    TooDeep(usize),
    #[error("key private to serde_json, at byte {0}")]
    Private(usize),
    #[error("not JSON: {0}")]
    Syntax(String),
}

/// Reads the whole of `text` and keeps nothing.
///
/// serde_json refuses what is no RFC 8259 JSON, lone surrogates and numbers beyond a double (exactly, thanks to its
/// feature `float_roundtrip`); this adds duplicate keys (compared after unescaping), its own private keys and the depth.
pub fn check(text: &str) -> Result<(), NotStrict> {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.disable_recursion_limit(); // INVARIANT: `Strict` counts instead, so the stack stays bounded
    Strict { depth: 0 }.deserialize(&mut reader).map_err(|error| explain(text, &error))?;
    reader.end().map_err(|error| explain(text, &error))
}

fn explain(text: &str, error: &serde_json::Error) -> NotStrict {
    let message = error.to_string();
    let at = offset(text, error.line(), error.column());
    match () {
        () if message.starts_with(DUPLICATE) => NotStrict::Duplicate(at),
        () if message.starts_with(DEPTH) => NotStrict::TooDeep(at),
        () if message.starts_with(PRIVATE) => NotStrict::Private(at),
        () => NotStrict::Syntax(message),
    }
}

fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    before + column
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.depth {
            MAX_DEPTH => Err(E::custom(DEPTH)),
            depth => Ok(Self { depth: depth + 1 }),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut keys = Keys::default();
        while let Some(key) = members.next_key_seed(Key)? {
            if key.starts_with(PRIVATE_PREFIX) {
                return Err(A::Error::custom(PRIVATE));
            }
            if !keys.insert(key) {
                return Err(A::Error::custom(DUPLICATE));
            }
            members.next_value_seed(inner)?;
        }
        Ok(())
    }
}

/// The keys of one object, few or many: the work stays linear in their number.
#[derive(Default)]
pub(crate) struct Keys<'de> {
    few: SmallVec<[Cow<'de, str>; FEW_KEYS]>,
    many: HashSet<Cow<'de, str>>,
}

impl<'de> Keys<'de> {
    /// False when the key was there before.
    pub(crate) fn insert(&mut self, key: Cow<'de, str>) -> bool {
        if self.few.contains(&key) {
            return false;
        }
        if self.few.len() == FEW_KEYS {
            return self.many.insert(key);
        }
        self.few.push(key);
        true
    }
}

/// A key, unescaped, borrowed where it can be.
pub(crate) struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[track_caller]
    fn verdict(text: &str, expected: &str) {
        let got = match check(text) {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.to_string(),
        };
        assert!(
            got.starts_with(expected),
            "`{}`: {got}, expected {expected}",
            text.chars().take(60).collect::<String>()
        );
    }

    #[test]
    fn documents() {
        verdict(r#"{"a":1,"b":[1,2.5e3,"x",null,true]}"#, "ok");
        verdict(r#"{"a":1,"a":2}"#, "duplicate key");
        verdict(r#"[{"x":{"name":1,"n\u0061me":2}}]"#, "duplicate key");
        verdict(r#"{"a":{"b":1},"c":{"b":1}}"#, "ok");
        verdict(r#"{"":0,"":1}"#, "duplicate key");
        verdict(r#""\ud800""#, "not JSON");
        verdict("1e309", "not JSON");
        verdict("1.7976931348623157e+308", "ok");
        verdict("1.79769313486231584e308", "not JSON"); // a double rounds it to infinity
        verdict("[1,18446744073709551617,-0,9007199254740993]", "ok");
        verdict("{} {}", "not JSON");
        verdict("{}\n", "ok");
        verdict("NaN", "not JSON");
        verdict(r#"{"$serde_json::private::RawValue":"1"}"#, "key private");
        verdict(r#"[{"a":1,"\u0024serde_json::private::Number":"1"}]"#, "key private");
        verdict(r#"["$serde_json::private::RawValue"]"#, "ok");
        verdict("{\"a\":1,}", "not JSON");
        verdict("\u{feff}{}", "not JSON");
        verdict("", "not JSON");
    }

    #[test]
    fn duplicates_among_many_keys() {
        let keys: Vec<String> = (0..100).map(|n| format!("\"k{n}\":{n}")).collect();
        verdict(&format!("{{{}}}", keys.join(",")), "ok");
        verdict(&format!("{{{},\"k3\":0}}", keys.join(",")), "duplicate key");
        verdict(&format!("{{{},\"k\\u0039\\u0039\":0}}", keys.join(",")), "duplicate key");
    }

    #[test]
    fn depth_is_counted() {
        verdict(&("[".repeat(128) + &"]".repeat(128)), "ok");
        verdict(&("[".repeat(129) + &"]".repeat(129)), "nested deeper");
        verdict(&"[".repeat(50_000), "nested deeper");
        verdict(&"{\"a\":".repeat(50_000), "nested deeper");
    }
}

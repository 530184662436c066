//! A JSON object as its members: keys unescaped, values still text. Only an object is one; arrays never pass for it.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::strict::{Key, Keys};

/// The members of an object, in their order. A repeated key makes the object unreadable.
#[derive(Clone, Debug, Default)]
pub struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Reads `text`; none when it is not exactly one object with distinct keys.
    pub fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), *value))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object written anew: without some members, with others (JSON text) in their place or at the end. Values that stay, stay byte
    /// for byte.
    pub fn amended(&self, without: &[&str], with: &[(&str, &str)]) -> String {
        let replaced = |key: &str| with.iter().find(|(name, _)| *name == key).map(|(_, json)| *json);
        let kept = self.iter().filter(|(key, _)| !without.contains(key));
        let kept = kept.map(|(key, value)| (key, replaced(key).unwrap_or(value.get())));
        let added = with.iter().filter(|(key, _)| self.get(key).is_none()).copied();
        let members = kept.chain(added).map(|(key, json)| format!("{}:{json}", crate::string(key)));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }

    /// The member as text, when it is a JSON string.
    pub fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        text(self.get(key)?)
    }

    /// The member as an object, when it is one.
    pub fn object(&self, key: &str) -> Option<Object<'a>> {
        Self::read(self.get(key)?.get())
    }
}

/// A JSON string's value.
pub(crate) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    struct Text<'a>(Cow<'a, str>);
    impl<'de> Deserialize<'de> for Text<'de> {
        fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
            reader.deserialize_str(Key).map(Text)
        }
    }
    serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|text| text.0)
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_map(Members).map(Object)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut all: Self::Value = Vec::with_capacity(4);
        let mut keys = Keys::default();
        while let Some(key) = members.next_key_seed(Key)? {
            if !keys.insert(key.clone()) {
                return Err(serde::de::Error::custom("duplicate key"));
            }
            all.push((key, members.next_value()?));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::Object;

    #[test]
    fn what_stays_stays_byte_for_byte() {
        let object = Object::read(r#"{ "a" : 1.50, "\u0062":[ 1 ], "c":"x" }"#).unwrap();
        assert_eq!(object.amended(&["c"], &[("b", "2"), ("d \"", "null")]), r#"{"a":1.50,"b":2,"d \"":null}"#);
        assert_eq!(object.amended(&["a", "b", "c"], &[]), "{}");
    }
}

//! Readers for members that real answers write in more than one way.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Extra;

/// Declares a struct of which only some members must be readable. Another one that is not what it should be is absent, and its raw
/// value stands in `extra` under its own name; an empty text is no value at all.
macro_rules! tolerant {
    (
        [$($needed:literal),*]
        $(#[$meta:meta])*
        pub struct $name:ident { $($(#[$($attribute:tt)*])* $visibility:vis $field:ident: $kind:ty,)+ }
    ) => {
        $(#[$meta])*
        pub struct $name { $($(#[$($attribute)*])* $visibility $field: $kind,)+ }

        const _: () = {
            /// The same, all or nothing.
            #[derive(Deserialize)]
            $(#[$meta])*
            struct Strict { $($(#[$($attribute)*])* $field: $kind,)+ }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let (strict, odd) = $crate::model::lenient::most_of::<D, Strict>(deserializer, &[$($needed),*])?;
                    let mut read = Self { $($field: strict.$field,)+ };
                    read.extra.extend(odd);
                    Ok(read)
                }
            }
        };
    };
}

pub(crate) use tolerant;

/// An object without the members that cannot be read, and these. The `needed` ones must be readable.
pub(crate) fn most_of<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
    needed: &[&str],
) -> Result<(T, Extra), D::Error> {
    let whole = Value::Object(Extra::deserialize(deserializer)?);
    let error = match T::deserialize(&whole) {
        Ok(read) => return Ok((read, Extra::new())),
        Err(error) => error,
    };
    let Value::Object(members) = whole else { return Err(D::Error::custom(error)) };
    let (core, others): (Extra, Extra) = members.into_iter().partition(|(name, _)| needed.contains(&name.as_str()));
    if T::deserialize(&Value::Object(core.clone())).is_err() {
        return Err(D::Error::custom(error));
    }
    let is_readable = |name: &String, value: &Value| {
        let mut alone = core.clone();
        alone.insert(name.clone(), value.clone());
        T::deserialize(&Value::Object(alone)).is_ok()
    };
    let (readable, mut odd): (Extra, Extra) = others.into_iter().partition(|(name, value)| is_readable(name, value));
    odd.retain(|_, value| value.as_str() != Some(""));
    let readable = Value::Object(core.into_iter().chain(readable).collect());
    Ok((T::deserialize(&readable).map_err(D::Error::custom)?, odd))
}

/// A text; of any other value, its JSON.
pub(crate) fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            other.to_string()
        }
    }
}

/// A text that may be missing, also when written as another value.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<Value>::deserialize(deserializer)?.map(text_of))
}

/// Texts by name, also when written as other values.
pub(super) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    let values = Option::<BTreeMap<String, Value>>::deserialize(deserializer)?;
    Ok(values.map(|values| values.into_iter().map(|(name, value)| (name, text_of(value))).collect()))
}

/// What can be read of a list that may be missing.
pub(super) fn readable<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let values = Option::<Vec<Value>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(values.iter().filter_map(|value| T::deserialize(value).ok()).collect())
}

/// An absent, `null` or present member.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A whole number, also when written as `20.0` or `"20"`.
pub(super) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let Some(value) = Option::<Value>::deserialize(deserializer)? else { return Ok(None) };
    match whole_of(&value) {
        Some(number) => Ok(Some(number)),
        None => Err(D::Error::custom(format_args!("`{value}` is not a whole number"))),
    }
}

/// A number, also when written as `"0.5"`.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let Some(value) = Option::<Value>::deserialize(deserializer)? else { return Ok(None) };
    match value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number: &f64| number.is_finite()) {
        Some(number) => Ok(Some(number)),
        None => Err(D::Error::custom(format_args!("`{value}` is not a number"))),
    }
}

fn whole_of(value: &Value) -> Option<i64> {
    // Within 2^53 a float names one whole number; beyond, it would be a guess.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= EXACT)?;
            format!("{float:.0}").parse().ok()
        }),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

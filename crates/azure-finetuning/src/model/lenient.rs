//! Readers for members that real answers write in more than one way.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

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
        None => Err(serde::de::Error::custom(format_args!("`{value}` is not a whole number"))),
    }
}

/// A number, also when written as `"0.5"`.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let Some(value) = Option::<Value>::deserialize(deserializer)? else { return Ok(None) };
    match value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()) {
        Some(number) => Ok(Some(number)),
        None => Err(serde::de::Error::custom(format_args!("`{value}` is not a number"))),
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

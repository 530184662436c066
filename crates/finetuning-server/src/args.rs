//! The arguments of a call. That they fit the tool's schema was checked before; here they get their types.

use std::str::FromStr;

use serde_json::{Map, Value};

use crate::failure::Failure;

pub(crate) struct Args(Map<String, Value>);

impl Args {
    pub(crate) fn new(arguments: Map<String, Value>) -> Self {
        Self(arguments)
    }

    /// A null counts as absent: some models write one for each argument they do not need.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    pub(crate) fn needed(&self, name: &str) -> Result<&str, Failure> {
        self.text(name).ok_or_else(|| Failure::argument(name, "it is needed"))
    }

    /// An id, or whatever else a text must be.
    pub(crate) fn parse<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<T, Failure> {
        self.needed(name)?.parse().map_err(|error| Failure::argument(name, error))
    }

    pub(crate) fn maybe<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, Failure> {
        self.get(name).map(|_| self.parse(name)).transpose()
    }

    pub(crate) fn whole(&self, name: &str) -> Option<u64> {
        let number = self.get(name)?;
        // `3.0` is an integer by JSON Schema.
        let whole = |number: f64| (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64);
        number.as_u64().or_else(|| whole(number.as_f64()?))
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.get(name).and_then(Value::as_f64)
    }
}

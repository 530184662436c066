//! Bytes in JSON and in keys: as hex, which is readable in `psql` and the same in both engines.

use data_encoding::HEXLOWER;
use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serializer};

pub(crate) fn write(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

pub(crate) fn read(text: &str) -> Option<Vec<u8>> {
    HEXLOWER.decode(text.as_bytes()).ok()
}

/// For serde's `with`.
pub(crate) fn serialize<S: Serializer>(bytes: impl AsRef<[u8]>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&write(bytes.as_ref()))
}

pub(crate) fn deserialize<'de, T: TryFrom<Vec<u8>>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let bytes = read(&String::deserialize(from)?).ok_or_else(|| D::Error::custom("is not hex"))?;
    T::try_from(bytes).map_err(|_| D::Error::custom("has a wrong length"))
}

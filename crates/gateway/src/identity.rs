//! Who calls, and how that is proved.

pub(crate) mod jwt;
pub(crate) mod metadata;

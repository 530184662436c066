//! The exit codes, a promise to scripts.

pub(crate) const OK: u8 = 0;
/// Something that was looked at is not as it should be.
pub(crate) const FINDINGS: u8 = 1;
/// What was asked for makes no sense: arguments, configuration.
pub(crate) const USAGE: u8 = 2;
pub(crate) const RUNTIME: u8 = 3;

//! Tells this process from all others, those included that run this gateway's next life.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

static MARK: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));

pub(crate) fn mark() -> u64 {
    *MARK
}

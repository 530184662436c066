//! How much is kept, and how long a text may be. The store is not where somebody fills a disk.

use crate::StoreError;

/// Bytes of an id or a name.
pub(crate) const MAX_ID: usize = 256;
/// Bytes of a document as JSON.
pub(crate) const MAX_BODY: usize = 256 << 10;
/// Bytes of a policy's text, and of its catalogue.
pub(crate) const MAX_POLICY: usize = 4 << 20;
/// Bytes of a note, a label, an author.
pub(crate) const MAX_NOTE: usize = 4 << 10;
/// Bytes of an answer that is kept for an idempotency key.
pub(crate) const MAX_ANSWER: usize = 1 << 20;
/// Records of one page.
pub(crate) const MAX_PAGE: u32 = 1000;

/// Bytes of what an approval is asked for, as JSON.
pub(crate) const MAX_ASKED: usize = 4 << 20;
/// Bytes of an approval's votes, as JSON.
pub(crate) const MAX_VOTES: usize = 1 << 20;
/// Bytes of the tool, prompt or resource that a grant is for.
pub(crate) const MAX_SUBJECT: usize = 8 << 10;
/// Approvals of one page: they have arguments.
pub(crate) const MAX_APPROVALS_PAGE: u32 = 100;
/// Notices that are claimed at once.
pub(crate) const MAX_NOTICES: u32 = 100;
/// Whom an approval is told to.
pub(crate) const MAX_TARGETS: usize = 64;

/// Approvals that are used or expired; the oldest beyond are forgotten.
pub(crate) const MAX_APPROVALS: i64 = 100_000;
pub(crate) const MAX_LINKS_OF_APPROVAL: i64 = 256;
pub(crate) const MAX_GRANTS: i64 = 10_000;
/// Grants of one agent at one server that are good at the same time.
pub(crate) const MAX_GRANTS_AT: i64 = 100;
pub(crate) const MAX_POLICIES: i64 = 10_000;
pub(crate) const MAX_POLICY_VERSIONS: i64 = 10_000;
pub(crate) const MAX_SESSIONS: i64 = 10_000;
pub(crate) const MAX_LOGIN_LINKS: i64 = 1000;
pub(crate) const MAX_IDEMPOTENCY_KEYS: i64 = 100_000;

/// What names a record: something, not too long, and nothing invisible.
pub(crate) fn id(what: &'static str, text: &str) -> Result<(), StoreError> {
    let why = match text.chars().any(char::is_control) {
        true => "has a control character",
        false if text.is_empty() => "is empty",
        false => return long(what, text, MAX_ID),
    };
    Err(StoreError::Invalid { what, why: why.to_owned() })
}

/// Text that both engines keep: PostgreSQL has no NUL.
pub(crate) fn text(what: &'static str, text: &str, max: usize) -> Result<(), StoreError> {
    match text.contains('\0') {
        true => Err(StoreError::Invalid { what, why: "has a NUL".to_owned() }),
        false => long(what, text, max),
    }
}

/// How many of a page to ask for: one more tells whether there is a next.
pub(crate) fn page(limit: u32) -> usize {
    limit.clamp(1, MAX_PAGE) as usize
}

fn long(what: &'static str, text: &str, max: usize) -> Result<(), StoreError> {
    match text.len() > max {
        true => Err(StoreError::Invalid { what, why: format!("has {} bytes, more than {max}", text.len()) }),
        false => Ok(()),
    }
}

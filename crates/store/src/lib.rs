//! What an operator decided through the API, kept: SQLite on one machine, PostgreSQL for many. One [`Store`] for both.
//!
//! It knows records, versions and one-time things; nothing of MCP, of policies' meaning, or of who may do what. It starts no task: what waits
//! ([`Changes`]) waits in the caller's.

mod admin;
mod agent;
mod approval;
mod audit;
mod changes;
mod copy;
mod credential;
mod document;
mod ear;
mod error;
mod hex;
mod idempotency;
mod kept;
mod limits;
mod login;
mod migrate;
mod place;
mod policy;
mod query;
mod server;
mod session;
mod setting;
mod snapshot;
mod sql;
mod store;
mod token;
mod tx;

pub use admin::{Admin, AdminToken, Role};
pub use agent::Agent;
pub use approval::{
    Approval, ApprovalChanges, ApprovalFilter, ApprovalState, AskBounds, Asked, Asking, Grant, GrantFilter, Heard,
    Notice, TooMany, Vote, Voted,
};
pub use audit::AuditRecord;
pub use changes::Changes;
pub use copy::{Copied, CopyError, copy};
pub use credential::Credential;
pub use document::{Document, Owner};
pub use error::StoreError;
pub use idempotency::{Answer, Claim};
pub use kept::{Kept, Page};
pub use policy::{Draft, Policy, PolicyVersion};
pub use query::{AuditCursor, AuditPage, AuditQuery};
pub use server::Server;
pub use session::Session;
pub use setting::Setting;
pub use snapshot::{ActivePolicy, Snapshot, Unreadable};
pub use store::{Options, Store};
pub use token::Token;

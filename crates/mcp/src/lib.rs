//! MCP messages of both eras: bytes in, judged values out, fresh messages written. Opens no socket, spawns no task.
//!
//! The one rule (`threats.md`, section 0): parse once, strictly; decide on the parsed value; write a new message from
//! that value. [`parse`] is the only way in, and what it returns borrows from the text that it accepted.

mod answer;
mod fault;
mod filter;
mod header;
mod id;
mod list;
mod message;
mod method;
mod mirror;
mod object;
mod params;
mod revision;
pub mod sse;
mod strict;
mod write;

pub use answer::{Answer, ServerMessage, Verdict};
pub use fault::{Fault, Kind};
pub use filter::{Kept, filter_list, replace};
pub use header::{HeaderFault, decode, encode, matches};
pub use id::Id;
pub use list::{ListOf, Listed};
pub use message::{Body, Message, Notification, Request, Response, element, parse};
pub use method::{Method, Notice, ServerMethod, ServerNotice};
pub use mirror::{Mirror, MirrorFault, mirrors};
pub use object::Object;
pub use params::{Params, meta};
pub use revision::{Era, Revision};
pub use strict::{NotStrict, check};
pub use write::{Writer, compact, string};

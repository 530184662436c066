//! Judges MCP calls: a call goes in, a decision comes out. Knows one policy document; reads no file, clock, counter or
//! environment, so the same policy and the same call always give the same decision.
//!
//! The way of a document: `read` turns text into its written form (`source`) and reports everything wrong with it at once;
//! `compile` turns that into the meant form, one `Space` of rules for tools, one for resources, one for prompts;
//! `decide` asks a space, and then the conditions that it names. The order in which rules win stands in one place, `ruling`.

mod anatomy;
mod approval;
mod bill;
mod call;
mod cases;
mod catalogue;
mod check;
mod code;
mod compile;
mod condition;
mod counter;
mod decide;
mod decimal;
mod diagnostics;
pub mod diff;
mod explain;
mod folders;
mod format;
mod globs;
mod hash;
mod hosts;
mod impossible;
mod json;
mod lint;
mod literal;
mod moment;
mod needs;
mod owing;
mod path;
mod pattern;
mod pointer;
mod policy;
mod print;
mod read;
mod ruling;
mod source;
mod space;
mod tally;
mod test;
mod tools;
mod written;

pub use anatomy::Anatomy;
pub use approval::Approval;
pub use call::{Call, Context, Reverse, Subject};
pub use cases::{Case, Cases, Expected, ExpectedApproval, Named, Outcome};
pub use catalogue::Catalogue;
pub use code::Code;
pub use counter::{Algorithm, Counter, CounterName, Limit, ONE, Owed, Per, amount};
pub use decide::{Decision, Denial, DenyCode, Permitted};
pub use diagnostics::{Finding, PolicyErrors};
pub use diff::{Diff, diff};
pub use explain::{Explanation, Step, Verdict};
pub use format::format;
pub use hash::PolicyHash;
pub use needs::Needs;
pub use pointer::RulePointer;
pub use policy::Policy;
pub use print::native;
pub use read::schema::{catalogue_schema, schema};
pub use tools::{NoToolList, ToolList};

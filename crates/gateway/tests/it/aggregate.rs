//! `/mcp`: several servers as one. The stack of every test here is `stack.rs`.

mod calls;
mod isolation;
mod laws;
mod legacy;
mod listen;
mod lists;
mod names;
mod search;
pub(crate) mod stack;

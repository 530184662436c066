//! One connection to Redis or Valkey for many tasks, and when it is given up: a circuit breaker.
//!
//! Whoever needs an answer [asks](Link::ask), and has it in time or not at all; while the circuit is open nobody waits. One task, the
//! keeper, alone tries to connect: it [connects](Link::connect), looks whether the server is fit for its purpose, says that the link
//! [is up](Link::is_up), holds on until it is [broken](Link::broken), says that it [is down](Link::is_down), and begins again.

mod address;
mod link;

pub use address::{Address, InvalidAddress, InvalidPrefix, Prefix};
pub use link::{Away, Link};

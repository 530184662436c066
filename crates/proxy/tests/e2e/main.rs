//! The built program, started and signalled as an operator would.

mod arguments;
mod check;
mod program;
mod serve;

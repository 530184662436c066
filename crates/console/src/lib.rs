//! The admin API, on the services of the gateway. `api.rs` has the routes, `roles.rs` who may use them, `here.rs` how anything is changed.

mod api;
pub mod client;
mod console;
mod control;
mod decide;
mod etag;
mod extract;
mod guard;
mod here;
mod idempotency;
mod legible;
mod links;
mod listed;
mod mask;
mod openapi;
mod page;
mod problem;
mod reply;
mod roles;
mod scope;
mod secret;
mod span;
mod throttle;

pub use console::{Console, ConsoleError, FirstLoginError, Options};
pub use here::{Clock, system_clock};
pub use roles::Role;

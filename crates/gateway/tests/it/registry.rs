//! Servers, policies and bindings that come and go while calls run: what the store says is in force whole or not at all.

mod agents;
mod aggregate;
mod bad;
mod credentials;
mod gone;
mod load;
mod managed;
mod refresh;

//! The recorder and the clients, tried on each other.

mod recorder;

//! The crate as its users see it: models against recorded answers, the client against small servers on the loopback.

mod models;

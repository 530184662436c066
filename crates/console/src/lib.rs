//! The admin API, on the services of the gateway.

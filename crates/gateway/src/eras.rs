//! Bridges between client and server of different eras.

pub(crate) mod to_legacy;

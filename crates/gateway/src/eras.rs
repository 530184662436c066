//! Bridges between the eras: client and server each speak their own, and the policy stands on the client's side.

pub(crate) mod to_legacy;
pub(crate) mod to_modern;

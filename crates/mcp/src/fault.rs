//! Why a client's message is refused before anything is judged, with the id to answer to when there is a lawful one.

/// A refused message. `id` is the request id's JSON text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct Fault {
    pub kind: Kind,
    pub id: Option<Box<str>>,
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Kind {
    #[error("the body is not UTF-8")]
    NotUtf8,
    #[error("the body starts with a byte order mark")]
    ByteOrderMark,
    #[error("the body is not one JSON document: {0}")]
    NotJson(String),
    #[error("an object has a duplicate key, at byte {0}")]
    DuplicateKey(usize),
    #[error("the body is nested deeper than 128, at byte {0}")]
    TooDeep(usize),
    #[error("{0}")]
    Envelope(&'static str),
    #[error("{0}")]
    Params(&'static str),
}

impl Fault {
    pub(crate) fn nameless(kind: Kind) -> Self {
        Self { kind, id: None }
    }

    /// The JSON-RPC 2.0 code: -32700 parse error, -32600 invalid request, -32602 invalid params.
    pub fn code(&self) -> i32 {
        match self.kind {
            Kind::NotUtf8 | Kind::ByteOrderMark | Kind::NotJson(_) => -32700,
            Kind::DuplicateKey(_) | Kind::TooDeep(_) | Kind::Envelope(_) => -32600,
            Kind::Params(_) => -32602,
        }
    }
}

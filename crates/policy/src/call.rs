//! What is asked: a call that an agent wants to make, or a request that a server wants to make of its client.

use serde_json::value::RawValue;

/// What a call is about. Names are compared byte for byte and never normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject<'a> {
    /// `tools/call`, by the tool's name.
    Tool(&'a str),
    /// `resources/read`, by URI.
    Resource(&'a str),
    /// `prompts/get`, by the prompt's name.
    Prompt(&'a str),
}

/// One call, as parsed; what is judged here is what gets forwarded.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    pub subject: Subject<'a>,
    pub arguments: Option<&'a RawValue>,
}

/// What a server may ask of the client behind the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reverse {
    Sampling,
    Elicitation,
    Roots,
}

//! What is asked: a call that an agent wants to make, or a request that a server wants to make of its client.

use std::time::SystemTime;

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
    /// Valid JSON without two equal keys in one object: whoever parsed the call must have refused those. Of two equal keys
    /// conditions see the first.
    pub arguments: Option<&'a RawValue>,
    pub context: Context<'a>,
}

/// Who calls, where and when, as far as conditions may ask.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The authenticated caller; of an anonymous one, `agent.id` is missing.
    pub agent: Option<&'a str>,
    /// What `agent.labels.KEY` is, by key.
    pub labels: &'a [(Box<str>, Box<str>)],
    pub server: &'a str,
    /// The caller's clock: this crate has none.
    pub time: SystemTime,
}

/// What a server may ask of the client behind the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reverse {
    Sampling,
    Elicitation,
    Roots,
}

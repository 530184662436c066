//! Toolgate: the arguments stay text, and are read as far as a rule asks.

use std::time::UNIX_EPOCH;

use policy::{Context, Decision, Policy, Subject};
use serde_json::value::RawValue;

use crate::{Call, Case, Decide, Engine, From};

pub(crate) struct Toolgate(Policy);

impl Toolgate {
    pub(crate) fn new(case: &Case) -> Self {
        Self(Policy::parse("policy.json", &case.toolgate).unwrap_or_else(|errors| panic!("{errors}")))
    }
}

impl Engine for Toolgate {
    fn name(&self) -> &'static str {
        "toolgate"
    }

    fn decide<'e>(&'e self, call: &'e Call, from: From) -> Decide<'e> {
        let context = Context { agent: Some("alice"), labels: &[], server: "bench", time: UNIX_EPOCH };
        // What the wire brings must be seen to be JSON first: a `RawValue` is that proof.
        let raw = || call.arguments.map(|text| serde_json::from_str::<&RawValue>(text).expect("arguments are JSON"));
        let answer = move |arguments| {
            let call = policy::Call { subject: Subject::Tool(call.tool), arguments, context };
            matches!(self.0.decide(call), Decision::Permit(_))
        };
        match from {
            From::Text => Box::new(move || answer(raw())),
            From::Ready => {
                let arguments = raw();
                Box::new(move || answer(arguments))
            }
        }
    }
}

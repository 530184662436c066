//! The same policies and questions, put to Toolgate, cedar-policy and regorus. Each answers as its own documentation would have
//! it: compiled beforehand, rules written as its language writes them.

mod cases;
mod cedar;
mod rego;
mod toolgate;

pub use cases::{Call, Case, cases};

/// What is told to an engine before it is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Nothing: the tool's name and the arguments come as text, as they do off the wire.
    Text,
    /// The call, as this engine likes it best; only the decision is timed.
    Ready,
}

/// Answers one call, again and again.
pub type Decide<'e> = Box<dyn FnMut() -> bool + 'e>;

/// A policy, compiled by one engine.
pub trait Engine {
    fn name(&self) -> &'static str;

    fn decide<'e>(&'e self, call: &'e Call, from: From) -> Decide<'e>;
}

/// The policy of a case, in each engine; Toolgate's first. They have answered every question of the case as expected.
pub fn engines(case: &Case) -> [Box<dyn Engine>; 3] {
    let engines: [Box<dyn Engine>; 3] =
        [Box::new(toolgate::Toolgate::new(case)), Box::new(cedar::Cedar::new(case)), Box::new(rego::Rego::new(case))];
    for engine in &engines {
        for call in &case.calls {
            for from in [From::Text, From::Ready] {
                let mut decide = engine.decide(call, from);
                // More than once: what one answer leaves behind must not change the next.
                let answers = [decide(), decide(), decide()];
                assert_eq!(answers, [call.permitted; 3], "{} of {}: {call:?} from {from:?}", engine.name(), case.name);
            }
        }
    }
    engines
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_engines_answer_alike() {
        for case in super::cases() {
            super::engines(&case);
        }
    }
}

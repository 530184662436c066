//! Reads `rules`, the lists that some YAML proxies write their policies in, into what they mean in this language: a rule
//! that evaluates becomes a `require`, one that looks at the state it counts becomes a limit.

use std::time::Duration;

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;

use super::condition::{condition, missing};
use super::limit::{millionths_at, rate_limit, read_cost, read_counter, read_window};
use super::object::{Keys, brace, expect_array, expect_object, expect_string, member, members, one_of, span};
use crate::condition::Condition;
use crate::diagnostics::{Findings, quoted};
use crate::source::{Action, Cost, LimitEntry, Place, PredicateEntry, RuleEntry, Span};
use crate::{Algorithm, Code, Per};

pub(super) const RULE: Keys =
    Keys { of: "a rule of `rules`", known: &["action", "conditions", "name", "on_deny", "rate_limit", "state"] };

/// A condition on a count.
const BOUND: Keys = Keys { of: "a condition", known: &["op", "path", "value"] };

pub(super) const STATE: Keys = Keys { of: "`state`", known: &["counter", "increment", "increment_from", "window"] };

/// By whether it is denied.
pub(super) const ACTIONS: [(&str, bool); 2] = [("evaluate", false), ("deny", true)];

pub(super) const OPS: [(&str, bool); 2] = [("lte", false), ("lt", true)];

/// What a call adds to a count of its tool.
struct State {
    counter: String,
    window: Duration,
    cost: Cost,
    span: Span,
    used: bool,
}

/// `{"path": "state.TOOL.COUNTER", "op": "lte", "value": 10}`
struct Bound {
    counter: String,
    /// In millionths, inclusive.
    max: u64,
    place: Place,
    span: Span,
}

/// A list, as far as it was read.
struct Reading<'r> {
    /// The key whose list this is; its own state is all that a condition may look at.
    tool: &'r str,
    entry: &'r mut RuleEntry,
    states: Vec<State>,
    bounds: Vec<Bound>,
}

/// Adds to what the rule's other keys say.
pub(super) fn rules(value: &Value<'_>, tool: &str, entry: &mut RuleEntry, findings: &mut Findings) {
    let Some(array) = expect_array(value, "rules", findings) else {
        return;
    };
    let mut reading = Reading { tool, entry, states: Vec::new(), bounds: Vec::new() };
    for (number, element) in array.elements.iter().enumerate() {
        if let Some(object) = expect_object(element, "each of rules", findings) {
            reading.rule(object, number, findings);
        }
    }
    reading.finish(findings);
}

impl Reading<'_> {
    fn rule(&mut self, object: &Object<'_>, number: usize, findings: &mut Findings) {
        let (mut denied, mut on_deny, mut conditions) = (false, None, None);
        let limits = self.entry.limits.len() + self.bounds.len();
        for (key, value) in members(object, &RULE, findings) {
            match key {
                "name" => drop(expect_string(value, key, findings)),
                "action" => denied = one_of(value, key, &ACTIONS, findings).unwrap_or_default(),
                "on_deny" => on_deny = expect_string(value, key, findings).map(str::to_owned),
                "conditions" => conditions = Some(value),
                "rate_limit" => self.rate_limit(value, number, findings),
                "state" => self.state(value, findings),
                _ => {}
            }
        }
        if denied {
            return self.deny(conditions, on_deny, findings);
        }
        let asked = conditions.map(|value| self.conditions(value, number, findings)).unwrap_or_default();
        let counts = self.entry.limits.len() + self.bounds.len() > limits;
        if !asked.is_empty() {
            let (span, place) = (brace(object), Place::InList("rules", number));
            self.entry.require.push(PredicateEntry { span, place, condition: Condition::All(asked), on_deny });
        } else if counts && on_deny.is_some() {
            untold(object, findings);
        }
    }

    fn deny(&mut self, conditions: Option<&Value<'_>>, on_deny: Option<String>, findings: &mut Findings) {
        if let Some(value) = conditions {
            findings
                .error(Code::Conflict, span(value.range()), "a rule that denies cannot have conditions")
                .label("asked, and denied anyway")
                .advise("leave out `action` for a rule whose conditions must hold, or leave out the conditions");
        }
        // What is hidden stays hidden: a denial would tell that it is there.
        if self.entry.action != Action::Hide {
            self.entry.action = Action::Deny;
        }
        self.entry.reason = self.entry.reason.take().or(on_deny);
    }

    fn rate_limit(&mut self, value: &Value<'_>, number: usize, findings: &mut Findings) {
        let limit = rate_limit(value, Place::Below("rules", number, "rate_limit"), findings);
        self.entry.limits.extend(limit.map(|limit| LimitEntry { per: Per::Server, ..limit }));
        calendar(value, findings);
    }

    fn state(&mut self, value: &Value<'_>, findings: &mut Findings) {
        if let Some(state) = state(value, findings) {
            twice(&state, &self.states, findings);
            self.states.push(state);
        }
    }

    /// Those that ask about the call. Those on the state are kept for later: what they bound may be counted further down.
    fn conditions(&mut self, value: &Value<'_>, number: usize, findings: &mut Findings) -> Vec<Condition> {
        let elements = expect_array(value, "conditions", findings).map(|array| array.elements.as_slice());
        let mut asked = Vec::new();
        for (index, element) in elements.unwrap_or_default().iter().enumerate() {
            match state_path(element) {
                Some(path) => {
                    let place = Place::Condition("rules", number, index);
                    self.bounds.extend(bound(element, path, self.tool, place, findings));
                }
                None => asked.extend(condition(element, "each of conditions", findings)),
            }
        }
        asked
    }

    fn finish(mut self, findings: &mut Findings) {
        for bound in &self.bounds {
            self.entry.limits.extend(limit(bound, self.tool, &mut self.states, findings));
        }
        for state in self.states.iter().filter(|state| !state.used) {
            let Self { tool, .. } = self;
            findings
                .warn(Code::NeverApplies, state.span.clone(), format!("nothing limits {}", quoted(&state.counter)))
                .label("counted, and never asked")
                .advise(format!("add the condition {{ path: state.{tool}.{}, op: lte, value: 10 }}", state.counter));
        }
    }
}

fn untold(object: &Object<'_>, findings: &mut Findings) {
    let here = member(object, "on_deny").map_or(brace(object), |value| span(value.range()));
    findings
        .note(Code::Lowered, here, "a limit's denial says when to try again, and not this text")
        .label("not shown to the agent");
}

/// Whatever such a rule counts twice, a limit counts once.
fn twice(state: &State, before: &[State], findings: &mut Findings) {
    if before.iter().any(|other| other.counter == state.counter) {
        findings
            .error(Code::Conflict, state.span.clone(), format!("{} is counted twice", quoted(&state.counter)))
            .label("counted once more")
            .advise("leave out one of them, or give each its own counter");
    }
}

fn state(value: &Value<'_>, findings: &mut Findings) -> Option<State> {
    let object = expect_object(value, "state", findings)?;
    for key in ["counter", "window"] {
        if member(object, key).is_none() {
            missing(object, "`state`", key, findings)
                .advise("write { counter: calls, window: day, increment_from: args.amount }");
        }
    }
    let (mut counter, mut window, mut cost) = (None, None, None);
    for (key, value) in members(object, &STATE, findings) {
        match key {
            "counter" => counter = read_counter(value, findings),
            "window" => {
                window = read_window(value, key, findings);
                calendar(value, findings);
            }
            _ if cost.is_some() => {
                findings
                    .error(
                        Code::Conflict,
                        span(value.range()),
                        "only one of `increment` and `increment_from` may be there",
                    )
                    .label("said twice")
                    .advise("leave out one of them");
            }
            _ => cost = Some(read_cost(value, key, findings).unwrap_or_default()),
        }
    }
    let cost = cost.unwrap_or_default();
    Some(State { counter: counter?, window: window?, cost, span: brace(object), used: false })
}

/// Once is enough: the first says it for the document.
fn calendar(value: &Value<'_>, findings: &mut Findings) {
    let word = value
        .as_string_lit()
        .is_some_and(|text| ["minute", "hour", "day"].iter().any(|word| text.value.ends_with(word)));
    if word && !findings.has(Code::Lowered, "calendar") {
        findings
            .note(Code::Lowered, span(value.range()), "windows of the calendar are sliding windows here")
            .label("any span of that length, not from the full minute, hour or day on");
    }
}

fn state_path<'v>(element: &'v Value<'_>) -> Option<&'v str> {
    let path = member(element.as_object()?, "path")?.as_string_lit()?;
    path.value.strip_prefix("state.")
}

fn bound(element: &Value<'_>, path: &str, tool: &str, place: Place, findings: &mut Findings) -> Option<Bound> {
    let object = element.as_object()?;
    members(object, &BOUND, findings);
    let here = member(object, "path").map_or(brace(object), |path| span(path.range()));
    let own = path.rsplit_once('.').filter(|(of, _)| *of == tool || tool == "*" && *of == "_global");
    let Some((_, counter)) = own else {
        findings
            .error(Code::BadPath, here, format!("a condition of {} can only look at its own state", quoted(tool)))
            .label("the state of another tool")
            .advise(format!("write state.{tool}.COUNTER, with a `state` of that counter in the same list"));
        return None;
    };
    let parts = ["op", "value"].map(|key| {
        let found = member(object, key);
        if found.is_none() {
            missing(object, "a condition", key, findings)
                .advise("write { path: state.TOOL.COUNTER, op: lte, value: 10 }");
        }
        found
    });
    let [Some(op), Some(value)] = parts else {
        return None;
    };
    let Some((_, below)) = OPS.iter().find(|(word, _)| op.as_string_lit().is_some_and(|op| op.value == *word)) else {
        findings
            .error(Code::UnknownValue, span(op.range()), "a count can only be bounded from above")
            .label("not `lte` or `lt`")
            .advise("write the most that may be counted, with the operator lte");
        return None;
    };
    let max = millionths_at(value, "value", findings)?;
    if max == 1 && *below {
        findings
            .error(Code::BadMax, span(value.range()), "no amount is below this")
            .label("lets no call through")
            .advise("write `action: deny` to deny the tool");
        return None;
    }
    // Amounts are whole in millionths, so this is the largest below.
    Some(Bound { counter: counter.to_owned(), max: if *below { max - 1 } else { max }, place, span: here })
}

/// The limit that a bound means.
fn limit(bound: &Bound, tool: &str, states: &mut [State], findings: &mut Findings) -> Option<LimitEntry> {
    let Some(state) = states.iter_mut().find(|state| state.counter == bound.counter) else {
        findings
            .error(Code::BadPath, bound.span.clone(), format!("nothing counts {}", quoted(&bound.counter)))
            .label("never counted")
            .advise(format!("add state: {{ counter: {}, window: day }} to the rule", bound.counter));
        return None;
    };
    state.used = true;
    Some(LimitEntry {
        span: bound.span.clone(),
        place: bound.place,
        max: bound.max,
        window: state.window,
        cost: state.cost.clone(),
        counter: Some(format!("{tool}.{}", bound.counter)),
        per: Per::Server,
        algorithm: Algorithm::Window,
    })
}

//! The schema of limits, rates and durations.

use serde_json::{Value, json};

use super::super::limit::{ALGORITHMS, LIMIT, PER, RATE_LIMIT};
use super::super::number::{LONGEST, UNITS, WORDS};
use super::condition::argument;
use super::{COUNTERS, add, described, object, one_of, reference};
use crate::{Algorithm, Per};

pub(super) fn limit() -> Value {
    let mut limit = object(&LIMIT, &["max", "window"], member);
    // They say the same thing, so only one may be there.
    add(&mut limit, "not", json!({ "required": ["per", "scope"] }));
    limit
}

/// One value of `rate_limit`.
pub(super) fn rate() -> Value {
    let written = format!("^0*[1-9][0-9]*/(?:{})$", windows());
    let text = json!({
        "description": "A number, a slash and a window.",
        "type": "string", "pattern": written, "examples": ["10/minute", "600/1h"],
    });
    json!({ "anyOf": [text, object(&RATE_LIMIT, &["max", "window"], member)] })
}

/// A window, or any other span of time.
pub(super) fn duration() -> Value {
    json!({
        "description": "Whole seconds, or a whole number and one of s, m, h, d, or the word for one of them.",
        "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": LONGEST },
            { "type": "string", "pattern": format!("^(?:{})$", windows()) },
        ],
        "examples": ["30s", "5m", "1h", "1d", "minute", 60],
    })
}

fn windows() -> String {
    let units = UNITS.map(|(letter, _)| letter).concat();
    format!("{}|0*[1-9][0-9]*[{units}]", WORDS.map(|(word, _)| word).join("|"))
}

fn member(key: &str) -> Value {
    match key {
        "max" => amount("What may be spent in any span as long as the window."),
        "window" => described(reference("duration"), "How far the limit looks back: an exact, sliding window."),
        "counter" => json!({
            "description": "Limits with the same counter share one count. A limit without one is its own.",
            "type": "string", "pattern": COUNTERS, "maxLength": 128, "examples": ["spend"],
        }),
        "cost" => json!({
            "description": "What a call adds to the count: a number, or where in the arguments it stands.",
            "anyOf": [
                amount("The same for every call."),
                { "type": "string", "pattern": argument(), "description": "One argument, a number from 0 to `max`." },
            ],
            "default": 1, "examples": ["args.budget_usd", 5],
        }),
        "per" | "scope" => {
            let about = |per| match per {
                Per::Agent => "One count for each authenticated caller. Meant when absent.",
                Per::Session => "One count for each session.",
                Per::Server => "One count for all callers of the server.",
                Per::Gateway => "One count for the whole gateway.",
            };
            let who = if key == "per" { "Who shares the count." } else { "Another word for `per`." };
            described(one_of(&PER, about), who)
        }
        "algorithm" => {
            let about = |algorithm| match algorithm {
                Algorithm::Window => "Never more than `max` in any window. Meant when absent.",
                Algorithm::Smooth => "GCRA: spread evenly over the window, with bursts up to `max`.",
            };
            described(one_of(&ALGORITHMS, about), "How calls are counted.")
        }
        _ => Value::Bool(true),
    }
}

/// From a millionth up to what can be counted.
fn amount(about: &str) -> Value {
    json!({ "description": about, "type": "number", "minimum": 0.000_001, "maximum": u64::MAX as f64 / 1e6 })
}

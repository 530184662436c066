//! Text that nobody would write: never a panic, and never read in two ways.

use miette::Diagnostic;
use policy::Policy;
use serde::de::IgnoredAny;

use crate::generator::{Random, seed};
use crate::messages::render;

const ROUNDS: usize = 20_000;

pub(crate) const SEEDS: [&str; 4] = [
    include_str!("../../../../policies/azure-ai-foundry/policy.json"),
    include_str!("../../../../policies/allow-all/policy.json"),
    r#"{"version":"1","default":"deny","tools":{"t":{"rate_limit":["10/minute",{"max":1e1,"window":60}],"except":["a?"]}}}"#,
    r#"{"version":"1",/*c*/"tools":{"é\u0061":{"limits":[{"max":0.5,"window":"1d","counter":"c","scope":"grant"}]}}}//"#,
];

const PIECES: [&str; 28] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\\u0061",
    "\\ud800",
    "/*",
    "*/",
    "//",
    "\n",
    "\t",
    "\0",
    "\u{feff}",
    "\u{a0}",
    "é",
    "1",
    "-",
    "0.1",
    "1e999",
    "null",
    "\"version\":\"1\"",
    "\"tools\":",
    "\"*\"",
    "\"limits\":[{}]",
];

/// Whatever the reader makes of it: what it accepts is JSON, what it refuses can be shown.
#[track_caller]
fn survive(text: &str, rendered: bool) {
    match Policy::parse("policy.json", text) {
        Ok(_) if text.contains("//") || text.contains("/*") => {}
        Ok(_) => assert!(serde_json::from_str::<IgnoredAny>(text).is_ok(), "accepted, but no JSON: {text:?}"),
        Err(errors) => {
            let line = errors.to_string();
            assert!(!line.contains('\n') && !line.contains('\0'), "{line:?}");
            for error in errors.iter() {
                assert!(text.get(error.span()).is_some(), "{error}, but not within {text:?}");
                assert!(error.code().as_str().starts_with("policy::") && error.labels().is_some());
            }
            assert!(!rendered || !render(&errors).is_empty());
        }
    }
}

#[test]
fn no_text_makes_the_reader_panic() {
    let mut random = Random::new(seed());
    for round in 0..ROUNDS {
        let mut text = random.pick(&SEEDS).to_owned();
        for _ in 0..=random.below(4) {
            mutate(&mut text, &mut random);
        }
        survive(&text, round % 50 == 0);
        // What is JSON is YAML as well, more or less.
        if let Err(errors) = Policy::parse("policy.yaml", &text) {
            assert!(errors.iter().all(|error| text.get(error.span()).is_some()), "{errors}, but not within {text:?}");
        }
    }
}

pub(crate) fn mutate(text: &mut String, random: &mut Random) {
    let at = text.floor_char_boundary(random.below(text.len() + 1));
    let end = text.ceil_char_boundary((at + random.below(12)).min(text.len()));
    match random.below(4) {
        0 => text.replace_range(at..end, ""),
        1 => text.replace_range(at..end, random.pick(&PIECES)),
        2 => text.insert_str(at, random.pick(&PIECES)),
        _ => {
            let copy = text[at..end].to_owned();
            let elsewhere = text.floor_char_boundary(random.below(text.len() + 1));
            text.insert_str(elsewhere, &copy);
        }
    }
}

#[test]
fn neither_depth_nor_length_does_harm() {
    let nested = |depth: usize| format!(r#"{{ "version": "1", "x": {}{} }}"#, "[".repeat(depth), "]".repeat(depth));
    for depth in [100, 126, 127, 128, 511, 512, 100_000] {
        survive(&nested(depth), true);
    }
    survive(&"[".repeat(100_000), false);
    survive(&"{\"a\":".repeat(100_000), false);
    survive(&format!(r#"{{ "version": "1", "{}": 1 }}"#, "k".repeat(10_000)), true);
    survive(&format!(r#"{{ "version": "1", "tools": {{ "{}": {{}} }} }}"#, "*?".repeat(100_000)), false);
    survive(&format!(r#"{{ "version": "1", "hide": [{}1] }}"#, "1,".repeat(1_000)), false);
}

#[test]
fn a_long_name_does_not_cost_its_square() {
    let patterns = ["*a*", "*aa*b", "a*a*a*c", "*aaaa?", "aaaa*"].map(|pattern| format!("\"{pattern}\": {{}}"));
    let policy = crate::parse(&format!(r#"{{ "version": "1", "resources": {{ {} }} }}"#, patterns.join(",")));
    let name = "a".repeat(1_000_000);
    assert!(policy.lists(policy::Subject::Resource(&name)));
}

//! Text to syntax tree: JSON with comments, and nothing else that some readers of JSON forgive.

use std::collections::HashMap;

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::tokens::{Token, TokenAndRange};
use jsonc_parser::{CollectOptions, CommentCollectionStrategy, ParseOptions, ParseResult, parse_to_ast};
use serde::de::IgnoredAny;

use super::object::{kind, span};
use crate::Code;
use crate::diagnostics::{Findings, quoted};
use crate::source::Span;

const COLLECT: CollectOptions = CollectOptions { comments: CommentCollectionStrategy::AsTokens, tokens: true };

const STRICT: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

pub(super) fn parse<'t>(text: &'t str, findings: &mut Findings) -> Option<Object<'t>> {
    value(text, findings).and_then(|root| root_object(root, findings))
}

pub(super) fn value<'t>(text: &'t str, findings: &mut Findings) -> Option<Value<'t>> {
    sound(text, findings)?.value
}

/// Also those of the comments. The text is that of an object.
pub(crate) fn tokens<'t>(text: &'t str, findings: &mut Findings) -> Option<Vec<TokenAndRange<'t>>> {
    let parsed = sound(text, findings)?;
    root_object(parsed.value?, findings)?;
    parsed.tokens
}

fn sound<'t>(text: &'t str, findings: &mut Findings) -> Option<ParseResult<'t>> {
    if text.starts_with('\u{feff}') {
        findings
            .error(Code::Syntax, 0..'\u{feff}'.len_utf8(), "the file begins with a byte order mark, which nobody sees")
            .label("before this")
            .advise("save it as UTF-8 without one");
        return None;
    }
    let parsed = match parse_to_ast(text, &COLLECT, &STRICT) {
        Ok(parsed) => parsed,
        Err(error) => {
            let words = lower_case(&error.kind().to_string());
            findings.error(Code::Syntax, within(text, span(error.range())), words).label("here");
            return None;
        }
    };
    let Some(root) = parsed.value.as_ref() else {
        findings.error(Code::Syntax, 0..0, "the document is empty").advise("write { \"version\": \"1\" }");
        return None;
    };
    if let Some(place) = control_character(text, &parsed) {
        findings
            .error(Code::Syntax, place, "a string must not contain a control character as such")
            .label("here")
            .advise("write it as an escape, such as \\t or \\n");
        return None;
    }
    if let Err(error) = second_opinion(text, &parsed) {
        let place = place_of(text, error.line(), error.column());
        findings.error(Code::Syntax, place, "not valid JSON").label(words_of(&error));
        return None;
    }
    refuse_duplicates(root, findings);
    Some(parsed)
}

pub(super) fn root_object<'t>(root: Value<'t>, findings: &mut Findings) -> Option<Object<'t>> {
    if let Value::Object(object) = root {
        return Some(object);
    }
    findings
        .error(Code::WrongType, span(root.range()), "a policy must be an object")
        .label(kind(&root))
        .advise("write { \"version\": \"1\" }");
    None
}

/// The first control character within a string, which jsonc-parser lets pass.
fn control_character(text: &str, parsed: &ParseResult<'_>) -> Option<Span> {
    let strings = parsed.tokens.iter().flatten().filter(|token| matches!(token.token, Token::String(_)));
    strings.map(|token| span(token.range)).find_map(|string| {
        let at = text.get(string.clone())?.find(|c| c < ' ')?;
        Some(string.start + at..string.start + at + 1)
    })
}

/// jsonc-parser lets odd white space pass, so a stricter reader must agree that everything but the comments is JSON.
/// The depth is bounded by jsonc-parser, at 512.
fn second_opinion(text: &str, parsed: &ParseResult<'_>) -> serde_json::Result<IgnoredAny> {
    let mut bytes = text.as_bytes().to_vec();
    for token in parsed.tokens.iter().flatten() {
        if matches!(token.token, Token::CommentLine(_) | Token::CommentBlock(_)) {
            for byte in bytes.get_mut(span(token.range)).into_iter().flatten().filter(|byte| **byte != b'\n') {
                *byte = b' ';
            }
        }
    }
    serde_json::from_slice(&bytes)
}

/// The second of two equal keys is an error wherever it stands, also below keys that are unknown.
fn refuse_duplicates(value: &Value<'_>, findings: &mut Findings) {
    match value {
        Value::Object(object) => {
            let mut first = HashMap::new();
            for property in &object.properties {
                let key = property.name.as_str();
                let here = span(property.name.range());
                if let Some(before) = first.insert(key, here.clone()) {
                    findings
                        .error(Code::DuplicateKey, here, format!("key {} stands twice in the same object", quoted(key)))
                        .label("again here")
                        .also(before, "first here")
                        .advise("keep one of them; of two, readers of JSON disagree which counts");
                }
                refuse_duplicates(&property.value, findings);
            }
        }
        Value::Array(array) => array.elements.iter().for_each(|element| refuse_duplicates(element, findings)),
        Value::StringLit(_) | Value::NumberLit(_) | Value::BooleanLit(_) | Value::NullKeyword(_) => {}
    }
}

fn place_of(text: &str, line: usize, column: usize) -> Span {
    let before = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>();
    let start = before + column.saturating_sub(1);
    within(text, start..start + 1)
}

/// The same place, moved to where characters begin and end, which is where it may be cut out of the text.
fn within(text: &str, span: Span) -> Span {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    start..text.ceil_char_boundary(span.end.clamp(start, text.len()))
}

/// What serde_json says, without the line and column that the diagnostic shows anyway.
fn words_of(error: &serde_json::Error) -> String {
    let words = error.to_string();
    words.split(" at line ").next().unwrap_or_default().to_owned()
}

fn lower_case(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().into_iter().flat_map(char::to_lowercase).chain(chars).collect()
}

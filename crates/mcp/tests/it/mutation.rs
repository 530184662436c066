//! Structure-aware mutants of lawful messages: members added, values changed, escapes, folds, splices, encodings.

use mcp::Revision;

use crate::rng::Rng;

/// Lawful messages of all kinds. `F` is what nobody may call, `A` what everybody may.
pub(crate) const SEEDS: &[(Revision, &str)] = &[
    (
        Revision::V2026_07_28,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"A","arguments":{"amount":5,"to":["x","y"]},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#,
    ),
    (
        Revision::V2026_07_28,
        r#"{"jsonrpc":"2.0","id":"r/2","method":"tools/call","params":{"name":"A","arguments":{},"inputResponses":{"q":{"action":"accept","content":{"name":"F"}}},"requestState":"c2VhbGVk"}}"#,
    ),
    (
        Revision::V2026_07_28,
        r#"{"jsonrpc":"2.0","id":3,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["file:///a"]}}}"#,
    ),
    (
        Revision::V2026_07_28,
        r#"{"jsonrpc":"2.0","id":4,"method":"tasks/update","params":{"taskId":"t1","inputResponses":{}}}"#,
    ),
    (
        Revision::V2025_11_25,
        r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"A","arguments":{"k":"\u00e9\n","s":"tool","nested":{"deep":[{"name":"F"}]}},"task":{"ttl":60000},"_meta":{"progressToken":"p"}}}"#,
    ),
    (
        Revision::V2025_11_25,
        r#"{"jsonrpc":"2.0","id":6,"method":"prompts/get","params":{"name":"A","arguments":{"topic":"kiss"}}}"#,
    ),
    (Revision::V2025_11_25, r#"{"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"uri":"file:///A"}}"#),
    (
        Revision::V2025_06_18,
        r#"{"jsonrpc":"2.0","id":8,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"A"},"argument":{"name":"x","value":"y"},"context":{"arguments":{"a":"b"}}}}"#,
    ),
    (
        Revision::V2025_06_18,
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":9,"progress":0.5,"total":1e3}}"#,
    ),
    (
        Revision::V2025_06_18,
        r#"{"jsonrpc":"2.0","id":10,"result":{"action":"accept","content":{"name":"A","n":-1.5E-3}}}"#,
    ),
    (
        Revision::V2025_03_26,
        r#"[{"jsonrpc":"2.0","id":11,"method":"tools/call","params":{"name":"A","arguments":{"n":1}}},{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":11,"reason":"late"}}]"#,
    ),
    (
        Revision::V2024_11_05,
        "{\n \"jsonrpc\" : \"2.0\",\r\n \"id\" :\t12, \"method\" : \"tools/call\",\n \"params\" : { \"arguments\" : { \"list\" : [ 1 , 2.50 , [ ] , { } , null ] } , \"name\" : \"A\" }\n}\n",
    ),
    (Revision::V2024_11_05, r#"{"jsonrpc":"2.0","id":13,"method":"tools/list","params":{"cursor":""}}"#),
];

/// What else a member can hold.
const VALUES: &[&str] = &[
    "\"F\"",
    "\"A\"",
    "\"tools/call\"",
    "\"ping\"",
    "null",
    "true",
    "[]",
    "{}",
    "[\"F\"]",
    "{\"name\":\"F\"}",
    "0",
    "-0",
    "1",
    "1.0",
    "-0.0e-5",
    "1e308",
    "1e309",
    "-1E400",
    "1.79769313486231584e308",
    "1.7976931348623157e+308",
    "5e-324",
    "1e-400",
    "9007199254740993",
    "18446744073709551617",
    "123456789012345678901234567890",
    "9223372036854775808",
    "01",
    "1.",
    ".5",
    "+1",
    "NaN",
    "Infinity",
    "0x10",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "\"\\u0000\"",
    "\"a\\/b\"",
    "\"\\x41\"",
    "\"\u{2028}\"",
    "\"\u{feff}\"",
    "\"\u{ff26}\"",
    "'F'",
    "{\"a\":1,\"a\":2}",
    "{\"a\":1,\"\\u0061\":2}",
    "{\"$serde_json::private::RawValue\":\"{\\\"name\\\":\\\"F\\\"}\"}",
    "{\"$serde_json::private::Number\":\"7\"}",
    "{\"__proto__\":{\"name\":\"F\"}}",
    "{\"constructor\":{\"prototype\":{}}}",
    "{\"toString\":1,\"length\":2,\"0\":3}",
    "\"{\\\"name\\\":\\\"F\\\"}\"",
    "\"2.0\"",
    "[[[[[[[[[[]]]]]]]]]]",
];

const BETWEEN: &[&str] = &[
    " ", "\n", "\r", "\t", "\u{b}", "\u{c}", "\u{a0}", "\u{2028}", "\u{feff}", "\0", "/*x*/", "//x\n", "#", ",", ":",
    "\u{1e}",
];

/// The tokens of JSON that may be broken: strings, punctuation, and runs of the rest.
fn tokens(text: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let start = at;
        match text[at] {
            b'"' => {
                at += 1;
                while at < text.len() && text[at] != b'"' {
                    at += 1 + usize::from(text[at] == b'\\');
                }
                at = (at + 1).min(text.len());
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' => at += 1,
            _ => {
                while at < text.len() && !b"\"{}[],:".contains(&text[at]) {
                    at += 1;
                }
            }
        }
        tokens.push(start..at);
    }
    tokens
}

type Mutation = fn(&mut Rng, &mut Vec<u8>);

const MUTATIONS: &[(&str, Mutation)] = &[
    ("member", add_member),
    ("member", add_member),
    ("value", change_value),
    ("value", change_value),
    ("escape", escape),
    ("fold", fold),
    ("truncate", |rng, text| text.truncate(rng.below(text.len() + 1))),
    ("splice", splice),
    ("between", |rng, text| {
        let all = tokens(text);
        let at = if all.is_empty() { 0 } else { rng.pick(&all).start };
        let what = *rng.pick(BETWEEN);
        text.splice(at..at, what.bytes());
    }),
    ("encode", encode),
    ("byte", |rng, text| {
        if !text.is_empty() {
            let at = rng.below(text.len());
            text[at] = rng.next() as u8;
        }
    }),
    ("cut", |rng, text| {
        let all = tokens(text);
        if !all.is_empty() {
            let from = rng.below(all.len());
            let to = (from + rng.below(4)).min(all.len() - 1);
            text.drain(all[from].start..all[to].end);
        }
    }),
    ("wrap", |rng, text| {
        let around = *rng.pick(&[
            ("[", "]"),
            ("[[", "]]"),
            ("[1,", "]"),
            ("\"", "\""),
            ("data: ", "\n\n"),
            ("", "\n{}"),
            ("(", ")"),
        ]);
        text.splice(0..0, around.0.bytes());
        text.extend_from_slice(around.1.as_bytes());
    }),
];

/// A key of the document, or a known one, as it is or as another reader might take for it.
fn key(rng: &mut Rng, text: &[u8]) -> String {
    let keys: Vec<_> = tokens(text).into_iter().filter(|token| text[token.start] == b'"' && token.len() > 2).collect();
    let known =
        ["name", "method", "params", "id", "arguments", "jsonrpc", "result", "error", "_meta", "uri", "task", "ref"];
    let mut key = match keys.is_empty() || rng.one_in(3) {
        true => (*rng.pick(&known)).to_owned(),
        false => {
            let token = rng.pick(&keys).clone();
            String::from_utf8_lossy(&text[token.start + 1..token.end - 1]).into_owned()
        }
    };
    match rng.below(9) {
        0 => key = key.to_uppercase(),
        1 => key = key.replace('s', "\u{17f}").replace('k', "\u{212a}"),
        2 => key.push_str("\\u0000"),
        3 => {
            key = key
                .chars()
                .map(|c| if c == 'a' || c == 'e' { format!("\\u{:04x}", c as u32) } else { c.into() })
                .collect()
        }
        4 => key.push(*rng.pick(&[' ', '\u{200b}', '\u{301}'])),
        5 => {
            key =
                (*rng.pick(&["__proto__", "$serde_json::private::RawValue", "$serde_json::private::Number"])).to_owned()
        }
        _ => {}
    }
    key
}

fn add_member(rng: &mut Rng, text: &mut Vec<u8>) {
    let ends: Vec<_> = tokens(text).into_iter().filter(|token| matches!(text[token.start], b'{' | b'}')).collect();
    if ends.is_empty() {
        return;
    }
    let member = format!("\"{}\":{}", key(rng, text), value(rng));
    let token = rng.pick(&ends).clone();
    match text[token.start] {
        b'{' => {
            let comma = if text.get(token.end) == Some(&b'}') { "" } else { "," };
            text.splice(token.end..token.end, format!("{member}{comma}").into_bytes());
        }
        _ => {
            let comma = if text[..token.start].ends_with(b"{") { "" } else { "," };
            text.splice(token.start..token.start, format!("{comma}{member}").into_bytes());
        }
    }
}

/// A value that a member may have: a lawful one, more often than not.
fn value(rng: &mut Rng) -> String {
    match rng.below(5) {
        0 | 1 => (*rng.pick(VALUES)).to_owned(),
        2 => {
            let digits = |rng: &mut Rng| rng.next() >> rng.below(64);
            let mut number = format!("{}{}", rng.pick(&["", "-"]), digits(rng));
            if rng.one_in(2) {
                number += &format!(".{}", digits(rng));
            }
            if rng.one_in(2) {
                number += &format!("{}{}{}", rng.pick(&["e", "E"]), rng.pick(&["", "+", "-"]), digits(rng) % 320);
            }
            number
        }
        3 => {
            let parts = [
                "F",
                "\\u00e9",
                "\\ud83d\\ude00",
                "\\n",
                "\\/",
                "\\u0000",
                "é",
                "\u{1f600}",
                " ",
                "\\\"",
                "\\\\",
                "\u{2029}",
            ];
            format!("\"{}\"", (0..rng.below(6)).map(|_| *rng.pick(&parts)).collect::<String>())
        }
        _ => {
            let seed = rng.pick(SEEDS).1;
            subtree(rng, seed.as_bytes()).to_owned()
        }
    }
}

/// An object or array out of a lawful text.
fn subtree<'a>(rng: &mut Rng, text: &'a [u8]) -> &'a str {
    let all = tokens(text);
    let open: Vec<usize> = (0..all.len()).filter(|&n| matches!(text[all[n].start], b'{' | b'[')).collect();
    let from = *rng.pick(&open);
    let mut depth = 0;
    for token in &all[from..] {
        depth += match text[token.start] {
            b'{' | b'[' => 1,
            b'}' | b']' => -1,
            _ => 0,
        };
        if depth == 0 {
            return std::str::from_utf8(&text[all[from].start..token.end]).unwrap();
        }
    }
    unreachable!("seeds are lawful")
}

fn change_value(rng: &mut Rng, text: &mut Vec<u8>) {
    let all = tokens(text);
    let envelope = |at: usize| text[at..].starts_with(b"\"2.0") || text[at..].starts_with(b"\"tools/call");
    let any = rng.one_in(8);
    let values: Vec<_> = all
        .windows(2)
        .filter(|pair| b":[,".contains(&text[pair[0].start]) && !b"{}[],:".contains(&text[pair[1].start]))
        .filter(|pair| text.get(pair[1].end) != Some(&b':') && (any || !envelope(pair[1].start)))
        .map(|pair| pair[1].clone())
        .collect();
    if !values.is_empty() {
        let value = value(rng);
        text.splice(rng.pick(&values).clone(), value.into_bytes());
    }
}

/// One character of a string, written otherwise.
fn escape(rng: &mut Rng, text: &mut Vec<u8>) {
    let letters: Vec<_> = (0..text.len()).filter(|&at| text[at].is_ascii_alphanumeric() || text[at] == b'/').collect();
    if letters.is_empty() {
        return;
    }
    let at = *rng.pick(&letters);
    let escaped = match rng.below(4) {
        0 => format!("\\u{:04X}", text[at]),
        1 => format!("\\{}", char::from(text[at])),
        2 => format!("\\U{:08x}", text[at]),
        _ => format!("\\u{:04x}", text[at]),
    };
    text.splice(at..=at, escaped.into_bytes());
}

fn fold(rng: &mut Rng, text: &mut Vec<u8>) {
    let letters: Vec<_> = (0..text.len()).filter(|&at| text[at].is_ascii_alphabetic()).collect();
    if letters.is_empty() {
        return;
    }
    let at = *rng.pick(&letters);
    let other = match text[at] {
        b's' => "\u{17f}".into(),
        b'k' => "\u{212a}".into(),
        b'F' => "\u{ff26}".into(),
        letter => char::from(letter ^ 0x20).to_string(),
    };
    text.splice(at..=at, other.into_bytes());
}

fn splice(rng: &mut Rng, text: &mut Vec<u8>) {
    let other = rng.pick(SEEDS).1.as_bytes();
    let (here, there) = (tokens(text), tokens(other));
    if here.is_empty() {
        return;
    }
    let (from, to) = (rng.below(there.len()), rng.below(there.len()));
    let piece = &other[there[from.min(to)].start..there[from.max(to)].end];
    let at = rng.pick(&here).start;
    match rng.below(3) {
        0 => drop(text.splice(at..at, piece.iter().copied())),
        1 => drop(text.splice(at.., piece.iter().copied())),
        _ => text.extend_from_slice(other),
    }
}

fn encode(rng: &mut Rng, text: &mut Vec<u8>) {
    let lossy = String::from_utf8_lossy(text).into_owned();
    let at = rng.below(text.len() + 1);
    match rng.below(8) {
        0 => *text = lossy.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        1 => *text = lossy.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        2 => drop(text.splice(0..0, "\u{feff}".bytes())),
        3 => drop(text.splice(0..0, [0xff, 0xfe])),
        4 => drop(text.splice(at..at, [0xc0, 0xae])),       // overlong
        5 => drop(text.splice(at..at, [0xed, 0xa0, 0x80])), // a surrogate
        6 => drop(text.splice(at..at, [0xff])),
        _ => *text = lossy.chars().map(|c| c as u8).collect(), // Latin-1
    }
}

/// Breaks `text` in one to three ways, and says how.
pub(crate) fn mutate(rng: &mut Rng, text: &mut Vec<u8>) -> Vec<&'static str> {
    let how: Vec<_> = (0..*rng.pick(&[1, 1, 1, 2, 2, 3])).map(|_| rng.pick(MUTATIONS)).collect();
    how.into_iter()
        .map(|(name, mutation)| {
            mutation(rng, text);
            *name
        })
        .collect()
}

pub(crate) fn mutant(rng: &mut Rng) -> (Revision, Vec<u8>, Vec<&'static str>) {
    let (revision, seed) = *rng.pick(SEEDS);
    let mut text = seed.as_bytes().to_vec();
    let how = mutate(rng, &mut text);
    (revision, text, how)
}

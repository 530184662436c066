//! The bypass vectors of the threat model by their numbers, as far as bytes and headers decide them. `F` is the forbidden
//! tool, `A` the allowed one. What only HTTP, sessions or rules decide is tested with the gateway. Here: two parsers, two
//! meanings (1 to 26).

mod envelope;
mod headers;

use mcp::{Body, Kind, Message, Params, Revision, Writer};
use serde_json::value::RawValue;

const MODERN: Revision = Revision::MODERN;
const LEGACY: Revision = Revision::LATEST_LEGACY;

const DUPLICATE: &str = "-32600 an object has a duplicate key";
const NOT_JSON: &str = "-32700 the body is not one JSON document";
const BAD_ID: &str = "-32600 `id` is not a string or a 64-bit integer";

/// `call(x)` of the threat model.
fn call(name: &str) -> String {
    with(&format!(r#""name":"{name}","arguments":{{}}"#))
}

fn with(params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{params}}}}}"#)
}

/// What is sent for a call of that name with these arguments; leaked, so that rows can hold it.
fn sent(name: &str, arguments: &str) -> &'static str {
    let params = format!(r#"{{"name":"{name}","arguments":{arguments}}}"#);
    format!(r#"tools/call -> {{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{params}}}"#).leak()
}

/// What the crate makes of a body: a refusal by code and reason, or what it would send.
fn outcome(revision: Revision, body: &[u8]) -> String {
    match mcp::parse(body) {
        Err(fault) => format!("{} {fault}", fault.code()),
        Ok(Body::One(message)) => judged(revision, message),
        Ok(Body::Batch(elements)) => {
            let each = |raw: &&RawValue| {
                mcp::element(raw).map_or_else(|fault| format!("{} {fault}", fault.code()), |one| judged(revision, one))
            };
            format!("batch [{}]", elements.iter().map(each).collect::<Vec<_>>().join("; "))
        }
    }
}

fn judged(revision: Revision, message: Message<'_>) -> String {
    let refused = |kind: Kind| format!("{} {kind}", mcp::Fault { kind: kind.clone(), id: None }.code());
    let text = |written: Vec<u8>| String::from_utf8(written).unwrap();
    match message {
        Message::Request(request) => match request.method {
            Err(name) => format!("unknown method {name:?}"),
            Ok(method) if !method.is_in(revision) => format!("not in {revision}"),
            Ok(method) => Params::of(method, revision, &request.params).map_or_else(refused, |params| {
                format!("{} -> {}", method.as_str(), text(Writer::request(9, method, &params)))
            }),
        },
        Message::Notification(notification) => match notification.notice {
            Err(name) => format!("unknown notification {name:?}"),
            Ok(notice) => Params::of_notice(notice, &notification.params)
                .map_or_else(refused, |params| text(Writer::notification(notice, &params))),
        },
        Message::Response(response) => format!("response to {}", response.id.as_json()),
    }
}

#[track_caller]
fn check(vector: u32, revision: Revision, body: impl AsRef<[u8]>, expected: &str) {
    let body = body.as_ref();
    let got = outcome(revision, body);
    let matches = if expected.contains("->") || expected.starts_with("batch") {
        got == expected
    } else {
        got.starts_with(expected)
    };
    assert!(matches, "vector {vector}, {}:\n   got {got}\n  want {expected}", String::from_utf8_lossy(body));
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

#[test]
fn two_parsers_two_meanings() {
    let harmless = sent("A", "{}");
    let rows: Vec<(u32, Vec<u8>, &str)> = [
        (1, with(r#""name":"F","name":"A""#), DUPLICATE),
        (1, with(r#""name":"A","name":"F""#), DUPLICATE),
        (2, r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"ping"}"#.into(), DUPLICATE),
        (2, r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{},"method":"tools/call"}"#.into(), DUPLICATE),
        (3, r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"A"},"params":{"name":"F"}}"#.into(), DUPLICATE),
        (3, r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#.into(), DUPLICATE),
        (3, with(r#""name":"A","arguments":{"amount":1,"amount":1000000}"#), DUPLICATE),
        (3, with(r#""name":"A","arguments":{"a":[{"b":[{"x":1,"y":2,"x":1}]}]}"#), DUPLICATE),
        (3, with(r#""name":"A","_meta":{"progressToken":1,"progressToken":2}"#), DUPLICATE),
        (3, with(r#""name":"A","unknown":{"x":1,"x":2}"#), DUPLICATE),
        (4, with(r#""name":"A","n\u0061me":"F""#), DUPLICATE),
        (4, r#"{"jsonrpc":"2.0","id":1,"meth\u006Fd":"ping","method":"tools/call"}"#.into(), DUPLICATE),
        (4, with(r#""name":"A","arguments":{"\/":1,"/":2}"#), DUPLICATE),
        (4, with(r#""name":"A","arguments":{"😀":1,"\ud83d\ude00":2}"#), DUPLICATE),
        (5, with(r#""name":"A","Name":"F","arguments":{}"#), harmless),
        (5, with(r#""Name":"F""#), "-32602 `params.name` is not a string"),
        (5, r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"A","arguments":{}},"Params":{"name":"F"}}"#.into(), harmless),
        (5, r#"{"jsonrpc":"2.0","id":1,"Method":"tools/call","method":"tools/call","params":{"name":"A","arguments":{}}}"#.into(), harmless),
        (6, r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"A","arguments":{}},"paramſ":{"name":"F"}}"#.into(), harmless),
        (6, with(r#""name":"A","argumentſ":{"x":1},"arguments":{}"#), harmless),
        (6, with(r#""name":"A","taſ\u212a":{"x":1},"arguments":{}"#), harmless),
        (7, with(r#""name":"A","name\u0000":"F","arguments":{}"#), harmless),
        (7, r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params\u0000":{"name":"F"},"params":{"name":"A","arguments":{}}}"#.into(), harmless),
        (8, r#"{"jsonrpc":"2.0","id":1,"method":"\u0074ools\/call","params":{"name":"\u0046","arguments":{}}}"#.into(), sent("F", "{}")),
        (8, r#"{"jsonrpc":"2.0","id":1,"m\u0065thod":"tools/call","p\u0061rams":{"n\u0061me":"F","arguments":{}}}"#.into(), sent("F", "{}")),
        (9, call("F\u{200b}"), sent("F\u{200b}", "{}")),
        (9, call("\u{ff26}"), sent("\u{ff26}", "{}")),
        (9, call("e\u{301}"), sent("e\u{301}", "{}")),
        (10, call("F "), sent("F ", "{}")),
        (10, call("A\\u0000F"), sent("A\\u0000F", "{}")),
        (10, call("A\u{7}"), NOT_JSON),
        (11, format!("\u{feff}{}", call("F")), "-32700 the body starts with a byte order mark"),
        (14, call("F\\ud800"), NOT_JSON),
        (14, call("\\udc00\\ud800"), NOT_JSON),
        (14, with(r#""name":"A","arguments":{"x":"\udfff"}"#), NOT_JSON),
        (14, with(r#""name":"A","arguments":{"\ud800":1}"#), NOT_JSON),
        (14, with(r#""name":"A","dropped":"\ud800""#), NOT_JSON),
        (17, with(r#""name":"A","arguments":{"n":9007199254740993,"m":123456789012345678901234567890}"#), sent("A", r#"{"n":9007199254740993,"m":123456789012345678901234567890}"#)),
        (18, with(r#""name":"A","arguments":{"amount":1e309}"#), NOT_JSON),
        (18, with(r#""name":"A","arguments":{"amount":-1E400}"#), NOT_JSON),
        (18, with(r#""name":"A","arguments":{"amount":1.79769313486231584e308}"#), NOT_JSON),
        (18, with(r#""name":"A","arguments":{"amount":NaN}"#), NOT_JSON),
        (18, with(r#""name":"A","arguments":{"amount":-Infinity}"#), NOT_JSON),
        (18, with(r#""name":"A","arguments":{"a":-0,"b":-0.0,"c":1e-400,"d":1.7976931348623157e+308}"#), sent("A", r#"{"a":-0,"b":-0.0,"c":1e-400,"d":1.7976931348623157e+308}"#)),
        (19, with(r#""name":"A","arguments":{"amount":"5","list":["5"],"none":null}"#), sent("A", r#"{"amount":"5","list":["5"],"none":null}"#)),
        (20, "[".repeat(50_000), "-32600 the body is nested deeper than 128"),
        (20, "{\"a\":".repeat(50_000), "-32600 the body is nested deeper than 128"),
        (20, with(&format!(r#""name":"A","arguments":{{"x":{}{}}}"#, "[".repeat(126), "]".repeat(126))), "-32600 the body is nested deeper"),
        (20, with(&format!(r#""name":"A","dropped":{}{}"#, "[".repeat(200), "]".repeat(200))), "-32600 the body is nested deeper"),
        (21, format!("{}\n{}", call("A"), call("F")), NOT_JSON),
        (21, format!("{} trailing", call("A")), NOT_JSON),
        (21, format!("\u{1e}{}\n", call("F")), NOT_JSON),
        (21, format!("data: {}\n\n", call("F")), NOT_JSON),
        (21, format!("{}\0", call("A")), NOT_JSON),
        (21, String::new(), NOT_JSON),
        (22, with(r#""name":"A"/*,"x":"*/,"name":"F"/*"*/"#), NOT_JSON),
        (22, "{'jsonrpc':'2.0','id':1,'method':'ping'}".into(), NOT_JSON),
        (22, r#"{jsonrpc:"2.0","id":1,"method":"ping"}"#.into(), NOT_JSON),
        (22, r#"{"jsonrpc":"2.0","id":1,"method":"ping",}"#.into(), NOT_JSON),
        (22, r#"{"jsonrpc":"2.0","id":0x1,"method":"ping"}"#.into(), NOT_JSON),
        (22, "{\"jsonrpc\":\"2.0\",\"id\":1,\u{a0}\"method\":\"ping\"}".into(), NOT_JSON),
        (23, format!("{:?}", call("F")), "-32600 a message is a JSON object"),
        (23, r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"{\"name\":\"F\"}"}"#.into(), "-32602 `params` is not an object"),
        (23, with(r#""name":"A","arguments":"{\"x\":1}""#), "-32602 `params.arguments` is not an object"),
        (24, with(r#""name":"A","__proto__":{"name":"F"},"constructor":{"prototype":{}},"arguments":{}"#), harmless),
        (24, r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","__proto__":{"params":{"name":"F"}},"params":{"name":"A","arguments":{}}}"#.into(), harmless),
        (24, with(r#""name":"A","arguments":{"x":{"$serde_json::private::RawValue":"{\"name\":\"F\"}"}}"#), "-32600 an object has a key that is private to serde_json"),
        (24, with(r#""name":"A","arguments":{"x":{"$serde_json::private::Number":"1"}}"#), "-32600 an object has a key that is private to serde_json"),
        (25, with(r#""name":"F","arguments":[]"#), "-32602 `params.arguments` is not an object"),
        (25, with(r#""name":"F","arguments":null"#), "-32602 `params.arguments` is not an object"),
        (25, with(r#""name":"F","arguments":0"#), "-32602 `params.arguments` is not an object"),
        (26, r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["F",{}]}"#.into(), "-32602 `params` is not an object"),
        (26, r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":null}"#.into(), "-32602 `params` is not an object"),
        (26, with(r#""name":["F"]"#), "-32602 `params.name` is not a string"),
        (26, with(r#""name":{"name":"F"}"#), "-32602 `params.name` is not a string"),
        (26, with(r#""name":null"#), "-32602 `params.name` is not a string"),
        (26, with(r#""arguments":{}"#), "-32602 `params.name` is not a string"),
    ]
    .map(|(vector, body, expected)| (vector, body.into_bytes(), expected))
    .into();
    for (vector, body, expected) in rows {
        check(vector, MODERN, body, expected);
    }
}

#[test]
fn other_encodings_than_utf8() {
    let plain = call("F");
    check(12, MODERN, utf16(&plain, u16::to_le_bytes), NOT_JSON);
    check(12, MODERN, utf16(&plain, u16::to_be_bytes), NOT_JSON);
    check(12, MODERN, [&[0xff, 0xfe][..], &utf16(&plain, u16::to_le_bytes)].concat(), "-32700 the body is not UTF-8");
    check(12, MODERN, plain.chars().flat_map(|c| (c as u32).to_be_bytes()).collect::<Vec<_>>(), NOT_JSON);
    check(12, MODERN, plain.replace('{', "+AHs-"), NOT_JSON);
    for hidden in [&b"na\xffme"[..], b"na\xc0\xadme", b"na\xed\xa0\x80me", b"na\xf4\x90\x80\x80me", b"na\xe2\x80me"] {
        let body = [br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"A",""#, hidden, br#"":"F"}}"#]
            .concat();
        check(13, MODERN, body, "-32700 the body is not UTF-8");
    }
}

/// 15, 16: an odd id never turns a call into something that nobody judges.
#[test]
fn odd_ids() {
    let id = |id: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"F","arguments":{{}}}}}}"#)
    };
    for odd in [
        "null",
        "1.5",
        "1.0",
        "1e2",
        "1E0",
        "1208925819614629174706176",
        "9223372036854775808",
        "true",
        "{}",
        "[]",
        "[1]",
    ] {
        check(15, MODERN, id(odd), BAD_ID);
    }
    check(15, MODERN, id("1e400"), NOT_JSON);
    for lawful in ["\"\"", "\"x\"", "0", "-1", "-0", "9223372036854775807", "-9223372036854775808", "9007199254740993"]
    {
        check(15, MODERN, id(lawful), sent("F", "{}"));
        let body = id(lawful);
        let Ok(Body::One(Message::Request(request))) = mcp::parse(body.as_bytes()) else { panic!("{lawful}") };
        assert_eq!(request.id.as_json(), lawful, "vector 17: given back as it came");
    }
    check(16, MODERN, call("F").replace(r#""id":1,"#, ""), "-32600 a request needs an `id`");
    check(16, MODERN, r#"{"jsonrpc":"2.0","method":"ping"}"#, "-32600 a request needs an `id`");
    check(16, MODERN, r#"{"jsonrpc":"2.0","method":"Notifications/x"}"#, "-32600 a request needs an `id`");
    check(
        16,
        MODERN,
        r#"{"jsonrpc":"2.0","id":1,"method":"notifications/initialized"}"#,
        "unknown method \"notifications/initialized\"",
    );
    check(
        16,
        MODERN,
        r#"{"jsonrpc":"2.0","method":"notifications/tools/call","params":{"name":"F"}}"#,
        "unknown notification",
    );
}

#[test]
fn a_name_fits_into_a_header() {
    let named = |bytes: usize| with(&format!(r#""name":"{}","arguments":{{}}"#, "n".repeat(bytes)));
    check(10, MODERN, named(256), sent(&"n".repeat(256), "{}"));
    check(10, MODERN, named(257), "-32602 the name in `params` is too long");
    let id = |bytes: usize| format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "i".repeat(bytes));
    check(15, LEGACY, id(254), "ping");
    check(15, LEGACY, id(255), BAD_ID);
    let uri = |bytes: usize| {
        let uri = "u".repeat(bytes);
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{{"uri":"{uri}"}}}}"#)
    };
    check(10, MODERN, uri(8192), "resources/read");
    check(10, MODERN, uri(8193), "-32602 the name in `params` is too long");
}

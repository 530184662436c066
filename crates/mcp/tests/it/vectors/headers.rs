//! Headers that mirror the body (45, 46), and the framing of lines, events and lists (54 to 58).

use mcp::{Mirror, ServerMessage};
use serde_json::value::RawValue;

use super::{MODERN, NOT_JSON, call, check, sent, with};

/// 45: a header says what the body says, or the call is refused; the sentinel is decoded first.
#[test]
fn header_against_body() {
    for (header, body, same) in [
        (&b"A"[..], "A", true),
        (b"A", "F", false),
        (b"F", "A", false),
        (b"a", "A", false),
        (b"\tA  ", "A", true),
        (b"A,A", "A", false),
        (b"A, F", "A", false),
        (b"", "A", false),
        (b"", "", true),
        (b"=?base64?QQ==?=", "A", true),
        (b"=?base64?Rg==?=", "A", false),
        (b"=?base64?QQ?=", "A", false),
        (b"=?base64?QQ=?=", "A", false),
        (b"=?base64?QR==?=", "A", false),
        (b"=?base64? QQ==?=", "A", false),
        (b"=?BASE64?QQ==?=", "A", false),
        (b"=?Base64?QQ==?=", "A", false),
        (b"=?base64?QQ==", "A", false),
        (b"=?base64?QQ==?= ", "A", true),
        (b"=?base64??=", "", true),
        (b"=?base64?_w==?=", "\u{ff}", false),
        (b"=?base64?w7w=?=", "\u{fc}", true),
        (b"=?base64?dcyI?=", "\u{fc}", false),
        (b"=?base64?/w==?=", "\u{fffd}", false),
        (b"\xc3\xbc", "\u{fc}", false),
        (b"A\x00", "A", false),
        (b"A\x7f", "A\u{7f}", false),
        (b"A\nB", "A\nB", false),
        (b"=?base64?PT9iYXNlNjQ/UVE9PT89?=", "=?base64?QQ==?=", true),
        (b"=?base64?QQ==?=", "=?base64?QQ==?=", false),
    ] {
        assert_eq!(mcp::matches(header, body), same, "vector 45: {} against {body:?}", header.escape_ascii());
    }
    for (name, header) in [
        ("A", "A"),
        ("get weather", "get weather"),
        (" A", "=?base64?IEE=?="),
        ("A\u{200b}", "=?base64?QeKAiw==?="),
        ("A\u{0}F", "=?base64?QQBG?="),
        ("A\r\nX: y", "=?base64?QQ0KWDogeQ==?="),
        ("=?base64?QQ==?=", "=?base64?PT9iYXNlNjQ/UVE9PT89?="),
    ] {
        assert_eq!(mcp::encode(name), header, "vector 45: written anew from the body");
    }
}

/// 46: `Mcp-Param-*` only where the schema declares it, equal to the argument, written anew from it.
#[test]
fn mirrored_arguments() {
    let tool = r#"{"name":"A","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},
        "deep":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"N"}}}}}}"#;
    let mirrors = mcp::mirrors(serde_json::from_str(tool).unwrap()).unwrap();
    let header = |name: &str| -> &Mirror { mirrors.iter().find(|mirror| mirror.header == name).unwrap() };
    assert_eq!(mirrors.len(), 2);
    let check = |name: &str, arguments: Option<&str>, given: Option<&str>, expected: Result<Option<&str>, &str>| {
        let got = header(name).header_value(arguments, given.map(str::as_bytes)).map_err(|fault| fault.to_string());
        assert_eq!(
            got.as_ref().map(Option::as_deref).map_err(String::as_str),
            expected,
            "vector 46: {arguments:?} {given:?}"
        );
    };
    let (mismatch, missing) =
        ("header `mcp-param-region` does not match its argument", "header `mcp-param-region` is missing");
    check("mcp-param-region", Some(r#"{"region":"us"}"#), Some("eu"), Err(mismatch));
    check("mcp-param-region", Some(r#"{"region":"us"}"#), Some("us"), Ok(Some("us")));
    check("mcp-param-region", Some(r#"{"region":"\u0075s"}"#), Some("=?base64?dXM=?="), Ok(Some("us")));
    check("mcp-param-region", Some(r#"{"region":"us"}"#), None, Err(missing));
    check("mcp-param-region", Some(r#"{"Region":"us"}"#), Some("us"), Err(mismatch));
    check(
        "mcp-param-region",
        Some(r#"{"region":{"$serde_json::private::RawValue":"\"us\""}}"#),
        Some("us"),
        Err(mismatch),
    );
    check("mcp-param-region", None, None, Ok(None));
    check("mcp-param-region", None, Some("us"), Err(mismatch));
    let mismatch = "header `mcp-param-n` does not match its argument";
    check("mcp-param-n", Some(r#"{"deep":{"n":7}}"#), Some("7.0"), Ok(Some("7")));
    check("mcp-param-n", Some(r#"{"deep":{"n":9007199254740993}}"#), Some("9007199254740992"), Err(mismatch));
    check("mcp-param-n", Some(r#"{"n":7}"#), Some("7"), Err(mismatch));
    check("mcp-param-n", Some(r#"{"deep":[{"n":7}]}"#), Some("7"), Err(mismatch));
}

/// 54, 55: no line of ours holds a message of the client's.
#[test]
fn line_breaks_stay_outside() {
    let nested = format!("\"name\":\"A\",\"arguments\":{{\"x\":[\n{}\n,\r{}\r\n]}}", call("F"), call("F"));
    let expected = sent("A", &format!("{{\"x\":[{},{}]}}", call("F"), call("F")));
    check(54, MODERN, with(&nested), expected);
    check(55, MODERN, with(&nested).replace('\n', "\r"), expected);
    check(54, MODERN, call("A\nB"), NOT_JSON);
    check(55, MODERN, call("A\rB"), NOT_JSON);
}

/// 57: the text of a result cannot become an event.
#[test]
fn events_are_framed_anew() {
    let result =
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"text\":\"x\\n\\ndata: {}\"}}\n\ndata: {\"forged\":1}\r\rid: 6"
            .to_vec();
    let mut out = Vec::new();
    mcp::sse::write(&mcp::sse::Event { data: Some(result), ..Default::default() }, &mut out);
    let mut events = Vec::new();
    mcp::sse::Reader::new(1 << 20).push(&out, |event| events.push(event)).unwrap();
    assert_eq!(events.len(), 1, "vector 57");
    assert!(
        ServerMessage::read(events[0].data.as_deref().unwrap()).is_none(),
        "vector 57: two documents are no message"
    );
}

/// 58: what the list filter cannot read with certainty is not listed.
#[test]
fn lists_fail_closed() {
    let listed = |items: &str| {
        let result = format!(r#"{{"tools":{items}}}"#);
        let raw: &RawValue = serde_json::from_str(&result).unwrap();
        mcp::filter_list(raw, mcp::ListOf::Tools, |item| item.name == "A").map(|kept| kept.json)
    };
    for (items, expected) in [
        (r#"[{"name":"A"},{"name":"F"}]"#, Some(r#"{"tools":[{"name":"A"}]}"#)),
        (r#"[{"name":"A","name":"F"}]"#, Some(r#"{"tools":[]}"#)),
        (r#"[{"name":"A","n\u0061me":"F"}]"#, Some(r#"{"tools":[]}"#)),
        (r#"[{"name":["A"]},{"title":"A"},"A",null,[{"name":"A"}]]"#, Some(r#"{"tools":[]}"#)),
        (r#"{"0":{"name":"A"}}"#, None),
        (r#""A""#, None),
        (r#"[],"tools":[{"name":"A"}]"#, None),
    ] {
        assert_eq!(listed(items).as_deref(), expected, "vector 58: {items}");
    }
}

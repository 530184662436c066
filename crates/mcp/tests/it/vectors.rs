//! The bypass vectors of the threat model by their numbers, as far as bytes and headers decide them: 1 to 36, 45, 46, 54 to
//! 58. `F` is the forbidden tool, `A` the allowed one. What only HTTP, sessions or rules decide is tested with the gateway.

use mcp::{Body, Kind, Message, Mirror, Params, Revision, ServerMessage, Writer};
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

/// 27: an array is never one message; each element stands alone.
#[test]
fn batches() {
    let (a, f) = (&call("A"), &call("F"));
    let (sent_a, sent_f) = (sent("A", "{}"), sent("F", "{}"));
    let element = "-32600 a message is a JSON object";
    check(27, MODERN, format!("[{a},{f}]"), &format!("batch [{sent_a}; {sent_f}]"));
    check(27, MODERN, format!(" \n[{f}]"), &format!("batch [{sent_f}]"));
    check(27, MODERN, format!("[1,{f}]"), &format!("batch [{element}; {sent_f}]"));
    check(27, MODERN, format!("[[{f}]]"), &format!("batch [{element}]"));
    check(27, MODERN, format!("[{a},null,\"{{}}\"]"), &format!("batch [{sent_a}; {element}; {element}]"));
    check(27, MODERN, "[]", "-32600 an empty batch");
    check(27, MODERN, format!("[{a},{f}"), NOT_JSON);
    check(27, MODERN, format!("[{a},{}]", with(r#""name":"A","name":"F""#)), DUPLICATE);
    for revision in Revision::ALL {
        assert_eq!(revision.has_batches(), revision == Revision::V2025_03_26, "{revision}");
    }
}

#[test]
fn envelope_and_methods() {
    let method = |method: &str| call("F").replace("tools/call", method);
    for odd in [
        "Tools/Call",
        "tools/call/",
        "/tools/call",
        "tools//call",
        "tools/call ",
        "tools\\\\call",
        "tools.call",
        "",
        "rpc.call",
    ] {
        check(28, MODERN, method(odd), "unknown method");
    }
    check(28, MODERN, call("F").replace("\"tools/call\"", "[\"tools/call\"]"), "-32600 `method` is not a string");
    for version in ["1.0", "2", "2.0 ", ""] {
        check(28, MODERN, call("F").replace("2.0", version), "-32600 `jsonrpc` is not \"2.0\"");
    }
    check(28, MODERN, call("F").replace("\"2.0\"", "2.0"), "-32600 `jsonrpc` is not \"2.0\"");
    check(28, MODERN, call("F").replace("\"jsonrpc\":\"2.0\",", ""), "-32600 `jsonrpc` is not \"2.0\"");

    let both = "-32600 a request has neither `result` nor `error`";
    check(29, MODERN, call("F").replace("\"id\"", "\"result\":{},\"id\""), both);
    check(29, MODERN, call("F").replace("\"id\"", "\"result\":null,\"id\""), both);
    check(29, MODERN, call("F").replace("\"id\"", "\"error\":{},\"id\""), both);
    check(29, LEGACY, r#"{"jsonrpc":"2.0","method":"notifications/initialized","result":{}}"#, both);

    check(30, LEGACY, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "response to 1");
    check(30, LEGACY, r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}"#, "response to 1");
    check(30, LEGACY, r#"{"jsonrpc":"2.0","id":null,"result":{}}"#, BAD_ID);
    check(30, LEGACY, r#"{"jsonrpc":"2.0","result":{}}"#, "-32600 a message has a `method`, or an `id`");
    check(
        30,
        LEGACY,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
        "-32600 a response has `result` or `error`, not both",
    );
    check(30, LEGACY, r#"{"jsonrpc":"2.0","id":1}"#, "-32600 a message has a `method`");
    for (text, ours) in [("1", Some(1)), ("0", Some(0)), ("-0", None), ("\"1\"", None), ("-1", None)] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{text},"result":{{}}}}"#);
        let Ok(Body::One(Message::Response(response))) = mcp::parse(body.as_bytes()) else { panic!("{text}") };
        assert_eq!(response.id.ours(), ours, "vector 30: only a number as we write it is an id of ours");
    }
}

/// 31 to 34: what rides along with a call, and the other roads to a server.
#[test]
fn other_roads() {
    let task = with(r#""name":"F","arguments":{},"task":{"ttl":60000,"TTL":1,"x":2}"#);
    let written = r#"tools/call -> {"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"F","arguments":{},"task":{"ttl":60000}}}"#;
    check(31, LEGACY, &task, written);
    check(31, MODERN, &task, sent("F", "{}"));
    check(31, Revision::V2025_06_18, &task, sent("F", "{}"));
    let get = |method: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"taskId":"t","TaskId":"u"}}}}"#)
    };
    let got = |method: &str| {
        format!(r#"{method} -> {{"jsonrpc":"2.0","id":9,"method":"{method}","params":{{"taskId":"t"}}}}"#)
    };
    check(31, LEGACY, get("tasks/get"), &got("tasks/get"));
    check(31, MODERN, get("tasks/cancel"), &got("tasks/cancel"));
    check(31, Revision::V2025_06_18, get("tasks/get"), "not in 2025-06-18");
    check(31, LEGACY, get("tasks/update"), "not in 2025-11-25");
    check(31, MODERN, get("tasks/get").replace("\"t\"", "7"), "-32602 `params.taskId` is not a string");

    let retry = with(r#""name":"F","arguments":{},"inputResponses":{"q":{"action":"accept"}},"requestState":"s""#);
    check(32, MODERN, &retry, &format!("tools/call -> {}", retry.replace("\"id\":1", "\"id\":9")));
    check(32, LEGACY, &retry, sent("F", "{}"));
    check(32, MODERN, retry.replace("\"s\"", "{}"), "-32602 a member of `params` has the wrong type");
    check(
        32,
        MODERN,
        retry.replace(r#"{"q":{"action":"accept"}}"#, "[]"),
        "-32602 a member of `params` has the wrong type",
    );

    let other =
        |method: &str, params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#);
    let write =
        |method: &str, params: &str| format!("{method} -> {}", other(method, params).replace("\"id\":1", "\"id\":9"));
    check(33, MODERN, other("prompts/get", r#""name":"F","Name":"A""#), &write("prompts/get", r#""name":"F""#));
    check(33, MODERN, other("resources/read", r#""uri":"f:","URI":"a:""#), &write("resources/read", r#""uri":"f:""#));
    check(
        33,
        MODERN,
        other(
            "completion/complete",
            r#""ref":{"type":"ref/prompt","name":"A","Name":"F","x":{}},"argument":{"name":"n","value":"v","Value":"w"}"#,
        ),
        &write("completion/complete", r#""ref":{"type":"ref/prompt","name":"A"},"argument":{"name":"n","value":"v"}"#),
    );
    check(
        34,
        MODERN,
        other(
            "subscriptions/listen",
            r#""notifications":{"toolsListChanged":true,"ToolsListChanged":false,"everything":true}"#,
        ),
        &write("subscriptions/listen", r#""notifications":{"toolsListChanged":true}"#),
    );
    check(34, LEGACY, other("subscriptions/listen", r#""notifications":{}"#), "not in 2025-11-25");
}

/// 35, 36, 52: what a server sends is one lawful message of a known kind, or nothing.
#[test]
fn from_the_server() {
    let kind = |text: &str| match ServerMessage::read(text.as_bytes()) {
        None => "nothing".to_owned(),
        Some(ServerMessage::Answer(answer)) => format!("answer to {:?}", answer.id.map(|id| id.to_json())),
        Some(ServerMessage::Request { method, .. }) => format!("request {method}"),
        Some(ServerMessage::Notification { method, .. }) => format!("notification {method}"),
    };
    for (vector, text, expected) in [
        (
            35,
            r#"{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{}}"#,
            "request sampling/createMessage",
        ),
        (36, r#"{"jsonrpc":"2.0","id":"x","method":"roots/list"}"#, "request roots/list"),
        (36, r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#, "notification notifications/message"),
        (36, r#"{"jsonrpc":"2.0","id":null,"method":"roots/list"}"#, "nothing"),
        (36, r#"{"jsonrpc":"2.0","id":1.5,"method":"roots/list"}"#, "nothing"),
        (52, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "answer to Some(\"1\")"),
        (52, r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}"#, "answer to None"),
        (52, r#"{"jsonrpc":"2.0","error":{"code":1,"message":""}}"#, "answer to None"),
        (52, r#"{"jsonrpc":"2.0","result":{}}"#, "nothing"),
        (52, r#"{"jsonrpc":"2.0","id":null,"result":{}}"#, "nothing"),
        (52, r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, "nothing"),
        (52, r#"{"jsonrpc":"2.0","id":1,"method":"x","result":{}}"#, "nothing"),
        (52, r#"{"jsonrpc":"2.0","id":1,"id":2,"result":{}}"#, "nothing"),
        (52, r#"{"jsonrpc":"2.0","id":1,"result":{},"r\u0065sult":{}}"#, "nothing"),
        (52, r#"{"id":1,"result":{}}"#, "nothing"),
        (52, r#"[{"jsonrpc":"2.0","id":1,"result":{}}]"#, "nothing"),
        (52, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}{}", "nothing"),
        (52, "log line", "nothing"),
        (52, "", "nothing"),
    ] {
        assert_eq!(kind(text), expected, "vector {vector}: {text}");
    }
}

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

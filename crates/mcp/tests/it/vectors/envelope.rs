//! Envelope, methods, other roads to a tool (27 to 36), and what a server may answer (52).

use mcp::{Body, Message, Revision, ServerMessage};

use super::{BAD_ID, DUPLICATE, LEGACY, MODERN, NOT_JSON, call, check, sent, with};

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

//! The message that goes up is not the one that came: the envelope is ours, the judged values are the client's to the byte.

use serde_json::{Value, json};
use testkit::Recorder;

use crate::gate::{Gate, OPEN, modern_headers, tool};

async fn sent(upstream: &Recorder) -> String {
    upstream.requests().pop().unwrap().text().to_owned()
}

#[tokio::test]
async fn a_legacy_request_is_written_anew() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let gate = Gate::before(&upstream, OPEN);
    let client = gate.legacy().await;
    for (given, expected) in [
        (
            // Unknown members go, at every level that is judged; numbers, escapes and unknown members of values stay.
            r#" {"x":1, "jsonrpc":"2.0","id":"k\u00e9y" ,"Method":"x","method":"tools/call","params":{ "Name":"F", "name":"a",
               "__proto__":{"name":"F"}, "arguments" : { "n" : 9007199254740993, "f":1.50E+3, "s":"\u00fc\/\ud83d\ude00 \u2028", "deep":[ { "x" : -0 } ] },
               "_meta" : {"progressToken" : 1 ,"vendor" : [ ] }, "task2":1 } } "#,
            r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{"name":"a","arguments":{"n":9007199254740993,"f":1.50E+3,"s":"\u00fc\/\ud83d\ude00 \u2028","deep":[{"x":-0}]},"_meta":{"progressToken":1,"vendor":[]}}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":-9223372036854775808,"method":"tools/call","params":{"name":"\u0061","arguments":{}}}"#,
            r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{"name":"a","arguments":{}}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"a","inputResponses":{},"requestState":"x","cursor":"c","uri":"u"}}"#,
            r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{"name":"a"}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"a","task":{"ttl": 60000,"owner":"me"}}}"#,
            r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{"name":"a","task":{"ttl":60000}}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":3,"method":"tools/list","params":{"cursor":"","filter":"x"}}"#,
            r#"{"jsonrpc":"2.0","id":ID,"method":"tools/list","params":{"cursor":""}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":3,"method":"ping","params":{"x":1}}"#,
            r#"{"jsonrpc":"2.0","id":ID,"method":"ping"}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":4,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"p","x":1},"argument":{"name":"n","value":"v","y":1},"context":{"arguments":{"k":"v"},"z":1}}}"#,
            r#"{"jsonrpc":"2.0","id":ID,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"n","value":"v"},"context":{"arguments":{"k":"v"}}}}"#,
        ),
    ] {
        client.http().post_text(given).await;
        let sent = sent(&upstream).await;
        let id = serde_json::from_str::<Value>(&sent).unwrap()["id"].to_string();
        assert!(id.parse::<u64>().is_ok(), "an id of ours: {id}");
        assert_eq!(sent, expected.replace("ID", &id), "for {given}");
    }
}

#[tokio::test]
async fn a_modern_request_is_written_anew_with_its_headers() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let gate = Gate::before(&upstream, OPEN);
    let body = r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"_meta":{ "io.modelcontextprotocol/protocolVersion":"2026-07-28",
        "io.modelcontextprotocol/clientCapabilities":{ }, "traceparent":"00-1-2-01", "baggage":"a=b", "vendor/x": { "k" : 1.0 } },
        "name":"na\u00efve tool","arguments":{"k":[ 1 , 2 ]},"requestState":"sealed \"x\"","extra":1}}"#;
    let http = modern_headers(gate.http(), "tools/call", Some("=?base64?bmHDr3ZlIHRvb2w=?="));
    assert_eq!(http.post_text(body).await.whole().await.json()["id"], "x");
    let request = upstream.requests().pop().unwrap();
    let id = request.json()["id"].to_string();
    let expected = r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{"name":"naïve tool","arguments":{"k":[1,2]},"requestState":"sealed \"x\"","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"traceparent":"00-1-2-01","baggage":"a=b","vendor/x":{"k":1.0}}}}"#;
    assert_eq!(request.text(), expected.replace("ID", &id));
    assert_eq!(request.header("mcp-name"), Some("=?base64?bmHDr3ZlIHRvb2w=?="), "written from the body");
    assert_eq!(
        (request.header("mcp-method"), request.header("mcp-protocol-version")),
        (Some("tools/call"), Some("2026-07-28"))
    );

    // A name that plain text can carry is written so, however the client wrote it.
    let plain = body.replace("na\\u00efve tool", "a");
    modern_headers(gate.http(), "tools/call", Some("=?base64?YQ==?=")).post_text(&plain).await;
    let request = upstream.requests().pop().unwrap();
    assert_eq!((request.header("mcp-method"), request.header("mcp-name")), (Some("tools/call"), Some("a")));
}

/// A name can hold anything that a string can; a header of ours cannot.
#[tokio::test]
async fn a_name_breaks_no_header() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let gate = Gate::before(&upstream, OPEN);
    for name in ["a\r\nX-Evil: 1", "a\n", "\u{0}", " a ", "=?base64?YQ==?=", "a\u{85}\u{2028}", "\t"] {
        let body = crate::gate::modern_call(1, name, json!({}));
        let http = modern_headers(gate.http(), "tools/call", Some(&mcp::encode(name)));
        let said = http.post(&body).await;
        let sent = upstream.requests().pop().unwrap();
        if sent.header("mcp-name").is_some() {
            assert!(
                mcp::matches(sent.header("mcp-name").unwrap().as_bytes(), name),
                "{name:?}: {:?}",
                sent.header("mcp-name")
            );
            assert_eq!(sent.json()["params"]["name"], name);
        } else {
            assert_eq!(said.status, 400, "{name:?}");
        }
        assert_eq!(sent.header("x-evil"), None);
    }
}

/// R7: ids upstream are ours and distinct; the client's come back as they were written.
#[tokio::test]
async fn the_clients_id_comes_back_as_it_was_written() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let gate = Gate::before(&upstream, OPEN);
    let session = gate.legacy().await;
    let ids = [
        r#""""#,
        r#""a""#,
        r#""\u00e9\/\"""#,
        "0",
        "-1",
        "1",
        r#""1""#,
        "9223372036854775807",
        "-9223372036854775808",
        "9007199254740993",
        "-0",
    ];
    for id in ids {
        for (http, meta) in [
            (session.http().clone(), "{}"),
            (
                modern_headers(gate.http(), "tools/call", Some("a")),
                r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#,
            ),
        ] {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"a","_meta":{meta}}}}}"#
            );
            let response = http.post_text(&body).await.whole().await;
            let text = String::from_utf8(response.body).unwrap();
            assert!(text.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"#)), "{id}: {text}");
        }
    }
    let messages =
        upstream.requests().into_iter().filter(|request| !request.body.is_empty()).map(|request| request.json());
    let mut ids: Vec<u64> = messages.filter_map(|message| message["id"].as_u64()).collect();
    assert!(ids.len() > 22, "initialize, a probe, the calls: {ids:?}");
    ids.sort_unstable();
    assert!(ids.windows(2).all(|two| two[0] != two[1]), "an id was used twice: {ids:?}");
}

/// Results keep their bytes, unknown members and odd whitespace included; only the envelope is ours.
#[tokio::test]
async fn a_result_keeps_its_bytes() {
    let result = r#"{ "content":[ {"type":"hologram","x" : 1.50} ],"structuredContent": 9007199254740993 , "_meta":{"a" : {}}, "x-vendor":"\u00e9\/" }"#;
    let error = r#"{"code" : -32042,"message":"\u0055RL", "data":{ "elicitations":[ {"mode":"url"} ] },"x":1e2}"#;
    let upstream = Recorder::start(move |request| {
        let message = request.json();
        let (id, method) = (&message["id"], message["method"].as_str().unwrap());
        if id.is_null() {
            return testkit::Answer::status(202);
        }
        let verdict = match (method, message["params"]["name"].as_str()) {
            ("initialize", _) => {
                r#""result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"t","version":"1"}}"#
                    .to_owned()
            }
            (_, Some("fails")) => format!(r#""error" :{error}"#),
            _ => format!(r#""result": {result}"#),
        };
        let body = format!(r#"{{ {verdict} ,"vendor":1, "id":{id},"jsonrpc": "2.0" }}"#);
        match message["params"]["arguments"]["stream"].is_null() {
            true => testkit::Answer::text(200, "application/json; charset=utf-8", body),
            false => testkit::Answer::text(200, "text/event-stream", format!("event: message\ndata: {body}\n\n")),
        }
    })
    .await;
    let gate = Gate::before(&upstream, OPEN);
    let client = gate.legacy().await;
    for arguments in [json!({}), json!({ "stream": true })] {
        for (name, expected) in [
            ("works", format!(r#"{{"jsonrpc":"2.0","id":"k","result":{result}}}"#)),
            ("fails", format!(r#"{{"jsonrpc":"2.0","id":"k","error":{error}}}"#)),
        ] {
            let response =
                client.start("k", "tools/call", json!({ "name": name, "arguments": arguments })).await.whole().await;
            let text = String::from_utf8(response.body).unwrap();
            let text = text.strip_prefix("event: message\ndata: ").map_or(text.as_str(), str::trim_end);
            assert_eq!(text, expected);
        }
    }
}

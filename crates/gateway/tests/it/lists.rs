//! Lists: nothing is on one that could not be called, whatever way the list comes (vector 58); what stays, stays to the byte.

use serde_json::{Value, json};
use testkit::{Answer, McpClient, Recorder};

use crate::gate::{Gate, OPEN, modern_headers, modern_request};

const POLICY: &str = r#"{ "version": "1", "tools": { "a*": {}, "approve": "require_approval", "secret": "hide" }, "hide": ["abc"],
    "prompts": { "a*": {} }, "resources": { "docs://*": {} } }"#;

/// A list result as raw text: what is listed, and the rest of the result.
fn result(member: &str, items: &str) -> String {
    format!(
        r#"{{ "vendor" : {{"x":1.0}}, "{member}" :[{items}] , "nextCursor":"p\u0032", "ttlMs":60000,"cacheScope":"public" ,"resultType":"complete"}}"#
    )
}

/// An upstream of which every list is this.
async fn listing(
    result: impl Fn(&Value) -> String + Send + Sync + 'static,
    answer: impl Fn(String) -> Answer + Send + Sync + 'static,
) -> Recorder {
    Recorder::start(move |request| {
        if request.body.is_empty() {
            return Answer::status(405);
        }
        let message = request.json();
        let result = match message["method"].as_str() {
            Some("initialize") => json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": "t", "version": "1" } }).to_string(),
            Some("server/discover") => json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"] }).to_string(),
            _ if message["id"].is_null() => return Answer::status(202),
            _ => return answer(format!(r#"{{"jsonrpc":"2.0","id":{},"result":{}}}"#, message["id"], result(&message))),
        };
        Answer::text(200, "application/json", format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, message["id"]))
    })
    .await
}

/// How a message comes.
type Framing = fn(String) -> Answer;

fn as_json(message: String) -> Answer {
    Answer::text(200, "application/json", message)
}

fn as_events(message: String) -> Answer {
    let noise = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}"#;
    Answer::text(200, "text/event-stream", format!("id: 1\ndata: \n\ndata: {noise}\n\nid: 2\ndata: {message}\n\n"))
}

/// The raw answer to a list request of either era.
async fn listed(gate: &Gate, legacy: &McpClient, modern: bool, method: &str, cursor: Option<&str>) -> String {
    let params = cursor.map_or(json!({}), |cursor| json!({ "cursor": cursor }));
    let reply = match modern {
        true => modern_headers(gate.http(), method, None).post_streamed(&modern_request(1, method, params)).await,
        false => {
            legacy.http().post_streamed(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).await
        }
    };
    let text = String::from_utf8(reply.whole().await.body).unwrap();
    text.lines().rfind(|line| line.contains("\"jsonrpc\"")).unwrap().trim_start_matches("data: ").to_owned()
}

#[tokio::test]
async fn every_way_a_list_comes_is_filtered() {
    let cases = [
        (
            "tools/list",
            "tools",
            r#"{"name":"a1", "execution":{ "taskSupport":"optional" }, "inputSchema":{"x-mcp-header":"H","$defs":{}},"x" : 1.50}"#,
            r#"{"name":"b"},{"name":"secret"},{"name":"abc"},{"name":"A1"},{"name":"a1","name":"b"},{"Name":"a1"},7,null,{"name":["a1"]}"#,
            r#"{ "name" : "\u0061pprove" }"#,
        ),
        (
            "prompts/list",
            "prompts",
            r#"{"name":"a","title" : "\u0041"}"#,
            r#"{"name":"b"},{"uri":"a"}"#,
            r#"{"arguments":[],"name":"a2"}"#,
        ),
        (
            "resources/list",
            "resources",
            r#"{"uri":"docs://a","size" : 1e3}"#,
            r#"{"uri":"file:///x","name":"docs://a"},{"name":"docs://a"}"#,
            r#"{"uri":"docs://"}"#,
        ),
        (
            "resources/templates/list",
            "resourceTemplates",
            r#"{"uriTemplate":"docs://{x}"}"#,
            r#"{"uriTemplate":"file:///{x}"}"#,
            r#"{"uriTemplate":"docs://{+y}" }"#,
        ),
    ];
    for answer in [as_json as Framing, as_events] {
        for (method, member, first, gone, last) in cases {
            let items = format!("{first} , {gone},{last}");
            // Page 2 is another page; a page of which everything stays is not touched at all.
            let upstream = listing(
                move |message| match message["params"]["cursor"].as_str() {
                    None => result(member, &items),
                    Some("p2") => result(member, gone),
                    Some(_) => result(member, last),
                },
                answer,
            )
            .await;
            let gate = Gate::before(&upstream, POLICY);
            let legacy = gate.legacy().await;
            for modern in [false, true] {
                let whole = |items: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"result":{}}}"#, result(member, items));
                let private = |items: &str| whole(items).replace("\"public\"", "\"private\"");
                let page = async |cursor| listed(&gate, &legacy, modern, method, cursor).await;
                assert_eq!(page(None).await, private(&format!("{first},{last}")), "{method}");
                assert_eq!(page(Some("p2")).await, private(""), "{method}, page 2");
                assert_eq!(page(Some("p3")).await, whole(last), "{method}, nothing to hide");
            }
        }
    }
}

/// What cannot be read unambiguously cannot be filtered, and is not served.
#[tokio::test]
async fn a_list_that_cannot_be_read_is_not_served() {
    let hidden = r#"{"name":"secret"}"#;
    let answers: [(&str, Framing, String); 12] = [
        ("twice the member", as_json, format!(r#"{{"tools":[],"tools":[{hidden}]}}"#)),
        ("twice, by an escape", as_json, format!(r#"{{"tools":[],"t\u006fols":[{hidden}]}}"#)),
        ("no list", as_json, format!(r#"{{"tools":{hidden}}}"#)),
        ("another member", as_json, format!(r#"{{"Tools":[{hidden}]}}"#)),
        ("a list alone", as_json, format!("[{hidden}]")),
        ("text", as_json, json!(format!("[{hidden}]")).to_string()),
        ("null", as_json, "null".to_owned()),
        ("twice, in a stream", as_events, format!(r#"{{"tools":[],"tools":[{hidden}]}}"#)),
        ("no list, in a stream", as_events, format!(r#"{{"tools":{hidden}}}"#)),
        (
            "packed",
            |message| Answer::text(200, "application/json", packed(&message)).header("Content-Encoding", "gzip"),
            format!(r#"{{"tools":[{hidden}]}}"#),
        ),
        (
            "packed, in a stream",
            |message| {
                Answer::text(200, "text/event-stream", packed(&format!("data: {message}\n\n")))
                    .header("Content-Encoding", "gzip")
            },
            format!(r#"{{"tools":[{hidden}]}}"#),
        ),
        (
            "in UTF-16",
            |message| {
                Answer::text(
                    200,
                    "application/json; charset=utf-16",
                    message.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
                )
            },
            format!(r#"{{"tools":[{hidden}]}}"#),
        ),
    ];
    for (name, answer, result) in answers {
        let upstream = listing(move |_| result.clone(), answer).await;
        for policy in [POLICY, OPEN] {
            let gate = Gate::before(&upstream, policy);
            let legacy = gate.legacy().await;
            for modern in [false, true] {
                let got = listed(&gate, &legacy, modern, "tools/list", None).await;
                assert!(got.contains("-32603") && !got.contains("secret"), "{name}: {got}");
            }
        }
    }
}

/// gzip of the plainest kind: one stored block.
fn packed(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(text.as_bytes());
    out.extend([0; 8]);
    out
}

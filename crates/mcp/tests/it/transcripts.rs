//! Transcripts, a folder per revision: every step parses, belongs to its revision, and is written anew exactly as expected.
//!
//! A step is `client` with what is `written` for it, `server` with the kind that it is read `as`, or the lines of a `stream`
//! with its events.

use std::{collections::BTreeSet, fs};

use mcp::{
    Body, Message, Method, Notice, Object, Params, Revision, ServerMessage, ServerMethod, ServerNotice, Verdict, Writer,
};
use serde_json::value::RawValue;

/// Every step of a revision, with the file that it stands in.
fn steps(revision: Revision) -> Vec<(String, Box<RawValue>)> {
    let folder = format!("{}/tests/data/{revision}", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |file: std::path::PathBuf| {
        let steps: Vec<Box<RawValue>> = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        steps.into_iter().map(move |step| (file.display().to_string(), step))
    };
    files.into_iter().flat_map(read).collect()
}

fn compact(json: &str) -> String {
    let mut out = Vec::new();
    mcp::compact(json, &mut out);
    String::from_utf8(out).unwrap()
}

/// What is sent for a client's message: requests under our id 9, answers under the server's id.
fn rewritten(message: Message<'_>, revision: Revision, seen: &mut BTreeSet<String>) -> String {
    let written = match message {
        Message::Request(request) => {
            let method = request.method.unwrap();
            assert!(method.is_in(revision), "{} is not in {revision}", method.as_str());
            seen.insert(method.as_str().into());
            Writer::request(9, method, &Params::of(method, revision, &request.params).unwrap())
        }
        Message::Notification(notification) => {
            let notice = notification.notice.unwrap();
            assert!(notice.is_in(revision), "{} is not in {revision}", notice.as_str());
            seen.insert(notice.as_str().into());
            Writer::notification(notice, &Params::of_notice(notice, &notification.params).unwrap())
        }
        Message::Response(response) => {
            assert!(response.id.ours().is_some());
            Writer::answer("\"srv-1\"", response.verdict)
        }
    };
    String::from_utf8(written).unwrap()
}

/// The kind of a server's message; what is passed on of it stays byte for byte.
fn kind(text: &str) -> String {
    let members = Object::read(text).unwrap();
    let part = |name: &str| members.get(name).map(RawValue::get);
    let same = |written: Vec<u8>, expected: String| assert_eq!(String::from_utf8(written).unwrap(), expected);
    match ServerMessage::read(text.as_bytes()).unwrap() {
        ServerMessage::Answer(answer) => match answer.verdict {
            Verdict::Result(raw) => {
                same(
                    Writer::answer("\"c\"", answer.verdict),
                    format!(r#"{{"jsonrpc":"2.0","id":"c","result":{raw}}}"#),
                );
                assert_eq!((Some(raw.get()), answer.id.and_then(|id| id.ours())), (part("result"), Some(9)));
                "answer with a result".into()
            }
            Verdict::Error(raw) => {
                same(Writer::answer("\"c\"", answer.verdict), format!(r#"{{"jsonrpc":"2.0","id":"c","error":{raw}}}"#));
                "answer with an error".into()
            }
        },
        ServerMessage::Request { id, method, params } => {
            assert_eq!(part("id"), Some(id.as_json()));
            assert!(ServerMethod::named(&method).is_some(), "{method}");
            let rest = part("params").map_or(String::new(), |params| format!(",\"params\":{params}"));
            let expected = format!(r#"{{"jsonrpc":"2.0","id":5,"method":"{method}"{rest}}}"#);
            same(Writer::server_message(Some(5), &method, params.map(RawValue::get)), expected);
            format!("request {method}")
        }
        ServerMessage::Notification { method, params } => {
            assert!(ServerNotice::named(&method).is_some(), "{method}");
            let rest = part("params").map_or(String::new(), |params| format!(",\"params\":{params}"));
            let expected = format!(r#"{{"jsonrpc":"2.0","method":"{method}"{rest}}}"#);
            same(Writer::server_message(None, &method, params.map(RawValue::get)), expected);
            format!("notification {method}")
        }
    }
}

/// A stream's events in words, the same however the bytes arrive, and the same again once written anew.
fn events(stream: &str) -> Vec<String> {
    let read = |bytes: &[u8], piece: usize| {
        let (mut reader, mut events) = (mcp::sse::Reader::new(1 << 16), Vec::new());
        bytes.chunks(piece).for_each(|bytes| reader.push(bytes, |event| events.push(event)).unwrap());
        events
    };
    let events = read(stream.as_bytes(), 1 << 16);
    let mut anew = Vec::new();
    events.iter().for_each(|event| mcp::sse::write(event, &mut anew));
    for piece in [1, 2, 3, 7, 64] {
        assert_eq!(read(stream.as_bytes(), piece), events, "in pieces of {piece}");
        assert_eq!(read(&anew, piece), events, "written anew, in pieces of {piece}");
    }
    let words = |event: mcp::sse::Event| {
        let data = event.data.map(|data| String::from_utf8(data).unwrap());
        let data = data.map(|data| ServerMessage::read(data.as_bytes()).map(|_| kind(&data)).unwrap_or(data));
        let parts = [
            event.id.map(|id| format!("#{id}")),
            event.retry.map(|retry| format!("retry {retry}")),
            event.event.zip(data.clone()).map(|(event, data)| format!("{event}: {data}")).or(data),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    events.into_iter().map(words).collect()
}

fn play(revision: Revision, step: &Object<'_>, seen: &mut BTreeSet<String>) {
    if let Some(client) = step.get("client") {
        let written = compact(step.get("written").unwrap().get());
        let got = match mcp::parse(client.get().as_bytes()).unwrap() {
            Body::One(message) => rewritten(message, revision, seen),
            Body::Batch(elements) => {
                assert!(revision.has_batches());
                let all: Vec<_> =
                    elements.iter().map(|raw| rewritten(mcp::element(raw).unwrap(), revision, seen)).collect();
                format!("[{}]", all.join(","))
            }
        };
        assert_eq!(got, written);
    } else if let Some(server) = step.get("server") {
        assert_eq!(step.text("as").unwrap(), kind(server.get()));
    } else {
        let lines: Vec<String> = serde_json::from_str(step.get("stream").unwrap().get()).unwrap();
        let expected: Vec<String> = serde_json::from_str(step.get("as").unwrap().get()).unwrap();
        assert_eq!(events(&(lines.join("\n") + "\n")), expected);
    }
}

#[test]
fn transcripts_of_every_revision() {
    for revision in Revision::ALL {
        let mut seen = BTreeSet::new();
        for (n, (file, step)) in steps(revision).iter().enumerate() {
            println!("{file}, step {n}"); // shown when an assertion below fails
            play(revision, &Object::read(step.get()).unwrap(), &mut seen);
        }
        let methods = Method::ALL.iter().filter(|method| method.is_in(revision)).map(|method| method.as_str());
        let notices = Notice::ALL.iter().filter(|notice| notice.is_in(revision)).map(|notice| notice.as_str());
        let all: BTreeSet<String> = methods.chain(notices).map(str::to_owned).collect();
        assert_eq!(seen, all, "{revision} is not shown whole");
    }
}

/// Which revisions know what: a column each, oldest first.
#[test]
fn membership() {
    let table = [
        ("server/discover", "----x"),
        ("initialize", "xxxx-"),
        ("ping", "xxxx-"),
        ("tools/list", "xxxxx"),
        ("prompts/list", "xxxxx"),
        ("resources/list", "xxxxx"),
        ("resources/templates/list", "xxxxx"),
        ("tools/call", "xxxxx"),
        ("prompts/get", "xxxxx"),
        ("resources/read", "xxxxx"),
        ("completion/complete", "xxxxx"),
        ("logging/setLevel", "xxxx-"),
        ("resources/subscribe", "xxxx-"),
        ("resources/unsubscribe", "xxxx-"),
        ("subscriptions/listen", "----x"),
        ("tasks/get", "---xx"),
        ("tasks/cancel", "---xx"),
        ("tasks/result", "---x-"),
        ("tasks/list", "---x-"),
        ("tasks/update", "----x"),
        ("notifications/cancelled", "xxxxx"),
        ("notifications/progress", "xxxx-"),
        ("notifications/initialized", "xxxx-"),
        ("notifications/roots/list_changed", "xxxx-"),
        ("notifications/tasks/status", "---x-"),
    ];
    assert_eq!(table.len(), Method::ALL.len() + Notice::ALL.len());
    for (name, revisions) in table {
        for (revision, known) in Revision::ALL.into_iter().zip(revisions.chars()) {
            let method = Method::named(name).map(|method| method.is_in(revision));
            let notice = Notice::named(name).map(|notice| notice.is_in(revision));
            assert_eq!(method.or(notice), Some(known != '-'), "{name} in {revision}");
        }
    }
}

/// Only known members are passed on, also of the members that are themselves judged.
#[test]
fn unknown_members_are_dropped_everywhere() {
    let inner = r#"{"type":1,"name":1,"title":1,"uri":1,"value":1,"arguments":1,"ttl":1,"toolsListChanged":1,"promptsListChanged":1,
        "resourcesListChanged":1,"resourceSubscriptions":1,"taskIds":1,"x":1,"Name":1}"#;
    let kept =
        |raw: &str| Object::read(raw).unwrap().iter().map(|(key, _)| key.to_owned()).collect::<Vec<_>>().join(" ");
    for (method, member, expected) in [
        ("completion/complete", "ref", "type name title uri"),
        ("completion/complete", "argument", "name value"),
        ("completion/complete", "context", "arguments"),
        ("tools/call", "task", "ttl"),
        (
            "subscriptions/listen",
            "notifications",
            "toolsListChanged promptsListChanged resourcesListChanged resourceSubscriptions taskIds",
        ),
    ] {
        let method = Method::named(method).unwrap();
        let revision = if method == Method::Listen { Revision::MODERN } else { Revision::LATEST_LEGACY };
        let given = format!(r#"{{"name":"A","{member}":{inner},"x":1,"Name":"F"}}"#);
        let params = Params::of(method, revision, &Object::read(&given).unwrap()).unwrap();
        assert_eq!(kept(params.get(member).unwrap()), expected, "{member}");
        assert_eq!((params.get("x"), params.get("Name")), (None, None));
    }
}

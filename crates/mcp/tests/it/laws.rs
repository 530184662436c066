//! Laws that hold for every document, header, stream and list: what is printed is parsed, and reads the same everywhere.

use mcp::{Body, Fault, Kind, ListOf, Message, Method, Object, Params, Revision, Writer, sse};
use proptest::{
    collection::{btree_map, vec},
    prelude::*,
    strategy::ValueTree,
    test_runner::TestRunner,
};
use serde_json::value::RawValue;

use crate::{
    helper::Helper,
    mutants::compare,
    reading::{Numbers, accept, canonical},
    rng::Rng,
};

/// A JSON document whose numbers are kept as written and whose keys are distinct.
#[derive(Clone, Debug)]
enum Doc {
    Word(&'static str),
    Number(String),
    Text(String),
    List(Vec<Doc>),
    Members(Vec<(String, Doc)>),
}

fn number() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?"
}

fn document() -> impl Strategy<Value = Doc> {
    let leaf = prop_oneof![
        prop_oneof![Just("null"), Just("true"), Just("false")].prop_map(Doc::Word),
        number().prop_map(Doc::Number),
        any::<String>().prop_map(Doc::Text),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![vec(inner.clone(), 0..6).prop_map(Doc::List), members(inner).prop_map(Doc::Members)]
    })
}

fn members(inner: impl Strategy<Value = Doc>) -> impl Strategy<Value = Vec<(String, Doc)>> {
    let key = prop_oneof!["[a-z_$@ ]{0,6}", any::<String>(), Just("__proto__".to_owned()), Just("Name".to_owned())];
    btree_map(key, inner, 0..6).prop_map(|members| members.into_iter().collect()).prop_shuffle()
}

impl Doc {
    /// Prints with the spacing and the escapes that `style` takes a fancy to.
    fn print(&self, style: &mut Rng, out: &mut String) {
        space(style, out);
        match self {
            Self::Word(word) => out.push_str(word),
            Self::Number(number) => out.push_str(number),
            Self::Text(text) => quote(text, style, out),
            Self::List(items) => {
                out.push('[');
                for (n, item) in items.iter().enumerate() {
                    out.push_str(if n > 0 { "," } else { "" });
                    item.print(style, out);
                }
                space(style, out);
                out.push(']');
            }
            Self::Members(members) => {
                out.push('{');
                for (n, (key, value)) in members.iter().enumerate() {
                    out.push_str(if n > 0 { "," } else { "" });
                    space(style, out);
                    quote(key, style, out);
                    space(style, out);
                    out.push(':');
                    value.print(style, out);
                }
                space(style, out);
                out.push('}');
            }
        }
        space(style, out);
    }

    fn printed(&self, style: u64) -> String {
        let mut out = String::new();
        self.print(&mut Rng::new(style), &mut out);
        out
    }

    /// Repeats a key of the object with members that comes after `skip` others; false when there is none.
    fn repeat_key(&mut self, skip: &mut usize, value: &Doc) -> bool {
        match self {
            Self::Word(_) | Self::Number(_) | Self::Text(_) => false,
            Self::List(items) => items.iter_mut().any(|item| item.repeat_key(skip, value)),
            Self::Members(members) => {
                if !members.is_empty() && *skip == 0 {
                    let key = members[0].0.clone();
                    members.push((key, value.clone()));
                    return true;
                }
                *skip = skip.saturating_sub(usize::from(!members.is_empty()));
                members.iter_mut().any(|(_, inner)| inner.repeat_key(skip, value))
            }
        }
    }
}

fn space(style: &mut Rng, out: &mut String) {
    if style.one_in(6) {
        out.push_str(style.pick::<&str>(&[" ", "\n", "\r\n", "\t", "  "]));
    }
}

fn quote(text: &str, style: &mut Rng, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' | '/' if style.one_in(2) || c != '/' => out.extend(['\\', c]),
            _ if c < ' ' || style.one_in(12) => {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().for_each(|unit| match style.one_in(2) {
                    true => *out += &format!("\\u{unit:04x}"),
                    false => *out += &format!("\\u{unit:04X}"),
                });
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

/// A lawful request: its method and revision, and lawful params in any order among unknown ones.
fn request() -> impl Strategy<Value = (Method, Revision, Vec<(String, Doc)>)> {
    let revision = proptest::sample::select(Revision::ALL.to_vec());
    let of = |revision: Revision| {
        let methods: Vec<_> = Method::ALL.iter().copied().filter(|method| method.is_in(revision)).collect();
        (proptest::sample::select(methods), Just(revision))
    };
    revision.prop_flat_map(of).prop_flat_map(|(method, revision)| {
        let known: Vec<_> =
            method.members(revision).iter().map(|name| (Just((*name).to_owned()), member(name))).collect();
        let unknown = (Just("unknown".to_owned()), document().boxed());
        let meta = (Just("_meta".to_owned()), members(document()).prop_map(Doc::Members).boxed());
        let all: Vec<_> = known.into_iter().chain([unknown, meta]).collect();
        (Just(method), Just(revision), all.prop_shuffle())
    })
}

fn member(name: &str) -> BoxedStrategy<Doc> {
    match name {
        "name" | "uri" | "taskId" | "cursor" | "level" | "requestState" | "protocolVersion" => {
            any::<String>().prop_map(Doc::Text).boxed()
        }
        _ => members(document()).prop_map(Doc::Members).boxed(),
    }
}

fn body(method: Method, params: Vec<(String, Doc)>, style: u64) -> String {
    let text = |text: &str| Doc::Text(text.to_owned());
    let envelope = vec![
        ("params".to_owned(), Doc::Members(params)),
        ("jsonrpc".to_owned(), text("2.0")),
        ("id".to_owned(), text("i/1")),
        ("method".to_owned(), text(method.as_str())),
        ("extra".to_owned(), Doc::List(Vec::new())),
    ];
    Doc::Members(envelope).printed(style)
}

fn params(body: &str, revision: Revision) -> (Method, Params<'_>) {
    let Ok(Body::One(Message::Request(request))) = mcp::parse(body.as_bytes()) else { panic!("refused: {body}") };
    let method = request.method.unwrap();
    (method, Params::of(method, revision, &request.params).unwrap())
}

fn compact(json: &str) -> String {
    let mut out = Vec::new();
    mcp::compact(json, &mut out);
    String::from_utf8(out).unwrap()
}

proptest! {
    #[test]
    fn what_is_printed_is_parsed((method, revision, given) in request(), style: u64) {
        let text = body(method, given, style);
        let (read, first) = params(&text, revision);
        prop_assert_eq!(read, method);
        let written = String::from_utf8(Writer::request(7, method, &first)).unwrap();
        let (read, second) = params(&written, revision);
        prop_assert_eq!(read, method);
        prop_assert_eq!(first.name(), second.name());
        prop_assert_eq!(first.meta().map(compact), second.meta().map(str::to_owned));
        for member in method.members(revision) {
            prop_assert_eq!(first.get(member).map(compact), second.get(member).map(str::to_owned));
        }
        prop_assert_eq!(&compact(&written), &written, "one line, nothing between tokens");
        prop_assert_eq!(Writer::request(7, method, &second), written.into_bytes());
    }

    #[test]
    fn a_repeated_key_is_refused_at_every_depth(some in document(), skip in 0..4usize, style: u64, value in document()) {
        let mut doc = Doc::List(vec![some, Doc::Members(vec![("last".to_owned(), Doc::Word("null"))])]);
        prop_assert!(doc.repeat_key(&mut skip.clone(), &value) || doc.repeat_key(&mut 0, &value));
        let text = doc.printed(style);
        let fault = mcp::parse(text.as_bytes()).unwrap_err();
        prop_assert!(matches!(fault, Fault { kind: Kind::DuplicateKey(_), id: None }), "{fault}: {text}");
        prop_assert_eq!(fault.code(), -32600);
    }

    #[test]
    fn compaction_keeps_the_value(doc in document(), style: u64) {
        let text = doc.printed(style);
        let tight = compact(&text);
        prop_assert_eq!(&compact(&tight), &tight);
        prop_assert_eq!(canonical(&tight, Numbers::Digits), canonical(&text, Numbers::Digits));
        prop_assert!(!tight.contains(['\n', '\r', '\t']) && tight.len() <= text.len());
    }

    #[test]
    fn a_header_carries_any_text(text: String, other: String) {
        let value = mcp::encode(&text);
        prop_assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{value}");
        prop_assert_eq!(mcp::decode(value.as_bytes()).unwrap(), text.as_str());
        prop_assert_eq!(mcp::matches(value.as_bytes(), &other), text == other);
    }

    #[test]
    fn events_survive_the_wire(events in vec(event(), 0..6), cuts in vec(1..9usize, 1..40)) {
        let mut wire = Vec::new();
        events.iter().for_each(|event| sse::write(event, &mut wire));
        let (mut reader, mut read) = (sse::Reader::new(1 << 16), Vec::new());
        let (mut rest, mut cuts) = (wire.as_slice(), cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            reader.push(piece, |event| read.push(event)).unwrap();
            rest = after;
        }
        prop_assert_eq!(read, events);
    }

    #[test]
    fn a_filtered_list_keeps_the_bytes_of_what_stays(items in vec((any::<String>(), document()), 0..8), style: u64) {
        let item = |(n, (name, extra)): (usize, &(String, Doc))| {
            let members = vec![("x".to_owned(), extra.clone()), ("name".to_owned(), Doc::Text(name.clone()))];
            Doc::Members(members).printed(style ^ n as u64)
        };
        let texts: Vec<String> = items.iter().enumerate().map(item).collect();
        let result = format!("{{ \"tools\" :[{}], \"nextCursor\" : \"c\" }}", texts.join(","));
        let raw: &RawValue = serde_json::from_str(&result).unwrap();
        let keep = |name: &str| name.len().is_multiple_of(2);
        let kept = mcp::filter_list(raw, ListOf::Tools, |item| keep(item.name)).unwrap();
        let stay: Vec<&str> =
            texts.iter().zip(&items).filter(|(_, (name, _))| keep(name)).map(|(text, _)| text.trim()).collect();
        prop_assert_eq!(kept.dropped, texts.len() - stay.len());
        match kept.dropped {
            0 => prop_assert_eq!(kept.json, result),
            _ => prop_assert_eq!(kept.json, format!("{{ \"tools\" :[{}], \"nextCursor\" : \"c\" }}", stay.join(","))),
        }
    }
}

fn event() -> impl Strategy<Value = sse::Event> {
    let line = || proptest::option::of("[^\n\r\0]{0,12}");
    let data = proptest::option::of("([^\r]|\n){0,24}".prop_map(String::into_bytes));
    (line(), line(), proptest::option::of(any::<u64>()), data)
        .prop_map(|(event, id, retry, data)| sse::Event { event, id, retry, data })
        .prop_filter("an event has a field", |event| *event != sse::Event::default())
}

/// No false refusals, and no other reading anywhere, of five hundred lawful requests.
#[test]
fn lawful_requests_read_the_same_everywhere() {
    let mut runner = TestRunner::deterministic();
    let lawful = (request(), any::<u64>());
    let mut bodies = Vec::new();
    for _ in 0..500 {
        let ((method, revision, given), style) = lawful.new_tree(&mut runner).unwrap().current();
        let body = body(method, given, style).into_bytes();
        let accepted = accept(&body, revision).unwrap();
        assert_eq!(accepted.len(), 1, "refused: {}", String::from_utf8_lossy(&body));
        bodies.extend(accepted.into_iter().map(|accepted| (body.clone(), accepted)));
    }
    compare(&bodies, &mut Helper::all().lock().unwrap(), 0);
}

/// Quadratic work would keep this busy for hours.
#[test]
fn many_members_cost_linear_work() {
    let members: Vec<String> = (0..100_000).map(|n| format!("\"{n}\":0")).collect();
    let many = members.join(",");
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"A","arguments":{{{many}}},{many}}}}}"#
    );
    let (_, params) = params(&text, Revision::MODERN);
    assert_eq!(Object::read(params.get("arguments").unwrap()).unwrap().iter().count(), members.len());
    let twice = text.replacen("\"7\":0", "\"99999\":0", 1);
    assert_eq!(mcp::parse(twice.as_bytes()).unwrap_err().code(), -32600);
    let server = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{}},{many}}}"#);
    assert!(mcp::ServerMessage::read(server.as_bytes()).is_some());
}

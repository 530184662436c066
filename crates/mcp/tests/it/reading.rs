//! What the crate accepted, beside what another reader of the same bytes sees: both in one canonical form.

use mcp::{Body, Fault, Message, Object, Params, Revision, Writer};
use serde_json::{Value, value::RawValue};

/// One message that may go on: what was judged, and what would be sent.
pub(crate) struct Accepted {
    /// Its place in a batch.
    pub(crate) index: Option<usize>,
    pub(crate) id: Option<String>,
    pub(crate) method: Option<String>,
    /// Known members of `params` and their JSON text.
    pub(crate) members: Vec<(&'static str, Option<String>)>,
    pub(crate) written: Vec<u8>,
}

/// The id under which requests are written.
pub(crate) const OURS: u64 = 77;

/// Members that are rebuilt from known members of their own: the client's body may hold more.
const REBUILT: [&str; 5] = ["ref", "argument", "context", "task", "notifications"];

/// Everything in `body` that a gateway would let pass in this revision.
pub(crate) fn accept(body: &[u8], revision: Revision) -> Result<Vec<Accepted>, Fault> {
    Ok(match mcp::parse(body)? {
        Body::One(message) => pass(message, revision, None).into_iter().collect(),
        Body::Batch(elements) => {
            let each = elements.iter().enumerate();
            each.filter_map(|(n, raw)| pass(mcp::element(raw).ok()?, revision, Some(n))).collect()
        }
    })
}

fn pass(message: Message<'_>, revision: Revision, index: Option<usize>) -> Option<Accepted> {
    match message {
        Message::Request(request) => {
            let method = request.method.ok().filter(|method| method.is_in(revision))?;
            let params = Params::of(method, revision, &request.params).ok()?;
            let named = |member| match Some(member) == method.name_member() {
                true => params.name().map(mcp::string),
                false => params.get(member).map(str::to_owned),
            };
            let mut members: Vec<_> = method.members(revision).iter().map(|&member| (member, named(member))).collect();
            members.push(("_meta", params.meta().map(str::to_owned)));
            let written = Writer::request(OURS, method, &params);
            let id = Some(request.id.as_json().to_owned());
            Some(Accepted { index, id, method: Some(method.as_str().to_owned()), members, written })
        }
        Message::Notification(notification) => {
            let notice = notification.notice.ok().filter(|notice| notice.is_in(revision))?;
            let params = Params::of_notice(notice, &notification.params).ok()?;
            let get = |member: &&'static str| (*member, params.get(member).map(str::to_owned));
            let mut members: Vec<_> = notice.members().iter().map(get).collect();
            members.push(("_meta", params.meta().map(str::to_owned)));
            let written = Writer::notification(notice, &params);
            Some(Accepted { index, id: None, method: Some(notice.as_str().to_owned()), members, written })
        }
        Message::Response(response) => {
            let written = Writer::answer(response.id.as_json(), response.verdict);
            let id = Some(response.id.as_json().to_owned());
            Some(Accepted { index, id, method: None, members: Vec::new(), written })
        }
    }
}

/// How numbers are compared: by their digits, or as the doubles that most readers make of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    Digits,
    Doubles,
}

/// A message and the members of its `params` that a reader is asked for.
pub(crate) struct Query<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) index: Option<usize>,
    pub(crate) members: Vec<&'static str>,
    /// Written by us: then lax readers, too, must see nothing else.
    pub(crate) ours: bool,
}

impl Accepted {
    /// The questions about the client's bytes and about ours, with the answers that any reader must give.
    pub(crate) fn queries<'a>(&'a self, body: &'a [u8], numbers: Numbers) -> [(Query<'a>, String); 2] {
        let kept: Vec<_> = self.members.iter().filter(|(member, _)| !REBUILT.contains(member)).cloned().collect();
        let names = |members: &[(&'static str, Option<String>)]| members.iter().map(|(member, _)| *member).collect();
        let written_id = match self.method {
            Some(_) => self.id.as_ref().map(|_| OURS.to_string()),
            None => self.id.clone(),
        };
        [
            (
                Query { bytes: body, index: self.index, members: names(&kept), ours: false },
                self.answer(self.id.as_deref(), &kept, numbers),
            ),
            (
                Query { bytes: &self.written, index: None, members: names(&self.members), ours: true },
                self.answer(written_id.as_deref(), &self.members, numbers),
            ),
        ]
    }

    fn answer(&self, id: Option<&str>, members: &[(&'static str, Option<String>)], numbers: Numbers) -> String {
        let method = self.method.as_deref().map(mcp::string);
        let mut parts = vec![id, method.as_deref()];
        parts.extend(members.iter().map(|(_, raw)| raw.as_deref()));
        let canonical = |raw: Option<&str>| raw.map_or("-".to_owned(), |raw| canonical(raw, numbers));
        parts.into_iter().map(canonical).collect::<Vec<_>>().join(";")
    }
}

/// JSON text in the form that the foreign readers print, too: strings and keys in hexadecimal, members sorted.
pub(crate) fn canonical(raw: &str, numbers: Numbers) -> String {
    let raw = raw.trim_matches([' ', '\t', '\r', '\n']);
    match raw.as_bytes()[0] {
        b'n' => "z".into(),
        b't' => "t".into(),
        b'f' => "f".into(),
        b'"' => format!("\"{}", hex(serde_json::from_str::<String>(raw).unwrap())),
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(raw).unwrap();
            let items: Vec<_> = items.iter().map(|item| canonical(item.get(), numbers)).collect();
            format!("[{}]", items.join(","))
        }
        b'{' => {
            let members = Object::read(raw).expect("an accepted object has distinct keys");
            sorted(members.iter().map(|(key, value)| (hex(key), canonical(value.get(), numbers))).collect())
        }
        _ if numbers == Numbers::Digits => format!("#{raw}"),
        _ => double(raw.parse().unwrap()),
    }
}

/// What `serde_json::Value` reads.
pub(crate) fn value_reading(query: &Query<'_>) -> String {
    let Ok(mut value) = serde_json::from_slice::<Value>(query.bytes) else { return "unreadable".into() };
    if let Some(index) = query.index {
        value = value[index].take();
    }
    let params = value.get("params");
    let mut parts = vec![value.get("id"), value.get("method")];
    parts.extend(query.members.iter().map(|member| params.and_then(|params| params.get(member))));
    let parts: Vec<_> = parts.into_iter().map(|part| part.map_or("-".into(), canonical_value)).collect();
    parts.join(";")
}

fn canonical_value(value: &Value) -> String {
    match value {
        Value::Null => "z".into(),
        Value::Bool(true) => "t".into(),
        Value::Bool(false) => "f".into(),
        Value::Number(number) => double(number.as_f64().unwrap()),
        Value::String(text) => format!("\"{}", hex(text)),
        Value::Array(items) => format!("[{}]", items.iter().map(canonical_value).collect::<Vec<_>>().join(",")),
        Value::Object(members) => {
            sorted(members.iter().map(|(key, value)| (hex(key), canonical_value(value))).collect())
        }
    }
}

fn sorted(mut members: Vec<(String, String)>) -> String {
    members.sort();
    let members: Vec<_> = members.into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn double(number: f64) -> String {
    format!("#{:016x}", number.to_bits())
}

pub(crate) fn hex(text: impl AsRef<[u8]>) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    text.as_ref().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

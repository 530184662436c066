//! What a client sent: one lawful message, or an array of candidates that is never judged as a whole (R3, vector 27).

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::{
    Fault, Id, Kind, Method, Notice, Object,
    object::text,
    strict::{self, Key, NotStrict},
};

/// A body that is one strict JSON document.
#[derive(Debug)]
pub enum Body<'a> {
    One(Message<'a>),
    /// Elements to be read by [`element`], each alone. At least one.
    Batch(Vec<&'a RawValue>),
}

#[derive(Debug)]
pub enum Message<'a> {
    Request(Request<'a>),
    Notification(Notification<'a>),
    Response(Response<'a>),
}

/// A request with a lawful id. Its method may be unknown; it then goes nowhere.
#[derive(Debug)]
pub struct Request<'a> {
    pub id: Id<'a>,
    pub method: Result<Method, Cow<'a, str>>,
    pub params: Object<'a>,
}

/// A notification. Its name may be unknown; it then goes nowhere.
#[derive(Debug)]
pub struct Notification<'a> {
    pub notice: Result<Notice, Cow<'a, str>>,
    pub params: Object<'a>,
}

/// A legacy client's answer to a server's request.
#[derive(Debug)]
pub struct Response<'a> {
    pub id: Id<'a>,
    pub verdict: crate::Verdict<'a>,
}

/// Reads a whole body by the rules R1 to R5. The message borrows from `body`.
pub fn parse(body: &[u8]) -> Result<Body<'_>, Fault> {
    let text = std::str::from_utf8(body).map_err(|_| Fault::nameless(Kind::NotUtf8))?;
    if text.starts_with('\u{feff}') {
        return Err(Fault::nameless(Kind::ByteOrderMark));
    }
    strict::check(text).map_err(|refused| {
        Fault::nameless(match refused {
            NotStrict::Duplicate(at) => Kind::DuplicateKey(at),
            NotStrict::TooDeep(at) => Kind::TooDeep(at),
            NotStrict::Private(_) => Kind::Envelope("an object has a key that is private to serde_json"),
            NotStrict::Syntax(why) => Kind::NotJson(why),
        })
    })?;
    if !text.trim_ascii_start().starts_with('[') {
        return read(text).map(Body::One);
    }
    match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(elements) if elements.is_empty() => Err(Fault::nameless(Kind::Envelope("an empty batch"))),
        Ok(elements) => Ok(Body::Batch(elements)),
        Err(error) => Err(Fault::nameless(Kind::NotJson(error.to_string()))),
    }
}

/// Reads one element of a [`Body::Batch`].
pub fn element(raw: &RawValue) -> Result<Message<'_>, Fault> {
    read(raw.get())
}

/// INVARIANT: `text` has passed `strict::check`, so members are distinct at every depth.
fn read(text: &str) -> Result<Message<'_>, Fault> {
    let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(text) else {
        return Err(Fault::nameless(Kind::Envelope("a message is a JSON object")));
    };
    let id = match envelope.id {
        None => None,
        Some(raw) => match Id::read(raw) {
            Some(id) => Some(id),
            None => {
                return Err(Fault::nameless(Kind::Envelope(
                    "`id` is not a string or a 64-bit integer, or longer than 256 bytes",
                )));
            }
        },
    };
    envelope.message(id).map_err(|kind| Fault { kind, id: id.map(|id| id.as_json().into()) })
}

#[derive(Default)]
struct Envelope<'a> {
    jsonrpc: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    params: Option<Shape<'a>>,
    result: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    fn message(self, id: Option<Id<'a>>) -> Result<Message<'a>, Kind> {
        if self.jsonrpc.and_then(text).as_deref() != Some("2.0") {
            return Err(Kind::Envelope("`jsonrpc` is not \"2.0\""));
        }
        match (self.method, id) {
            (Some(_), _) if self.result.is_some() || self.error.is_some() => {
                Err(Kind::Envelope("a request has neither `result` nor `error`"))
            }
            (Some(method), id) => {
                let method = text(method).ok_or(Kind::Envelope("`method` is not a string"))?;
                let params = match self.params {
                    None => Object::default(),
                    Some(Shape::Object(params)) => params,
                    Some(Shape::Other) => return Err(Kind::Params("`params` is not an object")),
                };
                if params.get("_meta").is_some_and(|meta| !meta.get().starts_with('{')) {
                    return Err(Kind::Params("`params._meta` is not an object"));
                }
                match id {
                    Some(id) => {
                        Ok(Message::Request(Request { id, method: Method::named(&method).ok_or(method), params }))
                    }
                    // INVARIANT: a request without an id is refused, it never passes for a notification (R4)
                    None if !method.starts_with("notifications/") => Err(Kind::Envelope("a request needs an `id`")),
                    None => {
                        Ok(Message::Notification(Notification { notice: Notice::named(&method).ok_or(method), params }))
                    }
                }
            }
            (None, Some(id)) => match (self.result, self.error) {
                (Some(result), None) => Ok(Message::Response(Response { id, verdict: crate::Verdict::Result(result) })),
                (None, Some(error)) => Ok(Message::Response(Response { id, verdict: crate::Verdict::Error(error) })),
                (Some(_), Some(_)) => Err(Kind::Envelope("a response has `result` or `error`, not both")),
                (None, None) => Err(Kind::Envelope("a message has a `method`, a `result` or an `error`")),
            },
            (None, None) => Err(Kind::Envelope("a message has a `method`, or an `id` and a `result` or an `error`")),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_map(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON-RPC message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Envelope<'de>, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(key) = members.next_key_seed(Key)? {
            match key.as_ref() {
                "jsonrpc" => envelope.jsonrpc = Some(members.next_value()?),
                "id" => envelope.id = Some(members.next_value()?),
                "method" => envelope.method = Some(members.next_value()?),
                "params" => envelope.params = Some(members.next_value()?),
                "result" => envelope.result = Some(members.next_value()?),
                "error" => envelope.error = Some(members.next_value()?),
                _ => _ = members.next_value::<IgnoredAny>()?, // unknown members are dropped
            }
        }
        Ok(envelope)
    }
}

/// `params`: an object, or something that no method takes.
enum Shape<'a> {
    Object(Object<'a>),
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for Shape<'a> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("params")
    }
    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        Object::deserialize(serde::de::value::MapAccessDeserializer::new(members)).map(Shape::Object)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Shape::Other)
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Shape::Other)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Shape::Other)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Shape::Other)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Shape::Other)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Shape::Other)
    }
    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Shape::Other)
    }
}

//! The params of a known method: known members only, types checked, ready to be written anew (R5).

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{Id, Kind, Method, Notice, Object, Revision, Writer, object::text, string};

/// Names in `_meta` that this revision gives a meaning.
pub mod meta {
    pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
    pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
    pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
    /// The tasks extension, among the client's `extensions`.
    pub const TASKS: &str = "io.modelcontextprotocol/tasks";
    pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
}

/// Checked params. Members are JSON text; `name` is the judged value of the member that names what is asked for.
#[derive(Debug, Default)]
pub struct Params<'a> {
    name: Option<(&'static str, Cow<'a, str>)>,
    members: Vec<(&'static str, Cow<'a, str>)>,
    meta: Option<Cow<'a, str>>,
}

impl<'a> Params<'a> {
    /// The params of a request: required names present and of bearable length, `arguments` absent or an object, the rest by shape.
    pub fn of(method: Method, revision: Revision, given: &Object<'a>) -> Result<Self, Kind> {
        let mut params = Self { meta: meta_of(given), ..Self::default() };
        for &member in method.members(revision) {
            let Some(raw) = given.get(member) else { continue };
            if !shape(member)(raw) {
                return Err(Kind::Params(complaint(member)));
            }
            match (method.name_member(), inner_members(member)) {
                (Some(key), _) if key == member => params.name = text(raw).map(|name| (member, name)),
                (_, None) => params.members.push((member, Cow::Borrowed(raw.get()))),
                (_, Some(known)) => {
                    let inner = rebuilt(raw, known).ok_or(Kind::Params(complaint(member)))?;
                    params.members.push((member, Cow::Owned(inner)));
                }
            }
        }
        match (method.name_member(), &params.name) {
            (Some(member), None) => Err(Kind::Params(complaint(member))),
            (Some(member), Some((_, name))) if name.len() > longest(member) => {
                Err(Kind::Params("the name in `params` is too long"))
            }
            _ => Ok(params),
        }
    }

    /// The params of a notification.
    pub fn of_notice(notice: Notice, given: &Object<'a>) -> Result<Self, Kind> {
        let mut params = Self { meta: meta_of(given), ..Self::default() };
        for &member in notice.members() {
            let Some(raw) = given.get(member) else { continue };
            if !shape(member)(raw) {
                return Err(Kind::Params(complaint(member)));
            }
            params.members.push((member, Cow::Borrowed(raw.get())));
        }
        Ok(params)
    }

    /// The tool, prompt, URI or task that is asked for.
    pub fn name(&self) -> Option<&str> {
        self.name.as_ref().map(|(_, name)| name.as_ref())
    }

    /// A member's JSON text.
    pub fn get(&self, member: &str) -> Option<&str> {
        self.members.iter().find(|(name, _)| *name == member).map(|(_, raw)| raw.as_ref())
    }

    pub fn meta(&self) -> Option<&str> {
        self.meta.as_deref()
    }

    /// Puts our own JSON text in place of a member's.
    pub fn replace(&mut self, member: &str, json: String) {
        if let Some((_, raw)) = self.members.iter_mut().find(|(name, _)| *name == member) {
            *raw = Cow::Owned(json);
        }
    }

    /// Puts our own JSON text in place of a member's, whether it is there or not.
    pub fn set(&mut self, member: &'static str, json: String) {
        self.remove(member);
        self.add(member, json);
    }

    /// Adds a member of our own, as JSON text.
    pub fn add(&mut self, member: &'static str, json: String) {
        self.members.push((member, Cow::Owned(json)));
    }

    /// Takes a member out.
    pub fn remove(&mut self, member: &str) {
        self.members.retain(|(name, _)| *name != member);
    }

    /// Takes `_meta` out.
    pub fn remove_meta(&mut self) {
        self.meta = None;
    }

    /// Params that borrow from nothing: for a request that is written again later.
    pub fn into_owned(self) -> Params<'static> {
        let owned = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        Params {
            name: self.name.map(|(member, name)| (member, owned(name))),
            members: self.members.into_iter().map(|(member, raw)| (member, owned(raw))).collect(),
            meta: self.meta.map(owned),
        }
    }

    /// Puts our own JSON text in place of `_meta`.
    pub fn replace_meta(&mut self, json: String) {
        self.meta = Some(Cow::Owned(json));
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        if let Some((member, name)) = &self.name {
            out.member(member).string(name);
        }
        for (member, raw) in &self.members {
            out.member(member).json(raw);
        }
        if let Some(meta) = &self.meta {
            out.member("_meta").json(meta);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.name.is_none() && self.members.is_empty() && self.meta.is_none()
    }
}

/// In bytes. A name becomes a header on its way, and headers are short.
fn longest(member: &str) -> usize {
    match member {
        "uri" => 8192,
        "taskId" => 1024,
        _ => 256,
    }
}

fn meta_of<'a>(given: &Object<'a>) -> Option<Cow<'a, str>> {
    given.get("_meta").map(|raw| Cow::Borrowed(raw.get()))
}

/// The known members of a member that is itself judged, so that it is rebuilt like `params` are.
fn inner_members(member: &str) -> Option<&'static [&'static str]> {
    match member {
        "ref" => Some(&["type", "name", "title", "uri"]),
        "argument" => Some(&["name", "value"]),
        "context" => Some(&["arguments"]),
        "task" => Some(&["ttl"]),
        "notifications" => Some(&[
            "toolsListChanged",
            "promptsListChanged",
            "resourcesListChanged",
            "resourceSubscriptions",
            "taskIds",
        ]),
        _ => None,
    }
}

fn rebuilt(raw: &RawValue, known: &[&str]) -> Option<String> {
    let given = Object::read(raw.get())?;
    let members: Vec<String> =
        known.iter().filter_map(|key| given.get(key).map(|value| format!("{}:{}", string(key), value.get()))).collect();
    Some(format!("{{{}}}", members.join(",")))
}

fn shape(member: &str) -> fn(&RawValue) -> bool {
    match member {
        "name" | "uri" | "taskId" | "cursor" | "level" | "requestState" | "reason" | "protocolVersion" => {
            |raw| raw.get().starts_with('"')
        }
        "arguments" | "task" | "capabilities" | "clientInfo" | "ref" | "argument" | "context" | "notifications"
        | "inputResponses" => |raw| raw.get().starts_with('{'),
        "requestId" | "progressToken" => |raw| Id::read(raw).is_some(),
        _ => |_| true,
    }
}

fn complaint(member: &str) -> &'static str {
    match member {
        "name" => "`params.name` is not a string",
        "uri" => "`params.uri` is not a string",
        "taskId" => "`params.taskId` is not a string",
        "arguments" => "`params.arguments` is not an object",
        "cursor" => "`params.cursor` is not a string",
        "requestId" => "`params.requestId` is not a string or a 64-bit integer",
        "progressToken" => "`params.progressToken` is not a string or a 64-bit integer",
        _ => "a member of `params` has the wrong type",
    }
}

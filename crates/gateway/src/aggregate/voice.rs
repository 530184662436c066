//! What one server says, as the client of the aggregate hears it: names of its own become names of the aggregate.
//!
//! A name whose key is written with escapes may be missed; it then names nothing here, and leads nowhere.

use std::sync::Arc;
use std::time::SystemTime;

use mcp::{Era, ListOf, Method, Object, ServerMessage, ServerNotice, Verdict, Writer};
use serde_json::value::RawValue;

use super::{CARRIED, names};
use crate::agent;
use crate::pipeline::Shared;

const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";
const INVALID_PARAMS: i64 = -32602;

pub(super) struct Voice {
    pub(super) shared: Arc<Shared>,
    pub(super) server: Arc<str>,
    pub(super) key: Arc<str>,
    pub(super) description: Arc<str>,
    pub(super) agent: Arc<str>,
    pub(super) era: Era,
    /// What is being answered; none for streams of a session.
    pub(super) asked: Option<Asked>,
}

/// A request as the server and as the client know it.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) inner: Box<str>,
    pub(super) outer: Box<str>,
}

pub(super) enum Heard {
    Answer(Vec<u8>),
    Message(Vec<u8>),
    /// The server says that a list has changed. Whether the client would see that is to be looked up.
    Changed(ListOf),
    /// What a subscription was granted.
    Granted(Box<RawValue>),
}

impl Voice {
    /// One message of the mount's. None for what stops here.
    pub(super) fn hear(&self, message: &[u8]) -> Option<Heard> {
        match ServerMessage::read(message)? {
            ServerMessage::Answer(answer) => {
                let id = answer.id.map(|id| id.as_json());
                let Some(id) = id else { return Some(Heard::Answer(message.to_vec())) };
                let changed = match answer.verdict {
                    Verdict::Result(result) => self.result(result.get()).map(|json| Writer::result(id, &json)),
                    Verdict::Error(error) => self.error(error.get()).map(|json| error_answer(id, &json)),
                };
                Some(Heard::Answer(changed.unwrap_or_else(|| message.to_vec())))
            }
            ServerMessage::Request { id, method, params } => {
                let id = mcp::string(&names::wrap_id(&self.server, id.as_json()));
                let params = params.map(|params| self.requested(params.get()));
                Some(Heard::Message(request(&id, &method, params.as_deref())))
            }
            ServerMessage::Notification { method, params } => self.notice(&method, params, message),
        }
    }

    fn notice(&self, method: &str, params: Option<&RawValue>, whole: &[u8]) -> Option<Heard> {
        let params = params.map(RawValue::get);
        let wrapped = |path: &[&str], wrap: fn(&str, &str) -> String| {
            let params = params?;
            Some(Writer::server_message(None, method, Some(&self.wrap(params, path, wrap)?)))
        };
        let message = match ServerNotice::named(method)? {
            ServerNotice::ToolsChanged => return Some(Heard::Changed(ListOf::Tools)),
            ServerNotice::PromptsChanged => return Some(Heard::Changed(ListOf::Prompts)),
            ServerNotice::ResourcesChanged => return Some(Heard::Changed(ListOf::Resources)),
            ServerNotice::Acknowledged => {
                let granted = Object::read(params?)?.get("notifications")?;
                return Some(Heard::Granted(granted.to_owned()));
            }
            ServerNotice::ResourceUpdated => wrapped(&["uri"], names::wrap_uri)?,
            ServerNotice::Tasks | ServerNotice::TaskStatus => {
                Writer::server_message(None, method, Some(&self.tasks(params?.to_owned())))
            }
            // In legacy it withdraws a request of the server's; in modern, the client's own id says what is over.
            ServerNotice::Cancelled if self.era == Era::Legacy => {
                let id = Object::read(params?)?.get("requestId")?.get();
                let id = mcp::string(&names::wrap_id(&self.server, id));
                Writer::server_message(None, method, Some(&mcp::replace(params?, &["requestId"], &id)?))
            }
            ServerNotice::Cancelled
            | ServerNotice::Progress
            | ServerNotice::Message
            | ServerNotice::ElicitationComplete => whole.to_vec(),
        };
        Some(Heard::Message(message))
    }

    /// The params of a server's request.
    fn requested(&self, params: &str) -> String {
        let params = self.tasks(params.to_owned());
        let meta = Object::read(&params).and_then(|params| params.object("_meta"));
        let token = meta.and_then(|meta| meta.get("progressToken")).map(RawValue::get);
        let wrapped = token.and_then(|token| {
            let token = mcp::string(&names::wrap_id(&self.server, token));
            mcp::replace(&params, &["_meta", "progressToken"], &token)
        });
        wrapped.unwrap_or(params)
    }

    /// The result to write instead of the one that came, if any.
    fn result(&self, result: &str) -> Option<String> {
        let asked = self.asked.as_ref()?;
        let mut json = result.to_owned();
        json = self.tasks(json);
        if json.contains("requestState") {
            let home = agent::home(&self.agent);
            let about = state(&self.description, &self.agent, &home);
            let state = Object::read(&json).and_then(|result| result.text("requestState"));
            let until = SystemTime::now() + CARRIED;
            let sealed = state.and_then(|state| self.shared.vault.carry(&about, state.as_bytes(), until));
            let sealed = sealed.and_then(|sealed| mcp::replace(&json, &["requestState"], &mcp::string(&sealed)));
            json = sealed.unwrap_or(json);
        }
        if json.contains("\"uri\"") {
            json = self.uris(asked.method, json);
        }
        (json != result).then_some(json)
    }

    /// URIs in what a result shows: a client must be able to read what it is pointed to.
    fn uris(&self, method: Method, mut json: String) -> String {
        let paths: [&[&str]; 3] = [&["content"], &["contents"], &["result", "content"]];
        for path in paths {
            let blocks = at(&json, path).and_then(|blocks| self.blocks(blocks.get()));
            json = blocks.and_then(|blocks| mcp::replace(&json, path, &blocks)).unwrap_or(json);
        }
        if method == Method::PromptsGet {
            let messages = at(&json, &["messages"]).and_then(|messages| {
                each(messages.get(), |message| {
                    let content = Object::read(message)?.get("content")?.get();
                    let content = if content.starts_with('[') { self.blocks(content) } else { self.block(content) };
                    mcp::replace(message, &["content"], &content?)
                })
            });
            json = messages.and_then(|messages| mcp::replace(&json, &["messages"], &messages)).unwrap_or(json);
        }
        json
    }

    fn blocks(&self, blocks: &str) -> Option<String> {
        each(blocks, |block| self.block(block))
    }

    /// A resource link, an embedded resource, or the contents of a resource that was read.
    fn block(&self, block: &str) -> Option<String> {
        let content = Object::read(block)?;
        match content.text("type").as_deref() {
            Some("resource") => self.wrap(block, &["resource", "uri"], names::wrap_uri),
            Some("resource_link") | None => self.wrap(block, &["uri"], names::wrap_uri),
            Some(_) => None,
        }
    }

    /// Task ids, wherever a message of the protocol's has one.
    fn tasks(&self, mut json: String) -> String {
        if json.contains("taskId") {
            let paths: [&[&str]; 3] = [&["taskId"], &["task", "taskId"], &["_meta", RELATED_TASK, "taskId"]];
            for path in paths {
                json = self.wrap(&json, path, names::wrap_id).unwrap_or(json);
            }
        }
        json
    }

    fn wrap(&self, json: &str, path: &[&str], wrap: fn(&str, &str) -> String) -> Option<String> {
        let name: String = serde_json::from_str(at(json, path)?.get()).ok()?;
        mcp::replace(json, path, &mcp::string(&wrap(&self.server, &name)))
    }

    /// What a server does not know is named as the client named it: as it is named where no server is asked.
    fn error(&self, error: &str) -> Option<String> {
        let asked = self.asked.as_ref()?;
        let object = Object::read(error)?;
        let message = object.text("message")?;
        let unknown = object.get("code")?.get().parse() == Ok(INVALID_PARAMS) && message.starts_with("Unknown ");
        let kind = message.strip_suffix(&*asked.inner).filter(|kind| unknown && kind.ends_with(": "));
        match kind {
            Some(kind) => mcp::replace(error, &["message"], &mcp::string(&format!("{kind}{}", asked.outer))),
            None => self.wrap(error, &["data", "uri"], names::wrap_uri),
        }
    }
}

/// What a sealed request state is about: the server that gave it out, and the agent that it was given to.
pub(super) fn state<'a>(server: &'a str, agent: &'a str, home: &'a str) -> [&'a str; 4] {
    ["state", server, agent, home]
}

fn at<'a>(json: &'a str, path: &[&str]) -> Option<&'a RawValue> {
    let (last, chain) = path.split_last()?;
    let object = chain.iter().try_fold(Object::read(json)?, |object, step| object.object(step))?;
    object.get(last)
}

/// The array with some of its elements changed; none where nothing is.
fn each(array: &str, change: impl Fn(&str) -> Option<String>) -> Option<String> {
    let items: Vec<&RawValue> = serde_json::from_str(array).ok()?;
    let changed: Vec<Option<String>> = items.iter().map(|item| change(item.get())).collect();
    if changed.iter().all(Option::is_none) {
        return None;
    }
    let items = items.iter().zip(changed).map(|(item, changed)| changed.unwrap_or_else(|| item.get().to_owned()));
    Some(format!("[{}]", items.collect::<Vec<_>>().join(",")))
}

fn error_answer(id: &str, error: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#).into_bytes()
}

fn request(id: &str, method: &str, params: Option<&str>) -> Vec<u8> {
    let params = params.map(|params| format!(r#","params":{params}"#)).unwrap_or_default();
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{}{params}}}"#, mcp::string(method)).into_bytes()
}

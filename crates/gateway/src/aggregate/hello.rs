//! How the aggregate introduces itself: what all its servers together can do, as far as it can relay that, and what they say of themselves.

use std::sync::Arc;

use futures_util::future::join_all;
use mcp::{Method, Object, Request, ServerMessage, Verdict};
use serde_json::{Map, Value, json};

use super::asker::{self, Asker, Outgoing};
use super::{SERVER_INFO, UNAVAILABLE, events};
use crate::refusal::Addressee;
use crate::reply::Reply;
use crate::server::Server;

/// Bytes of one server's instructions that are passed on, and of all together.
const MAX_INSTRUCTIONS: usize = 4 << 10;
const MAX_ALL_INSTRUCTIONS: usize = 32 << 10;

/// What a server said of itself, as JSON text: a result of `initialize` or `server/discover`. None where it could not be asked.
pub(super) type Greeting = (Arc<str>, Option<Arc<str>>);

pub(super) async fn discover(asker: &Asker, request: &Request<'_>, to: &Addressee) -> Reply {
    let meta = asker.meta(request).map(|meta| format!("{{\"_meta\":{meta}}}")).unwrap_or_else(|| "{}".to_owned());
    let greetings = join_all(asker.servers().map(|server| {
        let out = Outgoing::new(to, Method::Discover, None, meta.clone());
        async move { (Arc::clone(&server.id), greeting(asker, server, &out).await) }
    }))
    .await;
    let mut result = introduction(asker, &greetings);
    result.insert("supportedVersions".to_owned(), json!([mcp::Revision::MODERN.as_str()]));
    result.extend(asker.kept(0));
    asker::result(to, &asker.own(result, unavailable(&greetings).into_iter().collect()))
}

async fn greeting(asker: &Asker, server: &Arc<Server>, out: &Outgoing) -> Option<Arc<str>> {
    let answer = asker.patiently(server, async {
        events::answer(asker.send(server, out).await, asker.pipeline.shared.bounds.event).await
    });
    let answer = answer.await.ok().flatten();
    let answer = answer.as_deref().and_then(ServerMessage::read);
    let Some(ServerMessage::Answer(mcp::Answer { verdict: Verdict::Result(result), .. })) = answer else {
        tracing::warn!(server = %server.id, "left out of an introduction");
        return None;
    };
    Some(result.get().into())
}

/// The servers that could not be asked, where there are any.
pub(super) fn unavailable(greetings: &[Greeting]) -> Option<(String, Value)> {
    let gone: Vec<&str> = greetings.iter().filter(|(_, said)| said.is_none()).map(|(id, _)| &**id).collect();
    (!gone.is_empty()).then(|| (UNAVAILABLE.to_owned(), json!(gone)))
}

/// `capabilities` and `instructions`.
pub(super) fn introduction(asker: &Asker, greetings: &[Greeting]) -> Map<String, Value> {
    let said: Vec<(&str, Value)> = greetings
        .iter()
        .filter_map(|(id, said)| Some((&**id, serde_json::from_str::<Value>(said.as_deref()?).ok()?)))
        .collect();
    let declared: Vec<&Value> = said.iter().filter_map(|(_, said)| said.get("capabilities")).collect();
    let mut result = Map::new();
    let some_are_missing = said.len() < greetings.len();
    result.insert("capabilities".to_owned(), capabilities(asker, &declared, some_are_missing));
    let instructions = instructions(&said);
    if !instructions.is_empty() {
        result.insert("instructions".to_owned(), json!(instructions));
    }
    result
}

/// What is declared is what the aggregate relays; of that, what some server can do.
fn capabilities(asker: &Asker, declared: &[&Value], some_are_missing: bool) -> Value {
    let any = |pointer: &str| declared.iter().any(|one| one.pointer(pointer).is_some_and(|it| *it != json!(false)));
    let flags = |of: &str, flags: &[&str]| {
        let set = flags.iter().filter(|flag| any(&format!("/{of}/{flag}")));
        Value::Object(set.map(|flag| ((*flag).to_owned(), json!(true))).collect())
    };
    let mut all = Map::new();
    // With discovery there are two tools, for ever.
    let changing: &[&str] = if asker.aggregate().settings.discovery { &[] } else { &["listChanged"] };
    all.insert("tools".to_owned(), flags("tools", changing));
    // A server that is away may have them.
    if any("/prompts") || some_are_missing {
        all.insert("prompts".to_owned(), flags("prompts", &["listChanged"]));
    }
    if any("/resources") || some_are_missing {
        all.insert("resources".to_owned(), flags("resources", &["subscribe", "listChanged"]));
    }
    for plain in ["completions", "logging"] {
        if any(&format!("/{plain}")) {
            all.insert(plain.to_owned(), json!({}));
        }
    }
    let tasks = "/extensions/io.modelcontextprotocol~1tasks";
    if asker.is_modern() && any(tasks) {
        all.insert("extensions".to_owned(), json!({ mcp::meta::TASKS: {} }));
    }
    if asker.joint().is_some_and(|joint| Method::TasksList.is_in(joint.revision)) && any("/tasks") {
        all.insert("tasks".to_owned(), tasks_of(&any));
    }
    Value::Object(all)
}

fn tasks_of(any: &dyn Fn(&str) -> bool) -> Value {
    let mut tasks = Map::new();
    for plain in ["list", "cancel"] {
        if any(&format!("/tasks/{plain}")) {
            tasks.insert(plain.to_owned(), json!({}));
        }
    }
    if any("/tasks/requests/tools/call") {
        tasks.insert("requests".to_owned(), json!({ "tools": { "call": {} } }));
    }
    Value::Object(tasks)
}

/// Each server's words under its name, so that nobody takes them for another's.
fn instructions(said: &[(&str, Value)]) -> String {
    let mut all = String::new();
    for (id, said) in said {
        let words = said.get("instructions").and_then(Value::as_str).unwrap_or_default().trim();
        if words.is_empty() {
            continue;
        }
        let words = cut(words, MAX_INSTRUCTIONS);
        if all.len() + id.len() + words.len() > MAX_ALL_INSTRUCTIONS {
            tracing::warn!(server = %id, "its instructions were left out: all together are too long");
            continue;
        }
        let gap = if all.is_empty() { "" } else { "\n\n" };
        all.push_str(&format!("{gap}## {id}\n\n{words}"));
    }
    all
}

fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// The revision that a server of a session agreed to is its own matter; this is what the client hears.
pub(super) fn initialized(asker: &Asker, revision: mcp::Revision, greetings: &[Greeting]) -> String {
    let mut result = introduction(asker, greetings);
    result.insert("protocolVersion".to_owned(), json!(revision.as_str()));
    result.insert("serverInfo".to_owned(), SERVER_INFO.clone());
    asker.own(result, unavailable(greetings).into_iter().collect())
}

/// `initialize` params as servers are told them: the revision that was chosen, and the client's own words.
pub(super) fn hello(params: &mcp::Params<'_>, revision: mcp::Revision) -> String {
    let said = ["capabilities", "clientInfo"].map(|member| Some((member, params.get(member)?)));
    let empty = Object::default();
    let version = mcp::string(revision.as_str());
    let members = said.into_iter().flatten().chain([("protocolVersion", version.as_str())]);
    empty.amended(&[], &members.collect::<Vec<_>>())
}

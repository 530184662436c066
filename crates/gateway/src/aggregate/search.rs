//! Progressive discovery: two tools in place of hundreds, one that finds tools and one that calls them.
//!
//! The inner call is the call: it takes the way of a direct one, and the rules of its server judge it by its own name.

use std::sync::Arc;

use futures_util::future::join_all;
use http::{HeaderName, HeaderValue};
use mcp::{Object, Params, Request, Revision};
use policy::Subject;
use serde_json::{Map, Value, json};

use super::asker::{self, Asker, Who};
use super::drain::{From, MAX_ITEMS, Wanted, drain};
use super::kind::Kind;
use super::{NAME, UNAVAILABLE, calls, names};
use crate::catalogue::Asking;
use crate::record::About;
use crate::refusal::{Addressee, Refused};
use crate::reply::Reply;

const SEARCH: &str = "search_tools";
const CALL: &str = "call_tool";

/// Tools that a search finds, unless it says otherwise, and at most.
const FOUND: u64 = 10;
const MOST_FOUND: u64 = 50;

/// Words of a query that are looked for.
const MAX_WORDS: usize = 32;

/// The two tools.
pub(super) fn list(asker: &Asker, to: &Addressee) -> Reply {
    let tools = json!([
        {
            "name": SEARCH,
            "description": "Finds tools of the servers behind this gateway by words in their names and descriptions. \
                Returns their definitions; call one with `call_tool`.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "query": { "type": "string", "description": "What the tool should do, in a few words." },
                    "limit": { "type": "integer", "minimum": 1, "maximum": MOST_FOUND, "default": FOUND },
                },
                "required": ["query"],
            },
            "annotations": { "readOnlyHint": true },
        },
        {
            "name": CALL,
            "description": "Calls a tool that `search_tools` found, with arguments as its `inputSchema` says.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "name": { "type": "string", "description": "The tool's name as `search_tools` gave it." },
                    "arguments": { "type": "object", "description": "The tool's own arguments." },
                },
                "required": ["name"],
            },
        },
    ]);
    let mut result = Map::from_iter([("tools".to_owned(), tools)]);
    result.extend(asker.kept(super::MAX_TTL));
    asker::result(to, &asker.own(result, Map::new()))
}

pub(super) async fn call(
    asker: &Asker,
    request: &Request<'_>,
    params: &Params<'_>,
    to: Addressee,
) -> Result<Reply, Refused> {
    match params.name() {
        Some(SEARCH) => {
            // It finds what lists show anyway: no rule is asked, and it owes nothing.
            let (agent, proof) = (&asker.agent().key, &asker.agent().proof);
            let about = About { server: NAME, agent, proof, method: "tools/call", subject: Some(SEARCH), policy: "" };
            about.allowed("(gateway)", None);
            asker.pipeline.shared.audit.own(&about, &to);
            search(asker, request, &to).await
        }
        Some(CALL) => inner(asker, request, to).await,
        _ => calls::call(asker, mcp::Method::ToolsCall, request, params, to).await,
    }
}

/// The call that is meant, in place of the one that carries it.
async fn inner(asker: &Asker, request: &Request<'_>, to: Addressee) -> Result<Reply, Refused> {
    let carried = request.params.object("arguments").unwrap_or_default();
    let Some(name) = carried.text("name") else {
        return Ok(failed(asker, &to, "`call_tool` needs the `name` of a tool, and its `arguments` as an object"));
    };
    let with = carried.get("arguments").map(|arguments| ("arguments", arguments.get()));
    let without: &[&str] = if with.is_some() { &[] } else { &["arguments"] };
    let name = mcp::string(&name);
    let with: Vec<(&str, &str)> = with.into_iter().chain([("name", name.as_str())]).collect();
    let meant = request.params.amended(without, &with);
    let meant =
        Request { id: request.id, method: request.method.clone(), params: Object::read(&meant).unwrap_or_default() };
    let revision = asker.joint().map_or(Revision::MODERN, |joint| joint.revision);
    let params = Params::of(mcp::Method::ToolsCall, revision, &meant.params).map_err(|kind| to.params(kind))?;
    let asker = mirrored(asker, &params).await;
    calls::call(&asker, mcp::Method::ToolsCall, &meant, &params, to).await
}

/// With the headers that a client of the tool's own server would send: this client knows nothing of them.
async fn mirrored(asker: &Asker, params: &Params<'_>) -> Asker {
    let mut asker = asker.clone();
    let target = params.name().and_then(names::split);
    let target = target.and_then(|(server, name)| Some((Arc::clone(asker.server(server)?), name)));
    let (Who::Modern { agent, headers }, Some((server, name))) = (&mut asker.who, target) else { return asker };
    let upstream = asker.pipeline.upstream(&server, agent);
    let listed = upstream.policy().current().policy.lists(Subject::Tool(name));
    if !listed || !server.era.is_modern(&upstream).await.unwrap_or(false) {
        return asker;
    }
    let asking = Asking { upstream: &upstream, session: None };
    let mirrors = server.catalogue.tool(name, &asking).await.ok().flatten().unwrap_or_default();
    let arguments = params.get("arguments");
    let headers = Arc::make_mut(headers);
    for mirror in mirrors {
        let value = mirror.written(arguments).and_then(|value| HeaderValue::from_str(&value).ok());
        if let (Ok(name), Some(value)) = (mirror.header.parse::<HeaderName>(), value) {
            headers.insert(name, value);
        }
    }
    asker
}

/// Looks through what the agent may use: the lists of all servers, as their mounts give them.
async fn search(asker: &Asker, request: &Request<'_>, to: &Addressee) -> Result<Reply, Refused> {
    let arguments = request.params.object("arguments").unwrap_or_default();
    let Some(query) = arguments.text("query") else {
        return Ok(failed(asker, to, "`search_tools` needs a `query`: what the tool should do, in a few words"));
    };
    let limit = arguments.get("limit").and_then(|limit| limit.get().parse().ok()).unwrap_or(FOUND);
    let limit = usize::try_from(limit.clamp(1, MOST_FOUND)).unwrap_or(1);
    let wanted = Wanted { to: to.clone(), meta: asker.meta(request) };
    let servers: Vec<_> = asker.servers().collect();
    let lists =
        join_all(servers.iter().map(|server| drain(asker, server, Kind::Tools, &wanted, From::default(), MAX_ITEMS)))
            .await;
    let (mut found, mut unavailable) = (Vec::new(), Vec::new());
    let words: Vec<String> = words(&query).take(MAX_WORDS).collect();
    for (server, list) in servers.iter().zip(lists) {
        match list {
            Ok(list) => found.extend(list.items.into_iter().filter_map(|item| {
                let score = score(&words, &query, &item.json);
                (score > 0).then_some((score, item.json))
            })),
            Err(_) => unavailable.push(&*server.id),
        }
    }
    // Stable: equals stay in the order of the lists.
    found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    let found: Vec<&str> = found.iter().take(limit).map(|(_, json)| json.as_str()).collect();
    let text = match found.is_empty() {
        true => "no tool matches: try other words".to_owned(),
        false => format!("[{}]", found.join(",\n")),
    };
    let mut about = Map::new();
    if !unavailable.is_empty() {
        about.insert(UNAVAILABLE.to_owned(), json!(unavailable));
    }
    Ok(asker::result(to, &asker.own(said(&text), about)))
}

fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase)
}

/// A word in the name counts for more than one in the title, and that for more than one in the description.
fn score(words: &[String], query: &str, tool: &str) -> u32 {
    let Some(tool) = Object::read(tool) else { return 0 };
    let text = |key| tool.text(key).map(|text| text.to_lowercase()).unwrap_or_default();
    let (name, title, description) = (text("name"), text("title"), text("description"));
    let exact = u32::from(name == query.trim().to_lowercase()) * 1_000;
    let each = words.iter().map(|word| {
        let in_name = u32::from(name.contains(word)) * 10;
        in_name + u32::from(title.contains(word)) * 5 + u32::from(description.contains(word))
    });
    exact + each.sum::<u32>()
}

fn said(text: &str) -> Map<String, Value> {
    Map::from_iter([("content".to_owned(), json!([{ "type": "text", "text": text }]))])
}

fn failed(asker: &Asker, to: &Addressee, why: &str) -> Reply {
    let mut result = said(why);
    result.insert("isError".to_owned(), json!(true));
    asker::result(to, &asker.own(result, Map::new()))
}

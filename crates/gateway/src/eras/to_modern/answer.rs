//! What a modern answer means to a legacy client. Members that only modern has go; all others stay byte for byte.

use mcp::{ListOf, Method, Object, ServerMessage, Verdict, Writer};
use serde_json::value::RawValue;

use super::asking::Wanted;
use crate::upstream::UpstreamError;

/// Requests to the client in one answer of the server's.
const MAX_INPUTS: usize = 16;

/// Modern's code for a missing resource, among others, and legacy's.
const INVALID_PARAMS: f64 = -32602.0;
const NO_RESOURCE: &str = "-32002";

const HEADER_MISMATCH: f64 = -32020.0;
const MISSING_CAPABILITY: f64 = -32021.0;
const UNSUPPORTED_VERSION: f64 = -32022.0;

/// What to do with an answer.
pub(super) enum Step {
    /// The answer for the client, under our id.
    Done(Vec<u8>),
    /// The server misses or disputes headers that mirror arguments: what we know of its tools is old.
    Stale,
    Input(Input),
    /// The JSON text of the task that the server made.
    Task(Box<str>),
}

/// What the server needs before it goes on.
pub(super) struct Input {
    pub(super) wanted: Vec<Wanted>,
    /// JSON text, to be given back exactly.
    pub(super) state: Option<Box<str>>,
}

/// How the request that left as `sent` ended.
pub(super) fn verdict(bytes: &[u8], sent: u64) -> Result<Verdict<'_>, UpstreamError> {
    let Some(ServerMessage::Answer(answer)) = ServerMessage::read(bytes) else {
        return Err(UpstreamError::NotAnAnswer);
    };
    match (answer.id.map(|id| id.ours() == Some(sent)), answer.verdict) {
        (Some(true), verdict) => Ok(verdict),
        (None, Verdict::Error(error)) => Ok(Verdict::Error(error)),
        (Some(false), _) | (None, Verdict::Result(_)) => Err(UpstreamError::NotAnAnswer),
    }
}

/// Reads the answer to what the client's side knows as `ours`.
pub(super) fn read(bytes: &[u8], asked: &Asked, sent: u64, ours: u64) -> Result<Step, UpstreamError> {
    let ours = ours.to_string();
    match verdict(bytes, sent)? {
        Verdict::Result(result) => read_result(result, asked, &ours),
        Verdict::Error(error) if asked.method == Method::ToolsCall && code(error) == Some(HEADER_MISMATCH) => {
            Ok(Step::Stale)
        }
        Verdict::Error(error) => self::error(error, asked.method, &ours).map(Step::Done),
    }
}

/// What was asked for.
pub(super) struct Asked {
    pub(super) method: Method,
    /// May the answer be a task?
    pub(super) as_task: bool,
    /// Does the client know that tools may be called as tasks?
    pub(super) tells_tasks: bool,
}

/// However the number is written.
fn code(error: &RawValue) -> Option<f64> {
    Object::read(error.get())?.get("code")?.get().parse().ok()
}

/// May a modern server have said this with an error status?
pub(super) fn is_modern(bytes: &[u8]) -> bool {
    let Some(ServerMessage::Answer(mcp::Answer { verdict: Verdict::Error(error), .. })) = ServerMessage::read(bytes)
    else {
        return false;
    };
    code(error).is_some_and(|code| (-32022.0..=-32020.0).contains(&code) || (-32603.0..=-32600.0).contains(&code))
}

/// An error as legacy writes it.
pub(super) fn error(error: &RawValue, method: Method, ours: &str) -> Result<Vec<u8>, UpstreamError> {
    match code(error) {
        // What is wrong there is ours, and no client could do anything about it.
        Some(code @ (HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION)) => {
            tracing::warn!(code, "a modern server refused how it was asked");
            Err(UpstreamError::Misspoken(code))
        }
        Some(INVALID_PARAMS) if method == Method::ResourcesRead => {
            let moved = mcp::replace(error.get(), &["code"], NO_RESOURCE).ok_or(UpstreamError::NotAnAnswer)?;
            let moved: Box<RawValue> = RawValue::from_string(moved).map_err(|_| UpstreamError::NotAnAnswer)?;
            Ok(Writer::answer(ours, Verdict::Error(&moved)))
        }
        _ => Ok(Writer::answer(ours, Verdict::Error(error))),
    }
}

fn read_result(result: &RawValue, asked: &Asked, ours: &str) -> Result<Step, UpstreamError> {
    let members = Object::read(result.get()).ok_or(UpstreamError::NotAnAnswer)?;
    match members.text("resultType").as_deref() {
        Some("complete") => {}
        None if members.get("resultType").is_none() => {}
        Some("input_required") if is_interactive(asked.method) => return input(&members).map(Step::Input),
        Some("task") if asked.as_task => return Ok(Step::Task(result.get().into())),
        Some(_) | None => return Err(UpstreamError::NotAnAnswer),
    }
    Ok(Step::Done(Writer::result(ours, &complete(&members, asked.method, asked.tells_tasks)?)))
}

/// A result as legacy writes it.
pub(super) fn result(result: &RawValue, method: Method) -> Result<String, UpstreamError> {
    complete(&Object::read(result.get()).ok_or(UpstreamError::NotAnAnswer)?, method, false)
}

fn is_interactive(method: Method) -> bool {
    matches!(method, Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead)
}

/// Of a result or a task that needs input.
pub(super) fn input(members: &Object<'_>) -> Result<Input, UpstreamError> {
    let unreadable = || UpstreamError::NotAnAnswer;
    let state = match members.get("requestState") {
        None => None,
        Some(state) if state.get().starts_with('"') => Some(state.get().into()),
        Some(_) => return Err(unreadable()),
    };
    let requests = match members.get("inputRequests") {
        None => Object::default(),
        Some(requests) => Object::read(requests.get()).ok_or_else(unreadable)?,
    };
    let wanted: Option<Vec<_>> = requests.iter().map(|(key, request)| Wanted::read(key, request)).collect();
    match wanted.filter(|wanted| wanted.len() <= MAX_INPUTS) {
        Some(wanted) if state.is_some() || !wanted.is_empty() => Ok(Input { wanted, state }),
        Some(_) | None => Err(unreadable()),
    }
}

fn complete(members: &Object<'_>, method: Method, tells_tasks: bool) -> Result<String, UpstreamError> {
    let mut without = vec!["resultType"];
    if method.lists().is_some() || method == Method::ResourcesRead {
        without.extend(["ttlMs", "cacheScope"]);
    }
    if method == Method::ToolsCall && members.get("structuredContent").is_some_and(|content| !is_object(content)) {
        without.push("structuredContent"); // legacy has objects only; the content says the same in text
    }
    if method != Method::ToolsList {
        return Ok(members.amended(&without, &[]));
    }
    let tools = tools(members, tells_tasks).ok_or(UpstreamError::Unfilterable)?;
    Ok(members.amended(&without, &[(ListOf::Tools.member(), &tools)]))
}

/// The tools whose mirrored arguments are declared as they must be, each with an `outputSchema` that legacy knows or none.
fn tools(members: &Object<'_>, tells_tasks: bool) -> Option<String> {
    let listed: Vec<&RawValue> = serde_json::from_str(members.get(ListOf::Tools.member())?.get()).ok()?;
    let lawful = listed.iter().filter(|tool| {
        let lawful = mcp::mirrors(tool).is_some();
        if !lawful {
            let name = Object::read(tool.get()).and_then(|tool| Some(crate::record::visible(&tool.text("name")?)));
            tracing::warn!(tool = name, "a tool was left out: its `x-mcp-header` are not lawful");
        }
        lawful
    });
    let tools: Vec<String> = lawful.map(|tool| as_legacy(tool, tells_tasks)).collect();
    Some(format!("[{}]", tools.join(",")))
}

fn as_legacy(tool: &RawValue, tells_tasks: bool) -> String {
    let members = Object::read(tool.get()).unwrap_or_default();
    let root = |schema: &RawValue| Object::read(schema.get())?.text("type").map(|named| named == "object");
    let foreign = members.get("outputSchema").is_some_and(|schema| root(schema) != Some(true));
    let tells = tells_tasks && members.get("execution").is_none();
    if !foreign && !tells {
        return tool.get().to_owned();
    }
    let without: &[&str] = if foreign { &["outputSchema"] } else { &[] };
    let with: &[(&str, &str)] = if tells { &[("execution", r#"{"taskSupport":"optional"}"#)] } else { &[] };
    members.amended(without, with)
}

fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

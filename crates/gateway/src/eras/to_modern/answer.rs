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
}

/// What the server needs before it goes on.
pub(super) struct Input {
    pub(super) wanted: Vec<Wanted>,
    /// JSON text, to be given back exactly.
    pub(super) state: Option<Box<str>>,
}

/// Reads the answer to the request that left as `sent`, and that the client's side knows as `ours`.
pub(super) fn read(bytes: &[u8], method: Method, sent: u64, ours: u64) -> Result<Step, UpstreamError> {
    let Some(ServerMessage::Answer(answer)) = ServerMessage::read(bytes) else {
        return Err(UpstreamError::NotAnAnswer);
    };
    let ours = ours.to_string();
    match (answer.id.map(|id| id.ours() == Some(sent)), answer.verdict) {
        (Some(true), Verdict::Result(result)) => read_result(result, method, &ours),
        (Some(true) | None, Verdict::Error(error)) => read_error(error, method, &ours),
        (Some(false), _) | (None, Verdict::Result(_)) => Err(UpstreamError::NotAnAnswer),
    }
}

fn read_error(error: &RawValue, method: Method, ours: &str) -> Result<Step, UpstreamError> {
    // However the number is written.
    let code = Object::read(error.get()).and_then(|error| error.get("code")?.get().parse::<f64>().ok());
    match code {
        Some(HEADER_MISMATCH) if method == Method::ToolsCall => Ok(Step::Stale),
        // What is wrong there is ours, and no client could do anything about it.
        Some(code @ (HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION)) => {
            tracing::warn!(error = %crate::record::visible(error.get()), "a modern server refused how it was asked");
            Err(UpstreamError::Misspoken(code))
        }
        Some(INVALID_PARAMS) if method == Method::ResourcesRead => {
            let moved = mcp::replace(error.get(), &["code"], NO_RESOURCE).ok_or(UpstreamError::NotAnAnswer)?;
            let moved: Box<RawValue> = RawValue::from_string(moved).map_err(|_| UpstreamError::NotAnAnswer)?;
            Ok(Step::Done(Writer::answer(ours, Verdict::Error(&moved))))
        }
        _ => Ok(Step::Done(Writer::answer(ours, Verdict::Error(error)))),
    }
}

fn read_result(result: &RawValue, method: Method, ours: &str) -> Result<Step, UpstreamError> {
    let members = Object::read(result.get()).ok_or(UpstreamError::NotAnAnswer)?;
    match members.text("resultType").as_deref() {
        Some("complete") => {}
        None if members.get("resultType").is_none() => {}
        Some("input_required") if is_interactive(method) => return input(&members).map(Step::Input),
        Some(_) | None => return Err(UpstreamError::NotAnAnswer),
    }
    Ok(Step::Done(Writer::result(ours, &complete(&members, method)?)))
}

fn is_interactive(method: Method) -> bool {
    matches!(method, Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead)
}

fn input(members: &Object<'_>) -> Result<Input, UpstreamError> {
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

/// A result as legacy writes it.
fn complete(members: &Object<'_>, method: Method) -> Result<String, UpstreamError> {
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
    let tools = tools(members).ok_or(UpstreamError::Unfilterable)?;
    Ok(members.amended(&without, &[(ListOf::Tools.member(), &tools)]))
}

/// The tools whose mirrored arguments are declared as they must be, each with an `outputSchema` that legacy knows or none.
fn tools(members: &Object<'_>) -> Option<String> {
    let listed: Vec<&RawValue> = serde_json::from_str(members.get(ListOf::Tools.member())?.get()).ok()?;
    let lawful = listed.iter().filter(|tool| {
        let lawful = mcp::mirrors(tool).is_some();
        if !lawful {
            let name = Object::read(tool.get()).and_then(|tool| Some(crate::record::visible(&tool.text("name")?)));
            tracing::warn!(tool = name, "a tool was left out: its `x-mcp-header` are not lawful");
        }
        lawful
    });
    let tools: Vec<String> = lawful.map(|tool| as_legacy(tool)).collect();
    Some(format!("[{}]", tools.join(",")))
}

fn as_legacy(tool: &RawValue) -> String {
    let members = Object::read(tool.get()).unwrap_or_default();
    let schema = members.get("outputSchema");
    match schema.is_some_and(|schema| {
        Object::read(schema.get()).and_then(|schema| schema.text("type")).as_deref() != Some("object")
    }) {
        true => members.amended(&["outputSchema"], &[]),
        false => tool.get().to_owned(),
    }
}

fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

//! What a client is told of a task, in the words of the tasks extension.

use std::time::{Duration, SystemTime};

use mcp::{Object, meta};
use serde_json::json;

use super::id::Id;
use super::table::{Asked, End, Stage, Task};
use crate::approvals::url::server_info;
use crate::refusal::DECISION;

/// How often a client is told to ask.
const POLL_MS: u64 = 1000;

/// The result of the call itself: a task (`CreateTaskResult`).
pub(crate) fn created(task: &Task, message: &str, decision: &serde_json::Value) -> String {
    let meta = json!({ DECISION: decision, meta::SERVER_INFO: server_info() }).to_string();
    let members = [("resultType", "\"task\""), ("_meta", &meta)];
    whole(&task.name, &task.id, task.id.created_ms, ("working", Some(message)), &members)
}

/// The result of `tasks/get`. `waits`: what is said while nobody decided.
pub(crate) fn shown(task: &Task, waits: Option<&str>) -> String {
    let (stage, since_ms) = task.stage();
    let say = |status: (&str, Option<&str>), more: &[(&str, &str)]| got(&task.name, &task.id, since_ms, status, more);
    match &stage {
        Stage::Waits { .. } => say(("working", waits), &[]),
        Stage::Runs => say(("working", Some("The call is being made.")), &[]),
        Stage::Answered { .. } => say(("working", Some("The call goes on with the next `tasks/get`.")), &[]),
        Stage::Handed { .. } => say(("working", None), &[]),
        Stage::Asks { asked, given } => {
            let open = asked.requests.iter().filter(|(key, _)| given.iter().all(|(known, _)| known != key));
            say(("input_required", None), &[("inputRequests", &requests(asked, open))])
        }
        Stage::Over(over) => match &over.end {
            End::Completed(result) => say(("completed", None), &[("result", result)]),
            End::Failed(error) => say(("failed", message(error).as_deref()), &[("error", error)]),
            End::Cancelled => say(("cancelled", None), &[]),
        },
    }
}

/// The result of `tasks/get` for a task that this node does not have.
pub(crate) fn elsewhere(name: &str, id: &Id) -> String {
    let error = super::table::error(
        "this call waited for an approval at another node of the gateway, or at this one before it was restarted, and is not run from here: \
         repeat the identical call, and an approval that was given and not used yet is used",
    );
    got(name, id, id.created_ms, ("failed", message(&error).as_deref()), &[("error", &error)])
}

/// The result of what has nothing to say.
pub(crate) fn acknowledged() -> String {
    json!({ "resultType": "complete", "_meta": { meta::SERVER_INFO: server_info() } }).to_string()
}

fn got(name: &str, id: &Id, since_ms: i64, status: (&str, Option<&str>), more: &[(&str, &str)]) -> String {
    let meta = json!({ meta::SERVER_INFO: server_info() }).to_string();
    let mut members = vec![("resultType", "\"complete\""), ("_meta", meta.as_str())];
    members.extend(more);
    whole(name, id, since_ms, status, &members)
}

fn whole(name: &str, id: &Id, since_ms: i64, (status, message): (&str, Option<&str>), more: &[(&str, &str)]) -> String {
    let text = |ms| mcp::string(&time(ms));
    let (name, status, message) = (mcp::string(name), mcp::string(status), message.map(mcp::string));
    let (created, updated, ttl, poll) =
        (text(id.created_ms), text(since_ms), id.ttl_ms.to_string(), POLL_MS.to_string());
    let mut with = vec![
        ("taskId", name.as_str()),
        ("status", &status),
        ("createdAt", &created),
        ("lastUpdatedAt", &updated),
        ("ttlMs", &ttl),
        ("pollIntervalMs", &poll),
    ];
    with.extend(message.as_deref().map(|message| ("statusMessage", message)));
    with.extend(more);
    Object::default().amended(&[], &with)
}

fn requests<'a>(asked: &Asked, open: impl Iterator<Item = &'a (Box<str>, Box<str>)>) -> String {
    let members = open.map(|(key, request)| format!("{}:{request}", mcp::string(&asked.key(key))));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

fn message(error: &str) -> Option<String> {
    Some(Object::read(error)?.text("message")?.into_owned())
}

fn time(ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + since).to_string()
}

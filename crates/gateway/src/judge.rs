//! Which rules a method falls under. Every method is on this list; what none of the rules is about is protocol, and free.

use std::time::SystemTime;

use mcp::{Method, Object, Params};
use policy::{Call, Context, Decision, Denial, Permitted, Policy, Reverse, Subject};
use serde_json::value::RawValue;

use crate::agent::Agent;
use crate::policies::Bound;
use crate::refusal::{Addressee, Refusal, Refused};
use crate::ruling::Ruling;

/// A request that may go upstream. Only [`request`] makes one, and [`consented`] where a person said yes.
pub(crate) struct Cleared<'a>(Option<Permitted<'a>>);

impl<'a> Cleared<'a> {
    /// None for protocol methods, which owe nothing.
    pub(crate) fn permitted(&self) -> Option<&Permitted<'a>> {
        self.0.as_ref()
    }

    /// What would have refused it, if it were not in shadow.
    pub(crate) fn shadow(&self) -> Option<&Denial> {
        self.0.as_ref().and_then(Permitted::shadow)
    }

    /// The rule that cleared it.
    pub(crate) fn rule(&self) -> &str {
        self.0.as_ref().map_or("(protocol)", |permitted| permitted.rule().as_str())
    }
}

/// What a request asks for: the name that rules match.
pub(crate) enum Asked<'a> {
    Nothing,
    Tool(&'a str),
    Resource(&'a str),
    Prompt(&'a str),
    /// Subscriptions: each must be permitted.
    Resources(Vec<String>),
    /// Named, but neither got nor read (completions, unsubscribing): it must be permitted, and owes no quota.
    NamesPrompt(String),
    NamesResource(String),
}

impl<'a> Asked<'a> {
    /// None when the request is about something that no rule can name.
    pub(crate) fn of(method: Method, params: &'a Params<'_>) -> Option<Self> {
        Some(match method {
            Method::ToolsCall => Self::Tool(params.name()?),
            Method::PromptsGet => Self::Prompt(params.name()?),
            Method::ResourcesRead | Method::Subscribe => Self::Resource(params.name()?),
            Method::Unsubscribe => Self::NamesResource(params.name()?.to_owned()),
            Method::Complete => {
                let reference = Object::read(params.get("ref")?)?;
                match reference.text("type")?.as_ref() {
                    "ref/prompt" => Self::NamesPrompt(reference.text("name")?.into_owned()),
                    "ref/resource" => Self::NamesResource(reference.text("uri")?.into_owned()),
                    _ => return None,
                }
            }
            Method::Listen => Self::Resources(subscriptions(params, "resourceSubscriptions")?),
            Method::Discover | Method::Initialize | Method::Ping | Method::SetLevel => Self::Nothing,
            Method::ToolsList | Method::PromptsList | Method::ResourcesList | Method::TemplatesList => Self::Nothing,
            // Tasks belong to whom the call belonged to: see `tasks.rs`.
            Method::TasksGet | Method::TasksCancel | Method::TasksResult | Method::TasksList | Method::TasksUpdate => {
                Self::Nothing
            }
        })
    }

    /// What rules are asked about, if it is one thing.
    pub(crate) fn subject(&self) -> Option<Subject<'_>> {
        match self {
            Self::Nothing | Self::Resources(_) => None,
            Self::Tool(name) => Some(Subject::Tool(name)),
            Self::Resource(uri) => Some(Subject::Resource(uri)),
            Self::Prompt(name) => Some(Subject::Prompt(name)),
            Self::NamesPrompt(name) => Some(Subject::Prompt(name)),
            Self::NamesResource(uri) => Some(Subject::Resource(uri)),
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Nothing | Self::Resources(_) => None,
            Self::Tool(name) | Self::Resource(name) | Self::Prompt(name) => Some(name),
            Self::NamesPrompt(name) | Self::NamesResource(name) => Some(name),
        }
    }
}

/// The tasks that a request is about, each of which must be the agent's own. None when they cannot be read.
pub(crate) fn tasks(method: Method, params: &Params<'_>) -> Option<Vec<String>> {
    match params.name() {
        Some(id) if method.is_of_a_task() => Some(vec![id.to_owned()]),
        None if method == Method::Listen => subscriptions(params, "taskIds"),
        _ => Some(Vec::new()),
    }
}

/// What a `subscriptions/listen` names under `key`.
fn subscriptions(params: &Params<'_>, key: &str) -> Option<Vec<String>> {
    let Some(wanted) = params.get("notifications") else { return Some(Vec::new()) };
    match Object::read(wanted)?.get(key) {
        None => Some(Vec::new()),
        Some(names) => serde_json::from_str(names.get()).ok(),
    }
}

/// Judges a request by one policy snapshot.
pub(crate) fn request<'a>(
    bound: &'a Bound,
    asked: &'a Asked<'_>,
    arguments: Option<&'a RawValue>,
    whose: (&'a Agent, &'a str),
    to: &Addressee,
) -> Result<Cleared<'a>, Refused> {
    judged(Policy::decide, bound, asked, arguments, whose, to)
}

/// The same, of one that a person consented to.
pub(crate) fn consented<'a>(
    bound: &'a Bound,
    asked: &'a Asked<'_>,
    arguments: Option<&'a RawValue>,
    whose: (&'a Agent, &'a str),
    to: &Addressee,
) -> Result<Cleared<'a>, Refused> {
    judged(Policy::decide_consented, bound, asked, arguments, whose, to)
}

/// Who asks where, and when.
pub(crate) fn context<'a>(agent: &'a Agent, server: &'a str) -> Context<'a> {
    Context { agent: agent.id(), labels: agent.labels(), server, time: SystemTime::now() }
}

fn judged<'a>(
    decide: fn(&'a Policy, Call<'a>) -> Decision<'a>,
    bound: &'a Bound,
    asked: &'a Asked<'_>,
    arguments: Option<&'a RawValue>,
    (agent, server): (&'a Agent, &'a str),
    to: &Addressee,
) -> Result<Cleared<'a>, Refused> {
    let context = context(agent, server);
    let decide = |subject| match decide(&bound.policy, Call { subject, arguments, context }) {
        Decision::Permit(permitted) => Ok(permitted),
        Decision::Deny(denial) => Err(to.refuse(Refusal::Ruled(Ruling::Denied(bound.denial(denial))))),
    };
    match asked {
        Asked::Nothing => Ok(Cleared(None)),
        Asked::Tool(name) => decide(Subject::Tool(name)).map(|permitted| Cleared(Some(permitted))),
        Asked::Resource(uri) => decide(Subject::Resource(uri)).map(|permitted| Cleared(Some(permitted))),
        Asked::Prompt(name) => decide(Subject::Prompt(name)).map(|permitted| Cleared(Some(permitted))),
        Asked::NamesPrompt(name) => decide(Subject::Prompt(name)).map(|_| Cleared(None)),
        Asked::NamesResource(uri) => decide(Subject::Resource(uri)).map(|_| Cleared(None)),
        Asked::Resources(uris) => {
            uris.iter().try_for_each(|uri| decide(Subject::Resource(uri)).map(drop))?;
            Ok(Cleared(None))
        }
    }
}

/// Members of `_meta` that are the protocol's own, beside those that begin with its prefix.
const PLAIN: [&str; 4] = ["progressToken", "traceparent", "tracestate", "baggage"];

/// The protocol's own members of `_meta`, where a person may be asked about the request: that person sees its arguments, so nothing that is
/// not shown may go along. None where nothing must be left out.
pub(crate) fn plain_meta(bound: &Bound, method: Method, params: &Params<'_>) -> Option<String> {
    if !bound.policy.asks() || !bound.policy.may_ask(Asked::of(method, params)?.subject()?) {
        return None;
    }
    let meta = Object::read(params.meta()?)?;
    let is_plain = |key: &str| key.starts_with("io.modelcontextprotocol/") || PLAIN.contains(&key);
    if meta.iter().all(|(key, _)| is_plain(key)) {
        return None;
    }
    Some(only(&meta, is_plain))
}

/// The JSON text of an object with those of its members that are kept, each as it was written.
fn only(object: &Object<'_>, keep: impl Fn(&str) -> bool) -> String {
    let kept = object.iter().filter(|(key, _)| keep(key));
    let kept: Vec<String> = kept.map(|(key, value)| format!("{}:{}", mcp::string(key), value.get())).collect();
    format!("{{{}}}", kept.join(","))
}

/// What of a client's capabilities the policy lets a server use: the JSON text without the rest, where something goes.
pub(crate) fn capabilities(bound: &Bound, declared: &str) -> Option<String> {
    let declared = Object::read(declared)?;
    let denied = |key: &str| reverse(key).is_some_and(|ask| !bound.policy.reverse(ask));
    if !declared.iter().any(|(key, _)| denied(key)) {
        return None;
    }
    Some(only(&declared, |key| !denied(key)))
}

/// What a legacy client offers its server to ask for, as far as the policy let that through.
pub(crate) fn offered(params: &Params<'_>) -> Box<[Reverse]> {
    let declared = params.get("capabilities").and_then(Object::read).unwrap_or_default();
    declared.iter().filter_map(|(key, _)| reverse(key)).collect()
}

fn reverse(capability: &str) -> Option<Reverse> {
    match capability {
        "sampling" => Some(Reverse::Sampling),
        "elicitation" => Some(Reverse::Elicitation),
        "roots" => Some(Reverse::Roots),
        _ => None,
    }
}

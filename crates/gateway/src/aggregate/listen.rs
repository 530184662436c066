//! `subscriptions/listen`: one with each server that it concerns, merged to one stream under one acknowledgement.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use mcp::{ListOf, Method, Object, Request, ServerMessage, ServerNotice, Verdict, Writer, meta};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::asker::{Asker, Outgoing};
use super::changes::{Changes, looks};
use super::drain::Wanted;
use super::events::{self, Events};
use super::merged::{Following, Merged, Opened, Opener, Source, State};
use super::names;
use super::seen::Seen;
use super::voice::{Heard, Voice};
use crate::era::error_code;
use crate::refusal::{Addressee, Refusal, Refused};
use crate::reply::{self, Out, Reply};
use crate::ruling::Ruling;
use crate::server::Server;

const INTERNAL: i64 = -32603;

const FLAGS: [(&str, ListOf); 3] = [
    ("toolsListChanged", ListOf::Tools),
    ("promptsListChanged", ListOf::Prompts),
    ("resourcesListChanged", ListOf::Resources),
];

/// What a subscription asks of one server.
#[derive(Clone, Default)]
struct Part {
    resources: Vec<String>,
    tasks: Vec<String>,
}

/// How the subscription with one server began.
enum Begun {
    Stream(Events, Option<Box<RawValue>>),
    /// The server's mount refused it, or the server did: the answer, and whether it may work later.
    Refused(Vec<u8>, bool),
    Failed,
}

pub(super) async fn listen(asker: &Asker, request: &Request<'_>, to: Addressee) -> Result<Reply, Refused> {
    let wanted = request.params.object("notifications").unwrap_or_default();
    let parts = parts(asker, &wanted, &to)?;
    let discovery = asker.aggregate().settings.discovery;
    let flags: Vec<(&str, ListOf)> =
        FLAGS.into_iter().filter(|(flag, of)| is_true(&wanted, flag) && !(discovery && *of == ListOf::Tools)).collect();
    let lists: Vec<ListOf> = flags.iter().map(|(_, of)| *of).collect();
    let all = asker.servers();
    let servers: Vec<Arc<Server>> =
        all.filter(|server| !flags.is_empty() || parts.contains_key(&*server.id)).cloned().collect();
    let looking = Wanted { to: to.clone(), meta: asker.meta(request) };
    let seen = Arc::new(Seen::default());
    let begun = join_all(servers.iter().map(|server| {
        let own = parts.get(&*server.id).cloned().unwrap_or_default();
        let out = outgoing(asker, request, &to, &flags, &own);
        let (seen, looking, lists) = (Arc::clone(&seen), looking.clone(), lists.clone());
        async move {
            let begun = patiently(asker, server, &out, &seen, &looking, &lists).await;
            (begun, Arc::new(out))
        }
    }))
    .await;
    let (mut sources, mut granted) = (Vec::new(), Granted::default());
    for (server, (begun, out)) in servers.iter().zip(begun) {
        let voice = asker.voice(server, None);
        let opener = opener(asker, server, &out);
        let state = match begun {
            Begun::Stream(events, grant) => {
                granted.add(&server.id, grant.as_deref());
                State::Open(events)
            }
            // What was asked of this server by name is refused as the server's own mount refuses it.
            Begun::Refused(answer, _) if parts.contains_key(&*server.id) => {
                let mount = asker.voice(server, None);
                return Ok(reply::json(http::StatusCode::OK, heard(&mount, answer)));
            }
            Begun::Refused(_, false) => State::Over,
            Begun::Refused(_, true) | Begun::Failed => Source::resting(),
        };
        sources.push(Source::lasting(voice, state, opener));
    }
    let id = to.id.clone();
    let bounds = &asker.pipeline.shared.bounds;
    let changes = Changes::new(asker, looking, seen, &servers, &lists).subscribed(id.clone());
    let mut draining = asker.pipeline.shared.draining.clone();
    let closing = Box::pin(async move {
        _ = draining.wait_for(|draining| *draining).await;
    });
    let merged = Merged::new(sources, changes, bounds.keepalive)
        .endless(closing)
        .saying(granted.acknowledged(id.as_deref().unwrap_or("null")));
    if flags.is_empty() {
        return Ok(reply::events(Out::Merged(Box::new(merged))));
    }
    let out = Arc::new(outgoing(asker, request, &to, &flags, &Part::default()));
    let whose = asker.clone();
    let following = Following::new(asker, &servers, move |server| {
        let opener = opener(&whose, server, &out);
        Source::lasting(whose.voice(server, None), State::Opening(opener()), opener)
    });
    Ok(reply::events(Out::Merged(Box::new(merged.following(following)))))
}

/// Whose the named resources and tasks are.
fn parts(asker: &Asker, wanted: &Object<'_>, to: &Addressee) -> Result<BTreeMap<String, Part>, Refused> {
    let mut parts: BTreeMap<String, Part> = BTreeMap::new();
    let malformed = || to.params(mcp::Kind::Params("a member of `params` has the wrong type"));
    for uri in named(wanted, "resourceSubscriptions").ok_or_else(malformed)? {
        let own = names::unwrap_uri(&uri).filter(|(server, _)| asker.server(server).is_some());
        let Some((server, own)) = own else {
            let to = Addressee { subject: Some(uri.as_str().into()), ..to.clone() };
            return Err(to.refuse(Refusal::Ruled(Ruling::hidden())));
        };
        parts.entry(server.to_owned()).or_default().resources.push(own.to_owned());
    }
    for id in named(wanted, "taskIds").ok_or_else(malformed)? {
        let own = names::unwrap_id(&id).filter(|(server, _)| asker.server(server).is_some());
        let Some((server, own)) = own else { return Err(to.refuse(Refusal::ForeignTask)) };
        parts.entry(server.to_owned()).or_default().tasks.push(own.to_owned());
    }
    Ok(parts)
}

fn named(wanted: &Object<'_>, key: &str) -> Option<Vec<String>> {
    match wanted.get(key) {
        None => Some(Vec::new()),
        Some(names) => serde_json::from_str(names.get()).ok(),
    }
}

fn is_true(wanted: &Object<'_>, flag: &str) -> bool {
    wanted.get(flag).is_some_and(|flag| flag.get() == "true")
}

fn outgoing(asker: &Asker, request: &Request<'_>, to: &Addressee, flags: &[(&str, ListOf)], own: &Part) -> Outgoing {
    let mut notifications: Map<String, Value> =
        flags.iter().map(|(flag, _)| ((*flag).to_owned(), json!(true))).collect();
    if !own.resources.is_empty() {
        notifications.insert("resourceSubscriptions".to_owned(), json!(own.resources));
    }
    if !own.tasks.is_empty() {
        notifications.insert("taskIds".to_owned(), json!(own.tasks));
    }
    let notifications = Value::Object(notifications).to_string();
    let meta = asker.meta(request).unwrap_or_else(|| "{}".to_owned());
    let params = request.params.amended(&[], &[("notifications", &notifications), ("_meta", &meta)]);
    Outgoing::new(to, Method::Listen, None, params)
}

/// What is shown now is looked at before the subscription begins: so no change in between goes unnoticed.
async fn patiently(
    asker: &Asker,
    server: &Arc<Server>,
    out: &Outgoing,
    seen: &Seen,
    looking: &Wanted,
    lists: &[ListOf],
) -> Begun {
    let begun = asker.patiently(server, async {
        for of in lists {
            for (kind, hash) in looks(asker, server, *of, looking).await {
                seen.set(&server.id, kind, hash);
            }
        }
        begin(asker, server, out).await
    });
    begun.await.unwrap_or(Begun::Failed)
}

/// Sends it, and waits for the acknowledgement.
async fn begin(asker: &Asker, server: &Arc<Server>, out: &Outgoing) -> Begun {
    let reply = asker.send(server, out).await;
    if !events::is_stream(&reply) {
        let answer = events::whole(reply.into_body()).await;
        let Some(ServerMessage::Answer(said)) = ServerMessage::read(&answer) else { return Begun::Failed };
        let later = match said.verdict {
            Verdict::Result(_) => true,
            Verdict::Error(error) => error_code(error.get()) == Some(INTERNAL),
        };
        return Begun::Refused(answer, later);
    }
    let mut events = Events::new(reply.into_body(), asker.pipeline.shared.bounds.event);
    let voice = asker.voice(server, None);
    while let Some(event) = events.next().await {
        match event.data.as_deref().and_then(|data| voice.hear(data)) {
            Some(Heard::Granted(granted)) => return Begun::Stream(events, Some(granted)),
            Some(Heard::Answer(answer)) => {
                return Begun::Refused(answer, true);
            }
            // Nothing may come before the acknowledgement.
            Some(Heard::Message(_) | Heard::Changed(_)) | None => {}
        }
    }
    Begun::Failed
}

/// Begins it again, after it broke off.
fn opener(asker: &Asker, server: &Arc<Server>, out: &Arc<Outgoing>) -> Opener {
    let (asker, server, out) = (asker.clone(), Arc::clone(server), Arc::clone(out));
    Arc::new(move || {
        let (asker, server, out) = (asker.clone(), Arc::clone(&server), Arc::clone(&out));
        Box::pin(async move {
            match asker.patiently(&server, begin(&asker, &server, &out)).await {
                Ok(Begun::Stream(events, _)) => Opened::Stream(events),
                Ok(Begun::Refused(_, false)) => Opened::Never,
                Ok(Begun::Refused(_, true) | Begun::Failed) | Err(_) if server.is_retired() => Opened::Never,
                Ok(Begun::Refused(_, true) | Begun::Failed) | Err(_) => Opened::Failed,
            }
        })
    })
}

fn heard(voice: &Voice, answer: Vec<u8>) -> Vec<u8> {
    match voice.hear(&answer) {
        Some(Heard::Answer(answer)) => answer,
        Some(Heard::Message(_) | Heard::Changed(_) | Heard::Granted(_)) | None => answer,
    }
}

/// What all servers together agreed to.
#[derive(Default)]
struct Granted {
    flags: Map<String, Value>,
    resources: Vec<String>,
    tasks: Vec<String>,
}

impl Granted {
    fn add(&mut self, server: &str, granted: Option<&RawValue>) {
        let Some(granted) = granted.and_then(|granted| Object::read(granted.get())) else { return };
        for (flag, _) in FLAGS {
            if is_true(&granted, flag) {
                self.flags.insert(flag.to_owned(), json!(true));
            }
        }
        let uris = named(&granted, "resourceSubscriptions").unwrap_or_default();
        self.resources.extend(uris.iter().map(|uri| names::wrap_uri(server, uri)));
        let ids = named(&granted, "taskIds").unwrap_or_default();
        self.tasks.extend(ids.iter().map(|id| names::wrap_id(server, id)));
    }

    fn acknowledged(mut self, id: &str) -> Vec<u8> {
        for (key, names) in [("resourceSubscriptions", self.resources), ("taskIds", self.tasks)] {
            if !names.is_empty() {
                self.flags.insert(key.to_owned(), json!(names));
            }
        }
        let (flags, key) = (Value::Object(self.flags), mcp::string(meta::SUBSCRIPTION_ID));
        let params = format!(r#"{{"notifications":{flags},"_meta":{{{key}:{id}}}}}"#);
        Writer::server_message(None, ServerNotice::Acknowledged.as_str(), Some(&params))
    }
}

//! What the server wants to know of the client: each a request of its own, answered once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp::{Object, ServerMethod, ServerNotice, Verdict, Writer};
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::ToModern;
use super::call::{Call, End};
use super::feed::Gone;
use super::tasks::with_meta;
use crate::refusal::{Refusal, Refused};

/// What became of a request to the client.
pub(super) enum Given {
    /// The JSON text of its result: also that the user declined, which is an answer.
    Result(Box<str>),
    /// The client answered with an error: no input.
    Refused,
    /// The policy denied the request.
    Denied,
}

/// Requests to the client that are not answered yet.
#[derive(Default)]
pub(super) struct Asks {
    waiting: Mutex<HashMap<u64, oneshot::Sender<Given>>>,
    next: AtomicU64,
}

/// Waits for one answer; dropped, it no longer does.
pub(super) struct Waiting<'a> {
    asks: &'a Asks,
    pub(super) id: u64,
    answer: oneshot::Receiver<Given>,
}

impl Asks {
    pub(super) fn open(&self) -> Waiting<'_> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, waiting) = oneshot::channel();
        self.waiting().insert(id, answer);
        Waiting { asks: self, id, answer: waiting }
    }

    /// False where nobody waits (any more).
    pub(super) fn answered(&self, asked: &str, verdict: Verdict<'_>) -> bool {
        self.give(
            asked,
            match verdict {
                Verdict::Result(result) => Given::Result(result.get().into()),
                Verdict::Error(_) => Given::Refused,
            },
        )
    }

    pub(super) fn declined(&self, asked: &str) {
        self.give(asked, Given::Denied);
    }

    fn give(&self, asked: &str, given: Given) -> bool {
        let waiting = asked.parse().ok().and_then(|id: u64| self.waiting().remove(&id));
        waiting.is_some_and(|waiting| waiting.send(given).is_ok())
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Given>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting<'_> {
    pub(super) async fn answer(&mut self) -> Given {
        (&mut self.answer).await.unwrap_or(Given::Refused)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.asks.waiting().remove(&self.id);
    }
}

/// A request among the server's `inputRequests`.
pub(super) struct Wanted {
    pub(super) key: Box<str>,
    pub(super) method: Box<str>,
    /// JSON text.
    pub(super) params: Option<Box<str>>,
}

impl Wanted {
    pub(super) fn read(key: &str, request: &RawValue) -> Option<Self> {
        let request = Object::read(request.get())?;
        let method = request.text("method")?.as_ref().into();
        Some(Self { key: key.into(), method, params: request.get("params").map(|params| params.get().into()) })
    }

    /// The same request with one more member in the `_meta` of its params.
    pub(super) fn related_to(&self, key: &str, value: &str) -> Self {
        let params = with_meta(self.params.as_deref().unwrap_or("{}"), key, value);
        Self { key: self.key.clone(), method: self.method.clone(), params: Some(params.into()) }
    }
}

impl Call {
    /// Asks the client, all at once; the JSON text of `inputResponses`.
    ///
    /// MRTR knows no error in place of an input: a client that gives none does not ask again, and neither do we.
    pub(super) async fn ask(&mut self, wanted: &[Wanted]) -> Result<String, End> {
        if !wanted.iter().all(|wanted| self.translated.can(wanted)) {
            return Err(self.no_input("that the client cannot give").into());
        }
        let translated = Arc::clone(&self.translated);
        let mut waiting = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let asked = translated.asks.open();
            let request = Writer::server_message(Some(asked.id), &wanted.method, wanted.params.as_deref());
            self.feed.message(request).await?;
            waiting.push((&wanted.key, asked));
        }
        let deadline = tokio::time::Instant::now() + self.out.upstream.bounds.input_timeout;
        let mut given = Vec::with_capacity(waiting.len());
        while let Some((key, asked)) = waiting.get_mut(given.len()) {
            let answer = tokio::select! {
                answer = tokio::time::timeout_at(deadline, asked.answer()) => answer,
                () = self.feed.closed() => return Err(End::Gone),
            };
            let why = match answer {
                Ok(Given::Result(result)) => {
                    given.push(format!("{}:{result}", mcp::string(key)));
                    continue;
                }
                Ok(Given::Refused) => Refusal::Input("that the client did not give"),
                Ok(Given::Denied) => Refusal::ForbiddenInput,
                Err(_) => Refusal::Input("that did not come in time"),
            };
            let late: Vec<u64> = waiting.iter().skip(given.len()).map(|(_, asked)| asked.id).collect();
            self.withdraw(&late).await?;
            return Err(self.refuse(why).into());
        }
        Ok(format!("{{{}}}", given.join(",")))
    }

    /// Nobody needs these answers any more.
    async fn withdraw(&mut self, asked: &[u64]) -> Result<(), Gone> {
        for id in asked {
            let params = format!("{{\"requestId\":{id}}}");
            let withdrawn = Writer::server_message(None, ServerNotice::Cancelled.as_str(), Some(&params));
            self.feed.message(withdrawn).await?;
        }
        Ok(())
    }

    pub(super) fn no_input(&self, why: &'static str) -> Refused {
        self.refuse(Refusal::Input(why))
    }

    fn refuse(&self, why: Refusal) -> Refused {
        let refused = self.out.to.refuse(why);
        tracing::info!(server = %self.out.entry.server.id, agent = %self.out.agent.key, error = %refused.detail(), "a call ended for want of input");
        refused
    }
}

impl ToModern {
    /// Did the client declare that it can answer this?
    pub(super) fn can(&self, wanted: &Wanted) -> bool {
        let declared = Object::read(&self.client.capabilities).unwrap_or_default();
        let params = wanted.params.as_deref().and_then(Object::read).unwrap_or_default();
        let below = |key: &str, inner: &str| declared.object(key).is_some_and(|found| found.get(inner).is_some());
        match ServerMethod::named(&wanted.method) {
            Some(ServerMethod::Elicit) if params.text("mode").as_deref() == Some("url") => below("elicitation", "url"),
            Some(ServerMethod::Elicit) => declared.get("elicitation").is_some(),
            Some(ServerMethod::Sample) if params.get("tools").is_some() => below("sampling", "tools"),
            Some(ServerMethod::Sample) => declared.get("sampling").is_some(),
            Some(ServerMethod::Roots) => declared.get("roots").is_some(),
            Some(ServerMethod::Ping) | None => false,
        }
    }
}

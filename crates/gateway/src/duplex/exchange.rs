//! One request on its way: posted, answered, and every message of the answer handed over; exactly one answer to each id.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use mcp::{Answer, Body, Message, Method, Object, ServerMessage, Verdict, sse};
use tokio::time::{sleep, timeout};

use super::message::{Ask, request_headers};
use super::{Answered, Front, Trouble};
use crate::era::error_code;
use crate::upstream::LAST_EVENT_ID;

/// How often in a row a broken stream is taken up again without any event coming.
const RESUMES: usize = 5;

/// How long to wait before that, unless the server says; and at most.
pub(super) const RETRY: Duration = Duration::from_secs(1);
pub(super) const MAX_RETRY: Duration = Duration::from_secs(30);

/// After the answer, so that the connection can be used again.
const LINGER: Duration = Duration::from_secs(1);

/// Pages of tools that are fetched to learn what to mirror.
const MAX_PAGES: usize = 100;

const HEADER_MISMATCH: i64 = -32020;

/// What came of reading a stream.
#[derive(Default)]
pub(super) struct Read {
    /// Where to take it up again.
    pub(super) last: Option<String>,
    pub(super) retry: Option<Duration>,
    pub(super) events: usize,
}

impl Front {
    pub(super) async fn exchange(self: Arc<Self>, n: u64, ask: Ask, body: Bytes) {
        let outcome = match &ask.modern {
            Some(headers) => self.modern(n, &ask, headers.clone(), body).await,
            None => self.legacy(n, &ask, body).await,
        };
        let mut trouble = outcome.err();
        for id in self.open.end(n) {
            self.fail(id, trouble.take().unwrap_or(Trouble::NotAnAnswer)).await;
        }
    }

    async fn legacy(&self, n: u64, ask: &Ask, body: Bytes) -> Result<(), Trouble> {
        let mut line = self.hello.line();
        let mut answered = self.service.post(line.headers(), body.clone()).await?;
        if line.is_lost(&answered) {
            self.renew(line.epoch).await?;
            line = self.hello.line();
            answered = self.service.post(line.headers(), body).await?;
            if line.is_lost(&answered) {
                return Err(Trouble::Session("the new one was lost as well"));
            }
        }
        self.relay(n, ask, answered, Some(line.headers())).await
    }

    async fn modern(&self, n: u64, ask: &Ask, headers: HeaderMap, body: Bytes) -> Result<(), Trouble> {
        let mut answered = self.service.post(headers.clone(), body.clone()).await?;
        if !ask.calls_tool || answered.status != http::StatusCode::BAD_REQUEST || !answered.is("application/json") {
            return self.relay(n, ask, answered, None).await;
        }
        let refusal = answered.whole(&self.bounds).await?;
        // The only request that is repeated: it was refused before it was run, for headers that we wrote by an old list.
        if is_mismatch(&refusal)
            && let Some(better) = self.better_headers(&body).await.filter(|better| *better != headers)
        {
            let answered = self.service.post(better, body).await?;
            return self.relay(n, ask, answered, None).await;
        }
        self.came(Some(n), ask, &refusal).await;
        Err(answered.trouble())
    }

    /// Hands over what comes, until the request is answered or cannot be.
    async fn relay(
        &self,
        n: u64,
        ask: &Ask,
        mut answered: Answered,
        session: Option<HeaderMap>,
    ) -> Result<(), Trouble> {
        if !answered.has_events() {
            if answered.is("application/json") {
                let whole = answered.whole(&self.bounds).await?;
                self.came(Some(n), ask, &whole).await;
            }
            return Err(answered.trouble());
        }
        let silence = (!ask.lasting).then_some(self.bounds.idle_timeout);
        let (mut read, mut vain) = (Read::default(), 0);
        loop {
            let before = read.events;
            let outcome = self.events(Some(n), ask, &mut answered, silence, &mut read).await;
            if self.open.is_settled(n) {
                return Ok(());
            }
            vain = if read.events > before { 0 } else { vain + 1 };
            let (Some(session), Some(last)) = (&session, read.last.as_ref().filter(|_| vain < RESUMES)) else {
                return Err(outcome.err().unwrap_or(Trouble::BrokeOff));
            };
            sleep(read.retry.unwrap_or(RETRY).min(MAX_RETRY)).await;
            answered = self.service.get(resuming(session, last)?).await?;
            if !answered.has_events() {
                return Err(Trouble::BrokeOff);
            }
        }
    }

    /// Reads a stream to its end, or a little beyond the answer.
    pub(super) async fn events(
        &self,
        n: Option<u64>,
        ask: &Ask,
        answered: &mut Answered,
        silence: Option<Duration>,
        read: &mut Read,
    ) -> Result<(), Trouble> {
        let mut reader = sse::Reader::new(self.bounds.event);
        loop {
            let settled = n.is_some_and(|n| self.open.is_settled(n));
            let silence = if settled { Some(LINGER) } else { silence };
            let Some(data) = answered.next(silence).await? else { return Ok(()) };
            let mut events = Vec::new();
            reader.push(&data, |event| events.push(event)).map_err(|_| Trouble::TooLarge(self.bounds.event))?;
            for event in events {
                read.events += 1;
                read.retry = event.retry.map(Duration::from_millis).or(read.retry);
                read.last = event.id.filter(|id| !id.is_empty()).or(read.last.take());
                let is_message = event.event.as_deref().is_none_or(|name| name == "message");
                if let Some(data) = event.data.filter(|data| is_message && !data.is_empty()) {
                    self.came(n, ask, &data).await;
                }
            }
        }
    }

    /// Hands over one message of the service's, if it is one that this client may have.
    pub(super) async fn came(&self, n: Option<u64>, ask: &Ask, bytes: &[u8]) {
        let (Some(message), Ok(text)) = (ServerMessage::read(bytes), std::str::from_utf8(bytes)) else {
            return tracing::debug!("what came is no message");
        };
        match message {
            ServerMessage::Answer(answer) => self.answered(n, ask, &answer).await,
            ServerMessage::Request { .. } if ask.modern.is_some() => tracing::debug!("a modern server asked"),
            ServerMessage::Request { .. } | ServerMessage::Notification { .. } => self.say(text).await,
        }
    }

    async fn answered(&self, n: Option<u64>, ask: &Ask, answer: &Answer<'_>) {
        // An error without an id can only be about the one request of this exchange.
        let id = answer.id.map(|id| id.to_json()).or_else(|| self.open.sole(n?));
        let Some(id) = id.filter(|id| self.open.settle(n, id)) else {
            return tracing::debug!("an answer to nothing that is open");
        };
        if let (Some(first), Verdict::Result(result)) = (ask.lists, answer.verdict) {
            self.mirrored.learn(result, first);
        }
        let message = mcp::Writer::answer(&id, answer.verdict);
        self.say(&String::from_utf8_lossy(&message)).await;
    }

    /// The headers of a tool call by the tools as they are now.
    async fn better_headers(&self, body: &Bytes) -> Option<HeaderMap> {
        let Ok(Body::One(Message::Request(request))) = mcp::parse(body) else { return None };
        let own = request.params.object("_meta")?.amended(&["progressToken"], &[]);
        let fetched = timeout(self.bounds.idle_timeout, self.fetch_tools(&own)).await;
        fetched.ok().flatten()?;
        request_headers(&request, &self.mirrored).ok()
    }

    async fn fetch_tools(&self, meta: &str) -> Option<()> {
        let mut cursor: Option<String> = None;
        for page in 0..MAX_PAGES {
            let at = cursor.map_or_else(String::new, |cursor| format!(r#""cursor":{cursor},"#));
            let method = Method::ToolsList.as_str();
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":"toolgate-{page}","method":"{method}","params":{{{at}"_meta":{meta}}}}}"#
            );
            let headers = match mcp::parse(body.as_bytes()) {
                Ok(Body::One(Message::Request(request))) => request_headers(&request, &self.mirrored).ok()?,
                _ => return None,
            };
            let answer = self.service.post(headers, body.into()).await.ok()?.answer(&self.bounds).await.ok()?;
            let Some(ServerMessage::Answer(Answer { verdict: Verdict::Result(result), .. })) =
                ServerMessage::read(&answer)
            else {
                return None;
            };
            self.mirrored.learn(result, page == 0);
            let next = Object::read(result.get())?.get("nextCursor").map(|cursor| cursor.get().to_owned());
            cursor = next.filter(|cursor| cursor != "null");
            if cursor.is_none() {
                break;
            }
        }
        Some(())
    }
}

/// A session's headers for taking up a stream.
pub(super) fn resuming(session: &HeaderMap, last: &str) -> Result<HeaderMap, Trouble> {
    let mut headers = session.clone();
    headers.insert(LAST_EVENT_ID, last.parse().map_err(|_| Trouble::BrokeOff)?);
    Ok(headers)
}

fn is_mismatch(answer: &[u8]) -> bool {
    match ServerMessage::read(answer) {
        Some(ServerMessage::Answer(Answer { verdict: Verdict::Error(error), .. })) => {
            error_code(error.get()) == Some(HEADER_MISMATCH)
        }
        _ => false,
    }
}

//! The client's legacy session: how it introduced itself, what was agreed, and how to open another when the service lost it.

use std::sync::PoisonError;

use bytes::Bytes;
use http::header::HeaderMap;
use http::{HeaderValue, StatusCode};
use mcp::{Object, Revision, ServerMessage, Verdict};
use tokio::sync::{Mutex, watch};

use super::{Answered, Front, Tell, Trouble};
use crate::reply::SESSION_ID;
use crate::upstream::PROTOCOL_VERSION;

pub(super) struct Hello {
    line: watch::Sender<Line>,
    /// Held while a lost session is replaced: one does it for all.
    renewing: Mutex<()>,
    /// The id of the client's `initialize` while it is under way.
    pending: std::sync::Mutex<Option<Box<str>>>,
}

/// A session as it stands. Each has another `epoch`.
#[derive(Clone, Default)]
pub(super) struct Line {
    pub(super) epoch: u64,
    hello: Option<Bytes>,
    announced: Option<Bytes>,
    session: Option<HeaderValue>,
    revision: Option<Revision>,
}

impl Default for Hello {
    fn default() -> Self {
        Self {
            line: watch::Sender::new(Line::default()),
            renewing: Mutex::new(()),
            pending: std::sync::Mutex::default(),
        }
    }
}

impl Hello {
    pub(super) fn line(&self) -> Line {
        self.line.borrow().clone()
    }

    /// Tells of every other session.
    pub(super) fn changes(&self) -> watch::Receiver<Line> {
        self.line.subscribe()
    }

    pub(super) fn announced(&self, body: &Bytes) {
        self.line.send_modify(|line| line.announced = Some(body.clone()));
    }

    /// The client's `initialize`, if it was interrupted.
    pub(super) fn interrupted(&self) -> Option<Box<str>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn pends(&self, id: &str) {
        *self.pending.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.into());
    }

    /// The headers to end the session with, if there is one to end.
    pub(super) fn end(&self) -> Option<HeaderMap> {
        let line = self.line.send_replace(Line::default());
        line.session.is_some().then(|| line.headers())
    }

    fn opened(&self, hello: Bytes, announced: Option<Bytes>, agreed: Agreed) -> Line {
        let Agreed { session, revision } = agreed;
        let next = self.line().epoch + 1;
        self.line.send_replace(Line { epoch: next, hello: Some(hello), announced, session, revision: Some(revision) })
    }
}

impl Line {
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(8);
        if let Some(revision) = self.revision {
            headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(revision.as_str()));
        }
        if let Some(session) = &self.session {
            headers.insert(SESSION_ID, session.clone());
        }
        headers
    }

    pub(super) fn is_open(&self) -> bool {
        self.revision.is_some()
    }

    pub(super) fn has_batches(&self) -> bool {
        self.revision.is_some_and(Revision::has_batches)
    }

    /// Does the service say that it does not know the session (any more)? Then it did nothing else.
    pub(super) fn is_lost(&self, answered: &Answered) -> bool {
        self.session.is_some() && answered.status == StatusCode::NOT_FOUND
    }
}

/// What an `initialize` led to.
struct Agreed {
    session: Option<HeaderValue>,
    revision: Revision,
}

impl Front {
    /// The client introduces itself.
    pub(super) async fn introduce(&self, id: Box<str>, body: Bytes) {
        self.hello.pends(&id);
        let outcome = self.initialize(body.clone()).await;
        self.hello.interrupted();
        match outcome {
            Err(trouble) => self.fail(id, trouble).await,
            Ok((answer, agreed)) => {
                if let Some(agreed) = agreed {
                    self.stop_listening();
                    let before = self.hello.opened(body, None, agreed);
                    if before.session.is_some() {
                        _ = tokio::time::timeout(super::FAREWELL, self.service.delete(before.headers())).await;
                    }
                }
                self.answer_as(&id, &answer).await;
            }
        }
    }

    /// Posts an `initialize`: its answer, and what was agreed if it was no refusal.
    async fn initialize(&self, body: Bytes) -> Result<(Bytes, Option<Agreed>), Trouble> {
        let mut answered = self.service.post(HeaderMap::new(), body).await?;
        let answer = answered.answer(&self.bounds).await?;
        let agreed = match ServerMessage::read(&answer) {
            Some(ServerMessage::Answer(mcp::Answer { verdict: Verdict::Result(result), .. })) => {
                let version = Object::read(result.get()).and_then(|result| result.text("protocolVersion"));
                let revision = version.as_deref().and_then(Revision::named);
                revision.map(|revision| Agreed { session: answered.session.clone(), revision })
            }
            _ => None,
        };
        Ok((answer, agreed))
    }

    async fn answer_as(&self, id: &str, answer: &[u8]) {
        if let Some(ServerMessage::Answer(answer)) = ServerMessage::read(answer) {
            let message = mcp::Writer::answer(id, answer.verdict);
            self.say(&String::from_utf8_lossy(&message)).await;
        }
    }

    /// Opens another session in place of the one of that epoch, unless somebody did.
    pub(super) async fn renew(&self, epoch: u64) -> Result<(), Trouble> {
        let _turn = self.hello.renewing.lock().await;
        let line = self.hello.line();
        if line.epoch != epoch {
            return Ok(());
        }
        let hello = line.hello.ok_or(Trouble::Session("no `initialize` is known"))?;
        let (_, agreed) = self.initialize(hello.clone()).await?;
        let agreed = agreed.ok_or(Trouble::Session("`initialize` was refused"))?;
        if Some(agreed.revision) != line.revision {
            return Err(Trouble::Session("the server speaks another revision now"));
        }
        self.hello.opened(hello, line.announced.clone(), agreed);
        tracing::info!("the session was lost, and is replaced by a new one");
        if let Some(body) = line.announced {
            // Boxed: telling may itself find a session lost.
            Box::pin(self.announce(Tell { body, modern: None })).await;
        }
        Ok(())
    }

    async fn announce(&self, tell: Tell) {
        let posted = self.service.post(self.hello.line().headers(), tell.body);
        if !matches!(tokio::time::timeout(super::TELLING, posted).await, Ok(Ok(answered)) if answered.status.is_success())
        {
            tracing::warn!("the new session was not announced");
        }
    }
}

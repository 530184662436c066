//! What only the legacy era has: sessions that open and end, their stream, and messages without an answer.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use mcp::{Era, Notice, Params, Revision, Writer};
use policy::Reverse;

use crate::answering::Answering;
use crate::approvals::Shows;
use crate::eras::to_modern;
use crate::exchange::{Exchange, session_headers};
use crate::head::{self, one};
use crate::modern::Claim;
use crate::nodes::Stays;
use crate::pipeline::{Entry, Pipeline, Shared};
use crate::refusal::{Refusal, Refused};
use crate::reply::{self, Out, Reply, SESSION_ID};
use crate::session::Session;
use crate::upstream::{LAST_EVENT_ID, Upstream, UpstreamError, content_type, is_type};

/// A session whose `initialize` is under way: it goes, unless the server agrees to it.
pub(crate) struct Opening {
    shared: Arc<Shared>,
    session: Arc<Session>,
    stays: Option<Stays>,
}

impl Opening {
    /// The server has agreed to it: what is left is to tell other nodes, if there are any. If that fails, there is no session.
    pub(crate) fn saving(&self) -> Option<impl Future<Output = Result<(), Refusal>> + Send + use<>> {
        let nodes = self.shared.nodes.clone().filter(|_| self.session.is_established())?;
        let (session, stays) = (Arc::clone(&self.session), self.stays);
        Some(async move { nodes.save(&session, stays).await.inspect_err(|_| session.forsake()) })
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if !self.session.is_established() {
            self.shared.sessions.remove(&self.session);
        }
    }
}

impl Pipeline {
    /// An answer to `initialize` opens a session of ours.
    pub(crate) async fn initialized(
        &self,
        entry: &Entry,
        mut exchange: Exchange,
        (wanted, params): (Revision, &Params<'_>),
        offered: (Box<[Reverse]>, Shows),
        response: http::Response<Answering>,
    ) -> Result<Reply, Refused> {
        let Some(call) = &exchange.call else { return Err(Refusal::NoSession.into()) };
        let to = call.to.clone();
        let opened = to_modern::opened(&exchange.upstream, call.ours, wanted, params, response).await;
        let (response, translated) = opened.map_err(|why| to.refuse(why))?;
        let upstream = response.headers().get(SESSION_ID).cloned();
        let sessions = &self.shared.sessions;
        let session = sessions.prepare(&entry.server, upstream, wanted, offered, &exchange.agent);
        let mut session = session.map_err(|why| to.refuse(why))?;
        session.translated = translated;
        let stays = self.shared.nodes.as_ref().and_then(|nodes| nodes.takes(&mut session, entry.is_own));
        let session = Arc::new(session);
        exchange.session = Some(Arc::clone(&session));
        exchange.agent = session.agent.clone();
        self.shared.sessions.insert(Arc::clone(&session)).map_err(|why| to.refuse(why))?;
        let id = HeaderValue::from_str(&session.id).map_err(|_| to.refuse(Refusal::NoRandomness))?;
        exchange.opening = Some(Opening { shared: Arc::clone(&self.shared), session, stays });
        let mut reply = self.relay(exchange, response).await?;
        reply.headers_mut().insert(SESSION_ID, id);
        Ok(reply)
    }

    /// A notification within a session.
    pub(crate) async fn notify(&self, entry: &Entry, notice: Notice, mut params: Params<'_>) -> Result<Reply, Refused> {
        let session = self.session(entry).await?;
        if !notice.is_in(session.revision()) {
            return Err(Refusal::Unknown(notice.as_str().into()).into());
        }
        let roots = entry.agent.policy(&entry.server).current().policy.reverse(Reverse::Roots);
        if notice == Notice::RootsChanged && !roots {
            return Ok(reply::empty(StatusCode::ACCEPTED));
        }
        if notice == Notice::Cancelled {
            // INVARIANT: only what this session opened can be cancelled (vector 66)
            let theirs = params.get("requestId");
            let Some(ours) = theirs.and_then(|id| session.opened_as(id)) else {
                if let (Some(kept), Some(theirs)) = (&session.kept, theirs) {
                    let reason = params.get("reason").and_then(|reason| serde_json::from_str::<String>(reason).ok());
                    kept.cancel(theirs, reason.as_deref()).await;
                }
                return Ok(reply::empty(StatusCode::ACCEPTED));
            };
            if session.let_go(ours) {
                return Ok(reply::empty(StatusCode::ACCEPTED)); // it never left
            }
            session.leave(ours);
            params.replace("requestId", ours.to_string());
            if let Some(translated) = &session.translated {
                translated.cancelled(ours);
            }
        }
        if session.translated.is_some() {
            return Ok(reply::empty(StatusCode::ACCEPTED)); // modern servers know no other
        }
        self.tell(entry, &session, Writer::notification(notice, &params)).await
    }

    /// Sends what has no answer.
    pub(crate) async fn tell(&self, entry: &Entry, session: &Arc<Session>, message: Vec<u8>) -> Result<Reply, Refused> {
        let response = self
            .upstream(&entry.server, &session.agent)
            .post(session_headers(session), message, None)
            .await
            .map_err(Refusal::from)?;
        match response.status() {
            StatusCode::NOT_FOUND if session.upstream.is_some() => {
                self.lose(session).await;
                Err(Refusal::SessionGone.into())
            }
            status if status.is_success() => Ok(reply::empty(StatusCode::ACCEPTED)),
            status => Err(Refusal::from(UpstreamError::Status(status)).into()),
        }
    }

    /// GET: the stream of a legacy session, or one that broke off, resumed.
    pub(crate) async fn stream(&self, entry: &Entry) -> Result<Reply, Refused> {
        if !head::accepts(&entry.headers, "text/event-stream") {
            return Err(Refusal::NotAcceptable.into());
        }
        let session = self.session_or_no_stream(entry).await?;
        let upstream = self.upstream(&entry.server, &entry.agent.in_session_of(&session.agent));
        if let Some(translated) = session.translated.clone() {
            return Ok(self.translated_stream(entry, session, &translated, upstream));
        }
        let mut headers = session_headers(&session);
        if let Some(last) = one(&entry.headers, &LAST_EVENT_ID)? {
            headers.insert(LAST_EVENT_ID, last.clone());
        }
        let response = upstream.get(headers).await.map_err(Refusal::from)?;
        match response.status() {
            // Many servers without a stream answer so. If it is the session that is gone, the next POST tells.
            StatusCode::NOT_FOUND => return Ok(reply::empty(StatusCode::METHOD_NOT_ALLOWED)),
            status @ (StatusCode::METHOD_NOT_ALLOWED | StatusCode::CONFLICT | StatusCode::BAD_REQUEST) => {
                return Ok(reply::empty(status));
            }
            status if !status.is_success() => return Err(Refusal::from(UpstreamError::Status(status)).into()),
            _ if !is_type(&response, "text/event-stream") => {
                return Err(Refusal::from(UpstreamError::ContentType(content_type(&response))).into());
            }
            _ => {}
        }
        Ok(self.own_stream(entry, session, upstream, response.into_body()))
    }

    /// What the server says in a session beside its answers, on its way to the client.
    pub(crate) fn own_stream(
        &self,
        entry: &Entry,
        session: Arc<Session>,
        upstream: Upstream,
        body: Answering,
    ) -> Reply {
        let exchange = Exchange {
            bound: upstream.policy().current(),
            era: Era::Legacy,
            agent: entry.agent.in_session_of(&session.agent),
            session: Some(session),
            call: None,
            tasks: Arc::clone(&self.shared.tasks),
            opening: None,
            round: None,
            upstream,
        };
        reply::events(Out::Relay(Box::new(self.listening(body, exchange))))
    }

    /// DELETE: ends our session and the upstream's.
    pub(crate) async fn end(&self, entry: &Entry) -> Result<Reply, Refused> {
        let session = self.session_or_no_stream(entry).await?;
        if let Some(kept) = &session.kept {
            kept.end().await?;
        }
        self.shared.sessions.remove(&session);
        if let Some(translated) = &session.translated {
            translated.end();
            if session.agent.session.is_some() {
                self.upstream(&entry.server, &session.agent).leave();
            }
        }
        if session.upstream.is_some() {
            let ended = self.upstream(&entry.server, &session.agent).delete(session_headers(&session)).await;
            if let Err(error) = ended {
                tracing::warn!(server = %entry.server.id, error = %crate::policies::chain(&error), "the upstream's session was not ended");
            }
        }
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    async fn session_or_no_stream(&self, entry: &Entry) -> Result<Arc<Session>, Refusal> {
        match self.session(entry).await {
            Err(Refusal::NoSession) if Claim::of(&entry.headers, &mcp::Object::default())?.is_modern() => {
                Err(Refusal::NoStream)
            }
            session => session,
        }
    }
}

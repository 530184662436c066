//! Tells a client that its call waits for a person, in the best way that it can show (`way.rs`).

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use mcp::{Body, Era, Message, Object, Revision, ServerMethod, Verdict, Writer, meta, sse};
use serde_json::Value;
use store::Approval;

use super::Approvals;
use super::back::Back;
use super::form::{self, Said};
use super::hold::Work;
use super::state::{After, State};
use super::task::{Table, Told};
use super::url;
use super::way::{Knows, Shows, Waits, Way};
use crate::agent::Agent;
use crate::pipeline::{Entry, Pipeline};
use crate::refusal::{Refusal, Refused};
use crate::reply::{self, Reply};
use crate::ruling::Ticket;
use crate::session::Session;
use crate::vault::Vault;

/// What a 2025-11-25 client is told that is to send its user to a page first.
const URL_ELICITATION_REQUIRED: i32 = -32042;

/// What a session's own question begins with: no server's id is written so.
const QUESTION: &str = "approval:";

/// What is given out to clients while their calls wait.
pub(crate) struct Wire {
    pub(super) vault: Arc<Vault>,
    pub(super) tasks: Table,
}

impl Wire {
    pub(crate) fn new(vault: Arc<Vault>) -> Self {
        Self { vault, tasks: Table::default() }
    }
}

/// The client of a request, as far as its way depends on it.
struct Client {
    shows: Shows,
    revision: Revision,
    knows: Knows,
    session: Option<Arc<Session>>,
}

impl Approvals {
    pub(crate) fn vault(&self) -> &Arc<Vault> {
        &self.wire.vault
    }
}

impl Pipeline {
    /// The answer to a request that waits for a person, or the stream that it waits on. Boxed, so that what most calls wait in does not grow.
    pub(crate) fn waits<'a>(&'a self, entry: &'a Entry, body: &'a [u8], refused: Refused) -> Work<'a, Reply> {
        Box::pin(self.told(entry, body, refused))
    }

    async fn told(&self, entry: &Entry, body: &[u8], refused: Refused) -> Reply {
        let Some(ticket) = refused.ticket().cloned() else { return refused.reply() };
        let Some(client) = self.client(entry, body, &refused, &ticket).await else {
            return self.hold(entry, body, refused, None).await;
        };
        // Who was asked a moment ago is found; if the store says nothing now, the client waits and is asked nothing.
        let Ok(Some(approval)) = self.shared.approvals.find(&ticket.id).await else {
            return self.hold(entry, body, refused, None).await;
        };
        let Some(method) = refused.to.method else { return refused.reply() };
        let consents = form::may_consent(&approval.asked);
        let way = Way::best(
            client.shows,
            Waits { method, revision: client.revision, knows: client.knows, page: true, consents },
        );
        match way {
            Way::Ticket => refused.reply(),
            Way::Held => self.hold(entry, body, refused, None).await,
            Way::Task => match self.parked(entry, body, &refused, &approval) {
                Some(reply) => reply,
                None => self.hold(entry, body, refused, None).await,
            },
            Way::Url => self.input_required(&refused, &approval, &ticket, After::Url),
            Way::Form => self.input_required(&refused, &approval, &ticket, After::Form),
            Way::Error => {
                let data = url::required(&approval, &ticket.url, &decision(&refused));
                let id = refused.to.id.as_deref();
                let why = "a person must approve this call first";
                reply::json(StatusCode::OK, Writer::error(id, URL_ELICITATION_REQUIRED, why, Some(&data)))
            }
            Way::Asked => {
                let first = match client.session {
                    Some(session) => self.question(entry, &session, &approval).await,
                    None => None,
                };
                self.hold(entry, body, refused, first).await
            }
        }
    }

    /// What a call is told that waited for as long as it may.
    pub(super) async fn waited(&self, body: &[u8], refused: Refused) -> Reply {
        let Some(ticket) = refused.ticket().cloned() else { return refused.reply() };
        let paged = params(body).and_then(|params| Back::seen(&params, &self.shared.approvals));
        if !paged.is_some_and(|back| back.opened_a_page()) {
            return refused.reply();
        }
        match self.shared.approvals.find(&ticket.id).await {
            Ok(Some(approval)) => self.input_required(&refused, &approval, &ticket, After::Url),
            Ok(None) | Err(_) => refused.reply(),
        }
    }

    async fn client(&self, entry: &Entry, body: &[u8], refused: &Refused, ticket: &Ticket) -> Option<Client> {
        if refused.to.era == Some(Era::Modern) {
            let params = params(body)?;
            let capabilities = params.object("_meta").and_then(|meta| meta.object(meta::CLIENT_CAPABILITIES));
            let knows = match Back::seen(&params, &self.shared.approvals).filter(|back| !back.is_a_round()) {
                None => Knows::Nothing,
                Some(back) if back.walks_away() => Knows::Declined,
                Some(_) => Knows::Waits,
            };
            return Some(Client {
                shows: Shows::declared(capabilities),
                revision: Revision::MODERN,
                knows,
                session: None,
            });
        }
        let session = self.session(entry).await.ok()?;
        let knows = if ticket.is_new { Knows::Nothing } else { Knows::Waits };
        Some(Client { shows: session.shows, revision: session.revision(), knows, session: Some(session) })
    }

    fn input_required(&self, refused: &Refused, approval: &Approval, ticket: &Ticket, after: After) -> Reply {
        let elicitation = match &after {
            After::Form => form::elicitation(approval, true),
            After::Url | After::Round { .. } => url::elicitation(approval, &ticket.url),
        };
        let state = State {
            approval: approval.id.as_str().into(),
            binding: approval.asked.binding,
            expires_ms: approval.expires_ms,
            after,
        };
        let Some(sealed) = state.seal(self.shared.approvals.vault()) else {
            return refused.to.refuse(Refusal::NoRandomness).reply();
        };
        let result = url::input_required(&elicitation, &sealed, &decision(refused));
        reply::json(StatusCode::OK, Writer::result(refused.to.id.as_deref().unwrap_or("null"), &result))
    }

    /// The event that asks the client's user, on the stream of the call. None where it cannot be asked now: then the call just waits.
    async fn question(&self, entry: &Entry, session: &Session, approval: &Approval) -> Option<Vec<u8>> {
        // A question of its own each time: no two have the same id.
        let ours = session.asks(&format!("{QUESTION}{}:{}", approval.id, entry.server.next_id())).await?;
        let params = form::elicitation(approval, session.revision() >= Revision::V2025_11_25).to_string();
        let asks = Writer::server_message(Some(ours), ServerMethod::Elicit.as_str(), Some(&params));
        let mut event = Vec::with_capacity(asks.len() + 16);
        sse::write(&sse::Event { data: Some(asks), ..sse::Event::default() }, &mut event);
        Some(event)
    }

    /// The answer to such a question, to be counted. `asked` is what [`Session::answered`] gave back.
    pub(crate) fn answered<'a>(&'a self, agent: Agent, asked: &'a str, verdict: Verdict<'a>) -> Option<Work<'a, ()>> {
        let (id, _) = asked.strip_prefix(QUESTION)?.split_once(':')?;
        Some(Box::pin(self.said(agent, id, verdict)))
    }

    async fn said(&self, agent: Agent, id: &str, verdict: Verdict<'_>) {
        let said = match verdict {
            Verdict::Result(result) => form::said(result.get()),
            Verdict::Error(_) => Said::Nothing,
        };
        let approvals = &self.shared.approvals;
        // What cannot be counted counts for nothing: the call waits on.
        if let Ok(Some(approval)) = approvals.find(id).await {
            _ = approvals.consented_by_its_user(&approval, &approvals.whose(&agent), said).await;
        }
    }

    /// The task that stands for the call from now on; none where there is no room for it.
    fn parked(&self, entry: &Entry, body: &[u8], refused: &Refused, approval: &Approval) -> Option<Reply> {
        let call = (&entry.headers, Bytes::copy_from_slice(body));
        let told = Told { to: (*refused.to).clone(), unapproved: refused.ruling()?.unapproved()?.clone() };
        let task = self.shared.approvals.park((&entry.server, &entry.agent), call, told, approval)?;
        let waits = super::task::waits(&self.shared.approvals.page(&approval.id));
        let result = super::task::created(&task, &waits, &decision(refused));
        Some(reply::json(StatusCode::OK, Writer::result(refused.to.id.as_deref()?, &result)))
    }
}

fn decision(refused: &Refused) -> Value {
    let ruling = refused.ruling();
    ruling.map_or(Value::Null, |ruling| ruling.decision(refused.to.policy.as_deref(), refused.to.request))
}

fn params(body: &[u8]) -> Option<Object<'_>> {
    match mcp::parse(body) {
        Ok(Body::One(Message::Request(request))) => Some(request.params),
        Ok(Body::One(Message::Notification(_) | Message::Response(_)) | Body::Batch(_)) | Err(_) => None,
    }
}

//! The session's own stream, kept open as long as somebody needs it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use mcp::{Method, Params, sse};

use super::super::pool::Slot;
use super::super::session::Session;
use super::subscription;
use crate::answering::{Answering, Piece};
use crate::upstream::{LAST_EVENT_ID, Upstream, UpstreamError, is_type};

/// The pause before a stream is asked for again: doubled each time in vain.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Reads the session's own stream as long as somebody needs it.
pub(super) async fn ear_of(slot: Weak<Slot>, upstream: Upstream) {
    let mut pause = FIRST_PAUSE;
    let mut known: Option<(Arc<Session>, Option<HeaderValue>)> = None;
    loop {
        let Some(there) = slot.upgrade() else { return };
        let way = upstream.renewed();
        let session = match there.hub.is_listened_to() {
            true => there.session(&way, None).await.ok(),
            false => there.current(),
        };
        let mut opened = false;
        if let Some(session) = session {
            let last = match known.take() {
                Some((old, last)) if Arc::ptr_eq(&old, &session) => last,
                Some(_) => {
                    watch_again(&there, &session, &way).await;
                    None
                }
                None => None,
            };
            let answered = open(&session, &way, last.clone()).await;
            session.hearing.send_replace(Some(matches!(answered, Ok(Opened::Stream(_)))));
            match answered {
                Ok(Opened::Stream(body)) => {
                    (opened, pause) = (true, FIRST_PAUSE);
                    drop(there); // only the server and the clients keep it open
                    let last = read(&slot, &session, &upstream, body, last).await;
                    known = Some((session, last));
                }
                Ok(Opened::Doubt) => {
                    if is_lost(&session, &way).await {
                        there.lost(&session);
                    }
                    known = Some((session, None));
                }
                Ok(Opened::Nothing) | Err(_) => known = Some((session, last)),
            }
        }
        let Some(there) = slot.upgrade() else { return };
        {
            let mut ear = there.hub.ear();
            let needed =
                there.hub.is_listened_to() || (opened && !there.offers.is_empty() && there.current().is_some());
            if !needed {
                *ear = None;
                return;
            }
        }
        drop(there);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What a request for the session's stream gave.
enum Opened {
    Stream(Answering),
    /// There is none; or the session is gone, which many servers answer alike: a `ping` tells.
    Doubt,
    Nothing,
}

async fn open(session: &Session, upstream: &Upstream, last: Option<HeaderValue>) -> Result<Opened, UpstreamError> {
    let mut headers = session.headers();
    if let Some(last) = last {
        headers.insert(LAST_EVENT_ID, last);
    }
    let response = upstream.get(headers).await?;
    Ok(match response.status() {
        StatusCode::OK if is_type(&response, "text/event-stream") => Opened::Stream(response.into_body()),
        StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST if session.has_id() => Opened::Doubt,
        _ => Opened::Nothing,
    })
}

async fn is_lost(session: &Session, upstream: &Upstream) -> bool {
    let asked = session.ask(upstream, Method::Ping, &Params::default()).await;
    matches!(asked, Err(UpstreamError::Status(StatusCode::NOT_FOUND)))
}

async fn watch_again(slot: &Arc<Slot>, session: &Session, upstream: &Upstream) {
    let uris = slot.hub.uris.lock().await;
    for uri in uris.keys() {
        _ = subscription(session, upstream, Method::Subscribe, uri).await; // one that fails hides no other
    }
}

/// Until the stream ends, or nobody has the slot any more; the id of the last event.
async fn read(
    slot: &Weak<Slot>,
    session: &Arc<Session>,
    upstream: &Upstream,
    mut body: Answering,
    mut last: Option<HeaderValue>,
) -> Option<HeaderValue> {
    let mut reader = sse::Reader::new(upstream.bounds.event);
    while let Some(Ok(piece)) = body.next().await {
        let mut events = Vec::new();
        match piece {
            Piece::Event(event) => events.push(event),
            Piece::Bytes(bytes) => {
                if reader.push(&bytes, |event| events.push(event)).is_err() {
                    break;
                }
            }
        }
        for event in events {
            if let Some(id) = event.id.as_deref().filter(|id| !id.is_empty()) {
                last = HeaderValue::from_str(id).ok();
            }
            let named = event.event.is_some_and(|name| name != "message");
            if let Some(message) = event.data.filter(|data| !data.is_empty() && !named) {
                slot.upgrade()?.heard(session, upstream, &message);
            }
        }
    }
    last
}

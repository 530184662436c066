//! Decisions and changes as they come, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream;
use gateway::{Ear, Heard};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::guard::Caller;
use crate::here::{Here, MAX_STREAMS, State};
use crate::problem::{Code, Problem};

/// So often something is sent; and so often it is looked whether the caller is still somebody who may listen.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);

struct Listening {
    here: Arc<Here>,
    caller: Caller,
    ear: Ear,
    beat: Interval,
    _place: OwnedSemaphorePermit,
}

/// Decisions and changes as they come. `lagged` says how many a slow reader has missed
#[utoipa::path(get, path = "/api/v1/events", tag = "events", operation_id = "events",
    responses((status = 200, content_type = "text/event-stream", body = String)))]
pub(super) async fn events(here: State, caller: Caller) -> Result<Response, Problem> {
    let place = Arc::clone(&here.streams).try_acquire_owned();
    let place = place.map_err(|_| Problem::new(Code::TooManyStreams, format!("{MAX_STREAMS} listen already")))?;
    let mut beat = interval(HEARTBEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ended = || Problem::new(Code::Internal, "the gateway has ended");
    let ear = here.control.listen().ok_or_else(ended)?;
    let listening = Listening { here: here.0, caller, ear, beat, _place: place };
    // The first beat is at once: who hears it knows that nothing is missed from here on.
    let told = stream::unfold(listening, |mut listening| async {
        let part = listening.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(part)), listening))
    });
    let mut response = Response::new(Body::from_stream(told));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

impl Listening {
    async fn next(&mut self) -> Option<String> {
        tokio::select! {
            heard = self.ear.next() => Some(match heard? {
                Heard::Event(event) => event_text(event.name(), event.json()),
                Heard::Missed(missed) => event_text("lagged", &format!("{{\"missed\":{missed}}}")),
            }),
            _ = self.beat.tick() => {
                // Signed out, revoked, another role: then no longer.
                self.here.still(&self.caller).await.then(|| ": beat\n\n".to_owned())
            }
        }
    }
}

/// JSON on one line has no line breaks of its own.
fn event_text(name: &str, json: &str) -> String {
    format!("event: {name}\ndata: {json}\n\n")
}

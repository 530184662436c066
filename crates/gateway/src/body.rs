//! The body of a request: whole, bounded in size and time, before anything goes upstream.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use crate::config::Bounds;
use crate::refusal::Refusal;

pub(crate) async fn read(body: Incoming, bounds: &Bounds) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > bounds.body as u64 {
        return Err(Refusal::TooLarge(bounds.body));
    }
    tokio::time::timeout(bounds.body_timeout, collect(body, bounds.body))
        .await
        .map_err(|_| Refusal::Slow(bounds.body_timeout))?
}

async fn collect(mut body: Incoming, max: usize) -> Result<Bytes, Refusal> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::CutOff)?.into_data() else { continue };
        if whole.is_empty() && body.is_end_stream() && data.len() <= max {
            return Ok(data);
        }
        if whole.len() + data.len() > max {
            return Err(Refusal::TooLarge(max));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

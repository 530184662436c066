//! JSON-RPC batches, which only revision 2025-03-26 has: each element is judged and sent alone, the answers come as one stream.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use mcp::{Message, Method, sse};
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::pipeline::{Entry, Pipeline};
use crate::refusal::{Refusal, Refused};
use crate::reply::{self, Out, Reply};

/// Messages in one batch at most.
const MAX_BATCH: usize = 100;

/// Where messages come in: at one server, or at the aggregate of all.
pub(crate) trait Mount: Clone + Send + Sync + 'static {
    fn message(&self, message: Message<'_>) -> impl Future<Output = Result<Reply, Refused>> + Send;

    fn refused(&self, refused: &Refused);
}

impl Mount for (Pipeline, Entry) {
    async fn message(&self, message: Message<'_>) -> Result<Reply, Refused> {
        match self.0.message(&self.1, message).await {
            // One element would hold up all that come after it.
            Err(refused) if refused.ticket().is_some() => Ok(refused.reply()),
            answered => answered,
        }
    }

    fn refused(&self, refused: &Refused) {
        self.0.turned_away(&self.1.server.id, &self.1.agent, refused);
    }
}

/// Refuses the whole array if any element is no lawful message; else works through it in order.
pub(crate) async fn answer(mount: &impl Mount, elements: &[&RawValue]) -> Result<Reply, Refused> {
    if elements.len() > MAX_BATCH {
        return Err(Refusal::BatchTooLong(MAX_BATCH).into());
    }
    let mut owes_answers = false;
    for element in elements {
        match mcp::element(element)? {
            Message::Request(request) if request.method == Ok(Method::Initialize) => {
                return Err(Refusal::BatchedInitialize.into());
            }
            Message::Request(_) => owes_answers = true,
            Message::Notification(_) | Message::Response(_) => {}
        }
    }
    if !owes_answers {
        for element in elements {
            mount.message(mcp::element(element)?).await?;
        }
        return Ok(reply::empty(StatusCode::ACCEPTED));
    }
    let (feed, fed) = mpsc::channel(1);
    let mount = mount.clone();
    let elements: Vec<Box<RawValue>> = elements.iter().map(|element| (*element).to_owned()).collect();
    tokio::spawn(async move {
        for element in elements {
            tokio::select! {
                done = one(&mount, &element, &feed) => if done.is_err() { return },
                () = feed.closed() => return, // the client hung up
            }
        }
    });
    Ok(reply::events(Out::Fed(fed)))
}

struct HungUp;

async fn one(mount: &impl Mount, element: &RawValue, feed: &mpsc::Sender<Bytes>) -> Result<(), HungUp> {
    let Ok(message) = mcp::element(element) else { return Ok(()) };
    let is_request = matches!(message, Message::Request(_));
    // Boxed: a batch is a message that holds messages, and its future would hold itself.
    let reply = match Box::pin(mount.message(message)).await {
        Ok(reply) => reply,
        Err(refused) => {
            mount.refused(&refused);
            refused.reply()
        }
    };
    let is_stream = reply.body().is_stream();
    let mut body = reply.into_body();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        let data = match is_stream {
            true => data,
            false if is_request => event(data),
            false => continue,
        };
        feed.send(data).await.map_err(|_| HungUp)?;
    }
    Ok(())
}

fn event(message: Bytes) -> Bytes {
    let mut out = Vec::with_capacity(message.len() + 16);
    sse::write(&sse::Event { data: Some(message.into()), ..sse::Event::default() }, &mut out);
    out.into()
}

//! A request whose client is being asked: it waits, reads on, and goes on where the client comes back.

use std::sync::Arc;
use std::time::SystemTime;

use mcp::{ServerMessage, Writer};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::answer::Answer;
use super::super::ask::{self, Ask};
use super::super::parking::{Answers, Out, Place, Resumed};
use super::{Flight, Step};
use crate::limits::Held;
use crate::upstream::UpstreamError;

/// What a parked call waits with.
pub(super) struct Waits {
    id: u64,
    resumed: oneshot::Receiver<Resumed>,
    expires: Instant,
}

impl Flight {
    /// Asks the client: ends its request, and keeps ours. None where there is no room; then the server is told no.
    pub(super) fn park(&mut self) -> Option<(Answer, Option<Waits>)> {
        let again = self.asks.iter().all(|ask| ask.id.is_none());
        let (go_on, resumed) = oneshot::channel();
        let expires = Instant::now() + self.patience();
        let place = Place {
            agent: Arc::clone(&self.leg.agent.key),
            slot: Arc::clone(&self.slot),
            session: Arc::clone(&self.session),
            asks: self.asks.clone(),
            go_on: (!again).then_some(go_on),
            expires,
        };
        let sealed = self.leg.binding.and_then(|binding| {
            let id = self.to_legacy.parking.park(place)?;
            let until = SystemTime::now() + self.patience();
            self.to_legacy.seal.seal(id, &binding, until).map(|state| (id, state))
        });
        let Some((id, state)) = sealed else {
            tracing::warn!(server = %self.slot.server_id(), "too many calls wait for their clients: one was not asked");
            if again {
                self.ready.push_back(Step::Failed(UpstreamError::LatelyFailed));
            }
            let asks = std::mem::take(&mut self.asks);
            self.decline(asks, "too many calls wait for their clients");
            return None;
        };
        let answer = Answer::result(self.leg.ours, &ask::input_required(&self.asks, &state, &self.session));
        self.parked = !again;
        self.landed |= again;
        Some((answer, (!again).then_some(Waits { id, resumed, expires })))
    }

    /// Waits for the client to come back. None if it does not: dropping the flight cancels it.
    pub(super) async fn wait(&mut self, mut waits: Waits) -> Option<Out> {
        let mut asked = std::mem::take(&mut self.asks);
        let mut kept = None;
        let resumed = loop {
            tokio::select! {
                biased;
                resumed = &mut waits.resumed => break resumed.ok()?,
                () = tokio::time::sleep_until(waits.expires) => {
                    if self.to_legacy.parking.take(waits.id).is_some() {
                        tracing::info!(server = %self.slot.server_id(), "a client that was asked did not come back");
                        asked.append(&mut self.asks);
                        self.decline(asked, "the client did not answer in time");
                        return None;
                    }
                    break waits.resumed.await.ok()?; // it is coming back right now
                }
                // Read on: a server that shares its way with others must not be held up.
                step = self.next(), if kept.is_none() => match step {
                    Step::Answer(_) | Step::Failed(_) => kept = Some(step),
                    Step::Message(_) | Step::Asks => {}
                }
            }
        };
        // What the server said by now is heard before it is told anything.
        while kept.is_none() {
            tokio::select! {
                biased;
                step = self.next() => match step {
                    Step::Answer(_) | Step::Failed(_) => kept = Some(step),
                    Step::Message(_) | Step::Asks => {}
                },
                () = std::future::ready(()) => break,
            }
        }
        let Resumed { leg, out, answers, held } = resumed;
        self.parked = false;
        self.due = (!self.asks.is_empty()).then(Instant::now);
        self.leg = leg;
        match kept {
            // INVARIANT: a call that is over gets no answers: the server might take them for those to other questions.
            Some(step) => self.ready.push_back(self.readdressed(step)),
            None => {
                if let Err(error) = self.give(answers, held).await {
                    _ = out.send(Err(error)).await; // and the call is cancelled
                    return None;
                }
            }
        }
        Some(out)
    }

    /// Tells the server what the client answered.
    async fn give(&mut self, answers: Answers, mut held: Option<Held>) -> Result<(), UpstreamError> {
        for (id, answer) in &answers {
            let message = Writer::result(id, answer);
            let posted = self.leg.upstream.post(self.session.headers(), message, held.take()).await?;
            if !posted.status().is_success() {
                return Err(UpstreamError::Status(posted.status()));
            }
        }
        Ok(())
    }

    /// What was answered meanwhile goes to the request that the client waits for now.
    fn readdressed(&self, step: Step) -> Step {
        let Step::Answer(answer) = step else { return step };
        let verdict = match ServerMessage::read(&answer.message) {
            Some(ServerMessage::Answer(read)) => Writer::answer(&self.leg.ours.to_string(), read.verdict),
            Some(_) | None => return Step::Failed(UpstreamError::NotAnAnswer),
        };
        Step::Answer(Answer { message: verdict, ..answer })
    }

    pub(in super::super) fn decline(&self, asks: Vec<Ask>, why: &str) {
        for id in asks.iter().filter_map(|ask| ask.id.as_deref()) {
            self.tell(Writer::error(Some(id), -32603, why, None));
        }
    }
}

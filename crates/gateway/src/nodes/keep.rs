//! Keeps the connections, looks whether Redis is there and takes writes, hears what other nodes tell, and sends what they should hear.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::{MultiplexedConnection, PubSub, PubSubSink, PubSubStream};
use redis::{Pipeline, Value};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::Nodes;
use super::afar::{Counted, Outbox, written};
use super::told::{Hand, Told};
use crate::pipeline::Shared;

/// Between two tries to connect.
const PAUSE: Duration = Duration::from_millis(250);
/// How often Redis is asked whether it is there, and who listens.
const BEAT: Duration = Duration::from_secs(1);
/// So many events are sent at a time.
const BATCH: usize = 64;

impl Nodes {
    /// Connects, and connects again, for ever.
    pub(crate) async fn keep(&self, mut outbox: Outbox, shared: Arc<Shared>) {
        let (hand, counted) = (Hand::new(&shared), Mutex::default());
        loop {
            let why = match self.connect().await {
                Err(why) => why,
                Ok((connection, ear)) => {
                    self.is_up(connection.clone());
                    let (sink, heard) = ear.split();
                    tokio::select! {
                        why = self.beats(&connection, sink, &shared, &counted) => why,
                        why = self.hears(heard, &hand, &shared, &counted) => why,
                        why = self.sends(&connection, &mut outbox) => why,
                        why = self.link.broken() => why,
                    }
                }
            };
            self.is_down(why);
            sleep(PAUSE).await;
        }
    }

    async fn connect(&self) -> Result<(MultiplexedConnection, PubSub), Arc<str>> {
        let connection = self.link.connect().await?;
        let ear = self.link.listen(self.told_channel()).await?;
        self.probe(&connection, false).await?;
        Ok((connection, ear))
    }

    fn is_up(&self, connection: MultiplexedConnection) {
        self.link.is_up(connection);
        if self.lost.swap(false, Ordering::Relaxed) {
            tracing::info!(store = %self.link.address(), "the store of sessions (`sessions.store`) is back");
        }
    }

    fn is_down(&self, why: Arc<str>) {
        if !self.lost.swap(true, Ordering::Relaxed) {
            tracing::warn!(store = %self.link.address(), error = %why, "the store of sessions (`sessions.store`) is lost");
        }
        self.link.is_down(why);
    }

    /// Is it there, does it take writes, and does anybody else listen to events?
    async fn probe(&self, connection: &MultiplexedConnection, listens: bool) -> Result<(), Arc<str>> {
        let mut pipe = Pipeline::new();
        pipe.cmd("SET").arg(format!("{}:beat", self.prefix.as_str())).arg(&*self.me).arg("EX").arg(60).ignore();
        pipe.cmd("PUBSUB").arg("NUMSUB").arg(self.events_channel());
        let mut connection = connection.clone();
        let ((_, ears),): ((String, u64),) = self.link.within(pipe.query_async(&mut connection)).await?;
        self.afar.is_wanted(ears > u64::from(listens));
        Ok(())
    }

    /// Until something is wrong; says what.
    async fn beats(
        &self,
        connection: &MultiplexedConnection,
        mut sink: PubSubSink,
        shared: &Shared,
        counted: &Mutex<Counted>,
    ) -> Arc<str> {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut listens = false;
        loop {
            tokio::select! {
                _ = beat.tick() => {}
                () = self.afar.wake.notified() => {}
            }
            let wants = shared.events.has_ears();
            let turned = match wants == listens {
                true => self.link.within(sink.ping::<Value>()).await.map(drop),
                false => self.turn(wants, connection, &mut sink, counted).await,
            };
            listens = wants;
            let done = match turned {
                Ok(()) => self.probe(connection, listens).await,
                Err(why) => Err(why),
            };
            if let Err(why) = done {
                return why;
            }
        }
    }

    /// Events of others are listened to from here on, or no longer.
    async fn turn(
        &self,
        wants: bool,
        connection: &MultiplexedConnection,
        sink: &mut PubSubSink,
        counted: &Mutex<Counted>,
    ) -> Result<(), Arc<str>> {
        let channel = self.events_channel();
        if !wants {
            return self.link.within(sink.unsubscribe(channel)).await;
        }
        counted.lock().unwrap_or_else(PoisonError::into_inner).anew();
        self.link.within(sink.subscribe(channel)).await?;
        let mut pipe = Pipeline::new();
        self.add_told(&mut pipe, &Told::Listening { node: self.me.to_string() });
        self.link.within(pipe.query_async(&mut connection.clone())).await
    }

    async fn hears(&self, mut heard: PubSubStream, hand: &Hand, shared: &Shared, counted: &Mutex<Counted>) -> Arc<str> {
        let told = self.told_channel();
        while let Some(message) = heard.next().await {
            match message.get_channel_name() == told {
                true => hand.does(message.get_payload_bytes(), &self.me, &self.afar),
                false => {
                    let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
                    counted.hear(message.get_payload_bytes(), &self.me, &shared.events);
                }
            }
        }
        "what it tells broke off".into()
    }

    async fn sends(&self, connection: &MultiplexedConnection, outbox: &mut Outbox) -> Arc<str> {
        let channel = self.events_channel();
        while let Some(first) = outbox.0.recv().await {
            let mut pipe = Pipeline::new();
            let more = std::iter::from_fn(|| outbox.0.try_recv().ok());
            for event in std::iter::once(first).chain(more).take(BATCH) {
                if let Some(text) = written(&self.me, &event) {
                    pipe.cmd("PUBLISH").arg(&channel).arg(text).ignore();
                }
            }
            let sent: Result<(), _> = self.link.within(pipe.query_async(&mut connection.clone())).await;
            if let Err(why) = sent {
                return why;
            }
        }
        std::future::pending().await // nobody is there any more who could have something to tell
    }

    fn events_channel(&self) -> String {
        format!("{}:events", self.prefix.as_str())
    }
}

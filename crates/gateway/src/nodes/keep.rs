//! Keeps the connections, looks whether Redis is there and takes writes, hears what other nodes tell, and sends what they should hear.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::{PubSub, PubSubSink, PubSubStream};
use redis::{AsyncConnectionConfig, Pipeline, RedisError, Value};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::Nodes;
use super::afar::{Counted, Outbox, written};
use super::link::Up;
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
        for number in 1.. {
            let why = match self.connect(number).await {
                Err(why) => why,
                Ok((up, ear)) => {
                    self.link.is_up(up.clone());
                    let (sink, heard) = ear.split();
                    tokio::select! {
                        why = self.beats(&up, sink, &shared, &counted) => why,
                        why = self.hears(heard, &hand, &shared, &counted) => why,
                        why = self.sends(&up, &mut outbox) => why,
                        why = self.link.broken() => why,
                    }
                }
            };
            self.link.is_down(why);
            sleep(PAUSE).await;
        }
    }

    async fn connect(&self, number: u64) -> Result<(Up, PubSub), Arc<str>> {
        let patience = self.link.patience();
        let settings =
            AsyncConnectionConfig::new().set_connection_timeout(Some(patience)).set_response_timeout(Some(patience));
        let connecting = async {
            let connection = self.link.client.get_multiplexed_async_connection_with_config(&settings).await?;
            let mut ear = self.link.client.get_async_pubsub().await?;
            ear.subscribe(self.told_channel()).await?;
            Ok((connection, ear))
        };
        let (connection, ear) = within(patience, connecting).await?;
        let up = Up { connection, number };
        self.probe(&up, false).await?;
        Ok((up, ear))
    }

    /// Is it there, does it take writes, and does anybody else listen to events?
    async fn probe(&self, up: &Up, listens: bool) -> Result<(), Arc<str>> {
        let mut pipe = Pipeline::new();
        pipe.cmd("SET").arg(format!("{}:beat", self.prefix.as_str())).arg(&*self.me).arg("EX").arg(60).ignore();
        pipe.cmd("PUBSUB").arg("NUMSUB").arg(self.events_channel());
        let mut connection = up.connection.clone();
        let asked = pipe.query_async(&mut connection);
        let ((_, ears),): ((String, u64),) = within(self.link.patience(), asked).await?;
        self.afar.is_wanted(ears > u64::from(listens));
        Ok(())
    }

    /// Until something is wrong; says what.
    async fn beats(&self, up: &Up, mut sink: PubSubSink, shared: &Shared, counted: &Mutex<Counted>) -> Arc<str> {
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
                true => within(self.link.patience(), sink.ping::<Value>()).await.map(drop),
                false => self.turn(wants, up, &mut sink, counted).await,
            };
            listens = wants;
            let done = match turned {
                Ok(()) => self.probe(up, listens).await,
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
        up: &Up,
        sink: &mut PubSubSink,
        counted: &Mutex<Counted>,
    ) -> Result<(), Arc<str>> {
        let (patience, channel) = (self.link.patience(), self.events_channel());
        if !wants {
            return within(patience, sink.unsubscribe(channel)).await;
        }
        counted.lock().unwrap_or_else(PoisonError::into_inner).anew();
        within(patience, sink.subscribe(channel)).await?;
        let mut pipe = Pipeline::new();
        self.add_told(&mut pipe, &Told::Listening { node: self.me.to_string() });
        within(patience, pipe.query_async(&mut up.connection.clone())).await
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

    async fn sends(&self, up: &Up, outbox: &mut Outbox) -> Arc<str> {
        let channel = self.events_channel();
        while let Some(first) = outbox.0.recv().await {
            let mut pipe = Pipeline::new();
            let more = std::iter::from_fn(|| outbox.0.try_recv().ok());
            for event in std::iter::once(first).chain(more).take(BATCH) {
                if let Some(text) = written(&self.me, &event) {
                    pipe.cmd("PUBLISH").arg(&channel).arg(text).ignore();
                }
            }
            let sent: Result<(), _> = within(self.link.patience(), pipe.query_async(&mut up.connection.clone())).await;
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

async fn within<T>(patience: Duration, asked: impl Future<Output = Result<T, RedisError>>) -> Result<T, Arc<str>> {
    match timeout(patience, asked).await {
        Ok(answered) => answered.map_err(|error| error.to_string().into()),
        Err(_) => Err("it does not answer in time".into()),
    }
}

//! Keeps the connection, looks after the store, and tells it what became of calls that left late or never.

use super::{
    Remote,
    call::{Call, Mode},
    micros,
    pending::{self, Fate, Grant},
    reply::Reply,
};
use futures_util::future::join_all;
use redis::{ServerErrorKind, aio::MultiplexedConnection};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// Between two tries to connect.
const PAUSE: Duration = Duration::from_millis(250);
/// How often an idle store is asked whether it is there and takes writes.
const BEAT: Duration = Duration::from_secs(1);
/// How often calls that are held for long are looked for.
const LOOK: Duration = Duration::from_millis(100);
/// So many are told at a time.
const BATCH: usize = 64;

impl Remote {
    /// Connects, and connects again, for ever.
    pub async fn keep(&self) {
        loop {
            let why = match self.connect().await {
                Ok(connection) => {
                    self.link.is_up(connection.clone());
                    self.hold(&connection).await
                }
                Err(why) => why,
            };
            self.link.is_down(why);
            sleep(PAUSE).await;
        }
    }

    /// A connection to a store that is fit to count in.
    async fn connect(&self) -> Result<MultiplexedConnection, Arc<str>> {
        let connection = self.link.connect().await?;
        self.refuses_to_forget(connection.clone()).await?;
        self.probe(&connection).await?;
        Ok(connection)
    }

    /// A store that throws keys away when it is full would throw counts away.
    async fn refuses_to_forget(&self, mut connection: MultiplexedConnection) -> Result<(), Arc<str>> {
        let told: Result<String, _> = redis::cmd("INFO").arg("memory").query_async(&mut connection).await;
        let Ok(told) = told else { return Ok(()) }; // not allowed to ask: nothing can be said
        let says = |key: &str| told.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let is_bounded = says("maxmemory").is_some_and(|most| most.trim() != "0");
        match says("maxmemory_policy").map(str::trim) {
            Some(policy) if is_bounded && policy != "noeviction" => {
                Err(format!("it throws keys away when it is full: `maxmemory-policy` is `{policy}`, not `noeviction`")
                    .into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Is it there, does it take writes, what time is it there, and has it lost anything?
    async fn probe(&self, connection: &MultiplexedConnection) -> Result<(), Arc<str>> {
        let call = Call::default();
        match self.link.within(self.run(connection.clone(), &call, Mode::Probe, 0)).await? {
            Reply::Done { clock } => {
                self.ahead.store(clock.saturating_sub(micros((self.clock)())), Ordering::Relaxed);
                Ok(())
            }
            Reply::Granted { .. } | Reply::Limited(_) | Reply::Late => Err("it answered something else".into()),
        }
    }

    /// Until the connection is given up; says why.
    async fn hold(&self, connection: &MultiplexedConnection) -> Arc<str> {
        let (mut beat, mut look) = (interval(BEAT), interval(LOOK));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                _ = beat.tick() => self.probe(connection).await,
                _ = look.tick() => self.tell_all(connection).await,
                () = self.wake.notified() => self.tell_all(connection).await,
                why = self.link.broken() => Err(why),
            };
            if let Err(why) = done {
                return why;
            }
        }
    }

    async fn tell_all(&self, connection: &MultiplexedConnection) -> Result<(), Arc<str>> {
        let decided = pending::lock(&self.pending).decided(BATCH);
        let stale = pending::lock(&self.pending).stale((self.clock)(), BATCH);
        let told = join_all(decided.iter().map(|(ticket, grant)| self.tell(connection, *ticket, grant))).await;
        let moved = join_all(stale.iter().map(|(ticket, grant)| self.hold_on(connection, *ticket, grant))).await;
        if decided.len() == BATCH {
            self.wake.notify_one();
        }
        told.into_iter().chain(moved).collect()
    }

    /// What became of a call.
    async fn tell(&self, connection: &MultiplexedConnection, ticket: u64, grant: &Grant) -> Result<(), Arc<str>> {
        let mode = if grant.fate == Fate::Stayed { Mode::Release } else { Mode::Move };
        let told = self.say_patiently(connection, mode, grant).await;
        // INVARIANT: given back at most once, even if nobody knows whether it was; moved until it is, or the server will not have it.
        let is_over = mode == Mode::Release || !told.as_ref().is_err_and(|trouble| trouble.may_pass);
        if is_over {
            pending::lock(&self.pending).told(ticket);
        }
        told.map(drop).map_err(|trouble| trouble.why)
    }

    /// A call that is held for long is counted as of now, so that its count is there when it leaves.
    async fn hold_on(&self, connection: &MultiplexedConnection, ticket: u64, grant: &Grant) -> Result<(), Arc<str>> {
        let now = (self.clock)();
        let told = self.say_patiently(connection, Mode::Move, grant).await.map_err(|trouble| trouble.why)?;
        if let Reply::Granted { epoch, nows, .. } = told {
            pending::lock(&self.pending).moved(ticket, epoch, nows, now);
        }
        Ok(())
    }

    async fn say_patiently(
        &self,
        connection: &MultiplexedConnection,
        mode: Mode,
        grant: &Grant,
    ) -> Result<Reply, Trouble> {
        let said = self.say(connection.clone(), &grant.call, (mode, 0), grant.epoch, &grant.nows);
        match timeout(self.link.patience(), said).await {
            Ok(said) => said.map_err(|error| Trouble {
                may_pass: error.kind() != ServerErrorKind::ResponseError.into(),
                why: error.to_string().into(),
            }),
            Err(_) => Err(Trouble { may_pass: true, why: "it does not answer in time".into() }),
        }
    }
}

/// Why the store did not hear something.
struct Trouble {
    /// Saying it again may help.
    may_pass: bool,
    why: Arc<str>,
}

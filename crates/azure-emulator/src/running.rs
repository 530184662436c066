//! Starts the service, and is the handle on it that tests hold.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use data_encoding::HEXLOWER;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::fault::{Fault, Faults};
use crate::journal::{Journal, Recorded};
use crate::world::Shared;
use crate::{Seed, demo, serve};

/// The service, not yet running.
#[derive(Debug)]
pub struct Emulator;

impl Emulator {
    /// A service with the demo's data, on any free port of 127.0.0.1.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            port: 0,
            key: "emulator-key".to_owned(),
            speed: 1.0,
            seed: Seed::Demo,
            directory: None,
            control_token: None,
            token_lifetime: Duration::from_secs(3_599),
        }
    }
}

/// How the service shall be.
#[derive(Clone, Debug)]
pub struct Builder {
    port: u16,
    key: String,
    speed: f64,
    seed: Seed,
    directory: Option<PathBuf>,
    control_token: Option<String>,
    token_lifetime: Duration,
}

impl Builder {
    /// The port on 127.0.0.1; 0 for any that is free.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The API key; `emulator-key` if this is not called. With `-reader` behind it, one that may only read.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = key.into();
        self
    }

    /// Virtual seconds for each real one; 1 if this is not called. What is negative or not finite counts as 0.
    #[must_use]
    pub fn speed(mut self, speed: f64) -> Self {
        self.speed = if speed.is_finite() { speed.clamp(0.0, 1_000_000.0) } else { 0.0 };
        self
    }

    /// Time that only [`Running::advance`] moves.
    #[must_use]
    pub fn manual_clock(self) -> Self {
        self.speed(0.0)
    }

    /// What is there at the start.
    #[must_use]
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed = seed;
        self
    }

    /// Keeps the contents of files in this folder instead of in memory, where they may hold 64 MiB together.
    #[must_use]
    pub fn directory(mut self, folder: impl Into<PathBuf>) -> Self {
        self.directory = Some(folder.into());
        self
    }

    /// What the control routes want to see; random if this is not called.
    #[must_use]
    pub fn control_token(mut self, token: impl Into<String>) -> Self {
        self.control_token = Some(token.into());
        self
    }

    /// How long the tokens it issues live; 3,599 s if this is not called.
    #[must_use]
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = lifetime;
        self
    }

    /// Binds and serves, on the runtime of the caller.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start(self) -> io::Result<Running> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let control_token = match self.control_token {
            Some(token) => token,
            None => random().map_err(io::Error::other)?,
        };
        let clock = Clock::new(self.speed);
        let shared = Arc::new(Shared {
            world: Mutex::new(demo::world(self.seed, clock.now())),
            clock,
            journal: Journal::default(),
            faults: Faults::default(),
            reader_key: format!("{}-reader", self.key),
            key: self.key,
            control_token,
            token_lifetime: self.token_lifetime,
            directory: self.directory,
            memory: Arc::default(),
            url,
            seed: self.seed,
        });
        let serving = tokio::spawn(serve::serve(listener, Arc::clone(&shared)));
        Ok(Running { shared, serving })
    }
}

fn random() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(HEXLOWER.encode(&bytes))
}

/// A service that runs; it ends when this is dropped.
#[derive(Debug)]
pub struct Running {
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Running {
    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// The key that may do everything.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.shared.key
    }

    /// A key that may only read.
    #[must_use]
    pub fn reader_key(&self) -> &str {
        &self.shared.reader_key
    }

    /// What the control routes want to see as `x-emulator-token`.
    #[must_use]
    pub fn control_token(&self) -> &str {
        &self.shared.control_token
    }

    /// Moves virtual time ahead.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    /// What was asked so far, oldest first; control routes are not in it.
    #[must_use]
    pub fn journal(&self) -> Vec<Recorded> {
        self.shared.journal.all()
    }

    /// Lets something go wrong.
    pub fn inject(&self, fault: Fault) {
        self.shared.faults.add(fault);
    }

    /// All data as at the start, no faults, an empty journal.
    pub fn reset(&self) {
        self.shared.reset(self.shared.seed);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What a shell runs to point a client here, a line each.
#[must_use]
pub fn environment(running: &Running) -> String {
    format!("export AZURE_OPENAI_ENDPOINT={}\nexport AZURE_OPENAI_API_KEY={}\n", running.url(), running.key())
}

//! Stands before everything on the data listener: who is it, by what the operator chose that agents must show.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use http::request::Parts;
use tokio::sync::watch;

use super::bearer::bearer;
use super::directory::Directory;
use super::pass::{By, Pass};
use super::unauthorized::Unauthorized;
use super::{jwt, token};
use crate::agent::Agent;
use crate::config::Auth;
use crate::pipeline::Peer;

pub(crate) struct Doorman {
    mode: Mode,
    directory: ArcSwap<Directory>,
    changed: watch::Sender<()>,
}

enum Mode {
    Anonymous,
    Tokens,
    /// Our tokens are good as well.
    Jwt(Box<jwt::Verifier>),
}

/// Somebody who was let in.
pub(crate) struct Admitted {
    pub(crate) agent: Agent,
    pub(crate) pass: Pass,
}

impl Doorman {
    pub(crate) fn new(auth: &Auth, directory: Directory) -> Self {
        let mode = match auth {
            Auth::Anonymous => Mode::Anonymous,
            Auth::Tokens => Mode::Tokens,
            Auth::Jwt => Mode::Jwt(Box::new(jwt::Verifier::new())),
        };
        Self { mode, directory: ArcSwap::from_pointee(directory), changed: watch::Sender::new(()) }
    }

    /// From the next request on; and what goes on is looked at again.
    #[expect(dead_code, reason = "whoever refreshes the registry calls it")]
    pub(crate) fn replace(&self, directory: Directory) {
        self.directory.store(Arc::new(directory));
        self.changed.send_replace(());
    }

    /// INVARIANT: asked first, for every request, before anything of it is looked at or read.
    pub(crate) async fn who(&self, head: &Parts, peer: &Peer) -> Result<Admitted, Unauthorized> {
        match &self.mode {
            Mode::Anonymous => Ok(Admitted { agent: peer.agent.clone(), pass: Pass::nobodys() }),
            Mode::Tokens => self.bearer_of_a_token(bearer(head)?),
            Mode::Jwt(verifier) => {
                let shown = bearer(head)?;
                match token::hash(shown) {
                    Some(_) => self.bearer_of_a_token(shown),
                    None => verifier.verify(shown, &head.uri).await,
                }
            }
        }
    }

    fn bearer_of_a_token(&self, shown: &[u8]) -> Result<Admitted, Unauthorized> {
        let hash = token::hash(shown).ok_or(Unauthorized::Malformed)?;
        let directory = self.directory.load();
        let grant = directory.find(&hash).ok_or(Unauthorized::Unknown)?;
        let identity = grant.identity(SystemTime::now())?;
        Ok(Admitted {
            agent: Agent::known(Arc::clone(identity)),
            pass: Pass { by: By::Token(hash), until: grant.expires() },
        })
    }

    pub(super) fn directory(&self) -> Arc<Directory> {
        self.directory.load_full()
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

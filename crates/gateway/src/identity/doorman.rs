//! Stands before everything on the data listener: who is it, by what the operator chose that agents must show.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use http::request::Parts;
use http::{HeaderValue, Uri};
use tokio::sync::watch;

use super::bearer::bearer;
use super::directory::Directory;
use super::foreign::Foreign;
use super::metadata::Resources;
use super::pass::{By, Pass};
use super::proof::Proof;
use super::token;
use super::unauthorized::Unauthorized;
use super::vouched::Vouched;
use crate::agent::Agent;
use crate::config::{Auth, Config};
use crate::pipeline::Peer;
use crate::tls::Tls;

pub(crate) struct Doorman {
    mode: Mode,
    /// A token is only good beside the certificate of the same agent.
    binds: bool,
    is_closed: bool,
    directory: ArcSwap<Directory>,
    changed: watch::Sender<()>,
}

enum Mode {
    Anonymous,
    Tokens,
    /// Our tokens are good as well.
    Jwt(Box<Foreign>),
}

/// Somebody who was let in.
pub(crate) struct Admitted {
    pub(crate) agent: Agent,
    pub(crate) pass: Pass,
}

impl Doorman {
    /// `tls` is how issuers of tokens are spoken to, and `bound` where clients come in.
    pub(crate) fn new(
        config: &Config,
        directory: Directory,
        bound: SocketAddr,
        tls: &Tls,
    ) -> Result<Self, rustls::Error> {
        let mode = match config.auth {
            Auth::Anonymous => Mode::Anonymous,
            Auth::Tokens => Mode::Tokens,
            Auth::Jwt => Mode::Jwt(Box::new(Foreign::new(config, Resources::new(config, bound), tls)?)),
        };
        let binds = config.certificates.as_ref().is_some_and(|certificates| certificates.bind);
        let is_closed = matches!(mode, Mode::Tokens) && config.certificates.is_none();
        Ok(Self {
            mode,
            binds,
            is_closed,
            directory: ArcSwap::from_pointee(directory),
            changed: watch::Sender::new(()),
        })
    }

    /// From the next request on; and what goes on is looked at again.
    pub(crate) fn replace(&self, directory: Directory) {
        self.directory.store(Arc::new(directory));
        self.changed.send_replace(());
    }

    /// Does the directory have everybody who is ever let in?
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// What has to go on as long as anybody is let in.
    pub(crate) fn keepers(&self) -> Vec<impl Future<Output = ()> + Send + use<>> {
        self.foreign().map(|foreign| foreign.keepers().collect()).unwrap_or_default()
    }

    /// What there is to know for clients that look for an authorization server. None where there is none.
    pub(crate) fn resources(&self) -> Option<&Resources> {
        self.foreign().map(|foreign| &foreign.resources)
    }

    /// What goes with a refusal, if there is more to say than the refusal does.
    pub(crate) fn challenge(&self, uri: &Uri, why: &Unauthorized) -> Option<HeaderValue> {
        Some(self.foreign()?.challenge(uri, why.error()?))
    }

    fn foreign(&self) -> Option<&Foreign> {
        match &self.mode {
            Mode::Anonymous | Mode::Tokens => None,
            Mode::Jwt(foreign) => Some(foreign),
        }
    }

    /// INVARIANT: asked first, for every request, before anything of it is looked at or read.
    pub(crate) async fn who(&self, head: &Parts, peer: &Peer) -> Result<Admitted, Unauthorized> {
        let foreign = match &self.mode {
            Mode::Anonymous => return Ok(Admitted { agent: peer.agent.clone(), pass: Pass::nobodys() }),
            Mode::Tokens => None,
            Mode::Jwt(foreign) => Some(foreign),
        };
        let certified = certified(peer)?;
        let shown = match (bearer(head), certified) {
            // It says so itself.
            (Err(Unauthorized::Missing), Some(certificate)) if !self.binds => {
                return certificate.admit(&self.directory.load());
            }
            (shown, _) => shown?,
        };
        let admitted = match (token::hash(shown), foreign) {
            (Some(_), _) | (None, None) => self.bearer_of_a_token(shown)?,
            (None, Some(foreign)) => {
                let vouched = foreign.bearer(shown, &head.uri, peer.certificate.as_deref()).await?;
                vouched.admit(&self.directory.load())?
            }
        };
        let beside = peer.certificate.as_ref().and_then(|certificate| certificate.agent.as_deref());
        match self.binds && beside != Some(&*admitted.agent.key) {
            true => Err(Unauthorized::Certificate),
            false => Ok(admitted),
        }
    }

    fn bearer_of_a_token(&self, shown: &[u8]) -> Result<Admitted, Unauthorized> {
        let hash = token::hash(shown).ok_or(Unauthorized::Malformed)?;
        let directory = self.directory.load();
        let grant = directory.find(&hash).ok_or(Unauthorized::Unknown)?;
        let identity = grant.identity(SystemTime::now())?;
        Ok(Admitted {
            agent: Agent::known(Arc::clone(identity), grant.proof()),
            pass: Pass { by: By::Token(hash), until: grant.expires() },
        })
    }

    pub(crate) fn directory(&self) -> Arc<Directory> {
        self.directory.load_full()
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

/// Whom the peer's certificate makes it, if it is one that says so.
fn certified(peer: &Peer) -> Result<Option<Vouched>, Unauthorized> {
    let Some(certificate) = &peer.certificate else { return Ok(None) };
    if SystemTime::now() >= certificate.until {
        return Err(Unauthorized::Outdated);
    }
    Ok(certificate.agent.clone().map(|agent| Vouched {
        agent,
        labels: Box::default(),
        lacks: BTreeSet::new(),
        until: certificate.until,
        proof: Proof::certificate(&certificate.sha256),
    }))
}

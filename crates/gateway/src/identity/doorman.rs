//! Stands before everything on the data listener: who is it, by what the operator chose that agents must show.

use std::sync::Arc;
use std::time::SystemTime;

use http::request::Parts;

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
    pub(crate) fn new(auth: &Auth) -> Self {
        let mode = match auth {
            Auth::Anonymous => Mode::Anonymous,
            Auth::Tokens => Mode::Tokens,
            Auth::Jwt => Mode::Jwt(Box::new(jwt::Verifier::new())),
        };
        Self { mode }
    }

    /// INVARIANT: asked first, for every request, before anything of it is looked at or read. `directory`: of the request's snapshot.
    pub(crate) async fn who(&self, head: &Parts, peer: &Peer, directory: &Directory) -> Result<Admitted, Unauthorized> {
        match &self.mode {
            Mode::Anonymous => Ok(Admitted { agent: peer.agent.clone(), pass: Pass::nobodys() }),
            Mode::Tokens => bearer_of_a_token(bearer(head)?, directory),
            Mode::Jwt(verifier) => {
                let shown = bearer(head)?;
                match token::hash(shown) {
                    Some(_) => bearer_of_a_token(shown, directory),
                    None => verifier.verify(shown, &head.uri).await,
                }
            }
        }
    }
}

fn bearer_of_a_token(shown: &[u8], directory: &Directory) -> Result<Admitted, Unauthorized> {
    let hash = token::hash(shown).ok_or(Unauthorized::Malformed)?;
    let grant = directory.find(&hash).ok_or(Unauthorized::Unknown)?;
    let identity = grant.identity(SystemTime::now())?;
    Ok(Admitted {
        agent: Agent::known(Arc::clone(identity)),
        pass: Pass { by: By::Token(hash), until: grant.expires() },
    })
}

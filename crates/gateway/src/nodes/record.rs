//! What is said of a session in Redis: all that a node needs to serve a request of it.

use std::sync::Arc;

use http::HeaderValue;
use mcp::{Era, Revision};
use policy::Reverse;
use serde::{Deserialize, Serialize};

use super::kept::{Kept, text};
use crate::agent::Agent;
use crate::approvals::Shows;
use crate::server::Server;
use crate::session::Session;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record {
    Moves(Moves),
    /// Only that node can serve it.
    Here {
        node: String,
        why: String,
    },
}

/// A session of a direct server: the server's own id for it is all that there is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Moves {
    /// None: nobody is known, and who has the id is whom it is for.
    agent: Option<String>,
    server: String,
    /// A fingerprint of what the server is: another one that took the id is another.
    print: String,
    revision: String,
    upstream: Option<String>,
    /// What the client can do for the server.
    offered: Vec<Offer>,
    /// What the gateway may show the client's user.
    url: bool,
    form: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Offer {
    Sampling,
    Elicitation,
    Roots,
}

impl Moves {
    pub(super) fn of(session: &Session) -> Self {
        let offer = |reverse: &Reverse| match reverse {
            Reverse::Sampling => Offer::Sampling,
            Reverse::Elicitation => Offer::Elicitation,
            Reverse::Roots => Offer::Roots,
        };
        Self {
            agent: session.agent.id().map(str::to_owned),
            server: session.server.id.as_ref().to_owned(),
            print: session.server.description.as_ref().to_owned(),
            revision: session.revision().as_str().to_owned(),
            upstream: text(session.upstream.as_ref()),
            offered: session.offered.iter().map(offer).collect(),
            url: session.shows.url,
            form: session.shows.form,
        }
    }

    /// None where it is another server's or another agent's, or nothing that this version knows.
    pub(super) fn session(self, id: &str, server: &Arc<Server>, agent: &Agent, kept: Kept) -> Option<Session> {
        let is_theirs = self.agent.as_deref() == agent.id();
        let is_its = *self.server == *server.id && *server.description == *self.print;
        if !is_theirs || !is_its {
            return None;
        }
        let revision = Revision::named(&self.revision).filter(|revision| revision.era() == Era::Legacy)?;
        let upstream = self.upstream.map(|id| HeaderValue::from_str(&id)).transpose().ok()?;
        let offered = self.offered.into_iter().map(|offer| match offer {
            Offer::Sampling => Reverse::Sampling,
            Offer::Elicitation => Reverse::Elicitation,
            Offer::Roots => Reverse::Roots,
        });
        let shows = Shows { tasks: false, url: self.url, form: self.form };
        let agent = if agent.identity.is_some() { agent.clone() } else { Agent::of_all_nodes(&kept.key) };
        let mut session = Session::new(id.into(), agent, server, upstream, revision, (offered.collect(), shows));
        session.kept = Some(Box::new(kept));
        session.establish(revision);
        Some(session)
    }
}

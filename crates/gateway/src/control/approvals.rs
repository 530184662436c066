//! What the admin API needs to know of approvals.

use store::Asked;

use super::Control;
use crate::agent::Agent;
use crate::identity::Proof;
use crate::pipeline::Shared;
use crate::server::Server;

/// Whether a call that is approved now could still be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redeemable {
    Yes,
    /// The gateway has ended.
    Ended,
    /// There is no such server any more, or the agent may not use it.
    NoServer,
    /// There is no such agent any more, or it is not enabled.
    NoAgent,
    /// Another policy judges it now.
    OtherPolicy,
    /// The server describes the tool otherwise now.
    OtherDefinition,
}

impl Control {
    /// Where the pages of approvals are, as people call it: a URL without a slash at its end.
    pub fn approvals_url(&self) -> Option<String> {
        Some(self.0.shared()?.approvals.url().to_owned())
    }

    /// The time that approvals go by: milliseconds since 1970, by a clock that nobody sets.
    pub fn approvals_now_ms(&self) -> Option<i64> {
        Some(self.0.shared()?.approvals.clock.now_ms())
    }

    /// Would the call be let through, if it were approved now? As far as this node knows.
    pub fn redeemable(&self, asked: &Asked) -> Redeemable {
        let Some(shared) = self.0.shared() else { return Redeemable::Ended };
        let registry = shared.registry.load();
        let Some(server) = registry.server(&asked.server) else { return Redeemable::NoServer };
        redeemable(&shared, server, asked)
    }
}

fn redeemable(shared: &Shared, server: &Server, asked: &Asked) -> Redeemable {
    let directory = shared.doorman.directory();
    let policy = match directory.known(&asked.agent) {
        Some((_, false)) => return Redeemable::NoAgent,
        Some((identity, true)) => {
            let agent = Agent::known(identity, Proof::None);
            if !agent.may_use(&server.id) {
                return Redeemable::NoServer;
            }
            agent.policy(server)
        }
        None if shared.doorman.is_closed() => return Redeemable::NoAgent,
        // Nobody who is kept by name: a session, an address, or whom somebody else vouches for.
        None => server.policy.document(),
    };
    if *policy.current().hash != *asked.policy {
        return Redeemable::OtherPolicy;
    }
    let listed = server.catalogue.definition(&asked.subject);
    match (&asked.definition, listed) {
        (Some(definition), Some(listed)) if **definition != *listed => Redeemable::OtherDefinition,
        (Some(_) | None, _) => Redeemable::Yes,
    }
}

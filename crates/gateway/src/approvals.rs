//! A person decides, once, about exactly this call. Whatever can let a call through that needs an approval is in here; the permit itself still
//! comes from the policy (`Policy::decide_consented`).
//!
//! An approval is bound to who calls, the server, the method, what is called, the arguments, its definition and the policy (`Binding`): one
//! that differs in any of these is another call. The store keeps it; one atomic update there uses it up.

mod back;
mod binding;
mod clock;
mod consent;
mod desk;
mod form;
mod grants;
mod hold;
mod hub;
mod notify;
mod pulse;
mod rounds;
mod state;
mod step;
mod sweep;
mod task;
mod url;
mod way;
mod who;
mod wire;

use std::sync::Arc;

use store::Store;
use tokio::sync::watch;

pub(crate) use self::back::Back;
pub(crate) use self::binding::Binding;
use self::binding::Wanted;
pub(crate) use self::clock::Clock;
pub(crate) use self::consent::{By, Consent, Use};
pub(crate) use self::hold::{Held, Place};
use self::hub::Hub;
pub(crate) use self::notify::Notifier;
use self::pulse::Pulse;
pub(crate) use self::rounds::{Round, passed, wrapped};
pub(crate) use self::step::{Lacking, Listing};
pub(crate) use self::sweep::keep;
pub(crate) use self::task::{announced, is_ours as is_own_task, unheard};
pub(crate) use self::way::Shows;
pub use self::who::{MayNot, may_decide};
use self::wire::Wire;
use crate::agent::Agent;
use crate::config;
use crate::random;
use crate::vault::Vault;

/// Bytes of what makes an approval's id its own.
const ID: usize = 16;

/// Bytes of what tells this process from every other.
const INSTANCE: usize = 8;

/// Where people are asked, and what they said is found.
pub(crate) struct Approvals {
    pub(crate) settings: config::Approvals,
    live: watch::Receiver<config::Live>,
    pub(crate) clock: Clock,
    /// Where the pages of approvals are.
    url: Box<str>,
    store: Option<Store>,
    pulse: Pulse,
    hub: Hub,
    wire: Wire,
    /// This process: sessions are counted anew in each.
    instance: Box<str>,
}

impl Approvals {
    pub(crate) fn new(
        settings: &config::Approvals,
        live: watch::Receiver<config::Live>,
        store: Option<Store>,
        admin: &str,
        vault: Arc<Vault>,
    ) -> Result<Self, getrandom::Error> {
        let url = settings.url.as_ref().map_or_else(|| admin.to_owned(), |url| url.as_str().to_owned());
        Ok(Self {
            settings: settings.clone(),
            live,
            clock: Clock::new(),
            url: url.trim_end_matches('/').into(),
            pulse: Pulse::of(store.as_ref()),
            store,
            hub: Hub::default(),
            wire: Wire::new(vault),
            instance: random::hex::<INSTANCE>()?.into(),
        })
    }

    /// What the operator says now.
    fn live(&self) -> config::Live {
        self.live.borrow().clone()
    }

    /// What people call the place where they decide; it has no slash at its end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where one is shown.
    pub(crate) fn page(&self, id: &str) -> String {
        format!("{}/approvals/{id}", self.url)
    }

    /// What an agent is called where it must be the same after a restart and on every node. INVARIANT: sessions without a name are counted
    /// anew in each process, so that two processes' must not be taken for each other.
    fn whose(&self, agent: &Agent) -> Arc<str> {
        match (&agent.identity, &agent.session) {
            (None, Some(_)) => format!("{}.{}", agent.key, self.instance).into(),
            (Some(_), _) | (None, None) => Arc::clone(&agent.key),
        }
    }
}

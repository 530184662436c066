//! How long somebody who was let in may stay: what goes on for long is looked at again whenever agents change, and ends with its token.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Identity;
use super::token::Hash;
use crate::pipeline::Shared;

/// Expiry is told by the clock of the day, which may be set: so it is looked at that often.
const LOOK: Duration = Duration::from_secs(60);

/// What was shown, and until when that is good.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    pub(super) by: By,
    pub(super) until: Option<SystemTime>,
}

/// What an agent showed.
#[derive(Clone, Debug)]
pub(super) enum By {
    /// Nothing: nobody is asked.
    Nothing,
    Token(Hash),
    /// A signed token or a certificate, and the agent of that name that was known here, if there was one.
    Voucher(Option<Arc<Identity>>),
}

/// What ends with a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// A request keeps to what it was judged by: it ends when the pass is no longer good.
    Request,
    /// A stream that would never end by itself: it ends also when the agent may use other things than before.
    Stream,
}

/// Done when it is over.
pub(crate) type Over = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Pass {
    pub(super) fn nobodys() -> Self {
        Self { by: By::Nothing, until: None }
    }

    /// None for what lasts for ever.
    pub(crate) fn over(&self, work: Work, identity: Option<&Arc<Identity>>, shared: &Arc<Shared>) -> Option<Over> {
        let identity = Arc::clone(identity?);
        let (pass, shared) = (self.clone(), Arc::clone(shared));
        match self.by {
            By::Nothing => None,
            By::Token(_) | By::Voucher(_) => Some(Box::pin(async move { pass.watch(work, &identity, &shared).await })),
        }
    }

    async fn watch(&self, work: Work, identity: &Identity, shared: &Shared) {
        // Before the first look, so that no change falls in between.
        let mut changes = shared.doorman.changes();
        loop {
            let now = SystemTime::now();
            if !self.is_good(work, identity, shared, now) {
                return;
            }
            let left = self.until.map(|until| until.duration_since(now).unwrap_or_default().min(LOOK));
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = after(left) => {}
            }
        }
    }

    fn is_good(&self, work: Work, identity: &Identity, shared: &Shared, now: SystemTime) -> bool {
        if self.until.is_some_and(|until| now >= until) {
            return false;
        }
        match &self.by {
            By::Nothing => true,
            By::Voucher(then) => {
                let directory = shared.doorman.directory();
                match (then, directory.member(&identity.id)) {
                    (_, Some((_, false))) => false,
                    (None, None) => true,
                    (Some(then), Some((known, true))) => work == Work::Request || known.is_like(then),
                    (Some(_), None) | (None, Some((_, true))) => work == Work::Request,
                }
            }
            By::Token(hash) => {
                let directory = shared.doorman.directory();
                let known = directory.find(hash).and_then(|grant| grant.identity(now).ok());
                match work {
                    Work::Request => known.is_some_and(|known| known.id == identity.id),
                    Work::Stream => known.is_some_and(|known| known.is_like(identity)),
                }
            }
        }
    }
}

async fn after(left: Option<Duration>) {
    match left {
        Some(left) => tokio::time::sleep(left).await,
        None => std::future::pending().await,
    }
}

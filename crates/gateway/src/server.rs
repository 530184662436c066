//! An upstream as the gateway knows it: where it is, what it may be asked, and what has been learnt of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use http::{HeaderValue, Uri};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::aggregate::Doubt;
use crate::catalogue::Catalogue;
use crate::config::{Bounds, Reach, Transport};
use crate::credentials::{Credentials, Dress, TokenError};
use crate::era::EraCache;
use crate::guard::{Guard, Pinned};
use crate::health::Health;
use crate::nodes;
use crate::old_sse::{Auto, OldSse};
use crate::policies::{Binding, PolicyFile};
use crate::process;
use crate::reply::SESSION_ID;
use crate::stdio::{Doing, Stdio};
use crate::tls::Tls;

pub(crate) struct Server {
    pub(crate) id: Arc<str>,
    /// What nothing else in this process was ever called: what is remembered of a server is forgotten when another takes its id.
    pub(crate) key: Arc<str>,
    /// Of what it was described as: the same on all nodes that were told the same, whatever becomes of it here.
    pub(crate) description: Arc<str>,
    pub(crate) way: Way,
    pub(crate) policy: Binding,
    pub(crate) era: EraCache,
    pub(crate) catalogue: Catalogue,
    pub(crate) doubt: Doubt,
    /// Is it the same server from every node, and may its sessions be every node's?
    pub(crate) of_all_nodes: bool,
    next: AtomicU64,
    retired: watch::Sender<bool>,
}

/// How a server is reached. Whichever it is, it looks like Streamable HTTP from here: messages are posted, events come back.
pub(crate) enum Way {
    Http(Box<Endpoint>),
    /// By HTTP+SSE, as of 2024-11-05.
    Sse(Box<OldSse>),
    /// By Streamable HTTP, or if the server has none of it by HTTP+SSE.
    Auto(Box<Auto>),
    /// A program that we start.
    Stdio(Arc<Stdio>),
}

/// An address that speaks HTTP.
pub(crate) struct Endpoint {
    pub(crate) url: Uri,
    /// Our own for it; nothing of the client's is ever added.
    credentials: ArcSwap<Credentials>,
    pub(crate) road: Road,
}

/// What connections to it may be made to, and how.
pub(crate) struct Road {
    pub(crate) guard: Arc<Guard>,
    pub(crate) pinned: Arc<Pinned>,
    pub(crate) tls: Tls,
    pub(crate) health: Arc<Health>,
}

impl Way {
    pub(crate) fn http(url: Uri, credentials: Credentials, road: Road) -> Self {
        Self::Http(Box::new(Endpoint::new(url, credentials, road)))
    }

    /// `runtime` must outlive the threads that call.
    pub(crate) fn by(transport: Transport, endpoint: Endpoint, runtime: &Handle, bounds: &Arc<Bounds>) -> Self {
        let old = |endpoint| OldSse::new(endpoint, runtime.clone(), bounds);
        match transport {
            Transport::StreamableHttp => Self::Http(Box::new(endpoint)),
            Transport::Sse => Self::Sse(Box::new(old(endpoint))),
            Transport::Auto => Self::Auto(Box::new(Auto::new(old(endpoint)))),
        }
    }

    /// None for what is not reached by HTTP.
    pub(crate) fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::Http(endpoint) => Some(endpoint),
            Self::Sse(old) => Some(&old.endpoint),
            Self::Auto(auto) => Some(&auto.old.endpoint),
            Self::Stdio(_) => None,
        }
    }

    /// Does all that a session's server says come by one stream? Then what it asks need not be about the request that hears it.
    pub(crate) fn has_one_stream(&self) -> bool {
        match self {
            Self::Http(_) => false,
            Self::Sse(_) | Self::Stdio(_) => true,
            Self::Auto(auto) => auto.is_known_as_old(),
        }
    }

    /// Is that session of its one of Streamable HTTP? Then its id is all that there is.
    pub(crate) fn is_plain_http(&self, session: Option<&HeaderValue>) -> bool {
        match self {
            Self::Http(_) => true,
            Self::Sse(_) | Self::Stdio(_) => false,
            Self::Auto(auto) => {
                let id = session.map(|id| (SESSION_ID, id.clone()));
                !auto.is_old(&id.into_iter().collect())
            }
        }
    }

    /// Is it a program of ours? Then its era stays what it is as long as it runs.
    pub(crate) fn is_program(&self) -> bool {
        match self {
            Self::Http(_) | Self::Sse(_) | Self::Auto(_) => false,
            Self::Stdio(_) => true,
        }
    }
}

impl Endpoint {
    pub(crate) fn new(url: Uri, credentials: Credentials, road: Road) -> Self {
        Self { url, credentials: ArcSwap::from_pointee(credentials), road }
    }

    /// What a request of this agent's carries there. Waits only where a token must be fetched first.
    pub(crate) async fn dress(&self, agent: &str, deadline: Instant) -> Result<Dress, TokenError> {
        let credentials = self.credentials.load_full();
        credentials.of(agent, deadline).await
    }

    /// From the next request on.
    pub(crate) fn change(&self, credentials: Arc<Credentials>) {
        self.credentials.store(credentials);
    }
}

impl Road {
    /// `system` is how TLS is done where nothing else is asked for.
    pub(crate) fn new(id: &str, url: &Uri, reach: &Reach, system: &Tls) -> Result<Self, rustls::Error> {
        let host = url::Host::parse(url.host().unwrap_or_default());
        let host = host.unwrap_or_else(|_| url::Host::Domain(String::new())); // a name of nothing
        Ok(Self {
            guard: Arc::new(Guard::new(&host, &reach.networks)),
            pinned: Arc::new(reach.resolve.clone()),
            health: Arc::new(Health::new(id)),
            tls: reach.tls.as_ref().map_or_else(|| Ok(system.clone()), Tls::new)?,
        })
    }
}

impl Server {
    pub(crate) fn new(id: &str, way: Way, policy: Arc<PolicyFile>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let key: Arc<str> = format!("{id}#{}", NEXT.fetch_add(1, Ordering::Relaxed)).into();
        Self {
            id: id.into(),
            // Nobody said what it is: no other node knows it.
            description: format!("{key} {:x}", process::mark()).into(),
            key,
            way,
            policy: Binding::to(policy),
            era: EraCache::default(),
            catalogue: Catalogue::default(),
            doubt: Doubt::default(),
            of_all_nodes: false,
            next: AtomicU64::new(1),
            retired: watch::Sender::new(false),
        }
    }

    pub(crate) fn described(self, description: Arc<str>) -> Self {
        Self { description, ..self }
    }

    /// Nodes send requests in one session of its: none has the ids of another's, nor those of a process before this one.
    pub(crate) fn of_all_nodes(self) -> Self {
        Self { of_all_nodes: true, next: AtomicU64::new(nodes::first_id()), ..self }
    }

    /// It is in no snapshot any more. What is under way goes on; what would never end by itself ends.
    pub(crate) fn retire(&self) {
        self.retired.send_replace(true);
        if let Way::Stdio(stdio) = &self.way {
            stdio.retire();
        }
    }

    pub(crate) fn is_retired(&self) -> bool {
        *self.retired.borrow()
    }

    /// Returns when it is in no snapshot any more.
    pub(crate) fn retirement(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut retired = self.retired.subscribe();
        async move { _ = retired.wait_for(|retired| *retired).await }
    }

    /// Has each agent a process of its own here? Then what is in it, under whichever id, is that agent's.
    pub(crate) fn is_private(&self) -> bool {
        match &self.way {
            Way::Http(_) | Way::Sse(_) | Way::Auto(_) => false,
            Way::Stdio(stdio) => !stdio.is_shared(),
        }
    }

    /// How the program is doing, if it is one.
    pub(crate) fn program(&self) -> Option<(&str, Doing)> {
        match &self.way {
            Way::Http(_) | Way::Sse(_) | Way::Auto(_) => None,
            Way::Stdio(stdio) => Some((&self.id, stdio.doing())),
        }
    }

    /// An id that no other request to this server has.
    pub(crate) fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

//! One thread's connections to upstreams: a pool for each server, with its own TLS and its own guard, made when it is first needed.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::config::Bounds;
use crate::guard::{self, Connector};
use crate::server::{Road, Server};
use crate::upstream::Departing;

/// Idle connections to one upstream that are kept, and for how long.
const IDLE_CONNECTIONS: usize = 256;
const IDLE_FOR: Duration = Duration::from_secs(60);

pub(crate) type HttpClient = Client<Connector, Departing>;

#[derive(Clone, Default)]
pub(crate) struct Clients(Arc<ArcSwap<Pools>>);

/// By the keys of servers.
type Pools = HashMap<Arc<str>, Pool>;

#[derive(Clone)]
struct Pool {
    server: Weak<Server>,
    client: Arc<HttpClient>,
}

impl Clients {
    /// None for what is not reached by HTTP.
    pub(crate) fn of(&self, server: &Arc<Server>, bounds: &Bounds) -> Option<Arc<HttpClient>> {
        if let Some(pool) = self.0.load().get(&server.key) {
            return Some(Arc::clone(&pool.client));
        }
        let endpoint = server.way.endpoint()?;
        let made = Pool { server: Arc::downgrade(server), client: Arc::new(client(&endpoint.road, bounds)) };
        let mut client = Arc::clone(&made.client);
        // Two that come at once both make one; the one that is found is used.
        self.0.rcu(|pools| {
            let mut pools: Pools = pools.iter().filter(|(_, pool)| pool.is_needed()).map(cloned).collect();
            let pool = pools.entry(Arc::clone(&server.key)).or_insert_with(|| made.clone());
            client = Arc::clone(&pool.client);
            pools
        });
        Some(client)
    }
}

impl Pool {
    /// Servers come and go: whoever makes a pool throws away those of servers that are gone.
    fn is_needed(&self) -> bool {
        self.server.upgrade().is_some_and(|server| !server.is_retired())
    }
}

fn cloned((key, pool): (&Arc<str>, &Pool)) -> (Arc<str>, Pool) {
    (Arc::clone(key), pool.clone())
}

/// No proxy of the environment's stands between, and no redirect is followed.
pub(crate) fn client(road: &Road, bounds: &Bounds) -> HttpClient {
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE_FOR)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_timer(TokioTimer::new())
        .build(guard::connector(road, bounds.connect_timeout))
}

//! One thread's connections to upstreams: a pool for each server, with its own TLS and its own guard.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::config::Bounds;
use crate::guard::{self, Connector};
use crate::pipeline::Shared;
use crate::server::{Road, Server};
use crate::upstream::Departing;

/// Idle connections to one upstream that are kept, and for how long.
const IDLE_CONNECTIONS: usize = 256;
const IDLE_FOR: Duration = Duration::from_secs(60);

pub(crate) type HttpClient = Client<Connector, Departing>;

#[derive(Clone)]
pub(crate) struct Clients(Arc<HashMap<Arc<str>, HttpClient>>);

impl Clients {
    pub(crate) fn new(shared: &Shared) -> Self {
        Self::to(shared.servers.values(), &shared.bounds)
    }

    pub(crate) fn to<'s>(servers: impl Iterator<Item = &'s Arc<Server>>, bounds: &Bounds) -> Self {
        let remote = servers.filter_map(|server| Some((server, server.way.endpoint()?)));
        let clients = remote.map(|(server, endpoint)| (Arc::clone(&server.id), client(&endpoint.road, bounds)));
        Self(Arc::new(clients.collect()))
    }

    pub(crate) fn of(&self, server: &str) -> Option<&HttpClient> {
        self.0.get(server)
    }
}

/// No proxy of the environment's stands between, and no redirect is followed.
pub(crate) fn client(road: &Road, bounds: &Bounds) -> HttpClient {
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE_FOR)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_timer(TokioTimer::new())
        .build(guard::connector(road, bounds.connect_timeout))
}

//! Many clients at once, each calling again as soon as it is answered, or at a pace. Every call has a name of its own, so that it can be
//! found at the upstream and in the journal.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::client::{Client, Said};

/// After a connection that broke, so that a gateway that is gone is not asked as fast as a machine can.
const BREATH: Duration = Duration::from_millis(5);

#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) tool: String,
    pub(super) asked: Instant,
    pub(super) took: Duration,
    pub(super) said: Said,
}

#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) clients: usize,
    /// The least time from one call of a client to its next.
    pub(super) pace: Duration,
    /// Names begin with one of these, in turn.
    pub(super) prefixes: Vec<String>,
    /// So many calls of a client, and no more.
    pub(super) calls: usize,
}

pub(super) struct Load {
    clients: JoinSet<Vec<Attempt>>,
    stop: watch::Sender<bool>,
}

impl Plan {
    /// As fast as they can, until they are stopped.
    pub(super) fn of(clients: usize, prefix: impl Into<String>) -> Self {
        Self { clients, pace: Duration::ZERO, prefixes: vec![prefix.into()], calls: usize::MAX }
    }
}

impl Load {
    pub(super) fn start(address: SocketAddr, plan: &Plan) -> Self {
        Self::start_at(&watch::Sender::new(vec![address]), plan)
    }

    /// Over several gateways, whose addresses may change.
    pub(super) fn start_at(addresses: &watch::Sender<Vec<SocketAddr>>, plan: &Plan) -> Self {
        let (stop, plan) = (watch::Sender::new(false), Arc::new(plan.clone()));
        let mut clients = JoinSet::new();
        for number in 0..plan.clients {
            clients.spawn(client(number, Arc::clone(&plan), addresses.subscribe(), stop.subscribe()));
        }
        Self { clients, stop }
    }

    /// No more calls; what became of all. One that is under way is waited for.
    pub(super) async fn stop(self) -> Vec<Attempt> {
        self.stop.send_replace(true);
        self.done().await
    }

    /// When every client has made its calls.
    pub(super) async fn done(mut self) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        while let Some(client) = self.clients.join_next().await {
            attempts.extend(client.unwrap_or_default());
        }
        attempts
    }
}

async fn client(
    number: usize,
    plan: Arc<Plan>,
    addresses: watch::Receiver<Vec<SocketAddr>>,
    stop: watch::Receiver<bool>,
) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    let Some(mut at) = place(&addresses, number) else { return attempts };
    let mut client = Client::new(at);
    let mut pace = tokio::time::interval(plan.pace.max(Duration::from_nanos(1)));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for call in 0..plan.calls {
        if !plan.pace.is_zero() {
            pace.tick().await;
        }
        if *stop.borrow() {
            break;
        }
        let prefix = plan.prefixes.get(call % plan.prefixes.len().max(1)).map_or("t", String::as_str);
        let (tool, asked) = (format!("{prefix}-{number}-{call}"), Instant::now());
        let said = client.call(&tool).await;
        let took = asked.elapsed();
        if said == Said::Cut {
            tokio::time::sleep(BREATH).await;
        }
        attempts.push(Attempt { tool, asked, took, said });
        // Around all gateways, so that each is met by every client.
        at = place(&addresses, number + call + 1).unwrap_or(at);
        client.turn_to(at);
    }
    attempts
}

fn place(addresses: &watch::Receiver<Vec<SocketAddr>>, turn: usize) -> Option<SocketAddr> {
    let addresses = addresses.borrow();
    addresses.get(turn % addresses.len().max(1)).copied()
}

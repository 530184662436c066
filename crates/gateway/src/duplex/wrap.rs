//! `toolgate wrap`: a stdio client before one server, with the policy in between; no daemon, no listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::service::Here;
use super::{Service, stdio};
use crate::aggregate::Aggregate;
use crate::approvals::Approvals;
use crate::audit::Audit;
use crate::clients::Clients;
use crate::config::Config;
use crate::eras::to_legacy::ToLegacy;
use crate::events::Events;
use crate::head::Doors;
use crate::identity::{Directory, Doorman, Failures};
use crate::pipeline::{Pipeline, Shared};
use crate::registry::{self, Files, First, Frame, Keeper, Standing};
use crate::session::Sessions;
use crate::start::{self, StartError};
use crate::tasks::Tasks;
use crate::vault::Vault;
use crate::watch::Watch;

/// How often counts and tasks are looked for that nobody uses. The one session lives as long as its client.
const SWEEP: Duration = Duration::from_secs(10);

/// Serves the client of the one server in `config` until it ends, or `stop` does. Fails before anything is read.
pub async fn wrap(
    config: Config,
    reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Unpin + Send + 'static,
    stop: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let bounds = Arc::new(config.bounds.clone());
    let (here, nursery) = registry::Here::new(&config, Handle::current())?;
    let tls = here.tls.clone();
    let mut files = Files::load(&config, &here)?;
    let (policies, builtins) = (Arc::clone(&files.policies), std::mem::take(&mut files.builtins));
    let (_, First { registry, .. }) = Keeper::new(Frame::new(&config, here, files)?, None)?;
    let aggregate = Aggregate::new(&config.aggregate, bounds.sessions.get());
    let vault = Arc::new(Vault::fresh()?);
    let live = watch::Sender::new(config.live.clone());
    // There is no store to keep any in.
    let approvals = Approvals::new(&config.approvals, live.subscribe(), None, "", Arc::clone(&vault))?;
    let Some(server) = registry.servers().next().map(|server| Arc::clone(&server.id)) else { return Ok(()) };
    let (drain, draining) = watch::channel(false);
    let audit = Arc::new(Audit::open(&config.audit)?);
    let limits = start::limits(&config, policies.iter())?;
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let shared = Arc::new(Shared {
        doorman: Doorman::new(&config, Directory::default(), nowhere, &tls)?, // who comes is the client, and nobody asks
        failures: Failures::default(),
        doors: Doors::new(&config.listen, nowhere), // never asked: nobody comes by HTTP
        registry: registry::Current::new(registry),
        live,
        standing: Standing::new(None),
        sessions: Sessions::new(bounds.sessions.get()),
        nodes: None,
        limits,
        tasks: Arc::new(Tasks::default()),
        fronts: super::sse::Fronts::default(),
        aggregate,
        events: Events::new(&config.audit.node, None, true),
        approvals,
        audit,
        to_legacy: Arc::new(ToLegacy::new(Arc::clone(&vault))),
        vault,
        draining,
        bounds: Arc::clone(&bounds),
    });
    let watching = tokio::spawn(Watch::over(&policies).run(Arc::clone(&policies), Arc::clone(&shared)));
    let sweeping = tokio::spawn(sweep(Arc::clone(&shared)));
    let counts = Arc::clone(&shared);
    let counting = tokio::spawn(async move { counts.limits.keep().await });
    let audit = Arc::clone(&shared.audit);
    let keeping = tokio::spawn(Arc::clone(&audit).keep());
    let pipeline = Pipeline { client: Clients::default(), shared };
    stdio::run(Service::Here(Here::local(pipeline, server)), bounds, reader, writer, stop).await;
    _ = drain.send(true);
    audit.settle().await;
    watching.abort();
    sweeping.abort();
    keeping.abort();
    counting.abort();
    drop(builtins);
    if let Some(nursery) = nursery {
        // Programs are ended in the order of the specification, and with all that they started.
        _ = tokio::task::spawn_blocking(move || nursery.end()).await;
    }
    Ok(())
}

async fn sweep(shared: Arc<Shared>) {
    let mut rounds = tokio::time::interval(SWEEP);
    loop {
        rounds.tick().await;
        shared.limits.evict_idle();
        shared.tasks.expire();
    }
}

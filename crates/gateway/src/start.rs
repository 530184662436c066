//! Starts the gateway: everything that can be wrong is found here, before the first connection.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use redis_link::InvalidAddress;
use store::{Snapshot, Store, StoreError};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::admin::{self, Admin, AdminService};
use crate::aggregate::Aggregate;
use crate::approvals::{self, Approvals, Notifier};
use crate::audit::{Audit, AuditError};
use crate::clients::Clients;
use crate::config::{self, Auth, Bounds, Config, StoreUrl};
use crate::control::{ApplyError, Control, Fault};
use crate::duplex::sse::Fronts;
use crate::eras::to_legacy::ToLegacy;
use crate::events::Events;
use crate::exchange::session_headers;
use crate::head::Doors;
use crate::identity::{self, DirectoryError, Doorman, Failures};
use crate::limits::Limits;
use crate::listener::{BadTls, Secured};
use crate::nodes::{Nodes, Outbox};
use crate::pipeline::{Pipeline, Shared};
use crate::policies::{PolicyFile, PolicyTrouble};
use crate::record;
use crate::registry::{self, Files, First, Frame, Here, Keeper, Standing};
use crate::session::Sessions;
use crate::stdio::Nursery;
use crate::tasks::Tasks;
use crate::vault::{NoKey, Vault};
use crate::watch::Watch;
use crate::worker::{self, Connections};

/// How often idle sessions, counts and tasks are looked for.
pub(crate) const SWEEP: Duration = Duration::from_secs(10);

/// Upstream sessions that are being ended at a time, because nobody used ours.
const FAREWELLS: usize = 16;

/// The gateway, not yet running.
#[derive(Debug)]
pub struct Gateway;

/// A gateway that serves. Dropping it ends it too, without waiting for anything.
pub struct Running {
    data: SocketAddr,
    admin: SocketAddr,
    drain: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
    control: JoinHandle<()>,
    /// The control thread ends with it, after the workers: whoever asks while they drain is told so.
    alive: oneshot::Sender<()>,
    /// Servers of our own; they end last, since open calls may still want an answer of theirs.
    builtins: Vec<oneshot::Sender<()>>,
    /// Programs; they end after the workers, for the same reason.
    nursery: Option<Nursery>,
    shared: Arc<Shared>,
    keeper: Arc<Keeper>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("data", &self.data).field("admin", &self.admin).finish_non_exhaustive()
    }
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address} ({what})")]
    Listen { what: &'static str, address: SocketAddr, source: std::io::Error },
    #[error("server `{server}` cannot be guarded")]
    Policy { server: String, source: Box<PolicyTrouble> },
    #[error("agent `{agent}` cannot be guarded")]
    AgentPolicy { agent: String, source: Box<PolicyTrouble> },
    #[error(transparent)]
    Agents(#[from] DirectoryError),
    #[error("the built-in server `{server}` does not start")]
    BuiltIn { server: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the store cannot be opened")]
    Store(#[source] StoreError),
    #[error("what the store says cannot be put in force")]
    Registry(#[source] ApplyError),
    #[error("TLS towards upstreams cannot be set up")]
    Tls(#[from] rustls::Error),
    #[error("TLS cannot be served")]
    Secured(#[from] BadTls),
    #[error("the audit journal cannot be opened")]
    Audit(#[from] AuditError),
    #[error("what clients carry cannot be sealed")]
    Seal(#[from] NoKey),
    #[error("no randomness to tell approvals apart by")]
    Random(#[from] getrandom::Error),
    #[error("the store of limits cannot be used")]
    Limits(#[from] InvalidAddress),
    #[error("the store of sessions cannot be used")]
    Sessions(#[source] InvalidAddress),
    #[error("limits cannot be rebuilt from the audit journal")]
    Rebuild(#[source] std::io::Error),
    #[error("a thread does not start")]
    Thread(#[source] std::io::Error),
}

impl From<Vec<Fault>> for StartError {
    fn from(faults: Vec<Fault>) -> Self {
        Self::Registry(ApplyError::Refused(faults))
    }
}

impl From<PolicyTrouble> for StartError {
    fn from(trouble: PolicyTrouble) -> Self {
        Self::Policy { server: String::new(), source: Box::new(trouble) }
    }
}

impl Gateway {
    /// Binds, compiles every policy, starts the threads. Nothing is served if anything of that fails.
    pub fn start(config: Config) -> Result<Running, StartError> {
        Self::start_with(config, |_| None)
    }

    /// The same, with what else answers at the admin listener: `service` makes it.
    pub fn start_with(
        config: Config,
        service: impl FnOnce(Control) -> Option<Arc<dyn AdminService>>,
    ) -> Result<Running, StartError> {
        let bounds = Arc::new(config.bounds.clone());
        let (data, data_at) = bind("data", config.listen.data)?;
        let (admin, admin_at) = bind("admin", config.listen.admin)?;
        let (drain, draining) = watch::channel(false);
        let (alive, ended) = oneshot::channel::<()>();
        // The control thread's, which ends after the workers.
        let runtime = runtime()?;
        let made = match Made::of(&config, &runtime, (data_at, admin_at), draining) {
            Ok(made) => made,
            Err(why) => {
                runtime.shutdown_background(); // whoever starts a gateway may be within another, where none may be dropped
                return Err(why);
            }
        };
        let Made { shared, secured, admin_secured, keeper, policies, builtins, nursery, notifier, outbox } = made;
        let store = keeper.store().cloned();
        let index = store.clone().filter(|_| config.audit.index);
        if index.is_some() {
            shared.audit.ships();
        }
        keeper.keeps(&shared);
        let (kept, keeps) = (Arc::clone(&shared), Arc::clone(&keeper));
        let service = service(Control::new(Arc::clone(&keeper)));
        let connections = Arc::new(Connections::new(&bounds));
        let count = config.listen.workers.or_else(|| std::thread::available_parallelism().ok()).map_or(1, usize::from);
        let workers = (0..count)
            .map(|n| {
                let listener = data.try_clone().map_err(StartError::Thread)?;
                let (shared, connections) = (Arc::clone(&shared), Arc::clone(&connections));
                let secured = secured.clone();
                thread(&format!("data-{n}"), async move || {
                    let Ok(listener) = TcpListener::from_std(listener) else { return };
                    let pipeline = Pipeline { client: Clients::default(), shared };
                    worker::serve(listener, pipeline, connections, secured).await;
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let watch = Watch::over(&policies);
        let admin_doors = Doors::new(&config.listen, admin_at);
        let control = thread_on(runtime, "control", async move || {
            let Ok(listener) = TcpListener::from_std(admin) else { return };
            tokio::spawn(watch.run(Arc::clone(&policies), Arc::clone(&shared)));
            for keeper in shared.doorman.keepers() {
                tokio::spawn(keeper);
            }
            for secured in secured.into_iter().chain(admin_secured.clone()) {
                tokio::spawn(secured.watch());
            }
            tokio::spawn(async move { keeps.follow().await });
            tokio::spawn(sweep(Pipeline { client: Clients::default(), shared: Arc::clone(&shared) }));
            let keeping = Arc::clone(&shared);
            tokio::spawn(async move { keeping.limits.keep().await });
            if let (Some(nodes), Some(outbox)) = (shared.nodes.clone(), outbox) {
                let keeping = Arc::clone(&shared);
                tokio::spawn(async move { nodes.keep(outbox, keeping).await });
            }
            tokio::spawn(approvals::keep(Arc::clone(&shared)));
            let telling = Arc::clone(&shared);
            tokio::spawn(async move { notifier.keep(&telling.approvals).await });
            tokio::spawn(Arc::clone(&shared.audit).keep());
            if let Some(store) = store {
                tokio::spawn(Arc::clone(&shared.audit).sweep(store.clone()));
                tokio::spawn(identity::forget(store));
            }
            if let Some(store) = index {
                tokio::spawn(Arc::clone(&shared.audit).ship(store));
            }
            tokio::select! {
                () = admin::serve(listener, Arc::new(Admin { shared, doors: admin_doors, service }), admin_secured) => {}
                _ = ended => {}
            }
        })?;
        Ok(Running {
            data: data_at,
            admin: admin_at,
            drain,
            workers,
            control,
            alive,
            builtins,
            nursery,
            shared: kept,
            keeper,
        })
    }
}

impl Running {
    pub fn data(&self) -> SocketAddr {
        self.data
    }

    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// What to manage it by.
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.keeper))
    }

    /// Accepts nothing new, lets what is under way finish, and returns; `bounds.drain` at the latest.
    pub fn shutdown(self) {
        _ = self.drain.send(true);
        for worker in self.workers {
            _ = worker.join();
        }
        drop(self.alive);
        _ = self.control.join();
        drop(self.builtins);
        if let Some(nursery) = self.nursery {
            nursery.end();
        }
        // Nobody uses it any more: what waits is written.
        if let Some(audit) = Arc::into_inner(self.shared).and_then(|shared| Arc::into_inner(shared.audit)) {
            audit.close();
        }
    }
}

pub(crate) fn bind(what: &'static str, address: SocketAddr) -> Result<(StdListener, SocketAddr), StartError> {
    let bound = StdListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let at = listener.local_addr()?;
        Ok((listener, at))
    });
    bound.map_err(|source| StartError::Listen { what, address, source })
}

/// A thread with a runtime of its own.
pub(crate) fn thread<F: Future<Output = ()>>(
    name: &str,
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    thread_on(runtime()?, name, work)
}

fn runtime() -> Result<Runtime, StartError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)
}

fn thread_on<F: Future<Output = ()>>(
    runtime: Runtime,
    name: &str,
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new().name(name.into()).spawn(move || runtime.block_on(work())).map_err(StartError::Thread)
}

/// All that may be wrong, found not to be.
struct Made {
    shared: Arc<Shared>,
    secured: Option<Arc<Secured>>,
    admin_secured: Option<Arc<Secured>>,
    keeper: Arc<Keeper>,
    policies: Arc<[Arc<PolicyFile>]>,
    builtins: Vec<oneshot::Sender<()>>,
    nursery: Option<Nursery>,
    notifier: Notifier,
    outbox: Option<Outbox>,
}

impl Made {
    fn of(
        config: &Config,
        runtime: &Runtime,
        (data, admin): (SocketAddr, SocketAddr),
        draining: watch::Receiver<bool>,
    ) -> Result<Self, StartError> {
        let (here, nursery) = Here::new(config, runtime.handle().clone())?;
        let (bounds, tls) = (Arc::clone(&here.bounds), here.tls.clone());
        let mut files = Files::load(config, &here)?;
        let (policies, builtins) = (Arc::clone(&files.policies), std::mem::take(&mut files.builtins));
        let secured = config.listen.tls.clone().map(|files| Secured::new(files, config.certificates.clone()));
        let secured = secured.transpose()?.map(Arc::new);
        let admin_secured = config.listen.admin_tls.clone().map(|files| Secured::new(files, None));
        let admin_secured = admin_secured.transpose()?.map(Arc::new);
        let read = read_store(config.store.url.as_ref(), runtime)?;
        let stale = read.as_ref().map(|_| config.store.stale);
        let (keeper, First { registry, agents, live }) = Keeper::new(Frame::new(config, here, files)?, read)?;
        let live = watch::Sender::new(live);
        if config.auth == Auth::Tokens && config.certificates.is_none() && agents.is_empty() {
            tracing::warn!("no agent has a token: nobody can come in");
        }
        let audit = Arc::new(Audit::open(&config.audit)?);
        let limits = limits(config, registry.policies().values())?;
        let vault = vault(&config.store)?;
        let scheme = if config.listen.admin_tls.is_some() { "https" } else { "http" };
        let page = format!("{scheme}://{admin}");
        let store = keeper.store().cloned();
        let approvals = Approvals::new(&config.approvals, live.subscribe(), store, &page, Arc::clone(&vault))?;
        let (nodes, outbox) = Nodes::new(config, config.store.key.clone()).map_err(StartError::Sessions)?.unzip();
        let own_approvals = !config.store.url.as_ref().is_some_and(StoreUrl::is_for_many);
        let afar = nodes.as_ref().map(|nodes| Arc::clone(nodes.afar()));
        let shared = Arc::new(Shared {
            doors: Doors::new(&config.listen, data),
            doorman: Doorman::new(config, agents, data, &tls)?,
            failures: Failures::default(),
            registry: registry::Current::new(registry),
            standing: Standing::new(stale),
            live,
            sessions: Sessions::new(bounds.sessions.get()),
            events: Events::new(&config.audit.node, afar, own_approvals),
            nodes,
            limits,
            tasks: Arc::new(Tasks::default()),
            fronts: Fronts::default(),
            aggregate: Aggregate::new(&config.aggregate, bounds.sessions.get()),
            to_legacy: Arc::new(ToLegacy::new(Arc::clone(&vault))),
            approvals,
            vault,
            audit,
            draining,
            bounds,
        });
        let notifier = Notifier::new(&config.approvals.notify, &tls)?;
        let keeper = Arc::new(keeper);
        Ok(Self { shared, secured, admin_secured, keeper, policies, builtins, nursery, notifier, outbox })
    }
}

/// What seals. Without a key of the operator's, for this process alone.
fn vault(store: &config::Store) -> Result<Arc<Vault>, NoKey> {
    if let Some(file) = &store.exposed_key {
        tracing::warn!(key = %file.display(), "`store.key` can be read by every user of this machine");
    }
    if let Some(vault) = &store.key {
        return Ok(Arc::clone(vault));
    }
    if store.url.as_ref().is_some_and(StoreUrl::is_for_many) {
        tracing::warn!(
            "`store.key` is not set: what a client got from this node (cursors, request states) is no good on another, and no \
             credentials can be kept; make one key for all nodes with `toolgate store new-key`"
        );
    }
    Vault::fresh().map(Arc::new)
}

/// The store, opened, and what it says now. None where there is none.
///
/// On a thread of its own: whoever starts a gateway may be within a runtime, where nobody may wait for another.
fn read_store(url: Option<&StoreUrl>, runtime: &Runtime) -> Result<Option<(Store, Snapshot)>, StartError> {
    let Some(url) = url else { return Ok(None) };
    let read = async {
        let store = Store::open(url.as_str()).await?;
        let snapshot = store.snapshot().await?;
        Ok((store, snapshot))
    };
    let read = std::thread::scope(|scope| scope.spawn(|| runtime.block_on(read)).join());
    let gone = |_| StartError::Thread(std::io::Error::other("the one that opens the store ended"));
    read.map_err(gone)?.map(Some).map_err(StartError::Store)
}

/// Where calls are counted, with what the journal says of calls before; to be called when the journal is open, and so has its end.
pub(crate) fn limits<'p>(
    config: &Config,
    policies: impl Iterator<Item = &'p Arc<PolicyFile>>,
) -> Result<Limits, StartError> {
    let limits = Limits::new(&config.limits)?;
    if let Some(folder) = &config.audit.dir {
        // Journals of before know them by what people call them.
        let names = |policy: &'p Arc<PolicyFile>| {
            let bound = policy.current();
            [(Arc::clone(&bound.name), Arc::clone(&bound)), (Arc::clone(&policy.name), bound)]
        };
        let policies = policies.flat_map(names).collect();
        let rebuilt = limits.rebuild(folder, &policies).map_err(StartError::Rebuild)?;
        if rebuilt.calls > 0 {
            tracing::info!(
                calls = rebuilt.calls,
                open = rebuilt.open,
                lost = rebuilt.lost,
                "limits rebuilt from the journal"
            );
        }
    }
    Ok(limits)
}

/// Lets go of what nobody uses, for ever.
async fn sweep(pipeline: Pipeline) {
    let Bounds { session_idle, .. } = *pipeline.shared.bounds;
    let farewells = Arc::new(Semaphore::new(FAREWELLS));
    let mut rounds = tokio::time::interval(SWEEP.min(session_idle));
    loop {
        rounds.tick().await;
        if let Some(nodes) = &pipeline.shared.nodes {
            nodes.touch(&pipeline.shared.sessions).await;
        }
        pipeline.shared.limits.evict_idle();
        for (peer, more) in pipeline.shared.failures.sums() {
            record::unauthorized(&peer, more);
            pipeline.shared.audit.unauthorized(&peer, more);
        }
        pipeline.shared.tasks.expire();
        pipeline.shared.aggregate.expire(session_idle);
        pipeline.shared.to_legacy.expire(session_idle, |server, agent| pipeline.upstream(server, agent));
        let kept = pipeline.shared.nodes.as_ref().map_or(session_idle, |nodes| nodes.lifetime());
        for session in pipeline.shared.sessions.expire(session_idle, kept) {
            if let Some(kept) = &session.kept
                && !kept.is_over(session.is_orphaned()).await
            {
                continue; // it goes on at another node
            }
            let server = &session.server;
            if session.translated.is_some() && session.agent.session.is_some() {
                pipeline.upstream(server, &session.agent).leave();
            }
            if session.upstream.is_none() {
                continue;
            }
            // A courtesy: an upstream that is slow to take it holds up nobody, and misses some.
            let Ok(place) = Arc::clone(&farewells).try_acquire_owned() else { continue };
            let upstream = pipeline.upstream(server, &session.agent);
            tokio::spawn(async move {
                _ = upstream.delete(session_headers(&session)).await;
                drop(place);
            });
        }
    }
}

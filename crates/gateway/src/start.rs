//! Starts the gateway: everything that can be wrong is found here, before the first connection.

use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::admin::{self, Admin};
use crate::aggregate::{Aggregate, NoKey};
use crate::audit::{Audit, AuditError};
use crate::builtin;
use crate::clients::Clients;
use crate::config::{self, AgentId, Auth, Bounds, Config, PolicySource, Reach, Target};
use crate::credentials::{Credentials, OAuth};
use crate::duplex::sse::Fronts;
use crate::eras::to_legacy::ToLegacy;
use crate::exchange::session_headers;
use crate::head::Doors;
use crate::health;
use crate::identity::{Directory, DirectoryError, Doorman, Failures, Member};
use crate::limits::Limits;
use crate::listener::{BadTls, Secured};
use crate::pipeline::{Pipeline, Shared};
use crate::policies::{PolicyFile, PolicyTrouble};
use crate::record;
use crate::registry::{self, Registry};
use crate::server::{Endpoint, Road, Server, Way};
use crate::session::Sessions;
use crate::stdio::{Nursery, Stdio};
use crate::tasks::Tasks;
use crate::tls::Tls;
use crate::watch::Watch;
use crate::worker::{self, Connections};

/// How often idle sessions, counts and tasks are looked for.
const SWEEP: Duration = Duration::from_secs(10);

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
    #[error("TLS towards upstreams cannot be set up")]
    Tls(#[from] rustls::Error),
    #[error("TLS cannot be served")]
    Secured(#[from] BadTls),
    #[error("the audit journal cannot be opened")]
    Audit(#[from] AuditError),
    #[error("what the aggregate gives out cannot be sealed")]
    Seal(#[from] NoKey),
    #[error("a thread does not start")]
    Thread(#[source] std::io::Error),
}

impl Gateway {
    /// Binds, compiles every policy, starts the threads. Nothing is served if anything of that fails.
    pub fn start(config: Config) -> Result<Running, StartError> {
        let bounds = Arc::new(config.bounds.clone());
        let (data, data_at) = bind("data", config.listen.data)?;
        let (admin, admin_at) = bind("admin", config.listen.admin)?;
        let (drain, draining) = watch::channel(false);
        let (alive, ended) = oneshot::channel::<()>();
        // The control thread's, which ends after the workers.
        let runtime = runtime()?;
        let here = Here { tls: Tls::of_system()?, runtime: runtime.handle().clone(), bounds: Arc::clone(&bounds) };
        let Servers { servers, policies, agents, builtins, nursery } = servers(&config, &here)?;
        if config.auth == Auth::Tokens && config.certificates.is_none() && agents.is_empty() {
            tracing::warn!("no agent has a token: nobody can come in");
        }
        let secured = config.listen.tls.clone().map(|files| Secured::new(files, config.certificates.clone()));
        let secured = secured.transpose()?.map(Arc::new);
        let aggregate = Aggregate::new(&config.aggregate, bounds.sessions.get())?;
        let shared = Arc::new(Shared {
            doors: Doors::new(&config.listen, data_at),
            doorman: Doorman::new(&config, agents, data_at, &here.tls)?,
            failures: Failures::default(),
            registry: registry::Current::new(Registry::new(servers, &config.aggregate.servers)),
            sessions: Sessions::new(bounds.sessions.get()),
            limits: Limits::new(config.limits.keys.get()),
            tasks: Arc::new(Tasks::default()),
            fronts: Fronts::default(),
            aggregate,
            to_legacy: Arc::new(ToLegacy::new()),
            audit: Arc::new(Audit::open(&config.audit)?),
            draining,
            bounds: Arc::clone(&bounds),
        });
        let kept = Arc::clone(&shared);
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
        let probed = config.servers.iter().filter_map(|(id, server)| Some((id.as_str(), server.reach.probe_interval?)));
        let probed: Vec<(Box<str>, Duration)> = probed.map(|(id, every)| (id.into(), every)).collect();
        let admin_doors = Doors::new(&config.listen, admin_at);
        let control = thread_on(runtime, "control", async move || {
            let Ok(listener) = TcpListener::from_std(admin) else { return };
            tokio::spawn(watch.run(Arc::clone(&policies)));
            for keeper in shared.doorman.keepers() {
                tokio::spawn(keeper);
            }
            if let Some(secured) = secured {
                tokio::spawn(secured.watch());
            }
            let own = Pipeline { client: Clients::default(), shared: Arc::clone(&shared) };
            for (id, every) in probed {
                if let Some(server) = shared.registry.load().server(&id) {
                    tokio::spawn(health::probe(own.clone(), Arc::clone(server), every));
                }
            }
            tokio::spawn(sweep(own));
            tokio::select! {
                () = admin::serve(listener, Arc::new(Admin { shared, doors: admin_doors, service: None, policies })) => {}
                _ = ended => {}
            }
        })?;
        Ok(Running { data: data_at, admin: admin_at, drain, workers, control, alive, builtins, nursery, shared: kept })
    }
}

impl Running {
    pub fn data(&self) -> SocketAddr {
        self.data
    }

    pub fn admin(&self) -> SocketAddr {
        self.admin
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

pub(crate) struct Servers {
    pub(crate) servers: HashMap<Box<str>, Arc<Server>>,
    pub(crate) policies: Arc<[Arc<PolicyFile>]>,
    pub(crate) agents: Directory,
    pub(crate) builtins: Vec<oneshot::Sender<()>>,
    pub(crate) nursery: Option<Nursery>,
}

/// What ways to servers are made of.
pub(crate) struct Here {
    pub(crate) tls: Tls,
    pub(crate) runtime: Handle,
    pub(crate) bounds: Arc<Bounds>,
}

pub(crate) fn servers(config: &Config, here: &Here) -> Result<Servers, StartError> {
    let mut files = Files::new();
    let (mut servers, mut builtins, mut nursery) = (HashMap::new(), Vec::new(), None);
    for (id, server) in &config.servers {
        let file = file(&mut files, &server.policy)
            .map_err(|source| StartError::Policy { server: id.as_str().into(), source: source.into() })?;
        let server = match &server.target {
            Target::Url(url) => {
                let road = Road::new(id.as_str(), url, &server.reach, &here.tls)?;
                if let Some(key) = server.reach.tls.as_ref().and_then(|tls| tls.exposed_key.as_ref()) {
                    tracing::warn!(server = %id, key = %key.display(), "a private key can be read by every user of this machine");
                }
                let credentials = credentials(id.as_str(), server, here)?;
                let endpoint = Endpoint { url: url.clone(), credentials, road };
                let way = Way::by(server.reach.transport, endpoint, &here.runtime, &here.bounds);
                Server::new(id.as_str(), way, file)
            }
            Target::Command(command) => {
                let nursery = match &mut nursery {
                    Some(nursery) => nursery,
                    none => none.insert(Nursery::start()?),
                };
                let way = Way::Stdio(Stdio::new(id.as_str(), command, &config.bounds, nursery.place()));
                Server::new(id.as_str(), way, file)
            }
            Target::Finetuning(settings) => {
                let builtin = builtin::finetuning(id.as_str(), (**settings).clone())?;
                builtins.push(builtin.alive);
                let road = Road::new(id.as_str(), &builtin.url, &Reach::default(), &here.tls)?;
                let own = Credentials::headers(&builtin.headers);
                Server::new(id.as_str(), Way::http(builtin.url, own, road), file)
            }
        };
        servers.insert(id.as_str().into(), Arc::new(server));
    }
    let members =
        config.agents.iter().map(|(id, agent)| member(id, agent, &mut files)).collect::<Result<Vec<_>, _>>()?;
    let agents = Directory::new(members)?;
    Ok(Servers { servers, policies: files.into_values().collect(), agents, builtins, nursery })
}

type Files<'c> = BTreeMap<&'c PolicySource, Arc<PolicyFile>>;

/// The same for all who name it.
fn file<'c>(files: &mut Files<'c>, source: &'c PolicySource) -> Result<Arc<PolicyFile>, PolicyTrouble> {
    match files.get(source) {
        Some(file) => Ok(Arc::clone(file)),
        None => Ok(Arc::clone(files.entry(source).or_insert(Arc::new(policy(source)?)))),
    }
}

fn member<'c>(id: &AgentId, agent: &'c config::Agent, files: &mut Files<'c>) -> Result<Member, StartError> {
    let fails = |source: PolicyTrouble| StartError::AgentPolicy { agent: id.as_str().into(), source: source.into() };
    let policies = agent.policies.iter().map(|(server, source)| Ok((server.as_str().into(), file(files, source)?)));
    let policies = policies.collect::<Result<_, _>>().map_err(fails)?;
    Ok(Member::of_file(id, agent, policies))
}

/// Tokens are fetched where the operator says, over connections that are guarded and secured like those to servers.
fn credentials(id: &str, server: &config::Server, here: &Here) -> Result<Credentials, rustls::Error> {
    Credentials::new(&server.headers, &server.credentials, |settings| {
        let road = Road::new(&format!("{id}: tokens"), &settings.token_url, &Reach::default(), &here.tls)?;
        Ok(OAuth::new(settings, &road, &here.bounds))
    })
}

fn policy(source: &PolicySource) -> Result<PolicyFile, PolicyTrouble> {
    match source {
        PolicySource::File(path) => PolicyFile::load(path),
        PolicySource::BuiltIn { name, text } => PolicyFile::built_in(name, text),
    }
}

/// Lets go of what nobody uses, for ever.
async fn sweep(pipeline: Pipeline) {
    let Bounds { session_idle, .. } = *pipeline.shared.bounds;
    let farewells = Arc::new(Semaphore::new(FAREWELLS));
    let mut rounds = tokio::time::interval(SWEEP.min(session_idle));
    loop {
        rounds.tick().await;
        pipeline.shared.limits.evict_idle();
        for (peer, more) in pipeline.shared.failures.sums() {
            record::unauthorized(&peer, more);
            pipeline.shared.audit.unauthorized(&peer, more);
        }
        pipeline.shared.tasks.expire();
        pipeline.shared.aggregate.expire(session_idle);
        pipeline.shared.to_legacy.expire(session_idle, |server, agent| pipeline.upstream(server, agent));
        for session in pipeline.shared.sessions.expire(session_idle) {
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

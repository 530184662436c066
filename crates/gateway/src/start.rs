//! Starts the gateway: everything that can be wrong is found here, before the first connection.

use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper_rustls::ConfigBuilderExt;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::admin::{self, Admin};
use crate::builtin;
use crate::config::{Bounds, Config, PolicySource, Target};
use crate::eras::to_legacy::ToLegacy;
use crate::exchange::session_headers;
use crate::head::Doors;
use crate::limits::Limits;
use crate::pipeline::{Pipeline, Shared};
use crate::policies::{PolicyFile, PolicyTrouble};
use crate::server::{Server, Way};
use crate::session::Sessions;
use crate::tasks::Tasks;
use crate::upstream;
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
#[derive(Debug)]
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
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address} ({what})")]
    Listen { what: &'static str, address: SocketAddr, source: std::io::Error },
    #[error("server `{server}` cannot be guarded")]
    Policy { server: String, source: Box<PolicyTrouble> },
    #[error("the built-in server `{server}` does not start")]
    BuiltIn { server: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("TLS towards upstreams cannot be set up")]
    Tls(#[from] rustls::Error),
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
        let Servers { servers, policies, builtins } = servers(&config)?;
        let shared = Arc::new(Shared {
            doors: Doors::new(&config.listen, data_at),
            servers,
            sessions: Sessions::new(bounds.sessions.get()),
            limits: Limits::new(config.limits.keys.get()),
            tasks: Arc::new(Tasks::default()),
            to_legacy: Arc::new(ToLegacy::new()),
            draining,
            bounds: Arc::clone(&bounds),
        });
        let tls = tls()?;
        let connections = Arc::new(Connections::new(&bounds));
        let count = config.listen.workers.or_else(|| std::thread::available_parallelism().ok()).map_or(1, usize::from);
        let workers = (0..count)
            .map(|n| {
                let listener = data.try_clone().map_err(StartError::Thread)?;
                let (shared, tls, connections) = (Arc::clone(&shared), tls.clone(), Arc::clone(&connections));
                thread(&format!("data-{n}"), async move || {
                    let Ok(listener) = TcpListener::from_std(listener) else { return };
                    let pipeline = Pipeline { client: upstream::client(&shared.bounds, tls), shared };
                    worker::serve(listener, pipeline, connections).await;
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let watch = Watch::over(&policies);
        let admin_doors = Doors::new(&config.listen, admin_at);
        let control = thread("control", async move || {
            let Ok(listener) = TcpListener::from_std(admin) else { return };
            tokio::spawn(watch.run(Arc::clone(&policies)));
            tokio::spawn(sweep(Pipeline {
                client: upstream::client(&shared.bounds, tls),
                shared: Arc::clone(&shared),
            }));
            tokio::select! {
                () = admin::serve(listener, Arc::new(Admin { shared, doors: admin_doors, policies })) => {}
                _ = ended => {}
            }
        })?;
        Ok(Running { data: data_at, admin: admin_at, drain, workers, control, alive, builtins })
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
    std::thread::Builder::new().name(name.into()).spawn(move || runtime.block_on(work())).map_err(StartError::Thread)
}

struct Servers {
    servers: HashMap<Box<str>, Arc<Server>>,
    policies: Arc<[Arc<PolicyFile>]>,
    builtins: Vec<oneshot::Sender<()>>,
}

fn servers(config: &Config) -> Result<Servers, StartError> {
    let mut files: BTreeMap<&PolicySource, Arc<PolicyFile>> = BTreeMap::new();
    let (mut servers, mut builtins) = (HashMap::new(), Vec::new());
    for (id, server) in &config.servers {
        let file = match files.get(&server.policy) {
            Some(file) => Arc::clone(file),
            None => {
                let file = policy(&server.policy)
                    .map_err(|source| StartError::Policy { server: id.as_str().into(), source: source.into() })?;
                Arc::clone(files.entry(&server.policy).or_insert(Arc::new(file)))
            }
        };
        let server = match &server.target {
            Target::Url(url) => Server::new(id.as_str(), Way::http(url.clone(), &server.headers), file),
            Target::Finetuning(settings) => {
                let builtin = builtin::finetuning(id.as_str(), (**settings).clone())?;
                builtins.push(builtin.alive);
                Server::new(id.as_str(), Way::http(builtin.url, &builtin.headers), file)
            }
        };
        servers.insert(id.as_str().into(), Arc::new(server));
    }
    Ok(Servers { servers, policies: files.into_values().collect(), builtins })
}

fn policy(source: &PolicySource) -> Result<PolicyFile, PolicyTrouble> {
    match source {
        PolicySource::File(path) => PolicyFile::load(path),
        PolicySource::BuiltIn { name, text } => PolicyFile::built_in(name, text),
    }
}

/// The system's roots. Where there are none, an https upstream fails when it is called, and says so.
fn tls() -> Result<rustls::ClientConfig, StartError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        || rustls::ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    Ok(match builder()?.try_with_platform_verifier() {
        Ok(config) => config.with_no_client_auth(),
        Err(error) => {
            tracing::warn!(%error, "no trusted certificates on this machine: https upstreams will fail");
            builder()?.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
        }
    })
}

/// Lets go of what nobody uses, for ever.
async fn sweep(pipeline: Pipeline) {
    let Bounds { session_idle, .. } = *pipeline.shared.bounds;
    let farewells = Arc::new(Semaphore::new(FAREWELLS));
    let mut rounds = tokio::time::interval(SWEEP.min(session_idle));
    loop {
        rounds.tick().await;
        pipeline.shared.limits.evict_idle();
        pipeline.shared.tasks.expire();
        pipeline.shared.to_legacy.expire(session_idle, |server, agent| pipeline.upstream(server, agent));
        for session in pipeline.shared.sessions.expire(session_idle) {
            let Some(server) = pipeline.shared.servers.get(&*session.server).filter(|_| session.upstream.is_some())
            else {
                continue;
            };
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

//! One thread of the data plane: its own runtime, its own share of connections, its own pool to upstreams.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::agent::{self, Agent};
use crate::config::Bounds;
use crate::listener::Secured;
use crate::patience::Patience;
use crate::pipeline::{Peer, Pipeline};

/// After an accept that failed for want of file descriptors: long enough not to spin, short enough not to notice.
pub(crate) const BREATH: Duration = Duration::from_millis(20);

/// How many connections there are, in all and by peer. Shared by all threads.
pub(crate) struct Connections {
    max: usize,
    max_per_peer: usize,
    all: AtomicUsize,
    peers: DashMap<IpAddr, usize>,
}

/// A place among the connections, given back when dropped.
struct Place {
    connections: Arc<Connections>,
    peer: IpAddr,
}

impl Connections {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self {
            max: bounds.connections.get(),
            max_per_peer: bounds.connections_per_peer.get(),
            all: AtomicUsize::new(0),
            peers: DashMap::new(),
        }
    }

    fn place(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let peer = agent::one_of(peer);
        let mut of_peer = self.peers.entry(peer).or_insert(0);
        let full = *of_peer >= self.max_per_peer || self.all.fetch_add(1, Ordering::Relaxed) >= self.max;
        if full {
            if *of_peer < self.max_per_peer {
                self.all.fetch_sub(1, Ordering::Relaxed);
            }
            let unused = *of_peer == 0;
            drop(of_peer);
            if unused {
                self.peers.remove_if(&peer, |_, count| *count == 0);
            }
            return None;
        }
        *of_peer += 1;
        drop(of_peer);
        Some(Place { connections: Arc::clone(self), peer })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.all.fetch_sub(1, Ordering::Relaxed);
        if let Some(mut count) = self.connections.peers.get_mut(&self.peer) {
            *count = count.saturating_sub(1);
        }
        self.connections.peers.remove_if(&self.peer, |_, count| *count == 0);
    }
}

/// Serves until told to drain; returns when the last connection is done, or when the time for that is up.
pub(crate) async fn serve(
    listener: TcpListener,
    pipeline: Pipeline,
    connections: Arc<Connections>,
    secured: Option<Arc<Secured>>,
) {
    let graceful = GracefulShutdown::new();
    let mut draining = pipeline.shared.draining.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = draining.wait_for(|draining| *draining) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => match connections.place(peer.ip()) {
                Some(place) => {
                    let secured = secured.as_ref();
                    connection(stream, peer, place, &pipeline, secured, graceful.watcher());
                }
                None => tracing::warn!(peer = %peer.ip(), "too many connections: one was closed"),
            },
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    drop(listener);
    let drain = pipeline.shared.bounds.drain;
    if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were still busy when the time to drain was up");
    }
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
    pipeline: &Pipeline,
    secured: Option<&Arc<Secured>>,
    watcher: Watcher,
) {
    _ = stream.set_nodelay(true);
    let stream = Patience::new(stream, pipeline.shared.bounds.write_timeout);
    let (pipeline, agent) = (pipeline.clone(), Agent::peer(peer.ip()));
    let Some(secured) = secured else {
        tokio::spawn(async move {
            http(stream, pipeline, Peer { agent, certificate: None }, watcher).await;
            drop(place);
        });
        return;
    };
    let Some(handshake) = secured.handshake() else {
        tracing::warn!(peer = %peer.ip(), "too many TLS handshakes: a connection was closed");
        return;
    };
    tokio::spawn(async move {
        let mut draining = pipeline.shared.draining.clone();
        let shaken = tokio::select! {
            _ = draining.wait_for(|draining| *draining) => return,
            shaken = handshake.shake(stream) => shaken,
        };
        match shaken {
            Ok((stream, certificate)) => {
                let certificate = certificate.map(Arc::new);
                http(stream, pipeline, Peer { agent, certificate }, watcher).await;
            }
            Err(error) => tracing::debug!(%error, "a TLS handshake failed"),
        }
        drop(place);
    });
}

async fn http<S>(stream: S, pipeline: Pipeline, peer: Peer, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let bounds = Arc::clone(&pipeline.shared.bounds);
    let here = Arc::new((pipeline, peer));
    let service = service_fn(move |request| {
        let here = Arc::clone(&here);
        async move { Ok::<_, std::convert::Infallible>(here.0.answer(request, &here.1).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header_timeout)
        .max_headers(bounds.headers.get())
        .max_header_size(bounds.header_bytes)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended badly");
    }
}

//! The admin listener: is the process alive, and is it ready for calls. Everything else there is answered by a service that others
//! bring along; without one there is nothing else.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method as Verb, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::head::Doors;
use crate::listener::Secured;
use crate::patience::Patience;
use crate::pipeline::Shared;
use crate::stdio::Doing;
use crate::worker;

/// What comes in at the admin listener, its body not yet read.
pub type AdminRequest = Request<Incoming>;
pub type AdminBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;
pub type AdminReply = Response<AdminBody>;

/// Answers what is asked at the admin listener, but for `/healthz` and `/readyz`. `Host` and `Origin` were looked at; who asks was not,
/// and nothing bounds the body or the time yet.
pub trait AdminService: Send + Sync + 'static {
    fn answer(&self, request: AdminRequest, peer: IpAddr) -> Pin<Box<dyn Future<Output = AdminReply> + Send>>;
}

pub(crate) struct Admin {
    pub(crate) shared: Arc<Shared>,
    pub(crate) doors: Doors,
    pub(crate) service: Option<Arc<dyn AdminService>>,
}

/// Connections to the admin listener; more are closed at once.
const MAX_CONNECTIONS: usize = 64;

/// An answer of the admin API begins within this time.
const ANSWER_TIME: Duration = Duration::from_secs(60);

pub(crate) async fn serve(listener: TcpListener, admin: Arc<Admin>, secured: Option<Arc<Secured>>) {
    let bounds = Arc::clone(&admin.shared.bounds);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(worker::BREATH).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (admin, stream) = (Arc::clone(&admin), Patience::new(stream, bounds.write_timeout));
        // As many handshakes as connections: there is always room.
        let handshake = match &secured {
            None => None,
            Some(secured) => match secured.handshake() {
                Some(handshake) => Some(handshake),
                None => continue,
            },
        };
        tokio::spawn(async move {
            match handshake {
                None => http(stream, admin, peer.ip()).await,
                Some(handshake) => match handshake.shake(stream).await {
                    Ok((stream, _)) => http(stream, admin, peer.ip()).await,
                    Err(error) => tracing::debug!(%error, "a TLS handshake at the admin listener failed"),
                },
            }
            drop(place);
        });
    }
}

async fn http<S: AsyncRead + AsyncWrite + Unpin>(stream: S, admin: Arc<Admin>, peer: IpAddr) {
    let bounds = Arc::clone(&admin.shared.bounds);
    let service = service_fn(move |request| {
        let admin = Arc::clone(&admin);
        async move { Ok::<_, Infallible>(admin.answer(request, peer).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header_timeout)
        .max_headers(bounds.headers.get())
        .max_header_size(bounds.header_bytes)
        .serve_connection(TokioIo::new(stream), service);
    _ = connection.await;
}

impl Admin {
    async fn answer(&self, request: AdminRequest, peer: IpAddr) -> AdminReply {
        if self.doors.check(request.headers()).is_err() {
            return text(StatusCode::FORBIDDEN, "forbidden\n".into());
        }
        let read = matches!(*request.method(), Verb::GET | Verb::HEAD);
        match (request.uri().path(), &self.service) {
            ("/healthz" | "/readyz", _) if !read => text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n".into()),
            ("/healthz", _) => text(StatusCode::OK, "ok\n".into()),
            ("/readyz", _) => self.ready(request.uri().query() == Some("verbose")),
            (_, Some(service)) => {
                // On a task of its own: who hangs up, or waits no longer, leaves no change half done.
                let answer = tokio::spawn(service.answer(request, peer));
                match tokio::time::timeout(ANSWER_TIME, answer).await {
                    Ok(Ok(reply)) => reply,
                    Ok(Err(_)) => problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this is a defect"),
                    Err(_) => problem(StatusCode::GATEWAY_TIMEOUT, "timeout", "it took too long"),
                }
            }
            (_, None) => text(StatusCode::NOT_FOUND, "there are /healthz and /readyz\n".into()),
        }
    }

    /// Ready means: calls are judged by a policy that is whole. A file that went bad since does not change that, but shows. A line for
    /// each trouble.
    fn ready(&self, verbose: bool) -> AdminReply {
        let audit = self.shared.audit.status();
        let limits = self.shared.limits.status();
        let nodes = self.shared.nodes.as_ref().map(|nodes| nodes.status());
        let mut troubles = Vec::new();
        if *self.shared.draining.borrow() {
            troubles.push("draining".to_owned());
        }
        if let Some(why) = audit.as_ref().and_then(|(status, _)| status.trouble.as_deref()) {
            troubles.push(format!("the audit journal cannot be written: {why}"));
        }
        troubles.extend(self.shared.standing.told());
        troubles.extend(self.shared.standing.wanting());
        if let Some(why) = limits.as_ref().and_then(|limits| limits.trouble.as_deref()) {
            troubles.push(format!("limits cannot be counted: {why} (`limits.store`)"));
        }
        if let Some(why) = nodes.as_ref().and_then(|nodes| nodes.trouble.as_deref()) {
            troubles.push(format!("sessions cannot be looked up: {why} (`sessions.store`)"));
        }
        let (status, mut said) = match troubles.is_empty() {
            true => (StatusCode::OK, "ready\n".to_owned()),
            false => (StatusCode::SERVICE_UNAVAILABLE, troubles.join("\n") + "\n"),
        };
        if verbose {
            if let Some(nodes) = &nodes {
                said.push_str(&format!("sessions refused {}\n", nodes.refused));
            }
            if let Some(limits) = &limits {
                said.push_str(&format!("limits refused {} untold {}\n", limits.refused, limits.untold));
            }
            let registry = self.shared.registry.load();
            if let Some((status, dropped)) = &audit {
                said.push_str(&format!("audit waiting {} lost {dropped}\n", status.waiting));
                said.extend(self.shared.audit.shipped());
            }
            said.push_str(&format!("sessions {}\n", self.shared.sessions.len()));
            let healths = registry.servers().filter_map(|server| Some(server.way.endpoint()?.road.health.told()));
            let mut healths: Vec<String> = healths.collect();
            healths.sort_unstable();
            for health in healths {
                said.push_str(&health);
                said.push('\n');
            }
            let mut programs: Vec<_> = registry.servers().filter_map(|server| server.program()).collect();
            programs.sort_unstable_by_key(|(id, _)| *id);
            for (id, Doing { processes, restarts, noise }) in programs {
                said.push_str(&format!("program {id} processes {processes} restarts {restarts} noise {noise}\n"));
            }
            for policy in registry.policies().values() {
                let hash = policy.current().hash.clone();
                said.push_str(&format!("policy {} {hash}\n", policy.name));
                if let Some(trouble) = policy.trouble() {
                    said.push_str(&format!("policy {} was not reloaded: {trouble}\n", policy.name));
                }
            }
        }
        text(status, said)
    }
}

fn text(status: StatusCode, said: String) -> AdminReply {
    let body = Full::from(said).map_err(|never: Infallible| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// As the service says it, when the service cannot.
fn problem(status: StatusCode, code: &str, title: &str) -> AdminReply {
    let code_of = status.as_u16();
    let mut response = text(
        status,
        format!(
            r#"{{"type":"urn:toolgate:problem:{code}","title":"{title}","status":{code_of},"detail":"{title}","code":"{code}"}}"#
        ),
    );
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

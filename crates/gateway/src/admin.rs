//! The admin listener: is the process alive, and is it ready for calls.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method as Verb, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::head::Doors;
use crate::pipeline::Shared;
use crate::policies::PolicyFile;
use crate::stdio::Doing;
use crate::worker;

pub(crate) struct Admin {
    pub(crate) shared: Arc<Shared>,
    pub(crate) doors: Doors,
    pub(crate) policies: Arc<[Arc<PolicyFile>]>,
}

/// Connections to the admin listener; more are closed at once.
const MAX_CONNECTIONS: usize = 64;

pub(crate) async fn serve(listener: TcpListener, admin: Arc<Admin>) {
    let header_timeout = admin.shared.bounds.header_timeout;
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(worker::BREATH).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let admin = Arc::clone(&admin);
        let service = service_fn(move |request| {
            let reply = admin.answer(&request);
            async move { Ok::<_, std::convert::Infallible>(reply) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            _ = connection.await;
            drop(place);
        });
    }
}

impl Admin {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if self.doors.check(request.headers()).is_err() {
            return text(StatusCode::FORBIDDEN, "forbidden\n".into());
        }
        let read = matches!(*request.method(), Verb::GET | Verb::HEAD);
        match request.uri().path() {
            "/healthz" | "/readyz" if !read => text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n".into()),
            "/healthz" => text(StatusCode::OK, "ok\n".into()),
            "/readyz" => self.ready(request.uri().query() == Some("verbose")),
            _ => text(StatusCode::NOT_FOUND, "there are /healthz and /readyz\n".into()),
        }
    }

    /// Ready means: calls are judged by a policy that is whole. A file that went bad since does not change that, but shows.
    fn ready(&self, verbose: bool) -> Response<Full<Bytes>> {
        let draining = *self.shared.draining.borrow();
        let audit = self.shared.audit.status();
        let stuck = audit.as_ref().and_then(|(status, _)| status.trouble.as_deref());
        let (status, mut said) = match (draining, stuck) {
            (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned()),
            (false, Some(why)) => {
                (StatusCode::SERVICE_UNAVAILABLE, format!("the audit journal cannot be written: {why}\n"))
            }
            (false, None) => (StatusCode::OK, "ready\n".to_owned()),
        };
        if verbose {
            let registry = self.shared.registry.load();
            if let Some((status, dropped)) = &audit {
                said.push_str(&format!("audit waiting {} lost {dropped}\n", status.waiting));
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
            for policy in self.policies.iter() {
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

fn text(status: StatusCode, said: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(said));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

//! Connections: each request is noted, each answer may be spoilt on demand.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::fault::FaultAction;
use crate::journal::{self, Recorded};
use crate::problem::{Problem, enveloped};
use crate::world::Shared;
use crate::{auth, control, deployments, id, surface};

const MOST_CONNECTIONS: usize = 1_000;
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// After an accept that failed for want of file descriptors.
const BREATH: Duration = Duration::from_millis(20);

type Routes = TowerToHyperService<Router>;

pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let router = Router::new()
        .merge(surface::router(&shared))
        .merge(auth::router())
        .merge(deployments::router())
        .merge(control::router(&shared))
        .fallback(async || Problem::no_operation())
        .layer(axum::middleware::map_response(enveloped))
        .with_state(Arc::clone(&shared));
    let routes: Routes = TowerToHyperService::new(router);
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // Dropped with this future, and the connections with it.
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        number += 1;
        let (routes, shared, connection) = (routes.clone(), Arc::clone(&shared), number);
        let service = service_fn(move |request| answer(request, routes.clone(), Arc::clone(&shared), connection));
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        connections.spawn(async move {
            _ = served.await;
            drop(place);
        });
    }
}

/// An error closes the connection.
async fn answer(
    request: Request<Incoming>,
    routes: Routes,
    shared: Arc<Shared>,
    connection: u64,
) -> io::Result<Response> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    if path.starts_with(control::PREFIX) {
        return carry_out(routes, request).await;
    }
    let fault = shared.faults.take(&method, &path);
    let query = request.uri().query().unwrap_or_default().to_owned();
    let headers = journal::redacted(request.headers());
    let recorded = Recorded { method: method.to_string(), path, query, headers, connection, status: None };
    let number = shared.journal.add(recorded);
    let mut response = spoilt(request, routes, fault).await?;
    shared.journal.answered(number, response.status().as_u16());
    let request_id = id::made("emu", &number.to_string());
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("apim-request-id", value.clone());
        response.headers_mut().insert("x-ms-request-id", value);
    }
    Ok(response)
}

async fn spoilt(request: Request<Incoming>, routes: Routes, fault: Option<FaultAction>) -> io::Result<Response> {
    let Some(fault) = fault else { return carry_out(routes, request).await };
    if fault == FaultAction::DropConnection {
        return Err(io::Error::other("dropped on demand"));
    }
    if let FaultAction::Delay(by) = fault {
        tokio::time::sleep(by).await;
    }
    if let Some(response) = fault.instead() {
        return Ok(response);
    }
    let response = carry_out(routes, request).await?;
    if fault == FaultAction::DropAnswer {
        return Err(io::Error::other("dropped on demand"));
    }
    Ok(fault.after(response).await)
}

async fn carry_out(routes: Routes, request: Request<Incoming>) -> io::Result<Response> {
    match routes.call(request.map(Body::new)).await {
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}

//! An MCP server of revision 2026-07-28 that keeps what it was asked to do: what passed, passed here.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;

/// Calls of tools whose name begins so are never answered.
pub(super) const HELD: &str = "held";

/// The tool that is listed, so that its calls can be approved: each has a number as its argument `round`.
pub(super) const PAY: &str = "pay";

/// A call that arrived.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) tool: String,
    /// Of one that pays.
    round: Option<u64>,
    pub(super) at: Instant,
}

/// Runs until the runtime ends.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    kept: Arc<Kept>,
}

struct Kept {
    calls: Mutex<Vec<Seen>>,
    count: watch::Sender<usize>,
    /// How long an answer takes.
    takes: Duration,
}

impl Upstream {
    pub(super) async fn start(takes: Duration) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let kept = Arc::new(Kept { calls: Mutex::default(), count: watch::Sender::new(0), takes });
        tokio::spawn(accept(listener, Arc::clone(&kept)));
        Ok(Self { address, kept })
    }

    /// All calls so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.kept.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often this was paid.
    pub(super) fn paid(&self, round: u64) -> usize {
        self.all_paid().get(&round).copied().unwrap_or_default()
    }

    pub(super) fn all_paid(&self) -> BTreeMap<u64, usize> {
        let mut paid = BTreeMap::new();
        for round in self.seen().iter().filter_map(|call| call.round) {
            *paid.entry(round).or_default() += 1;
        }
        paid
    }

    pub(super) fn count(&self) -> usize {
        *self.kept.count.borrow()
    }

    /// Returns when it has seen so many calls.
    pub(super) async fn reaches(&self, count: usize) {
        // The sender lives as long as we do.
        _ = self.kept.count.subscribe().wait_for(|seen| *seen >= count).await;
    }
}

async fn accept(listener: TcpListener, kept: Arc<Kept>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&kept)));
    }
}

async fn serve(stream: TcpStream, kept: Arc<Kept>) {
    _ = stream.set_nodelay(true);
    let answers = service_fn(move |request| {
        let kept = Arc::clone(&kept);
        async move { Ok::<_, Infallible>(answer(request, &kept).await) }
    });
    // How a connection ends is the gateway's business.
    _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answers).await;
}

async fn answer(request: Request<Incoming>, kept: &Kept) -> Response<Full<Bytes>> {
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(id) = message.get("id") else { return status(StatusCode::ACCEPTED) };
    let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let result = match text("/method").as_str() {
        "tools/call" => {
            let round = message.pointer("/params/arguments/round").and_then(Value::as_u64);
            call(text("/params/name"), round, kept).await
        }
        "tools/list" => json!({ "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
            "tools": [{ "name": PAY, "inputSchema": { "type": "object" } }] }),
        "server/discover" => json!({
            "resultType": "complete", "ttlMs": 0, "cacheScope": "private", "supportedVersions": ["2026-07-28"],
            "capabilities": { "tools": {} },
            "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "soak", "version": "1" } },
        }),
        _ => return status(StatusCode::NOT_FOUND),
    };
    let mut response = Response::new(json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string().into());
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    response
}

async fn call(tool: String, round: Option<u64>, kept: &Kept) -> Value {
    let held = tool.starts_with(HELD);
    let result = json!({ "resultType": "complete", "content": [{ "type": "text", "text": tool }] });
    kept.calls.lock().unwrap_or_else(PoisonError::into_inner).push(Seen { tool, round, at: Instant::now() });
    kept.count.send_modify(|count| *count += 1);
    if held {
        return std::future::pending().await;
    }
    if !kept.takes.is_zero() {
        tokio::time::sleep(kept.takes).await;
    }
    result
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

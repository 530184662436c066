//! The conformance fixture: an MCP server of both eras on rmcp, with the `test_*` tools, prompts and resources that the official suite
//! asks for, and a few tools of our own (`echo`, `whoami`, `slow`, `begun`, `cancelled`, `progress`, `roots`, `touch`).
//! It keeps to the protocol and to nothing else: no fault is simulated here; for that there is [`Recorder`](crate::Recorder).

mod catalogue;
mod content;
mod extras;
mod handler;
mod legacy;
mod prompts;
mod resources;
mod rounds;
mod stream;
mod tasks;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rmcp::ServiceExt;
use rmcp::model::{RequestStateCodec, Tool};
use rmcp::task_manager::TaskManager;
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::StreamableHttpServerConfig;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::AbortHandle;

/// A running fixture. It stops when it is dropped.
pub struct Fixture {
    addr: SocketAddr,
    serving: AbortHandle,
}

/// What all sessions and requests share.
struct State {
    tools: Vec<Tool>,
    tasks: TaskManager,
    codec: RequestStateCodec,
    changes: broadcast::Sender<Change>,
    /// The labels of `slow` calls that were begun, in order.
    begun: watch::Sender<Vec<String>>,
    /// The labels of those that were cancelled, in order.
    cancelled: watch::Sender<Vec<String>>,
    sessions: Arc<LocalSessionManager>,
    /// The ids of sessions in which a client has just resumed a stream.
    resumed: broadcast::Sender<String>,
}

/// What happened to the lists, told to whoever listens.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    Tools,
    Prompts,
    Resource(String),
}

/// One legacy session, or one modern request.
struct Session {
    state: Arc<State>,
    level: Mutex<rmcp::model::LoggingLevel>,
    watched: Arc<Mutex<Vec<String>>>,
}

/// Starts a fixture in process, on a port of its own.
pub async fn serve() -> Fixture {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    Fixture { addr, serving: tokio::spawn(serve_on(listener)).abort_handle() }
}

/// Serves `/mcp` on `listener` for ever.
pub async fn serve_on(listener: TcpListener) {
    let sessions = Arc::new(LocalSessionManager::default());
    let state = Arc::new(State::new(Arc::clone(&sessions)));
    let shared = Arc::clone(&state);
    let new_session = move || Ok(Session::new(Arc::clone(&shared)));
    let mcp = StreamableHttpService::new(new_session, sessions, StreamableHttpServerConfig::default());
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        // Small messages in both directions: waiting to fill a segment would only add latency.
        let _ = stream.set_nodelay(true);
        let (mcp, state) = (mcp.clone(), Arc::clone(&state));
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let (mcp, state) = (mcp.clone(), Arc::clone(&state));
            async move {
                if request.uri().path() != "/mcp" {
                    return Ok(not_found());
                }
                let resuming = resuming(&request);
                let response = mcp.handle(request).await;
                if let Some(session) = resuming {
                    // Nobody waits for it unless a stream was closed on purpose.
                    let _ = state.resumed.send(session);
                }
                Ok::<_, Infallible>(response)
            }
        });
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection);
    }
}

/// Serves one client on standard input and output, for as long as it stays.
pub async fn serve_stdio() {
    let session = Session::new(Arc::new(State::new(Arc::default())));
    let running = session.serve((tokio::io::stdin(), tokio::io::stdout())).await;
    // A client that goes before it has said who it is, or breaks off later, is no fault of a server's.
    if let Ok(running) = running {
        let _ = running.waiting().await;
    }
}

impl Fixture {
    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.addr)
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl State {
    fn new(sessions: Arc<LocalSessionManager>) -> Self {
        Self {
            tools: catalogue::tools(),
            tasks: TaskManager::new(),
            // Nothing here is secret: the seal only has to notice tampering.
            codec: RequestStateCodec::try_new(*b"the fixture has nothing to conceal").expect("the key is long enough"),
            changes: broadcast::channel(64).0,
            begun: watch::Sender::default(),
            cancelled: watch::Sender::default(),
            sessions,
            resumed: broadcast::channel(64).0,
        }
    }
}

/// The session in which this request takes up a stream again, if it does.
fn resuming(request: &http::Request<hyper::body::Incoming>) -> Option<String> {
    request.headers().get("last-event-id")?;
    request.headers().get("mcp-session-id")?.to_str().ok().map(str::to_owned)
}

/// A rmcp value from our own JSON, which is right or a bug of the fixture.
fn shaped<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).expect("the fixture's own JSON fits rmcp's types")
}

fn not_found() -> http::Response<http_body_util::combinators::BoxBody<bytes::Bytes, Infallible>> {
    use http_body_util::BodyExt;
    let mut response = http::Response::new(http_body_util::Empty::new().boxed());
    *response.status_mut() = http::StatusCode::NOT_FOUND;
    response
}

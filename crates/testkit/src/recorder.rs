//! An HTTP upstream that keeps every request as it came and answers what the test says.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::answer::{Answer, AnswerStream};
use crate::patiently;
use crate::wire::{self, Head, Headers, Incoming, Remaining};

type Script = dyn Fn(&Recorded) -> Answer + Send + Sync;

/// One request, as it came.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// In order, in their own case, repeated ones included.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Which connection it came on, counted from 0.
    pub connection: usize,
}

/// A listening upstream. It stops when it is dropped.
pub struct Recorder {
    addr: SocketAddr,
    shared: Arc<Shared>,
    untaken: tokio::sync::Mutex<mpsc::UnboundedReceiver<Recorded>>,
    exchanges: tokio::sync::Mutex<mpsc::UnboundedReceiver<Exchange>>,
    listening: AbortHandle,
}

/// A request that waits for its answer. Dropping it closes the connection.
pub struct Exchange {
    pub request: Recorded,
    promise: oneshot::Sender<Answer>,
}

struct Shared {
    script: Box<Script>,
    requests: Mutex<Vec<Recorded>>,
    arrivals: mpsc::UnboundedSender<Recorded>,
    connections: AtomicUsize,
    open: Mutex<Vec<AbortHandle>>,
}

impl Recorder {
    /// Answers each request by `script`.
    pub async fn start(script: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> Self {
        let (_, exchanges) = mpsc::unbounded_channel();
        Self::listen(Box::new(script), exchanges).await
    }

    /// Each request waits until the test takes it with [`next_exchange`](Self::next_exchange) and answers.
    pub async fn by_hand() -> Self {
        let (sender, exchanges) = mpsc::unbounded_channel();
        let script = move |request: &Recorded| {
            let (answer, promise) = Answer::later();
            // The receiver is gone only when the recorder itself is being dropped.
            let _ = sender.send(Exchange { request: request.clone(), promise });
            answer
        };
        Self::listen(Box::new(script), exchanges).await
    }

    /// A small MCP server of both eras with these tools, each the raw text of its definition. See `small_mcp.rs`.
    pub async fn mcp<T: Into<String>>(tools: impl IntoIterator<Item = T>) -> Self {
        let tools: Vec<String> = tools.into_iter().map(Into::into).collect();
        Self::start(move |request| crate::small_mcp::answer(request, &tools)).await
    }

    /// The same server, which knows no revision but 2026-07-28.
    pub async fn mcp_modern<T: Into<String>>(tools: impl IntoIterator<Item = T>) -> Self {
        let tools: Vec<String> = tools.into_iter().map(Into::into).collect();
        Self::start(move |request| crate::small_mcp::answer_modern(request, &tools)).await
    }

    /// The same server, when it was older: it knows no modern request, and says so as servers of 2025-11-25 do.
    pub async fn legacy_mcp<T: Into<String>>(tools: impl IntoIterator<Item = T>) -> Self {
        let tools: Vec<String> = tools.into_iter().map(Into::into).collect();
        Self::start(move |request| crate::small_mcp::legacy_answer(request, &tools)).await
    }

    /// The URL of a path on this server, without a trailing slash of its own.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Everything received so far. A request is here before its answer is sent.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many connections were ever opened.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// The next request that nobody took yet.
    pub async fn next_request(&self) -> Recorded {
        let mut untaken = self.untaken.lock().await;
        patiently("a request at the upstream", untaken.recv()).await.expect("the recorder was stopped")
    }

    /// The next request of a recorder made [`by_hand`](Self::by_hand), to be answered.
    pub async fn next_exchange(&self) -> Exchange {
        let mut exchanges = self.exchanges.lock().await;
        patiently("a request at the upstream", exchanges.recv()).await.expect("this recorder answers by a script")
    }

    async fn listen(script: Box<Script>, exchanges: mpsc::UnboundedReceiver<Exchange>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (arrivals, untaken) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            script,
            requests: Mutex::default(),
            arrivals,
            connections: AtomicUsize::new(0),
            open: Mutex::default(),
        });
        Self {
            addr: listener.local_addr().unwrap(),
            listening: tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle(),
            shared,
            untaken: tokio::sync::Mutex::new(untaken),
            exchanges: tokio::sync::Mutex::new(exchanges),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.listening.abort();
        self.shared.open.lock().unwrap().iter().for_each(AbortHandle::abort);
    }
}

impl Recorded {
    /// The first value of a header, its name compared without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        wire::header(&self.headers, name)
    }

    /// The body as JSON; panics when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

impl Exchange {
    /// Sends the answer. If the client has gone meanwhile, nothing happens.
    pub fn answer(self, answer: Answer) {
        let _ = self.promise.send(answer);
    }

    /// Answers with a JSON-RPC result for the request's id.
    pub fn answer_with_result(self, result: &Value) {
        let body = serde_json::json!({ "jsonrpc": "2.0", "id": self.request.json()["id"], "result": result });
        self.answer(Answer::json(200, &body));
    }

    /// Answers with an SSE stream that the test feeds.
    pub fn answer_with_events(self) -> AnswerStream {
        let (answer, stream) = Answer::stream(200, "text/event-stream");
        self.answer(answer);
        stream
    }

    /// Waits until the client has closed its connection, unanswered.
    pub async fn hung_up(mut self) {
        patiently("the client to hang up", self.promise.closed()).await;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let number = shared.connections.fetch_add(1, Ordering::Relaxed);
        let task = tokio::spawn(serve(stream, number, Arc::clone(&shared)));
        shared.open.lock().unwrap().push(task.abort_handle());
    }
}

async fn serve(stream: TcpStream, connection: usize, shared: Arc<Shared>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (reading, mut writing) = stream.into_split();
    let mut incoming = Incoming::new(reading);
    while let Some(head) = incoming.head().await? {
        let body = incoming.whole(head.remaining(Remaining::Nothing)?).await?;
        let request = recorded(head, body, connection);
        shared.requests.lock().unwrap().push(request.clone());
        let answer = (shared.script)(&request);
        let _ = shared.arrivals.send(request);
        answer.write(&mut incoming, &mut writing).await?;
    }
    Ok(())
}

fn recorded(head: Head, body: Vec<u8>, connection: usize) -> Recorded {
    let mut words = head.first_line.splitn(3, ' ').map(str::to_owned);
    let headers: Headers = head.headers;
    Recorded {
        method: words.next().unwrap_or_default(),
        target: words.next().unwrap_or_default(),
        headers,
        body,
        connection,
    }
}

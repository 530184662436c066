//! The client: so many connections, each asking again as soon as it is answered.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HeaderValue;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::Plan;
use super::cpu;
use super::message::{Era, TOOL, Writer};

/// What every answer to a call has.
const ANSWERED: &[u8] = br#""content":[{"type":"text""#;

/// One way, measured once.
pub(super) struct Measured {
    pub(super) calls: usize,
    pub(super) span: Duration,
    /// What the process in between spent on all calls.
    pub(super) cpu: Duration,
    pub(super) latencies: Vec<Duration>,
}

/// A client's connection.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    pub(super) writer: Writer,
}

/// Calls `url` for a while and watches `process`. Only what begins and ends in the counted span counts.
pub(super) async fn run(plan: &Plan, url: &Uri, era: Era, process: u32) -> anyhow::Result<Measured> {
    run_tool(plan, url, era, process, TOOL).await
}

/// The same, over so many connections.
pub(super) async fn run_with(
    plan: &Plan,
    connections: usize,
    url: &Uri,
    era: Era,
    process: u32,
) -> anyhow::Result<Measured> {
    measure(plan, connections, url, era, process, TOOL).await
}

/// The same, for a tool of that name.
pub(super) async fn run_tool(
    plan: &Plan,
    url: &Uri,
    era: Era,
    process: u32,
    tool: &'static str,
) -> anyhow::Result<Measured> {
    measure(plan, plan.connections, url, era, process, tool).await
}

async fn measure(
    plan: &Plan,
    connections: usize,
    url: &Uri,
    era: Era,
    process: u32,
    tool: &'static str,
) -> anyhow::Result<Measured> {
    let begin = Instant::now() + plan.warm_up;
    let end = begin + plan.span;
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        clients.spawn(client(url.clone(), era, tool, begin, end));
    }
    sleep_until(begin).await;
    let (cpu_before, began) = (cpu::spent(process)?, Instant::now());
    sleep_until(end).await;
    let (cpu_after, ended) = (cpu::spent(process)?, Instant::now());
    let mut latencies = Vec::new();
    while let Some(client) = clients.join_next().await {
        latencies.extend(client??);
    }
    ensure!(!latencies.is_empty(), "no call was answered in {:?}", plan.span);
    let cpu = cpu_after.saturating_sub(cpu_before);
    Ok(Measured { calls: latencies.len(), span: ended - began, cpu, latencies })
}

async fn client(url: Uri, era: Era, tool: &'static str, begin: Instant, end: Instant) -> anyhow::Result<Vec<Duration>> {
    let mut connection = Connection::open(&url, era).await?;
    connection.writer.tool = tool;
    let mut latencies = Vec::new();
    loop {
        let asked = Instant::now();
        if asked >= end {
            return Ok(latencies);
        }
        connection.call().await?;
        let answered = Instant::now();
        // A call across an edge counts on one side only, as its CPU time does on average.
        if answered >= begin && answered < end {
            latencies.push(answered - asked);
        }
    }
}

impl Connection {
    /// Connects; in the legacy era, with a session.
    pub(super) async fn open(url: &Uri, era: Era) -> anyhow::Result<Self> {
        let authority = url.authority().context("an address without a host")?;
        let stream = TcpStream::connect(authority.as_str()).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let host = HeaderValue::from_str(authority.as_str())?;
        let writer = Writer { era, host, path: url.path().to_owned(), session: None, id: 0, tool: TOOL };
        let mut connection = Self { sender, writer };
        if era == Era::Legacy {
            connection.start_session().await?;
        }
        Ok(connection)
    }

    pub(super) async fn start_session(&mut self) -> anyhow::Result<()> {
        self.writer.session = None;
        let (session, _) = self.send(self.writer.initialize()?, StatusCode::OK).await?;
        self.writer.session = Some(session.context("no session was opened")?);
        self.send(self.writer.initialized()?, StatusCode::ACCEPTED).await?;
        Ok(())
    }

    /// Reads a whole list of tools, page by page; how long that took.
    pub(super) async fn list(&mut self, expected: usize) -> anyhow::Result<Duration> {
        let (asked, mut cursor, mut tools) = (Instant::now(), None, 0);
        loop {
            let request = self.writer.list(cursor.as_deref())?;
            let (_, body) = self.send(request, StatusCode::OK).await?;
            let page: serde_json::Value = serde_json::from_slice(&body)?;
            tools += page.pointer("/result/tools").and_then(serde_json::Value::as_array).map_or(0, Vec::len);
            cursor = page.pointer("/result/nextCursor").and_then(|cursor| cursor.as_str()).map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        ensure!(tools == expected, "{tools} tools instead of {expected}");
        Ok(asked.elapsed())
    }

    pub(super) async fn call(&mut self) -> anyhow::Result<()> {
        let request = self.writer.call()?;
        let (_, body) = self.send(request, StatusCode::OK).await?;
        let answered =
            body.windows(ANSWERED.len()).any(|text| text == ANSWERED) && !body.ends_with(br#""isError":true}}"#);
        ensure!(answered, "not the answer to a call: {}", String::from_utf8_lossy(&body));
        Ok(())
    }

    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        expected: StatusCode,
    ) -> anyhow::Result<(Option<HeaderValue>, Bytes)> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let session = response.headers().get("mcp-session-id").cloned();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status == expected, "status {status} instead of {expected}: {}", String::from_utf8_lossy(&body));
        Ok((session, body))
    }
}

//! A server that is down: its callers are told at once, it is tried again now and then, and nobody else notices.

use std::net::SocketAddr;

use serde_json::{Value, json};
use testkit::{Answer, HttpClient, McpClient, Recorder};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::canary;
use crate::gate::{Gate, OPEN, Plan, called, modern_call, modern_headers, tool};

/// After this many failures in a row a server is left alone.
const FAILURES: usize = 5;

/// A port of this machine, held: while nobody listens on it, connections are refused.
struct Port {
    at: SocketAddr,
    held: Option<TcpSocket>,
    open: Option<JoinHandle<()>>,
}

impl Port {
    fn closed() -> Self {
        let socket = hold(([127, 0, 0, 1], 0).into());
        Self { at: socket.local_addr().unwrap(), held: Some(socket), open: None }
    }

    fn url(&self) -> String {
        format!("http://{}/mcp", self.at)
    }

    /// From now on the recorder answers here.
    fn open(&mut self, recorder: &Recorder) {
        let (listener, behind) = (self.held.take().unwrap().listen(64).unwrap(), recorder.addr());
        self.open = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    tokio::io::copy_bidirectional(&mut stream, &mut TcpStream::connect(behind).await?).await
                });
            }
        }));
    }

    /// And from now on nobody does.
    async fn close(&mut self) {
        let open = self.open.take().unwrap();
        open.abort();
        _ = open.await;
        self.held = Some(hold(self.at));
    }
}

fn hold(at: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(at).unwrap();
    socket
}

async fn call(gate: &Gate, server: &str) -> Value {
    let http = modern_headers(HttpClient::new(gate.url(server)), "tools/call", Some("a"));
    http.post(&modern_call(1, "a", json!({}))).await.json()
}

fn is_told_down(answer: &Value) -> bool {
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    answer["error"]["code"] == -32603 && message.starts_with("the server is down; it is tried again in ")
}

#[tokio::test]
async fn a_server_that_cannot_be_connected_to_is_left_alone() {
    canary::capture();
    let well = Recorder::mcp([tool("a")]).await;
    let port = Port::closed();
    let plan = Plan::default().server("refuses", port.url(), "p").server("well", well.url("/mcp"), "p");
    let gate = plan.policy("p", OPEN).start();
    assert!(gate.ready().await.contains("server refuses unknown\nserver well unknown\n"));
    for n in 0..FAILURES {
        let answer = call(&gate, "refuses").await;
        assert_eq!(answer["error"]["message"], "upstream failed", "{n}");
    }
    let answer = call(&gate, "refuses").await;
    assert!(is_told_down(&answer), "{answer}");
    let ready = gate.ready().await;
    assert!(ready.starts_with("ready\n"), "one server is no reason not to serve the others");
    assert!(
        ready.contains("\nserver refuses down for ") && ready.contains("s: connection refused, tried again in "),
        "{ready}"
    );
    assert!(!ready.contains(&port.at.to_string()), "no addresses");
    for _ in 0..20 {
        assert!(call(&gate, "well").await["error"].is_null());
    }
    assert!(gate.ready().await.contains("\nserver well up for "));
    let told = canary::events("refuses").into_iter().filter(|event| event["fields"]["message"] == "a server is down");
    assert_eq!(told.count(), 1, "told once");
}

/// The one that comes back is found by the next call that may try, or by a probe.
#[tokio::test]
async fn a_server_that_comes_back_is_found() {
    canary::capture();
    for (id, more) in [("back", ""), ("probed", "probe_interval = \"1s\"")] {
        let mut port = Port::closed();
        let plan = Plan::default().server(id, port.url(), "p").toml(more);
        let gate = plan.policy("p", OPEN).start();
        for _ in 0..FAILURES {
            call(&gate, id).await;
        }
        assert!(is_told_down(&call(&gate, id).await));
        let upstream = Recorder::mcp([tool("a")]).await;
        port.open(&upstream);
        match more.is_empty() {
            true => {
                testkit::patiently("the server to be tried again", async {
                    while is_told_down(&call(&gate, id).await) {}
                })
                .await
            }
            false => drop(gate.until(|ready| ready.contains(&format!("server {id} up for "))).await),
        }
        assert!(call(&gate, id).await["error"].is_null(), "{id}");
        let ready = gate.ready().await;
        assert!(
            ready.contains(&format!("server {id} up for ")) && ready.contains("last error: connection refused"),
            "{ready}"
        );
        let told = canary::events(id).into_iter().filter(|event| event["fields"]["message"] == "a server is up again");
        assert_eq!(told.count(), 1, "{id}");
    }
}

/// A call that was not tried has used nothing up.
#[tokio::test]
async fn what_is_not_tried_is_not_charged() {
    let (mut port, upstream) = (Port::closed(), Recorder::mcp([tool("a")]).await);
    port.open(&upstream);
    let policy =
        r#"{ "version": "1", "tools": { "a": { "limits": [{ "max": 2, "per": "server", "window": "1h" }] } } }"#;
    let gate = Plan::default().server("s", port.url(), "p").policy("p", policy).start();
    let client = gate.legacy().await;
    port.close().await;
    let mut told = 0;
    for _ in 0..FAILURES * 3 {
        let answer = client.call("a", json!({})).await;
        assert_eq!(answer["error"]["code"], -32603, "{answer}");
        told += usize::from(is_told_down(&answer));
    }
    assert!(told >= FAILURES, "{told}");
    let mut port = port;
    port.open(&upstream);
    let back = async {
        loop {
            let answer = client.call("a", json!({})).await;
            if !is_told_down(&answer) {
                return answer;
            }
        }
    };
    let answer = testkit::patiently("the server to be tried again", back).await;
    assert!(answer["error"].is_null() && answer["result"]["isError"] != true, "{answer}");
    assert!(client.call("a", json!({})).await["result"]["isError"] != true);
    assert_eq!(client.call("a", json!({})).await["result"]["isError"], true, "and now it is used up");
}

/// Neither an error of a server's nor any status is a sign that it is down.
#[tokio::test]
async fn a_server_that_answers_is_there() {
    for status in [400, 404, 429, 500, 503] {
        let upstream = Recorder::start(move |request| match request.json()["method"].as_str() {
            Some("server/discover") => {
                Answer::json(200, &json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": {} }))
            }
            _ => Answer::json(
                status,
                &json!({ "jsonrpc": "2.0", "id": request.json()["id"], "error": { "code": -32000, "message": "no" } }),
            ),
        })
        .await;
        let gate = Gate::before(&upstream, OPEN);
        for _ in 0..FAILURES * 3 {
            assert!(!is_told_down(&call(&gate, "s").await), "{status}");
        }
        assert_eq!(called(&upstream).len(), FAILURES * 3);
        assert!(gate.ready().await.contains("\nserver s up for "));
    }
}

#[tokio::test]
async fn a_silent_server_is_left_alone_until_it_answers() {
    let upstream = Recorder::by_hand().await;
    let plan = Plan::default().server("s", upstream.url("/mcp"), "p").policy("p", OPEN);
    let gate = plan.set("bounds.call_timeout", "200ms").start();
    for _ in 0..FAILURES {
        assert_eq!(call(&gate, "s").await["error"]["message"], "upstream failed");
    }
    let answer = call(&gate, "s").await;
    assert!(is_told_down(&answer), "{answer}");
    assert!(gate.ready().await.contains("s: no answer in time, tried again in "));
    assert_eq!(upstream.requests().len(), FAILURES, "and no more was asked of it");
}

/// A probe keeps what is known of a server fresh, without any call.
#[tokio::test]
async fn a_probe_asks_for_itself() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let port = Port::closed();
    let plan = Plan::default()
        .server("s", upstream.url("/mcp"), "p")
        .toml("probe_interval = \"1s\"")
        .server("gone", port.url(), "p")
        .toml("probe_interval = \"1s\"")
        .server("unasked", "http://127.0.0.1:1/mcp", "p");
    let gate = plan.policy("p", OPEN).start();
    let ready = gate.until(|ready| ready.contains("server s up for ") && ready.contains("server gone down for ")).await;
    assert!(ready.contains("server unasked unknown"), "not asked for: {ready}");
    assert!(upstream.requests().iter().all(|request| request.json()["method"] == "server/discover"));
    assert!(McpClient::modern(HttpClient::new(gate.url("s"))).call("a", json!({})).await["error"].is_null());
}

//! A call that nobody waits for any more ends.

use azure_emulator::{Emulator, demo};
use finetuning_server::{FineTuningServer, Settings};
use rmcp::ServiceExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf};

use crate::support::variables;

/// A client that sees every message as it is.
struct Wire {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    write: WriteHalf<DuplexStream>,
}

impl Wire {
    async fn send(&mut self, message: Value) {
        self.write.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next_line().await.unwrap().unwrap()).unwrap()
    }

    async fn call(&mut self, id: u32, tool: &str, arguments: Value) {
        let params = json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": id } });
        self.send(json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })).await;
    }

    /// Everything up to the answer with this id, which comes last.
    async fn until(&mut self, id: u32) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            let message = self.next().await;
            let is_it = message["id"] == id;
            seen.push(message);
            if is_it {
                return seen;
            }
        }
    }
}

#[tokio::test]
async fn a_cancelled_wait_asks_no_more_and_answers_nothing() {
    let service = Emulator::builder().manual_clock().start().await.unwrap();
    let server = FineTuningServer::new(Settings::from_env(variables(&service, &[])).unwrap()).unwrap();
    let (here, there) = tokio::io::duplex(1 << 20);
    tokio::spawn(async move { server.serve(there).await.unwrap().waiting().await });
    let (read, write) = tokio::io::split(here);
    let mut wire = Wire { lines: BufReader::new(read).lines(), write };
    let params =
        json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    wire.send(json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params })).await;
    wire.until(0).await;
    wire.send(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;

    wire.call(1, "wait_for_finetuning_job", json!({ "job_id": demo::RUNNING_JOB, "timeout_seconds": 3_600 })).await;
    assert_eq!(wire.next().await["method"], "notifications/progress", "it looks");
    wire.send(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } })).await;
    let new = json!({ "model": "gpt-4.1-mini-2025-04-14", "training_file": demo::TRAINING_FILE });
    wire.call(2, "create_finetuning_job", new).await;
    let created = wire.until(2).await.pop().unwrap();
    let created = created["result"]["structuredContent"]["id"].clone();
    // The job of the first call ends: its next look, within three seconds, would see that and answer. This one takes longer.
    wire.call(3, "cancel_finetuning_job", json!({ "job_id": demo::RUNNING_JOB })).await;
    wire.until(3).await;
    wire.call(4, "wait_for_finetuning_job", json!({ "job_id": created, "timeout_seconds": 4 })).await;
    let seen = wire.until(4).await;
    let of_the_first = |message: &Value| message["id"] == 1 || message["params"]["progressToken"] == 1;
    assert!(!seen.iter().any(of_the_first), "{seen:?}");
}

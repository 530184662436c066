//! An MCP server over stdio for tests, without any SDK: what it speaks and how it misbehaves is said by its arguments and its tools.
//!
//! `--legacy` or `--modern` is the one era it speaks; `--mute-probe` says nothing to what it does not know;
//! `--locks` understands nothing any more after a message of the other era; `--stay` takes a
//! closed stdin for no end; `--deaf` never reads it; `--child` starts one; `--crash` ends at once; `--noise N` says N lines first; `--log FILE` notes every byte it hears.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::zombie_processes,
    reason = "tests only: what panics here fails a test"
)]

use std::collections::BTreeSet;
use std::io::{BufRead as _, Write as _};
use std::process::{Command, exit};

use serde_json::{Value, json};

const MODERN: &str = "2026-07-28";
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

#[derive(Default)]
struct Server {
    legacy_only: bool,
    modern_only: bool,
    mute: bool,
    locks: bool,
    locked: bool,
    /// What it was told, for the tool `told`.
    hello: Vec<Value>,
    initialized: usize,
    level: Value,
    subscriptions: BTreeSet<String>,
    cancelled: Vec<Value>,
    waiting: Vec<Value>,
    listening: Vec<Value>,
    /// Calls that wait for the client's answer to a question.
    asking: Vec<Value>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let value = |name: &str| Some(arguments[arguments.iter().position(|argument| argument == name)? + 1].clone());
    if has("--crash") {
        eprintln!("crashing as told");
        exit(7);
    }
    if has("--child") {
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        note(&value("--pids"), child.id());
    }
    note(&value("--pids"), std::process::id());
    for n in 0..value("--noise").map_or(0, |n| n.parse().unwrap()) {
        println!("noise {n}");
    }
    let mut log = value("--log").map(|file| std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap());
    let mut server = Server {
        legacy_only: has("--legacy"),
        modern_only: has("--modern"),
        mute: has("--mute-probe"),
        locks: has("--locks"),
        ..Server::default()
    };
    if has("--deaf") {
        deaf();
    }
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line).unwrap() > 0 {
        if let Some(log) = &mut log {
            log.write_all(&line).unwrap();
        }
        server.heard(&serde_json::from_slice(&line).expect("one message a line"));
        line.clear();
    }
    if has("--stay") {
        deaf();
    }
}

fn deaf() -> ! {
    loop {
        std::thread::sleep(std::time::Duration::from_secs(1_000));
    }
}

fn note(file: &Option<String>, pid: u32) {
    let Some(file) = file else { return };
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
    writeln!(file, "{pid}").unwrap();
}

fn say(message: &Value) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{message}").unwrap();
    out.flush().unwrap();
}

fn tell(method: &str, params: Value) {
    say(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
}

fn text(text: impl ToString) -> Value {
    json!({ "resultType": "complete", "content": [{ "type": "text", "text": text.to_string() }] })
}

impl Server {
    fn heard(&mut self, message: &Value) {
        let id = &message["id"];
        match (message["method"].as_str(), id.is_null()) {
            (Some(method), false) => match self.request(id, method, &message["params"]) {
                Some(Ok(result)) => say(&json!({ "jsonrpc": "2.0", "id": id, "result": result })),
                Some(Err((code, why))) => {
                    say(&json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": why } }));
                }
                None => {}
            },
            (Some("notifications/initialized"), true) => self.initialized += 1,
            (Some("notifications/cancelled"), true) => self.cancelled.push(message["params"]["requestId"].clone()),
            (Some(_), true) => {}
            // An answer to a question of ours.
            (None, _) => {
                if let Some(call) = self.asking.pop() {
                    let said = message.get("result").or(message.get("error")).unwrap();
                    say(&json!({ "jsonrpc": "2.0", "id": call, "result": text(said) }));
                }
            }
        }
    }

    fn request(&mut self, id: &Value, method: &str, params: &Value) -> Option<Result<Value, (i64, &'static str)>> {
        let modern = !params["_meta"][META_VERSION].is_null();
        let strange = (modern && self.legacy_only) || (!modern && self.modern_only);
        if strange && self.mute {
            return None;
        }
        if self.locked {
            return Some(Err((-32600, "this connection is of the other era")));
        }
        if strange {
            self.locked = self.locks;
            return Some(Err((-32601, "not in this era")));
        }
        let result = match method {
            "server/discover" => json!({ "resultType": "complete", "supportedVersions": [MODERN],
                "capabilities": { "tools": { "listChanged": true } }, "ttlMs": 0, "cacheScope": "private" }),
            "initialize" => {
                self.hello.push(params.clone());
                json!({ "protocolVersion": params["protocolVersion"], "serverInfo": { "name": "stdio", "version": "1" },
                    "capabilities": { "tools": { "listChanged": true }, "logging": {}, "resources": { "subscribe": true } } })
            }
            "logging/setLevel" => {
                self.level = params["level"].clone();
                json!({})
            }
            "resources/subscribe" => {
                self.subscriptions.insert(params["uri"].as_str().unwrap().to_owned());
                json!({})
            }
            "resources/unsubscribe" => {
                self.subscriptions.remove(params["uri"].as_str().unwrap());
                json!({})
            }
            "subscriptions/listen" => {
                self.listening.push(id.clone());
                tell(
                    "notifications/subscriptions/acknowledged",
                    json!({ "_meta": { SUBSCRIPTION: id },
                    "notifications": params["notifications"] }),
                );
                return None;
            }
            "tools/list" => json!({ "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
                "tools": [{ "name": "echo", "inputSchema": { "type": "object" } }] }),
            "tools/call" => return self.call(id, params).map(Ok),
            "tasks/get" => json!({ "taskId": params["taskId"], "status": "working", "pid": std::process::id() }),
            _ => return Some(Err((-32601, "no such method"))),
        };
        Some(Ok(result))
    }

    fn call(&mut self, id: &Value, params: &Value) -> Option<Value> {
        let given = &params["arguments"];
        let n = given["n"].as_u64().unwrap_or(1);
        Some(match params["name"].as_str().unwrap() {
            "echo" => text(given),
            "pid" => text(std::process::id()),
            "task" => json!({ "task": { "taskId": "1", "status": "working" } }),
            "where" => {
                let environment: std::collections::BTreeMap<String, String> = std::env::vars().collect();
                text(json!({ "cwd": std::env::current_dir().unwrap(), "env": environment }))
            }
            "progress" => {
                let token = params["_meta"].get("progressToken").cloned().unwrap_or(json!("none"));
                for n in 0..n {
                    tell(
                        "notifications/progress",
                        json!({ "progressToken": token, "progress": n, "message": given["who"] }),
                    );
                }
                text(&token)
            }
            "bogus_progress" => {
                for token in 0..n {
                    tell("notifications/progress", json!({ "progressToken": token, "progress": 1 }));
                }
                text("")
            }
            "ask" => {
                self.asking.push(id.clone());
                say(&json!({ "jsonrpc": "2.0", "id": "question", "method": "elicitation/create", "params": given }));
                return None;
            }
            "ping" => {
                self.asking.push(id.clone());
                say(&json!({ "jsonrpc": "2.0", "id": "ping", "method": "ping" }));
                return None;
            }
            "wait" => {
                self.waiting.push(id.clone());
                return None;
            }
            "waiting" => text(self.waiting.len()),
            "cancelled" => text(self.cancelled.iter().filter(|id| self.waiting.contains(id)).count()),
            "noise" => {
                for n in 0..n {
                    println!("noise {n}");
                }
                text("quiet")
            }
            "long" => {
                println!("{}", "x".repeat(usize::try_from(n).unwrap()));
                text("done")
            }
            "strangers" => {
                say(&json!({ "jsonrpc": "2.0", "id": 1_u64 << 40, "result": {} }));
                say(&json!({ "jsonrpc": "2.0", "id": id.to_string(), "result": { "forged": true } }));
                text("own")
            }
            "flood" => {
                for n in 0..n {
                    tell("notifications/message", json!({ "level": "info", "data": n }));
                }
                text("done")
            }
            "crash" => exit(3),
            "deafen" => {
                say(&json!({ "jsonrpc": "2.0", "id": id, "result": text("deaf") }));
                deaf();
            }
            "say" => {
                eprintln!("{}", given["text"].as_str().unwrap());
                text("said")
            }
            "changed" => {
                match self.listening.is_empty() {
                    true => tell("notifications/tools/list_changed", json!({})),
                    false => self.listening.iter().for_each(|id| {
                        tell("notifications/tools/list_changed", json!({ "_meta": { SUBSCRIPTION: id } }));
                    }),
                }
                text("changed")
            }
            "after" => {
                say(&json!({ "jsonrpc": "2.0", "id": id, "result": text("before") }));
                tell("notifications/tools/list_changed", json!({}));
                return None;
            }
            "close" => {
                for id in std::mem::take(&mut self.listening) {
                    tell("notifications/cancelled", json!({ "requestId": id }));
                }
                text("closed")
            }
            "update" => {
                tell("notifications/resources/updated", json!({ "uri": given["uri"] }));
                text("updated")
            }
            "told" => text(json!({ "hello": self.hello, "initialized": self.initialized, "level": self.level,
                "subscriptions": self.subscriptions })),
            other => panic!("no tool {other}"),
        })
    }
}

//! Servers that are programs: to a client they look like any other, whatever they say, and however they end.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use testkit::{McpClient, Reply, patiently};

use crate::canary;
use crate::gate::{Gate, OPEN, Plan, modern_call, modern_headers, modern_request};
use crate::legacy_hand;

/// A gateway before our program, with these arguments and more lines of configuration.
fn plan(arguments: &[&str], more: &str) -> Plan {
    let command = [&[env!("CARGO_BIN_EXE_stdio_server")], arguments].concat();
    Plan::default()
        .toml(&format!("[servers.s]\ncommand = {}\npolicy = \"policy.json\"\n{more}", json!(command)))
        .policy("policy.json", OPEN)
        .env("PATH", "/usr/bin:/bin")
}

fn gate(arguments: &[&str], more: &str) -> Gate {
    plan(arguments, more).start()
}

/// What a tool said, or the whole answer where it said nothing.
fn said(answer: &Value) -> Value {
    match answer["result"]["content"][0]["text"].as_str() {
        Some(text) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        None => answer.clone(),
    }
}

async fn call(client: &McpClient, tool: &str, arguments: Value) -> Value {
    said(&client.call(tool, arguments).await)
}

fn failed(id: impl Into<Value>) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "error": { "code": -32603, "message": "upstream failed" } })
}

/// All messages of an answer, and at its end there is nothing more.
async fn messages(mut reply: Reply) -> Vec<Value> {
    if reply.header("content-type") != Some("text/event-stream") {
        return vec![reply.whole().await.json()];
    }
    let mut messages = Vec::new();
    while let Some(event) = reply.next_event().await {
        messages.push(event.json());
    }
    messages
}

#[tokio::test]
async fn a_client_of_either_era_reaches_a_program_of_its_era() {
    for (arguments, eras) in [(&["--legacy"][..], "l"), (&["--modern"], "m"), (&[], "lm")] {
        let gate = gate(arguments, "");
        for era in eras.chars() {
            let client = if era == 'l' { gate.legacy().await } else { gate.modern() };
            assert_eq!(client.list_tools().await, ["echo"]);
            assert_eq!(call(&client, "echo", json!({ "a": [1, "\n"] })).await, json!({ "a": [1, "\n"] }));
            let none = client.request("prompts/list", json!({})).await;
            assert_eq!(none["error"]["code"], -32601, "{none}");
        }
    }
}

#[tokio::test]
async fn each_legacy_session_has_a_process_and_each_modern_agent_one() {
    let gate = gate(&[], "");
    let (one, two, modern) = (gate.legacy().await, gate.legacy().await, gate.modern());
    let mut pids = BTreeSet::new();
    for client in [&one, &two, &modern] {
        let pid = call(client, "pid", json!({})).await;
        assert_eq!(call(client, "pid", json!({})).await, pid);
        pids.insert(pid.as_u64().unwrap());
    }
    assert_eq!(pids.len(), 3);
    assert_eq!(call(&gate.modern(), "pid", json!({})).await, call(&modern, "pid", json!({})).await);
    gate.until(|ready| ready.contains("program s processes 3 restarts 0 noise 0")).await;

    assert_eq!(one.http().send("DELETE", &[], b"").await.status, 204);
    gate.until(|ready| ready.contains("processes 2 ")).await;
    assert_eq!(one.http().post(&json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })).await.status, 404);
    assert!(call(&two, "pid", json!({})).await.is_u64());
}

/// Processes that count their tasks: the first of each is another, unless they are one process.
#[tokio::test]
async fn tasks_of_two_agents_under_one_id_are_two_where_each_has_a_process() {
    for shared in [false, true] {
        let gate = gate(&["--legacy"], &format!("shared = {shared}"));
        let clients = [gate.legacy().await, gate.legacy().await];
        for client in &clients {
            let made = client.request("tools/call", json!({ "name": "task", "task": {} })).await;
            assert_eq!(made["result"]["task"]["taskId"], "1", "{made}");
        }
        for client in &clients {
            let task = client.request("tasks/get", json!({ "taskId": "1" })).await;
            match shared {
                false => assert_eq!(task["result"]["pid"], call(client, "pid", json!({})).await, "{task}"),
                true => assert_eq!(task["error"]["message"], "task not found"),
            }
        }
    }
}

/// `npx` takes seconds: what was started to find out is used.
#[tokio::test]
async fn nothing_is_started_twice_to_find_out_the_era() {
    for arguments in [&["--legacy", "--mute-probe"][..], &["--legacy"], &["--modern"], &["--modern", "--locks"]] {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        let gate = gate(&[arguments, &["--pids", pids.to_str().unwrap()]].concat(), "");
        let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": { "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } } });
        let http = modern_headers(gate.http(), "tools/call", Some("pid"));
        let call = modern_call(1, "pid", json!({}));
        // What was asked for its era is what serves the agent who asked, whichever era it turns out to be.
        if arguments.contains(&"--legacy") {
            assert!(said(&http.post(&call).await.json()).is_u64());
            assert_eq!(read_pids(&pids).len(), 1, "{arguments:?}");
            assert_eq!(gate.http().post(&hello).await.status, 200);
            assert_eq!(read_pids(&pids).len(), 2, "a session has its own");
        } else {
            assert_eq!(gate.http().post(&hello).await.status, 200);
            assert!(said(&http.post(&call).await.json()).is_u64());
            // The first refused `initialize`: it may have made up its mind about the era, and is let go.
            assert_eq!(read_pids(&pids).len(), 2, "{arguments:?}");
            assert_eq!(gate.http().post(&hello).await.status, 200);
            patiently("the refused one to end", async {
                while lives(read_pids(&pids)[0]) {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            assert_eq!(read_pids(&pids).len(), 2, "and nobody is refused twice");
        }
    }
}

fn read_pids(file: &Path) -> Vec<u32> {
    std::fs::read_to_string(file).unwrap().lines().map(|pid| pid.parse().unwrap()).collect()
}

fn lives(pid: u32) -> bool {
    // A zombie is a process that nobody has asked about yet, and no orphan.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Vectors 54 and 55: whatever whitespace and separators a client uses, the program reads one message a line.
#[tokio::test]
async fn a_call_cannot_hide_behind_a_line_end() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("heard");
    let gate = gate(&["--log", log.to_str().unwrap()], "");
    let hidden = r#"{"jsonrpc":"2.0","id":99,"method":"tools/call","params":{"name":"crash"}}"#;
    let legacy = gate.legacy().await;
    let modern = modern_headers(gate.http(), "tools/call", Some("echo"));
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    for end in ["\n", "\r", "\r\n", " \n\n", "\t\r"] {
        let arguments = format!("{{\"x\":[{end}{hidden}{end}]{end}}}");
        for (http, meta) in [(legacy.http(), String::new()), (&modern, format!(",{end}{meta}"))] {
            let body = format!(
                "{{\"jsonrpc\":\"2.0\",{end}\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"echo\",\"arguments\":{arguments}{meta}}}}}"
            );
            let answer = http.post_text(&body).await.answer_to(&json!(1)).await;
            assert_eq!(said(&answer)["x"][0]["params"]["name"], "crash", "{answer}");
        }
    }
    for separator in ["\u{2028}", "\u{2029}", "\u{85}"] {
        let text = format!("{separator}{hidden}{separator}");
        assert_eq!(call(&legacy, "echo", json!({ "x": text })).await, json!({ "x": text }));
    }
    // What the client answers to a question goes the same way.
    let mut asking = legacy.start(5, "tools/call", json!({ "name": "ask", "arguments": {} })).await;
    let question = asking.next_event().await.unwrap().json();
    let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{\"a\":[\n{hidden}\r\n]}}}}", question["id"]);
    assert_eq!(legacy.http().post_text(&answer).await.status, 202);
    assert_eq!(said(&asking.answer_to(&json!(5)).await)["a"][0]["id"], 99);

    let heard = std::fs::read_to_string(&log).unwrap();
    assert!(!heard.contains(['\r', '\u{2028}', '\u{2029}', '\u{85}']));
    for line in heard.lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        assert_ne!(message["params"]["name"], "crash");
    }
}

#[tokio::test]
async fn progress_comes_back_under_the_clients_own_token() {
    let gate = gate(&[], "");
    for client in [gate.legacy().await, gate.modern()] {
        let params = json!({ "name": "progress", "arguments": { "n": 3 }, "_meta": { "progressToken": "mine" } });
        let all = messages(client.start("k", "tools/call", params).await).await;
        let progress: Vec<&Value> = all[..3].iter().map(|message| &message["params"]["progressToken"]).collect();
        assert_eq!(progress, ["mine", "mine", "mine"]);
        assert_eq!(all.len(), 4);
        assert!(said(&all[3]).is_u64(), "the program saw an id of ours: {}", all[3]);
        // Nobody asked for it, or it is somebody else's.
        let all = messages(
            client.start("k", "tools/call", json!({ "name": "bogus_progress", "arguments": { "n": 100 } })).await,
        )
        .await;
        assert_eq!(all.len(), 1, "{all:?}");
    }
}

#[tokio::test]
async fn a_legacy_program_asks_its_client() {
    let gate = gate(&["--legacy"], "");
    let client = gate.legacy().await;
    let mut reply = client.start(1, "tools/call", json!({ "name": "ask", "arguments": { "message": "sure?" } })).await;
    let question = reply.next_event().await.unwrap().json();
    assert_eq!((&question["method"], &question["params"]["message"]), (&json!("elicitation/create"), &json!("sure?")));
    let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "accept" } });
    assert_eq!(client.http().post(&answer).await.status, 202);
    assert_eq!(said(&reply.answer_to(&json!(1)).await), json!({ "action": "accept" }));
    // A ping is answered by the gateway, which is there.
    assert_eq!(call(&client, "ping", json!({})).await, json!({}));
}

/// A program that is started again counts its questions anew: what the user answered the old one is no answer to the new one.
#[tokio::test]
async fn an_answer_to_a_program_that_died_is_not_given_to_the_next() {
    let gate = gate(&["--legacy"], "");
    let client = gate.legacy().await;
    let ask = json!({ "name": "ask", "arguments": {} });
    let mut first = client.start(1, "tools/call", ask.clone()).await;
    let old = first.next_event().await.unwrap().json();
    kill(call(&client, "pid", json!({})).await.as_i64().unwrap());
    assert_eq!(first.answer_to(&json!(1)).await, failed(1));
    let mut second = client.start(2, "tools/call", ask).await;
    let new = second.next_event().await.unwrap().json();
    for (question, action) in [(&old, "accept"), (&new, "decline")] {
        let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": action } });
        client.http().post(&answer).await;
    }
    assert_eq!(said(&second.answer_to(&json!(2)).await), json!({ "action": "decline" }));
}

#[tokio::test]
async fn a_program_with_two_open_calls_asks_for_neither() {
    let gate = gate(&["--legacy"], "");
    let asks = |id: u64| legacy_hand::post(&gate, &legacy_hand::call(&json!({ "elicitation": {} }), id, "ask"));
    let waits = legacy_hand::answer(asks(1), 1).await;
    assert_eq!(waits["result"]["resultType"], "input_required", "{waits}");
    let told = said(&legacy_hand::answer(asks(2), 2).await);
    assert_eq!(told["code"], -32601, "{told}");
}

#[tokio::test]
async fn what_belongs_to_no_request_goes_into_the_sessions_stream() {
    let gate = gate(&["--legacy"], "");
    let client = gate.legacy().await;
    let mut stream = client.http().get().await;
    assert_eq!(stream.status, 200);
    // While two are open, nobody can say whose it is.
    let _open = [client.start(1, "tools/call", json!({ "name": "wait", "arguments": {} })).await];
    assert_eq!(call(&client, "changed", json!({})).await, "changed");
    assert_eq!(stream.next_event().await.unwrap().json()["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn what_nobody_can_take_now_waits_a_moment_for_a_stream() {
    let gate = gate(&["--legacy"], "");
    let client = gate.legacy().await;
    assert_eq!(call(&client, "after", json!({})).await, "before");
    let mut stream = client.http().get().await;
    assert_eq!(stream.next_event().await.unwrap().json()["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn a_modern_client_listens_to_a_modern_program() {
    let gate = gate(&["--modern"], "");
    let listen = json!({ "notifications": { "toolsListChanged": true } });
    let http = modern_headers(gate.http(), "subscriptions/listen", None);
    let mut stream = http.post_streamed(&modern_request("mine", "subscriptions/listen", listen)).await;
    let id = |message: &Value| message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone();
    let first = stream.next_event().await.unwrap().json();
    assert_eq!((&first["method"], id(&first)), (&json!("notifications/subscriptions/acknowledged"), json!("mine")));
    let client = gate.modern();
    assert_eq!(call(&client, "changed", json!({})).await, "changed");
    let changed = stream.next_event().await.unwrap().json();
    assert_eq!((&changed["method"], id(&changed)), (&json!("notifications/tools/list_changed"), json!("mine")));
    // A program may end it by a cancellation; over HTTP that is an answer.
    assert_eq!(call(&client, "close", json!({})).await, "closed");
    let end = stream.next_event().await.unwrap().json();
    assert_eq!((&end["id"], end["result"].is_object()), (&json!("mine"), true), "{end}");
    assert!(stream.next_event().await.is_none());
}

#[tokio::test]
async fn hanging_up_cancels_in_modern_and_not_in_legacy() {
    let gate = gate(&[], "");
    for (modern, client) in [(true, gate.modern()), (false, gate.legacy().await)] {
        let (mut waiting, id) = (Vec::new(), 7);
        for n in 0..3 {
            let http = match modern {
                true => modern_headers(gate.http(), "tools/call", Some("wait")),
                false => client.http().clone(),
            };
            let mut body = modern_call(id + n, "wait", json!({}));
            if !modern {
                body["params"].as_object_mut().unwrap().remove("_meta");
            }
            // The head of the answer comes later; hang up before and after.
            waiting.push(tokio::spawn(async move { drop(http.post_streamed(&body).await) }));
        }
        patiently("all to be open", async { while call(&client, "waiting", json!({})).await != json!(3) {} }).await;
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
        match modern {
            true => {
                patiently("the cancellations", async {
                    while call(&client, "cancelled", json!({})).await != json!(3) {}
                })
                .await
            }
            false => assert_eq!(call(&client, "cancelled", json!({})).await, json!(0)),
        }
    }
}

#[tokio::test]
async fn a_bridged_call_that_is_hung_up_on_is_cancelled_at_a_legacy_program() {
    let gate = gate(&["--legacy"], "");
    let client = gate.modern();
    for n in 1..=3 {
        let http = modern_headers(gate.http(), "tools/call", Some("wait"));
        let body = modern_call(n, "wait", json!({}));
        let waiting = tokio::spawn(async move { drop(http.post_streamed(&body).await) });
        patiently("it to be open", async { while call(&client, "waiting", json!({})).await != json!(n) {} }).await;
        waiting.abort();
        patiently("the cancellation", async { while call(&client, "cancelled", json!({})).await != json!(n) {} }).await;
    }
}

#[tokio::test]
async fn a_modern_program_of_a_legacy_session_ends_with_it() {
    // One is the address's own, which was asked for its era.
    let gate = gate(&["--modern"], "processes = 2");
    for _ in 0..3 {
        let client = gate.legacy().await;
        let pid = call(&client, "pid", json!({})).await.as_u64().unwrap() as u32;
        assert_eq!(client.http().send("DELETE", &[], b"").await.status, 204);
        patiently("the program to end", async {
            while lives(pid) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn noise_is_counted_and_dropped_until_it_is_too_much() {
    let gate = Plan::set(plan(&["--noise", "3"], ""), "bounds.event", "4KiB").start();
    let client = gate.legacy().await;
    assert_eq!(call(&client, "noise", json!({ "n": 5 })).await, "quiet");
    assert_eq!(call(&client, "long", json!({ "n": 100_000 })).await, "done");
    gate.until(|ready| ready.contains("processes 1 restarts 0 noise 9")).await;
    // Answers to what nobody asked are no answers.
    let all = messages(client.start(1, "tools/call", json!({ "name": "strangers", "arguments": {} })).await).await;
    assert_eq!((all.len(), said(&all[0])), (1, json!("own")));
    // A program that says nothing else is none.
    let answer = client.start(2, "tools/call", json!({ "name": "noise", "arguments": { "n": 5_000 } })).await;
    assert_eq!(answer.answer_to(&json!(2)).await, failed(2));
    gate.until(|ready| ready.contains("processes 1 restarts 1 ")).await;
    assert_eq!(call(&client, "echo", json!({})).await, json!({}));
}

#[tokio::test]
async fn a_client_that_takes_nothing_holds_up_nobody() {
    let gate = gate(&[], "shared = true");
    let slow = gate.legacy().await;
    let other = gate.legacy().await;
    let params = json!({ "name": "progress", "arguments": { "n": 200_000 }, "_meta": { "progressToken": 1 } });
    let unread = slow.start(1, "tools/call", params).await;
    assert_eq!(call(&other, "echo", json!({ "b": 2 })).await, json!({ "b": 2 }));
    let all = messages(unread).await;
    let last = all.last().unwrap();
    assert!(all.len() < 200_001 && *last == failed(1), "{} messages, the last {last}", all.len());
}

/// More calls than its pipe and the queues before it take: each fails in its time, and only those.
#[tokio::test]
async fn a_program_that_never_reads_costs_its_own_callers_their_patience_and_nobody_else() {
    let gate = plan(&[], "").set("bounds.call_timeout", "2s").start();
    let (deaf, other) = (gate.legacy().await, gate.legacy().await);
    assert_eq!(call(&deaf, "deafen", json!({})).await, "deaf");
    let mut calls = tokio::task::JoinSet::new();
    for id in 0..200 {
        let http = deaf.http().clone();
        let params = json!({ "name": "echo", "arguments": { "x": "x".repeat(4 << 10) } });
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
        calls.spawn(async move { (id, messages(http.post_streamed(&body).await).await) });
    }
    for n in 0..20 {
        assert_eq!(call(&other, "echo", json!({ "n": n })).await, json!({ "n": n }));
    }
    assert!(calls.try_join_next().is_none(), "the others were answered while these waited");
    while let Some(ended) = calls.join_next().await {
        let (id, messages) = ended.unwrap();
        assert_eq!(messages, [failed(id)]);
    }
    assert_eq!(call(&other, "echo", json!({})).await, json!({}));
}

#[tokio::test]
async fn a_program_that_never_read_anything_fails_the_introduction_in_its_time() {
    let gate = plan(&["--deaf"], "").set("bounds.call_timeout", "1s").start();
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": { "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } } });
    assert_eq!(messages(gate.http().post_streamed(&hello).await).await, [failed(1)]);
}

/// What a program says on stderr is for the operator: readable, cut, and no flood.
#[tokio::test]
async fn stderr_is_logged_line_by_line_and_not_without_bounds() {
    canary::capture();
    let command = [env!("CARGO_BIN_EXE_stdio_server")];
    let toml = format!("[servers.wordy]\ncommand = {}\npolicy = \"policy.json\"\n", json!(command));
    let gate = Plan::default().toml(&toml).policy("policy.json", OPEN).env("PATH", "/usr/bin:/bin").start();
    let client = McpClient::legacy(testkit::HttpClient::new(gate.url("wordy"))).await;
    let lines: Vec<String> = (0..248).map(|n| format!("line {n}")).collect();
    let text = format!("\u{1b}[31mred\n{}\n{}", "x".repeat(5_000), lines.join("\n"));
    assert_eq!(call(&client, "say", json!({ "text": text })).await, "said");
    assert_eq!(client.http().send("DELETE", &[], b"").await.status, 204);
    let of = |message: &str| {
        let events = canary::events("wordy").into_iter().filter(|event| event["fields"]["message"] == message);
        events.map(|event| event["fields"].clone()).collect::<Vec<Value>>()
    };
    patiently("the end of stderr", async {
        while of("more on stderr than is logged").is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(of("more on stderr than is logged")[0]["lines"], 150);
    let logged = of("stderr");
    assert_eq!(logged.len(), 100);
    let line = |n: usize| logged[n]["line"].as_str().unwrap();
    assert!(!line(0).contains('\u{1b}') && line(0).ends_with("[31mred"), "{}", line(0));
    assert_eq!((line(1).len(), line(2), line(99)), (1_000, "line 0", "line 97"));
}

#[tokio::test]
async fn a_program_sees_the_environment_that_is_named_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "from-file\n").unwrap();
    let more = format!(
        "cwd = {0:?}\ninherit = [\"MORE\"]\nenv = {{ PLAIN = \"p\", FROM = {{ env = \"SECRET\" }}, FILE = {{ file = {1:?} }} }}\n",
        folder.path(),
        folder.path().join("secret")
    );
    let gate = plan(&[], &more).env("SECRET", "s").env("MORE", "m").env("LESS", "l").env("HOME", "/h").start();
    let seen = call(&gate.modern(), "where", json!({})).await;
    let expected =
        json!({ "PATH": "/usr/bin:/bin", "HOME": "/h", "MORE": "m", "PLAIN": "p", "FROM": "s", "FILE": "from-file" });
    assert_eq!(seen["env"], expected);
    assert_eq!(seen["cwd"], json!(folder.path().canonicalize().unwrap()));
}

#[tokio::test]
async fn every_open_call_gets_one_error_when_the_program_dies_and_the_session_goes_on() {
    let gate = gate(&["--legacy"], "");
    let client = gate.legacy().await;
    client.request("logging/setLevel", json!({ "level": "error" })).await;
    client.request("resources/subscribe", json!({ "uri": "a:b" })).await;
    let before = call(&client, "told", json!({})).await;
    let mut stream = client.http().get().await;
    let mut open = Vec::new();
    for n in 10..60 {
        let (http, body) = (
            client.http().clone(),
            json!({ "jsonrpc": "2.0", "id": n, "method": "tools/call", "params": { "name": "wait" } }),
        );
        open.push(tokio::spawn(async move { (n, messages(http.post_streamed(&body).await).await) }));
    }
    patiently("all to be open", async { while call(&client, "waiting", json!({})).await != json!(50) {} }).await;
    kill(call(&client, "pid", json!({})).await.as_i64().unwrap());
    for open in open {
        let (n, all) = open.await.unwrap();
        assert_eq!(all, [failed(n)]);
    }
    assert_eq!(call(&client, "told", json!({})).await, before, "a new process knows what the old one was told");
    // Its stream goes on, too.
    let _other = client.start(1, "tools/call", json!({ "name": "wait" })).await;
    assert_eq!(call(&client, "changed", json!({})).await, "changed");
    assert_eq!(stream.next_event().await.unwrap().json()["method"], "notifications/tools/list_changed");
    gate.until(|ready| ready.contains("processes 1 restarts 1 ")).await;
}

fn kill(pid: i64) {
    assert!(std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

#[tokio::test]
async fn kill_9_during_1000_calls_gives_each_exactly_one_answer_or_error() {
    let more = "shared = true\n[bounds]\nconnections_per_peer = 10_000\nin_flight_per_session = 10_000";
    for modern in [false, true] {
        let gate = gate(&[], more);
        let client = if modern { gate.modern() } else { gate.legacy().await };
        let client = std::sync::Arc::new(client);
        let pid = call(&client, "pid", json!({})).await.as_i64().unwrap();
        let calls: Vec<_> = (0..1_000)
            .map(|n| {
                let client = std::sync::Arc::clone(&client);
                tokio::spawn(async move {
                    messages(client.start(n, "tools/call", json!({ "name": "echo", "arguments": { "n": n } })).await)
                        .await
                })
            })
            .collect();
        let (mut answers, mut errors) = (0, 0);
        for (n, call) in calls.into_iter().enumerate() {
            if n == 200 {
                kill(pid);
            }
            let all = call.await.unwrap();
            assert_eq!(all.len(), 1, "{all:?}");
            match all[0] == failed(n) {
                true => errors += 1,
                false if said(&all[0]) == json!({ "n": n }) => answers += 1,
                false => panic!("neither answer nor error: {}", all[0]),
            }
        }
        assert_eq!(answers + errors, 1_000);
        assert_eq!(call(&client, "echo", json!({ "a": 1 })).await, json!({ "a": 1 }));
        assert_ne!(call(&client, "pid", json!({})).await, json!(pid));
    }
}

#[tokio::test]
async fn a_program_that_keeps_crashing_is_left_alone_for_a_while() {
    let gate = gate(&["--modern"], "");
    let client = gate.modern();
    for _ in 0..6 {
        assert_eq!(client.call("crash", json!({})).await["error"]["message"], "upstream failed");
    }
    assert_eq!(client.call("echo", json!({})).await["error"]["message"], "upstream failed");
    gate.until(|ready| ready.contains("processes 0 restarts 6 ")).await;
}

#[tokio::test]
async fn a_program_that_cannot_be_started_fails_the_call_and_nothing_else() {
    let plan = Plan::default()
        .policy("policy.json", OPEN)
        .toml("[servers.s]\ncommand = [\"no-such-program\"]\npolicy = \"policy.json\"");
    let gate = plan.start();
    let answer = gate.modern().call("echo", json!({})).await;
    assert_eq!(answer["error"], json!({ "code": -32603, "message": "upstream failed" }));
    assert!(gate.ready().await.contains("program s processes 0"));
}

#[tokio::test]
async fn there_are_no_more_processes_than_allowed_and_idle_ones_end() {
    let gate = gate(&[], "processes = 1\nidle = \"1s\"");
    let legacy = gate.legacy().await;
    assert_eq!(gate.modern().call("echo", json!({})).await["error"]["message"], "upstream failed");
    // Whoever waits gets the place of a session that ends.
    let modern = gate.modern();
    let (called, ended) = tokio::join!(modern.call("echo", json!({ "a": 1 })), legacy.http().send("DELETE", &[], b""));
    assert_eq!((said(&called), ended.status), (json!({ "a": 1 }), 204));
    gate.until(|ready| ready.contains("processes 0 ")).await;
    assert_eq!(call(&modern, "echo", json!({})).await, json!({}));
}

#[tokio::test]
async fn nothing_is_left_running_after_the_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let server = env!("CARGO_BIN_EXE_stdio_server");
    // What ignores a signal hands that down to what it becomes.
    let stubborn = [
        "/bin/sh",
        "-c",
        "trap '' TERM; exec \"$0\" \"$@\"",
        server,
        "--stay",
        "--child",
        "--pids",
        pids.to_str().unwrap(),
    ];
    let meek = [server, "--child", "--pids", pids.to_str().unwrap()];
    let table = |id: &str, command: &[&str]| {
        format!("[servers.{id}]\ncommand = {}\npolicy = \"policy.json\"\n", json!(command))
    };
    let plan = Plan::default().toml(&table("s", &stubborn)).toml(&table("t", &meek)).policy("policy.json", OPEN);
    let mut gate = plan.env("PATH", "/usr/bin:/bin").start();
    for server in ["s", "t"] {
        let client = McpClient::legacy(testkit::HttpClient::new(gate.url(server))).await;
        assert_eq!(call(&client, "echo", json!({})).await, json!({}));
    }
    let pids = read_pids(&pids);
    assert_eq!(pids.len(), 4);
    assert!(pids.iter().all(|pid| lives(*pid)));
    gate.shut_down().await;
    // Killed they all are by now; to die of it takes a moment.
    patiently("all of them to be gone", async {
        while pids.iter().any(|pid| lives(*pid)) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_shared_program_is_introduced_once_and_tells_each_what_concerns_it() {
    let gate = gate(&["--legacy"], "shared = true");
    let (one, two) = (gate.legacy().await, gate.legacy().await);
    assert_eq!(call(&one, "pid", json!({})).await, call(&two, "pid", json!({})).await);
    let told = call(&one, "told", json!({})).await;
    assert_eq!(told["hello"].as_array().unwrap().len(), 1);
    assert_eq!((&told["hello"][0]["capabilities"], &told["initialized"]), (&json!({}), &json!(1)));
    assert_eq!(one.request("logging/setLevel", json!({ "level": "debug" })).await["result"], json!({}));
    assert_eq!(call(&one, "told", json!({})).await["level"], Value::Null);

    // A question goes to nobody.
    assert_eq!(call(&one, "ask", json!({})).await["code"], -32601);
    let (mut stream_one, mut stream_two) = (one.http().get().await, two.http().get().await);
    let subscriptions = async || call(&one, "told", json!({})).await["subscriptions"].clone();
    for client in [&one, &two] {
        assert_eq!(client.request("resources/subscribe", json!({ "uri": "a:" })).await["result"], json!({}));
    }
    two.request("resources/subscribe", json!({ "uri": "b:" })).await;
    one.request("resources/unsubscribe", json!({ "uri": "a:" })).await;
    assert_eq!(subscriptions().await, json!(["a:", "b:"]), "somebody still wants `a:`");
    for uri in ["a:", "b:", "c:"] {
        call(&one, "update", json!({ "uri": uri })).await;
    }
    call(&one, "flood", json!({ "n": 3 })).await;
    call(&one, "changed", json!({})).await;
    let next = async |stream: &mut Reply| {
        let message = stream.next_event().await.unwrap().json();
        (message["method"].as_str().unwrap().to_owned(), message["params"]["uri"].clone())
    };
    let changed = ("notifications/tools/list_changed".to_owned(), Value::Null);
    let updated = |uri: &str| ("notifications/resources/updated".to_owned(), json!(uri));
    assert_eq!(next(&mut stream_one).await, changed);
    assert_eq!(next(&mut stream_two).await, updated("a:"));
    assert_eq!(next(&mut stream_two).await, updated("b:"));
    assert_eq!(next(&mut stream_two).await, changed);
    // With the session, its subscriptions end.
    two.http().send("DELETE", &[], b"").await;
    patiently("the subscriptions to end", async { while subscriptions().await != json!([]) {} }).await;
}

#[tokio::test]
async fn a_shared_program_serves_both_eras() {
    let gate = gate(&["--modern"], "shared = true");
    for _ in 0..2 {
        assert_eq!(call(&gate.legacy().await, "echo", json!({})).await, json!({}));
    }
    assert_eq!(call(&gate.modern(), "echo", json!({})).await, json!({}));
    gate.until(|ready| ready.contains("processes 1 restarts 0 ")).await;
}

/// Agents with equal ids and equal progress tokens before one process: nothing crosses. `TOOLGATE_ISOLATION_CALLS` makes it more calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_crosses_between_two_agents_of_a_shared_program() {
    const BATCH: u64 = 100;
    let calls = std::env::var("TOOLGATE_ISOLATION_CALLS").map_or(10_000, |calls| calls.parse().unwrap());
    let gate = gate(&["--legacy"], "shared = true");
    let mut running = Vec::new();
    for who in ["alice", "bob"] {
        let http = McpClient::legacy_of(gate.http(), "2025-03-26").await.http().clone();
        running.push(tokio::spawn(async move {
            for round in 0..calls / 2 / BATCH {
                let call = |n| json!({ "jsonrpc": "2.0", "id": n, "method": "tools/call", "params": { "name": if n % 2 == 0 { "echo" } else { "progress" },
                    "arguments": { "n": 1, "id": n, "round": round, "who": who }, "_meta": { "progressToken": n } } });
                let batch: Vec<Value> = (0..BATCH).map(call).collect();
                let all = messages(http.post_streamed(&json!(batch)).await).await;
                let (progress, answers): (Vec<_>, Vec<_>) = all.into_iter().partition(|message| message["method"].is_string());
                assert_eq!((progress.len(), answers.len()), (50, 100));
                for message in progress {
                    let params = &message["params"];
                    assert_eq!(params["message"], who);
                    assert!(params["progressToken"].as_u64().is_some_and(|token| token < BATCH), "{params}");
                }
                for (n, answer) in answers.iter().enumerate() {
                    assert_eq!(answer["id"], n);
                    if n % 2 == 0 {
                        assert_eq!(said(answer), json!({ "n": 1, "id": n, "round": round, "who": who }));
                    }
                }
            }
        }));
    }
    for running in running {
        running.await.unwrap();
    }
}

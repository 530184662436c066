//! What comes, changes and goes; and what stays as it was meanwhile.

use serde_json::{Value, json};
use testkit::{HttpClient, McpClient, Recorder};

use super::managed::{Managed, denied, only, started};
use crate::gate::{OPEN, Plan, called, introduced, methods, next_call, tool};

async fn upstream() -> Recorder {
    Recorder::mcp(["a", "b"].map(tool)).await
}

#[tokio::test]
async fn a_server_comes_changes_and_goes() {
    let (one, two) = (upstream().await, upstream().await);
    let managed = Managed::new();
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    assert_eq!(managed.http("x").post(&call).await.status, 404, "there is none yet");
    managed.policy("p", OPEN).await;
    managed.put_before("x", &one, "p").await;
    managed.refresh().await;
    assert_eq!(denied(&managed.modern("x").call("a", json!({})).await), None);
    managed.put_before("x", &two, "p").await;
    managed.refresh().await;
    assert_eq!(denied(&managed.modern("x").call("b", json!({})).await), None);
    assert_eq!((called(&one), called(&two)), (vec!["a".to_owned()], vec!["b".to_owned()]));
    managed.delete("x").await;
    managed.refresh().await;
    let gone = managed.http("x").post(&call).await;
    assert_eq!(gone.status, 404);
    assert_eq!(gone.json(), managed.http("never").post(&call).await.json(), "as if it had never been");
}

/// Nobody calls `refresh`: another process, or another node, wrote.
#[tokio::test]
async fn what_others_write_is_in_force_by_itself() {
    let upstream = upstream().await;
    let managed = Managed::new();
    let url = format!("sqlite:{}", managed.gate.store_file().display());
    let elsewhere = store::Store::open(&url).await.unwrap();
    let document = json!({ "url": upstream.url("/mcp") });
    let server = store::Server { document, policy: None, enabled: true };
    elsewhere.create("x", server).await.unwrap();
    testkit::patiently("the server", async {
        let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
        while managed.http("x").post(&ping).await.status == 404 {}
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_described_as_before_keeps_its_sessions_and_what_is_known_of_it() {
    let (one, two) = (upstream().await, upstream().await);
    let managed = Managed::new();
    managed.policy("p", OPEN).await;
    managed.put_before("x", &one, "p").await;
    managed.put_before("y", &two, "p").await;
    managed.refresh().await;
    let (of_x, of_y) = (managed.legacy("x").await, managed.legacy("y").await);
    of_x.call("a", json!({})).await;
    let probed = methods(&one).len();
    // Written again as it is, bound to another policy, and its neighbour changed.
    managed.policy("q", &only("b")).await;
    managed.put_before("x", &one, "q").await;
    managed.put("y", json!({ "url": two.url("/mcp"), "transport": "streamable-http" }), Some("p")).await;
    managed.refresh().await;
    assert!(denied(&of_x.call("a", json!({})).await).unwrap().contains("only b"), "by the policy of now");
    assert_eq!(denied(&of_x.call("b", json!({})).await), None, "in the session of before");
    assert_eq!(methods(&one)[probed..], ["tools/call"], "and nothing was asked again");
    assert_eq!(of_y.start(9, "tools/list", json!({})).await.status, 404, "that session was with another server");
}

#[tokio::test]
async fn a_policy_is_replaced_and_rolled_back() {
    let upstream = upstream().await;
    let managed = Managed::new();
    managed.policy("p", &only("a")).await;
    managed.put_before("x", &upstream, "p").await;
    managed.refresh().await;
    let client = managed.legacy("x").await;
    assert_eq!(client.list_tools().await, ["a"]);
    managed.policy("p", &only("b")).await;
    managed.refresh().await;
    assert_eq!(client.list_tools().await, ["b"]);
    managed.store.activate_policy("p", 1, None).await.unwrap();
    managed.refresh().await;
    assert_eq!(client.list_tools().await, ["a"]);
}

#[tokio::test]
async fn without_a_policy_every_call_is_denied() {
    let upstream = upstream().await;
    let managed = Managed::new();
    managed.put("x", json!({ "url": upstream.url("/mcp") }), None).await;
    managed.put("y", json!({ "url": upstream.url("/mcp") }), Some("missing")).await;
    managed.refresh().await;
    for server in ["x", "y"] {
        let client = managed.modern(server);
        assert_eq!(client.list_tools().await, [""; 0], "{server}");
        let answer = client.call("a", json!({})).await;
        assert!(denied(&answer).unwrap().contains("Rule: (no policy)"), "{answer}");
    }
    managed.policy("missing", OPEN).await;
    managed.refresh().await;
    assert_eq!(denied(&managed.modern("y").call("a", json!({})).await), None);
    let used = managed.store.delete_policy("missing", None).await.unwrap_err();
    assert_eq!(used.to_string(), "`server y` needs `missing`");
    managed.put("y", json!({ "url": upstream.url("/mcp") }), None).await;
    managed.store.delete_policy("missing", None).await.unwrap();
    managed.put("y", json!({ "url": upstream.url("/mcp") }), Some("missing")).await;
    managed.refresh().await;
    assert!(denied(&managed.modern("y").call("a", json!({})).await).unwrap().contains("(no policy)"));
    assert_eq!(called(&upstream), ["a"]);
}

#[tokio::test]
async fn a_server_of_a_file_may_have_a_policy_of_the_store_and_the_other_way_round() {
    let upstream = upstream().await;
    let of_file = format!("[servers.f]\nurl = \"{}\"\npolicy = {{ name = \"p\" }}\n", upstream.url("/mcp"));
    let plan = Plan::default().server("g", upstream.url("/mcp"), "policy.json").policy("policy.json", &only("b"));
    let managed = started(plan.toml(&of_file));
    assert!(denied(&managed.modern("f").call("a", json!({})).await).unwrap().contains("(no policy)"));
    managed.policy("p", &only("a")).await;
    let file = managed.gate.policy_file();
    managed.put("x", json!({ "url": upstream.url("/mcp") }), file.to_str()).await;
    managed.refresh().await;
    assert_eq!(managed.modern("f").list_tools().await, ["a"]);
    assert_eq!(managed.modern("x").list_tools().await, ["b"]);
    managed.gate.reload(&only("a")).await;
    assert_eq!(managed.modern("x").list_tools().await, ["a"], "and the file is watched for it, too");
}

#[tokio::test]
async fn a_server_that_is_switched_off_is_not_there() {
    let upstream = upstream().await;
    let managed = Managed::new();
    let server = store::Server { document: json!({ "url": upstream.url("/mcp") }), policy: None, enabled: false };
    managed.store.create("x", server).await.unwrap();
    managed.refresh().await;
    assert_eq!(managed.http("x").post(&json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })).await.status, 404);
}

#[tokio::test]
async fn a_call_under_way_ends_by_what_it_began_with() {
    let upstream = Recorder::by_hand().await;
    let managed = Managed::new();
    managed.policy("p", OPEN).await;
    managed.put_before("s", &upstream, "p").await;
    managed.refresh().await;
    let client = introduced(&managed.gate, &upstream).await;
    let (answer, ()) = tokio::join!(client.call("t", json!({})), async {
        let call = next_call(&upstream).await;
        managed.policy("p", &only("b")).await;
        managed.delete("s").await;
        managed.refresh().await;
        assert_eq!(client.start(7, "tools/list", json!({})).await.status, 404, "whoever comes now");
        call.answer_with_result(&json!({ "content": [] }));
    });
    assert_eq!(denied(&answer), None, "{answer}");
}

/// A session of ours with a server that is gone is ended there, too; when nothing is under way in it any more.
#[tokio::test]
async fn a_stream_ends_with_its_server() {
    let upstream = Recorder::by_hand().await;
    let managed = Managed::new();
    managed.policy("p", OPEN).await;
    managed.put_before("s", &upstream, "p").await;
    managed.refresh().await;
    let client = introduced(&managed.gate, &upstream).await;
    let listen = client.http().get();
    let (mut reply, (_, _stream)) = tokio::join!(listen, async {
        let exchange = next_call(&upstream).await;
        let (answer, stream) = testkit::Answer::stream(200, "text/event-stream");
        let request = exchange.request.clone();
        exchange.answer(answer);
        (request, stream)
    });
    assert_eq!(reply.status, 200);
    managed.delete("s").await;
    managed.refresh().await;
    let ended = testkit::patiently("the end of the stream", async {
        while reply.next_piece().await.unwrap().is_some() {}
        true
    });
    assert!(ended.await);
}

#[tokio::test]
async fn programs_end_with_their_server() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let managed = started(Plan::default().set("store.commands", "true"));
    let command = [env!("CARGO_BIN_EXE_stdio_server"), "--pids", pids.to_str().unwrap()];
    managed.policy("p", OPEN).await;
    managed.put("x", json!({ "command": command }), Some("p")).await;
    managed.refresh().await;
    let mut pids = Vec::new();
    for client in [managed.legacy("x").await, managed.modern("x")] {
        let answer = client.call("pid", json!({})).await;
        pids.push(answer["result"]["content"][0]["text"].as_str().unwrap().parse::<u64>().unwrap());
    }
    managed.delete("x").await;
    managed.refresh().await;
    let lives = |pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    for pid in pids {
        testkit::patiently("the program to end", async {
            while lives(pid) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// HTTP+SSE sessions stay open for long: each message finds the server of now.
#[tokio::test]
async fn an_old_client_s_messages_find_the_server_of_now() {
    let (one, two) = (upstream().await, upstream().await);
    let managed = Managed::new();
    managed.policy("p", OPEN).await;
    managed.put_before("x", &one, "p").await;
    managed.refresh().await;
    let http = HttpClient::new(format!("http://{}/sse/x", managed.gate.data));
    let mut stream = http.get().await;
    let path = stream.next_event().await.unwrap().data;
    let post = HttpClient::new(format!("http://{}{path}", managed.gate.data));
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2024-11-05",
        "capabilities": {}, "clientInfo": { "name": "c", "version": "1" } } });
    assert_eq!(post.post(&hello).await.status, 202);
    assert!(stream.next_event().await.unwrap().json()["result"].is_object());
    managed.put_before("x", &two, "p").await;
    managed.refresh().await;
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "a", "arguments": {} } });
    assert_eq!(post.post(&call).await.status, 202);
    let answer = stream.next_event().await.unwrap().json();
    assert_eq!(answer["id"], 1, "{answer}");
    assert_eq!(called(&one), [""; 0], "not the server of before");
    managed.delete("x").await;
    managed.refresh().await;
    let mut call = call;
    call["id"] = json!(2);
    assert_eq!(post.post(&call).await.status, 404);
    assert_eq!(called(&one).len() + called(&two).len(), usize::from(answer["error"].is_null()));
}

#[tokio::test]
async fn changes_are_on_record() {
    let upstream = upstream().await;
    let managed = Managed::new();
    managed.policy("p", OPEN).await;
    managed.put("x", json!({ "url": upstream.url("/mcp"), "headers": { "Authorization": "canary" } }), None).await;
    managed.refresh().await;
    managed.put_before("x", &upstream, "p").await;
    managed.refresh().await;
    managed.delete("x").await;
    managed.refresh().await;
    let changes = testkit::patiently("the records", async {
        loop {
            let changes: Vec<Value> =
                managed.gate.journal().into_iter().filter(|record| record["kind"] == "change").collect();
            if changes.len() >= 4 {
                return changes;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!format!("{changes:?}").contains("canary"));
    let of_x: Vec<_> = changes.iter().filter(|change| change["what"] == "server").collect();
    assert!(
        of_x.iter().all(|change| change["id"] == "x" && change["who"].as_str().unwrap().starts_with("store, revision"))
    );
    let hashes: Vec<_> = of_x.iter().map(|change| (change["from"].as_str(), change["to"].as_str())).collect();
    let [(None, Some(first)), (Some(again), Some(second)), (Some(last), None)] = hashes[..] else {
        panic!("{hashes:?}")
    };
    assert_eq!((first, second), (again, last));
    assert_ne!(first, second);
}

#[tokio::test]
async fn views_say_what_is_in_force_and_show_no_secret() {
    let upstream = upstream().await;
    let plan = Plan::default().server("f", upstream.url("/mcp"), "policy.json").policy("policy.json", OPEN);
    let managed = started(plan);
    managed.policy("p", OPEN).await;
    let document =
        json!({ "url": upstream.url("/mcp"), "headers": { "Authorization": "canary" }, "probe_interval": "1h" });
    managed.put("x", document, Some("p")).await;
    managed.refresh().await;
    let [f, x] = &managed.control.servers()[..] else { panic!() };
    assert!(f.managed.path().unwrap().ends_with("toolgate.toml"), "{f:?}");
    assert_eq!(f.document, json!({ "url": upstream.url("/mcp") }));
    assert_eq!((x.managed.path(), x.policy.as_deref()), (None, Some("p")));
    assert_eq!(x.document["headers"]["Authorization"], "***");
    assert_eq!(x.document["probe_interval"], "1h");
    let policies = managed.control.policies();
    let p = policies.iter().find(|policy| policy.name == "p").unwrap();
    assert_eq!((p.managed.path(), &p.servers[..]), (None, &["x".to_owned()][..]));
    assert!(!format!("{policies:?}{:?}", managed.control.servers()).contains("canary"));
    drop(McpClient::modern(managed.http("f")));
}

//! Lists: every server's, in one order, page by page; what is away neither delays nor empties the rest.

use serde_json::{Value, json};
use testkit::{McpClient, Recorder};

use super::stack::{Fake, dead, legacy, listed, modern, plan, said};
use crate::gate::{Gate, OPEN, Plan, methods, tool};

/// Clients of both eras.
async fn clients(gate: &crate::gate::Gate) -> [McpClient; 2] {
    [modern(gate), legacy(gate).await]
}

#[tokio::test]
async fn all_lists_of_all_servers_are_one_in_the_order_of_ids() {
    let [b, a, c] = [
        Fake::with("b", &["z", "a"]).await,
        Fake::paged("a", &[&["t"], &[], &["z"]]).await,
        Fake::with("c", &[]).await,
    ];
    let gate = plan(&[("b", &b, OPEN), ("a", &a, OPEN), ("c", &c, OPEN)]).start();
    for client in clients(&gate).await {
        let list = async |method| client.request(method, json!({})).await;
        let tools = list("tools/list").await;
        assert_eq!(listed(&tools, "tools", "name"), ["a__t", "a__z", "b__z", "b__a"]);
        assert_eq!(tools["result"]["nextCursor"], Value::Null);
        assert_eq!(listed(&list("prompts/list").await, "prompts", "name"), ["a__greet", "b__greet", "c__greet"]);
        let uris = ["toolgate://a/docs://a", "toolgate://b/docs://a", "toolgate://c/docs://a"];
        assert_eq!(listed(&list("resources/list").await, "resources", "uri"), uris);
        let templates = ["toolgate://a/docs://{id}", "toolgate://b/docs://{id}", "toolgate://c/docs://{id}"];
        let answer = list("resources/templates/list").await;
        assert_eq!(listed(&answer, "resourceTemplates", "uriTemplate"), templates);
    }
    let result = modern(&gate).request("tools/list", json!({})).await["result"].clone();
    assert_eq!(result["cacheScope"], "private");
    assert_eq!(result["ttlMs"], 7_000, "the shortest of all");
    assert_eq!(result["resultType"], "complete");
    assert_eq!(
        result["_meta"],
        json!({ "io.modelcontextprotocol/serverInfo": { "name": "toolgate", "version": "0.0.0" } })
    );
}

#[tokio::test]
async fn all_but_the_name_stays_byte_for_byte() {
    let definition = r#"{"x-vendor":{ "a" : 1.50,"b":[ ]},"name":"t","inputSchema":{"$defs":{},"x-mcp-header":"H"},"execution":{"taskSupport":"optional"},"n":1e400}"#;
    let upstream = Recorder::mcp([definition]).await;
    let gate = Plan::default().server("s", upstream.url("/mcp"), "p").policy("p", OPEN).start();
    let reply = modern(&gate).start(1, "tools/list", json!({})).await.whole().await;
    let text = String::from_utf8(reply.body).unwrap();
    assert!(text.contains(&definition.replace("\"name\":\"t\"", "\"name\":\"s__t\"")), "{text}");
}

#[tokio::test]
async fn pages_are_cut_where_they_are_full_and_go_on_there() {
    let a = Fake::paged("a", &[&["1", "2", "3"], &["4"], &["5", "6"]]).await;
    let b = Fake::with("b", &["1"]).await;
    let c = Fake::paged("c", &[&["1"], &["2", "3"]]).await;
    let gate = plan(&[("a", &a, OPEN), ("b", &b, OPEN), ("c", &c, OPEN)]).set("aggregate.page", "2").start();
    for client in clients(&gate).await {
        let (mut pages, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let params = if cursor.is_null() { json!({}) } else { json!({ "cursor": cursor }) };
            let answer = client.request("tools/list", params).await;
            pages.push(listed(&answer, "tools", "name").join(" "));
            cursor = answer["result"]["nextCursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(pages, ["a__1 a__2", "a__3 a__4", "a__5 a__6", "b__1 c__1", "c__2 c__3"]);
    }
}

#[tokio::test]
async fn a_cursor_is_good_for_its_list_its_agent_and_its_policies_only() {
    let a = Fake::with("a", &["1", "2", "3"]).await;
    let gate = plan(&[("a", &a, OPEN)]).set("aggregate.page", "1").start();
    let client = legacy(&gate).await;
    let first = client.request("tools/list", json!({})).await;
    let cursor = first["result"]["nextCursor"].as_str().unwrap().to_owned();
    assert!(!cursor.contains("\"a\"") && !cursor.contains('{'), "{cursor}");
    let ask = async |client: &McpClient, method: &str, cursor: &str| {
        client.request(method, json!({ "cursor": cursor })).await["error"]["code"].clone()
    };
    assert_eq!(ask(&client, "tools/list", &cursor).await, Value::Null);
    let mut bent = cursor.clone();
    let last = if bent.pop() == Some('A') { 'B' } else { 'A' };
    bent.push(last);
    for bad in ["", "1", &bent, &cursor[1..]] {
        assert_eq!(ask(&client, "tools/list", bad).await, json!(-32602), "{bad}");
    }
    assert_eq!(ask(&client, "prompts/list", &cursor).await, json!(-32602), "another list");
    assert_eq!(ask(&legacy(&gate).await, "tools/list", &cursor).await, json!(-32602), "another agent");
    assert_eq!(ask(&modern(&gate), "tools/list", &cursor).await, json!(-32602), "another agent");
    let new = gate.folder.path().join("a.json.new");
    std::fs::write(&new, r#"{ "version": "1", "default": "allow", "tools": { "3": "deny" } }"#).unwrap();
    let before = gate.ready().await;
    std::fs::rename(&new, gate.folder.path().join("a.json")).unwrap();
    gate.until(|ready| crate::gate::policy_lines(ready) != crate::gate::policy_lines(&before)).await;
    assert_eq!(ask(&client, "tools/list", &cursor).await, json!(-32602), "another policy");
}

/// Nodes of one gateway share a key, and a client's requests come to any of them.
#[tokio::test]
async fn a_cursor_is_good_at_every_node_that_has_the_key() {
    const KEYS: [&str; 2] = [
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    ];
    let (a, other) = (Fake::with("a", &["1", "2", "3", "ask"]).await, Fake::with("b", &["1", "2", "3", "ask"]).await);
    let node = |fake: &Fake, key: &str| {
        let plan = plan(&[("a", fake, OPEN)]).set("aggregate.page", "1");
        plan.env("KEY", key).toml("[store.key]\nenv = \"KEY\"").start()
    };
    let (here, there) = (node(&a, KEYS[0]), node(&a, KEYS[0]));
    let (keyless, elsewhere) = (node(&a, KEYS[1]), node(&other, KEYS[0]));
    let next = async |gate: &Gate, cursor: &Value| {
        let params = if cursor.is_null() { json!({}) } else { json!({ "cursor": cursor }) };
        modern(gate).request("tools/list", params).await
    };
    let first = next(&here, &Value::Null).await["result"]["nextCursor"].clone();
    let second = next(&there, &first).await;
    assert_eq!(listed(&second, "tools", "name"), ["a__2"]);
    let third = next(&here, &second["result"]["nextCursor"]).await;
    assert_eq!(listed(&third, "tools", "name"), ["a__3"]);
    assert_eq!(next(&keyless, &first).await["error"]["code"], -32602, "another key");
    assert_eq!(next(&elsewhere, &first).await["error"]["code"], -32602, "another server of that name");
    let asked = modern(&here).call("a__ask", json!({})).await;
    let state = asked["result"]["requestState"].clone();
    let retry = async |gate: &Gate| {
        let params = json!({ "name": "a__ask", "arguments": {}, "requestState": state });
        modern(gate).request("tools/call", params).await
    };
    assert_eq!(said(&retry(&there).await)["state"], "state of a", "its server sees what it gave out itself");
    assert_eq!(retry(&keyless).await["error"]["code"], -32602);
    assert_eq!(retry(&elsewhere).await["error"]["code"], -32602);
}

#[tokio::test]
async fn a_server_of_endless_empty_pages_takes_nothing_from_the_others() {
    let [a, b] = [Fake::paged("a", &[&[] as &[&str]; 150]).await, Fake::with("b", &["t"]).await];
    let gate = plan(&[("a", &a, OPEN), ("b", &b, OPEN)]).start();
    for client in clients(&gate).await {
        let answer = client.request("tools/list", json!({})).await;
        assert_eq!(listed(&answer, "tools", "name"), ["b__t"]);
        assert_eq!(answer["result"]["nextCursor"], Value::Null);
        assert_eq!(answer["result"]["_meta"]["dev.toolgate/unavailable"], json!(["a"]));
    }
}

/// What a list did not wait for goes on: the next list has it, and nothing is begun twice.
#[tokio::test]
async fn a_server_that_begins_slowly_is_there_for_a_later_list() {
    let (open, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let upstream = Recorder::start(move |request| {
        let message = request.json();
        match message["method"].as_str() {
            Some("initialize") => {
                let (answer, stream) = testkit::Answer::stream(200, "text/event-stream");
                let _ = open.send((message["id"].clone(), stream));
                answer
            }
            Some("tools/list") => {
                let result = json!({ "tools": [{ "name": "t" }] });
                testkit::Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
            }
            _ => testkit::Answer::status(202),
        }
    })
    .await;
    let gate = Plan::default().server("s", upstream.url("/mcp"), "p").policy("p", OPEN);
    let gate = gate.set("aggregate.timeout", "300ms").start();
    let client = legacy(&gate).await;
    assert!(client.list_tools().await.is_empty());
    let (id, mut stream) = begun.recv().await.unwrap();
    let result = json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} }, "serverInfo": { "name": "s", "version": "1" } });
    stream.event(&json!({ "jsonrpc": "2.0", "id": id, "result": result }));
    stream.end();
    testkit::patiently("the list", async { while client.list_tools().await != ["s__t"] {} }).await;
    assert_eq!(methods(&upstream).iter().filter(|method| *method == "initialize").count(), 1);
}

#[tokio::test]
async fn a_server_that_is_dead_or_silent_takes_nothing_from_the_others() {
    let a = Fake::with("a", &["t"]).await;
    let silent = Recorder::by_hand().await;
    let plan = plan(&[("a", &a, OPEN)]).server("dead", dead(), "a.json").server("silent", silent.url("/mcp"), "a.json");
    let gate = plan.set("aggregate.timeout", "300ms").start();
    for client in clients(&gate).await {
        for (method, member, key, name) in [
            ("tools/list", "tools", "name", "a__t"),
            ("prompts/list", "prompts", "name", "a__greet"),
            ("resources/list", "resources", "uri", "toolgate://a/docs://a"),
        ] {
            let answer = client.request(method, json!({})).await;
            assert_eq!(listed(&answer, member, key), [name]);
            assert_eq!(answer["result"]["_meta"]["dev.toolgate/unavailable"], json!(["dead", "silent"]), "{answer}");
            if answer["result"]["resultType"] == "complete" {
                assert_eq!(answer["result"]["ttlMs"], 0, "soon again");
            }
        }
        let called = client.call("a__t", json!({})).await;
        assert_eq!(called["result"]["isError"], Value::Null);
        let failed = client.call("dead__t", json!({})).await;
        assert_eq!(failed["error"]["code"], -32603, "{failed}");
    }
}

/// One list waits for a server that hangs; those after it do not.
#[tokio::test]
async fn a_silent_server_delays_one_list_and_not_every_list() {
    let a = Fake::with("a", &["t"]).await;
    let silent = Recorder::by_hand().await;
    let plan = plan(&[("a", &a, OPEN)]).server("silent", silent.url("/mcp"), "a.json");
    let gate = plan.set("aggregate.timeout", "3s").start();
    let client = modern(&gate);
    assert_eq!(client.list_tools().await, ["a__t"]);
    for _ in 0..2 {
        let soon = tokio::time::timeout(std::time::Duration::from_secs(3), client.list_tools()).await;
        assert_eq!(soon.expect("a list that does not wait again"), ["a__t"]);
    }
}

#[tokio::test]
async fn a_server_without_such_a_list_is_not_amiss() {
    let [a, plain] = [Fake::with("a", &["t"]).await, Fake::with("plain", &["t"]).await];
    let small = Recorder::mcp([tool("t")]).await;
    let gate = plan(&[("a", &a, OPEN), ("plain", &plain, OPEN)]).server("small", small.url("/mcp"), "a.json").start();
    for client in clients(&gate).await {
        let answer = client.request("prompts/list", json!({})).await;
        assert_eq!(listed(&answer, "prompts", "name"), ["a__greet", "plain__greet"]);
        assert_eq!(answer["result"]["_meta"]["dev.toolgate/unavailable"], Value::Null);
    }
}

#[tokio::test]
async fn no_servers_are_a_lawful_empty_server() {
    let gate = Plan::default().start();
    for client in clients(&gate).await {
        for (method, member) in [
            ("tools/list", "tools"),
            ("prompts/list", "prompts"),
            ("resources/list", "resources"),
            ("resources/templates/list", "resourceTemplates"),
        ] {
            assert_eq!(client.request(method, json!({})).await["result"][member], json!([]));
        }
        let unknown = client.call("a__t", json!({})).await;
        assert_eq!(unknown["error"], json!({ "code": -32602, "message": "Unknown tool: a__t" }));
    }
    let discovered = modern(&gate).request("server/discover", json!({})).await;
    assert_eq!(discovered["result"]["capabilities"], json!({ "tools": {} }));
}

#[tokio::test]
async fn a_server_that_is_not_of_the_aggregate_is_never_asked() {
    let [a, other] = [Fake::with("a", &["t"]).await, Fake::with("other", &["t"]).await];
    let gate = plan(&[("a", &a, OPEN), ("other", &other, OPEN)]).toml("[aggregate]\nservers = [\"a\"]").start();
    for client in clients(&gate).await {
        assert_eq!(client.list_tools().await, ["a__t"]);
        client.request("server/discover", json!({})).await;
        client.request("logging/setLevel", json!({ "level": "info" })).await;
        let unknown = client.call("other__t", json!({})).await;
        assert_eq!(unknown["error"], json!({ "code": -32602, "message": "Unknown tool: other__t" }));
        let read = client.request("resources/read", json!({ "uri": "toolgate://other/docs://a" })).await;
        let told = json!({ "code": -32602, "message": "Unknown resource: toolgate://other/docs://a" });
        assert_eq!(read["error"], told);
    }
    assert_eq!(methods(&other.recorder), [""; 0]);
    assert!(!methods(&a.recorder).is_empty());
}

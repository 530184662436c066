//! Requests about one thing: each reaches the server that it names, as that server's own mount would send it.

use serde_json::{Value, json};
use testkit::{HttpClient, McpClient, Recorder};

use super::stack::{Fake, legacy, modern, plan, said, url};
use crate::gate::{Gate, OPEN, Plan, called, methods, modern_call, modern_headers, unnumbered};

const CAREFUL: &str = r#"{ "version": "1", "tools": { "link": {}, "limited": { "rate_limit": "1/hour" }, "no": "deny", "secret": "hide" },
    "resources": { "docs://a": {} }, "prompts": { "greet": {} } }"#;

async fn two(policy: &str) -> (Gate, Fake, Fake) {
    let tools = ["t", "link", "task", "ask", "limited", "no", "secret"];
    let [a, b] = [Fake::with("a", &tools).await, Fake::with("b", &tools).await];
    let gate = plan(&[("a", &a, policy), ("b", &b, policy)]).start();
    (gate, a, b)
}

async fn clients(gate: &Gate) -> [McpClient; 2] {
    [modern(gate), legacy(gate).await]
}

#[tokio::test]
async fn a_call_reaches_the_server_that_its_name_begins_with() {
    let (gate, a, b) = two(OPEN).await;
    for client in clients(&gate).await {
        let answer = client.call("b__t", json!({ "n": 1 })).await;
        let expected = json!({ "by": "b", "name": "t", "arguments": { "n": 1 }, "state": null });
        assert_eq!(said(&answer), expected);
    }
    assert_eq!(called(&a.recorder), [""; 0]);
    assert_eq!(called(&b.recorder), ["t", "t"]);
    let requests = b.recorder.requests();
    let modern = requests.iter().find(|request| request.header("mcp-method") == Some("tools/call")).unwrap();
    assert_eq!(modern.header("mcp-name"), Some("t"));
}

#[tokio::test]
async fn headers_must_agree_with_the_body_before_anything_is_sent() {
    let (gate, a, b) = two(OPEN).await;
    for said in [None, Some("b__t"), Some("t")] {
        let http = modern_headers(HttpClient::new(url(&gate)), "tools/call", said);
        let reply = http.post(&modern_call(1, "a__t", json!({}))).await;
        assert_eq!((reply.status, reply.json()["error"]["code"].clone()), (400, json!(-32020)), "{said:?}");
    }
    assert_eq!((methods(&a.recorder).len(), methods(&b.recorder).len()), (0, 0));
}

/// What arguments are mirrored is checked where the call is judged.
#[tokio::test]
async fn mirrored_arguments_are_checked_and_written_anew() {
    let definition = r#"{"name":"t","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}"#;
    let upstream = Recorder::mcp([definition]).await;
    let gate = Plan::default().server("s", upstream.url("/mcp"), "p").policy("p", OPEN).start();
    let call = modern_call(1, "s__t", json!({ "region": "west" }));
    let http = |region| {
        modern_headers(HttpClient::new(url(&gate)), "tools/call", Some("s__t")).header("Mcp-Param-Region", region)
    };
    assert_eq!(http("east").post(&call).await.json()["error"]["code"], -32020);
    assert_eq!(called(&upstream), [""; 0]);
    assert_eq!(http("west").post(&call).await.status, 200);
    let sent = upstream.requests().pop().unwrap();
    assert_eq!(sent.header("mcp-param-region"), Some("west"));
}

#[tokio::test]
async fn denials_are_those_of_the_servers_own_mount() {
    let (gate, a, _b) = two(CAREFUL).await;
    let own =
        [McpClient::modern(HttpClient::new(gate.url("a"))), McpClient::legacy(HttpClient::new(gate.url("a"))).await];
    for (client, own) in clients(&gate).await.into_iter().zip(own) {
        let (ours, theirs) = (client.call("a__no", json!({})).await, own.call("no", json!({})).await);
        assert_eq!(unnumbered(ours["result"].clone()), unnumbered(theirs["result"].clone()));
        assert!(ours.to_string().contains("`no` is denied"), "{ours}");
        for name in ["a__secret", "c__x", "t"] {
            let answer = client.call(name, json!({})).await;
            assert_eq!(answer["error"], json!({ "code": -32602, "message": format!("Unknown tool: {name}") }));
        }
        for (method, params) in [
            ("resources/read", json!({ "uri": "toolgate://a/docs://b" })),
            ("prompts/get", json!({ "name": "a__other" })),
            (
                "completion/complete",
                json!({ "ref": { "type": "ref/prompt", "name": "a__other" }, "argument": { "name": "x", "value": "" } }),
            ),
        ] {
            let answer = client.request(method, params).await;
            assert_eq!(answer["error"]["code"], 1403, "{method}: {answer}");
        }
        let limited = client.call("a__limited", json!({})).await;
        let again = client.call("a__limited", json!({})).await;
        assert_eq!(limited["result"]["isError"], Value::Null);
        assert_eq!(again["result"]["_meta"]["dev.toolgate/decision"]["code"], "limited");
    }
    assert_eq!(called(&a.recorder), ["limited", "limited"]);
}

/// As with a policy that hides nothing: there it is the server that does not know the name.
#[tokio::test]
async fn what_a_server_does_not_know_is_named_as_the_client_named_it() {
    let (gate, _a, _b) = two(OPEN).await;
    for client in clients(&gate).await {
        let answer = client.call("a__absent", json!({})).await;
        assert_eq!(answer["error"], json!({ "code": -32602, "message": "Unknown tool: a__absent" }));
    }
}

#[tokio::test]
async fn resources_that_a_result_points_to_can_be_read() {
    let (gate, a, b) = two(OPEN).await;
    for client in clients(&gate).await {
        let answer = client.call("b__link", json!({})).await;
        let blocks = &answer["result"]["content"];
        assert_eq!(
            blocks[0],
            json!({ "type": "resource_link", "uri": "toolgate://b/docs://l", "name": "l", "x-vendor": 1.5 })
        );
        assert_eq!(blocks[1]["resource"], json!({ "uri": "toolgate://b/docs://e", "text": "uri" }));
        assert_eq!(blocks[2]["text"], "docs://stays");
        let read = client.request("resources/read", json!({ "uri": blocks[0]["uri"] })).await;
        let contents = &read["result"]["contents"][0];
        assert_eq!(*contents, json!({ "uri": "toolgate://b/docs://l", "text": "b" }));
        let prompt = client.request("prompts/get", json!({ "name": "b__greet" })).await;
        assert_eq!(prompt["result"]["messages"][1]["content"]["resource"]["uri"], "toolgate://b/docs://p");
        assert_eq!(prompt["result"]["messages"][0]["content"], json!({ "type": "text", "text": "b" }));
        for (reference, inner) in [
            (json!({ "type": "ref/prompt", "name": "b__greet" }), json!({ "type": "ref/prompt", "name": "greet" })),
            (
                json!({ "type": "ref/resource", "uri": "toolgate://b/docs://{id}" }),
                json!({ "type": "ref/resource", "uri": "docs://{id}" }),
            ),
        ] {
            let params = json!({ "ref": reference, "argument": { "name": "x", "value": "" } });
            let answer = client.request("completion/complete", params).await;
            let values = &answer["result"]["completion"]["values"];
            assert_eq!(values[0], "b");
            assert_eq!(serde_json::from_str::<Value>(values[1].as_str().unwrap()).unwrap(), inner);
        }
    }
    let about = |fake: &Fake, method: &str| methods(&fake.recorder).iter().filter(|sent| *sent == method).count();
    assert_eq!((about(&a, "resources/read"), about(&b, "resources/read")), (0, 2));
}

#[tokio::test]
async fn a_request_state_goes_back_to_the_server_that_gave_it_out() {
    let (gate, a, b) = two(OPEN).await;
    let client = modern(&gate);
    let retry = async |name: &str, state: &str| {
        client
            .request(
                "tools/call",
                json!({ "name": name, "arguments": {}, "requestState": state, "inputResponses": {} }),
            )
            .await
    };
    let asked = client.call("a__ask", json!({})).await;
    let state = asked["result"]["requestState"].as_str().unwrap().to_owned();
    assert!(!state.contains("state of"), "{state}");
    assert_eq!(said(&retry("a__ask", &state).await)["state"], "state of a");
    let sent = (called(&a.recorder).len(), called(&b.recorder).len());
    for (name, state) in [("b__ask", state.as_str()), ("a__ask", "state of a"), ("a__ask", &state[1..]), ("a__ask", "")]
    {
        assert_eq!(retry(name, state).await["error"]["code"], -32602, "{name} {state}");
    }
    assert_eq!((called(&a.recorder).len(), called(&b.recorder).len()), sent);
}

#[tokio::test]
async fn equal_task_ids_of_two_servers_are_two_tasks() {
    let (gate, a, b) = two(OPEN).await;
    let legacy = legacy(&gate).await;
    let made = legacy.request("tools/call", json!({ "name": "a__task", "arguments": {}, "task": {} })).await;
    assert_eq!(made["result"]["task"]["taskId"], "a/t1");
    let listed = legacy.request("tasks/list", json!({})).await;
    assert_eq!(listed["result"]["tasks"], json!([{ "taskId": "a/t1", "status": "working" }]));
    let result = legacy.request("tasks/result", json!({ "taskId": "a/t1" })).await;
    assert_eq!(said(&result), "a");
    assert_eq!(result["result"]["_meta"]["io.modelcontextprotocol/related-task"]["taskId"], "a/t1");
    for foreign in ["b/t1", "t1", "c/t1", "a/t2"] {
        let answer = legacy.request("tasks/get", json!({ "taskId": foreign })).await;
        assert_eq!(answer["error"], json!({ "code": -32602, "message": "task not found" }), "{foreign}");
    }
    let got = legacy.request("tasks/get", json!({ "taskId": "a/t1" })).await;
    assert_eq!(got["result"], json!({ "taskId": "a/t1", "status": "working", "by": "a" }));

    let extension = |method: &str, mut params: Value| {
        let name = params["taskId"].as_str().or(params["name"].as_str()).unwrap().to_owned();
        params["_meta"] = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": { "extensions": { "io.modelcontextprotocol/tasks": {} } } });
        let http = modern_headers(HttpClient::new(url(&gate)), method, Some(&name));
        let message = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        async move { http.post(&message).await.json() }
    };
    let made = extension("tools/call", json!({ "name": "b__task", "arguments": {} })).await;
    assert_eq!(made["result"]["taskId"], "b/t1");
    let got = extension("tasks/get", json!({ "taskId": "b/t1" })).await;
    assert_eq!((&got["result"]["taskId"], &got["result"]["by"]), (&json!("b/t1"), &json!("b")));
    assert_eq!(extension("tasks/get", json!({ "taskId": "a/t1" })).await["error"]["code"], -32602, "another agent's");
    assert_eq!((called(&a.recorder).len(), called(&b.recorder).len()), (1, 1));
}

#[tokio::test]
async fn what_a_call_says_comes_as_it_is_said_and_hanging_up_cancels() {
    let (gate, a, _b) = two(OPEN).await;
    let client = modern(&gate);
    let params = json!({ "name": "a__stream", "arguments": {}, "_meta": { "progressToken": "mine" } });
    let (mut reply, (request, mut stream)) = tokio::join!(client.start("same", "tools/call", params), a.next_stream());
    let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": "mine", "progress": 1 } });
    assert_eq!(request.json()["params"]["_meta"]["progressToken"], "mine");
    stream.event(&progress);
    assert_eq!(reply.next_event().await.unwrap().json(), progress);
    let result =
        json!({ "resultType": "complete", "content": [{ "type": "resource_link", "uri": "docs://x", "name": "x" }] });
    stream.event(&json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": result }));
    let answer = reply.next_event().await.unwrap().json();
    assert_eq!(answer["id"], "same");
    assert_eq!(answer["result"]["content"][0]["uri"], "toolgate://a/docs://x");
    stream.end();
    assert!(reply.next_event().await.is_none());

    let params = json!({ "name": "a__stream", "arguments": {} });
    let (reply, (_, mut stream)) = tokio::join!(client.start(2, "tools/call", params), a.next_stream());
    drop(reply);
    stream.hung_up().await;
}

#[tokio::test]
async fn methods_and_paths_that_are_not_there() {
    let a = Fake::with("a", &["t"]).await;
    let gate = plan(&[("a", &a, OPEN)]).start();
    let client = modern(&gate);
    assert_eq!(client.request("ping", json!({})).await["error"]["code"], -32601);
    assert_eq!(HttpClient::new(url(&gate)).post(&json!([])).await.status, 400);
    let get = HttpClient::new(url(&gate)).header("MCP-Protocol-Version", "2026-07-28").get().await;
    assert_eq!(get.status, 405);
    let off = plan(&[("a", &a, OPEN)]).toml("[aggregate]\nenabled = false").start();
    assert_eq!(HttpClient::new(url(&off)).post(&modern_call(1, "a__t", json!({}))).await.status, 404);
    assert_eq!(HttpClient::new(url(&gate)).header("Origin", "http://evil.example").post(&json!({})).await.status, 403);
}

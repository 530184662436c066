//! Planted secrets, and where they may not turn up.

use serde_json::json;
use testkit::{Answer, HttpClient, McpClient, Recorder};

use crate::program::Gateway;

const POLICY: &str = r#"{ "version": "1", "tools": { "allowed": {}, "once": { "rate_limit": "1/minute" } } }"#;

#[tokio::test]
async fn no_log_and_no_answer_holds_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Recorder::start(|request| {
        let result = json!({ "content": [], "resultType": "complete" });
        Answer::json(200, &json!({ "jsonrpc": "2.0", "id": request.json().get("id"), "result": result }))
    })
    .await;
    let toml = format!(
        "[servers.s]\nurl = \"{}?key=CANARY-url\"\npolicy = \"policy.json\"\nheaders = {{ Authorization = \"CANARY-header\" }}\n\
         [servers.down]\nurl = \"http://127.0.0.1:1/CANARY-path?key=CANARY-url\"\npolicy = \"policy.json\"\n",
        upstream.url("/mcp")
    );
    std::fs::write(folder.path().join("toolgate.toml"), toml).unwrap();
    std::fs::write(folder.path().join("policy.json"), POLICY).unwrap();

    for format in ["text", "json"] {
        let gateway = Gateway::start(folder.path(), &["--log-level", "trace", "--log-format", format]);
        let http = |server: &str| {
            let url = format!("http://{}/mcp/{server}", gateway.data);
            let http = HttpClient::new(url).header("Authorization", "CANARY-client").header("Cookie", "CANARY-cookie");
            http.header("traceparent", "CANARY-trace")
        };
        let mut answers = Vec::new();
        for server in ["s", "down"] {
            let client = McpClient::modern(http(server));
            for tool in ["allowed", "once", "once", "denied"] {
                answers.push(client.call(tool, json!({ "token": "CANARY-argument" })).await.to_string());
            }
            let broken = client.http().post_text("{\"CANARY-broken\": \"CANARY").await.whole().await;
            answers.push(String::from_utf8_lossy(&broken.body).into_owned());
        }

        let log = gateway.log();
        assert!(log.contains("denied.default"), "nothing was logged: {log}");
        assert!(!log.contains("CANARY"), "{log}");
        for answer in answers {
            assert!(!answer.contains("CANARY"), "{answer}");
        }
    }
    let sent = upstream.requests();
    assert!(sent.iter().any(|request| request.header("authorization") == Some("CANARY-header")));
    assert!(sent.iter().all(|request| request.header("cookie").is_none()));
}

/// A proxy that the environment names would connect in our place, and see what goes there.
#[tokio::test]
async fn proxies_of_the_environment_are_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let (upstream, proxy) = (Recorder::mcp([r#"{ "name": "allowed" }"#]).await, Recorder::by_hand().await);
    let toml = format!("[servers.s]\nurl = \"{}\"\npolicy = \"policy.json\"\n", upstream.url("/mcp"));
    std::fs::write(folder.path().join("toolgate.toml"), toml).unwrap();
    std::fs::write(folder.path().join("policy.json"), POLICY).unwrap();
    let named = ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
    let at = proxy.url("");
    let gateway = Gateway::start_in(folder.path(), &[], &named.map(|name| (name, at.as_str())));
    let client = McpClient::modern(HttpClient::new(format!("http://{}/mcp/s", gateway.data)));
    assert!(client.call("allowed", json!({})).await["error"].is_null());
    assert_eq!(proxy.connections(), 0);
}

//! A token that the program made opens the gateway whose configuration has the line that the program printed.

use serde_json::{Value, json};
use testkit::{HttpClient, McpClient, Recorder};

use crate::program::{Gateway, run, toolgate};

#[tokio::test]
async fn a_new_token_comes_in_by_the_line_that_was_printed() {
    let folder = tempfile::tempdir().unwrap();
    let args =
        ["agents", "new-token", "ci@x.example", "--label", "lap \"top\"", "--expires", "90d", "--format", "json"];
    let (code, stdout, stderr) = run(&mut toolgate(folder.path(), &args));
    assert_eq!((code, stderr.as_str()), (0, ""));
    let made: Value = serde_json::from_str(&stdout).unwrap();
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with(made["prefix"].as_str().unwrap()));
    let upstream = Recorder::mcp([r#"{"name":"t","inputSchema":{"type":"object"}}"#]).await;
    std::fs::write(folder.path().join("policy.json"), r#"{ "version": "1", "default": "allow" }"#).unwrap();
    let toml = format!(
        "[auth]\nmode = \"tokens\"\n[servers.s]\nurl = \"{}\"\npolicy = \"policy.json\"\n{}\n",
        upstream.url("/mcp"),
        made["toml"].as_str().unwrap()
    );
    assert!(!toml.contains(token), "the configuration holds no token");
    std::fs::write(folder.path().join("toolgate.toml"), toml).unwrap();
    let gateway = Gateway::start(folder.path(), &[]);
    let http = || HttpClient::new(format!("http://{}/mcp/s", gateway.data));
    assert_eq!(http().post(&json!({})).await.status, 401);
    let client = McpClient::modern(http().header("Authorization", &format!("Bearer {token}")));
    assert!(client.call("t", json!({})).await["result"].is_object());
}

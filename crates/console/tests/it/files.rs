//! What files say is shown, and changed nowhere but there.

use serde_json::json;

use crate::stack::{Stack, agent, problem, text, upstream};

#[tokio::test]
async fn what_a_file_manages_is_shown_and_not_changed() {
    let upstream = upstream().await;
    let hash = "0".repeat(64);
    let toml = format!(
        "[servers.s]\nurl = \"{}\"\npolicy = \"policy.json\"\n[agents.filed]\ntokens = [{{ label = \"t\", sha256 = \"{hash}\" }}]\n",
        upstream.url("/mcp")
    );
    let stack = Stack::with(&toml).await;
    let server = stack.api().get("/api/v1/servers/s").await;
    assert_eq!(server.json()["managed"]["by"], "file", "{}", text(&server));
    let path = server.json()["managed"]["path"].as_str().unwrap().to_owned();
    assert_eq!(path, stack.folder.path().join("toolgate.toml").display().to_string());
    let put = json!({ "document": { "url": "http://127.0.0.1:1/mcp" } });
    for api in [stack.api(), stack.api().seen("*"), stack.api().creating()] {
        assert_eq!(problem(&api.put("/api/v1/servers/s", &put).await, 409, "managed_by_file")["path"], path.as_str());
        problem(&api.delete("/api/v1/servers/s").await, 409, "managed_by_file");
        problem(&api.put("/api/v1/agents/filed", &agent()).await, 409, "managed_by_file");
    }
    problem(&stack.api().post("/api/v1/agents/filed/tokens", &json!({})).await, 409, "managed_by_file");
    let policies = stack.api().get("/api/v1/policies").await.json();
    let policy = policies["items"].as_array().unwrap().iter().find(|item| item["managed"]["by"] == "file").unwrap();
    assert!(policy["managed"]["path"].as_str().unwrap().ends_with("policy.json"), "{policies}");
    assert_eq!(stack.api().get("/api/v1/servers/s/health").await.json()["in_force"], true);
}

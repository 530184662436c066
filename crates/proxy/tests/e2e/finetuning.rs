//! The fine-tuning tools: behind the gateway, alone, and in step with the policy and the catalogue that are shipped for them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use azure_emulator::{Emulator, Running, demo};
use finetuning_server::{Category, TOOLS};
use serde::Deserialize;
use serde_json::{Value, json};
use testkit::{HttpClient, McpClient};

use crate::program::{Gateway, run, toolgate};

const POLICY: &str = include_str!("../../../../policies/azure-ai-foundry/policy.json");
const PAGE: &str = include_str!("../../../../docs/finetuning.md");
const CATALOGUE: &str = include_str!("../../../../policies/azure-ai-foundry/catalog.json");

async fn emulator() -> Running {
    Emulator::builder().manual_clock().start().await.unwrap()
}

fn variables(service: &Running) -> [(&str, &str); 2] {
    [("AZURE_OPENAI_ENDPOINT", service.url()), ("AZURE_OPENAI_API_KEY", service.key())]
}

fn client(gateway: &Gateway) -> McpClient {
    McpClient::modern(HttpClient::new(format!("http://{}/mcp/azure-finetuning", gateway.data)))
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {answer}"))
}

#[tokio::test]
async fn what_is_denied_never_reaches_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let service = emulator().await;
    let gateway = Gateway::start_in(folder.path(), &[], &variables(&service));
    let legacy = McpClient::legacy(HttpClient::new(format!("http://{}/mcp/azure-finetuning", gateway.data))).await;
    for client in [client(&gateway), legacy] {
        let denied = client.call("create_finetuning_job", json!({ "model": "m", "training_file": "file-1" })).await;
        assert_eq!(denied["result"]["isError"], true);
        assert!(text(&denied).contains("Starting a job costs money"), "{denied}");
        let listed = client.list_tools().await;
        assert!(
            listed.contains(&"fetch_finetuning_status".to_owned()) && !listed.contains(&"delete_file".to_owned()),
            "{listed:?}"
        );
        assert_eq!(service.journal(), [], "nothing was asked yet");
        let status = client.call("fetch_finetuning_status", json!({ "job_id": demo::SUCCEEDED_JOB })).await;
        let status: Value = serde_json::from_str(text(&status)).unwrap();
        assert_eq!(status["status"], "succeeded");
        assert_eq!(service.journal().len(), 1);
        service.reset();
    }
}

#[tokio::test]
async fn an_id_that_is_a_path_is_refused_by_the_tool() {
    let folder = tempfile::tempdir().unwrap();
    let service = emulator().await;
    std::fs::write(folder.path().join("open.json"), r#"{ "version": "1", "default": "allow" }"#).unwrap();
    let toml = "[servers.azure-finetuning]\nbuiltin = \"azure-finetuning\"\npolicy = \"open.json\"\n";
    std::fs::write(folder.path().join("toolgate.toml"), toml).unwrap();
    let gateway = Gateway::start_in(folder.path(), &[], &variables(&service));
    let traversal = json!({ "job_id": "../../files/file-x/content" });
    let refused = client(&gateway).call("fetch_finetuning_status", traversal).await;
    assert_eq!(refused["result"]["isError"], true);
    assert!(text(&refused).contains("invalid_argument"), "{refused}");
    assert_eq!(service.journal(), []);
}

#[tokio::test]
async fn and_by_a_rule_before_it_gets_there() {
    let folder = tempfile::tempdir().unwrap();
    let service = emulator().await;
    let gateway = Gateway::start_in(folder.path(), &[], &variables(&service));
    let traversal = json!({ "job_id": "../../files/file-x/content" });
    let refused = client(&gateway).call("fetch_finetuning_status", traversal).await;
    let decision = &refused["result"]["_meta"]["dev.toolgate/decision"];
    assert_eq!((&decision["code"], &decision["rule"]), (&json!("denied.condition"), &json!("/all_tools/deny_if/0")));
    assert!(text(&refused).contains("must be the id of a job"), "{refused}");
    assert_eq!(service.journal(), []);
}

#[tokio::test]
async fn credentials_reach_neither_log_nor_answers() {
    let folder = tempfile::tempdir().unwrap();
    let service = Emulator::builder().manual_clock().key("CANARY-key").start().await.unwrap();
    let args = ["--log-level", "trace"];
    let gateway = Gateway::start_in(folder.path(), &args, &variables(&service));
    let client = client(&gateway);
    for id in [demo::SUCCEEDED_JOB, "ftjob-none", "../x"] {
        let answer = client.call("fetch_finetuning_status", json!({ "job_id": id })).await.to_string();
        assert!(!answer.contains("CANARY"), "{answer}");
    }
    assert!(gateway.log().contains("toolgate::decision"), "{}", gateway.log());
    assert!(!gateway.log().contains("CANARY"), "{}", gateway.log());
}

#[tokio::test]
async fn nobody_but_the_gateway_is_answered_by_the_server_within() {
    let folder = tempfile::tempdir().unwrap();
    let service = emulator().await;
    let gateway = Gateway::start_in(folder.path(), &[], &variables(&service));
    let known = [gateway.data.port(), gateway.admin.port()];
    let mut doors = 0;
    for port in gateway.listening().into_iter().filter(|port| !known.contains(port)) {
        let http = HttpClient::new(format!("http://127.0.0.1:{port}/mcp")).header("MCP-Protocol-Version", "2026-07-28");
        let reply = http
            .header("Mcp-Method", "tools/list")
            .post(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }))
            .await;
        assert_eq!(reply.status, 401, "port {port}");
        doors += 1;
    }
    assert_eq!(doors, 1, "the server within has one port");
}

#[test]
fn what_the_environment_lacks_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = run(&mut toolgate(folder.path(), &["finetuning", "--stdio"]));
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.starts_with("error: AZURE_OPENAI_ENDPOINT is not set"), "{stderr}");
    let mut half = toolgate(folder.path(), &["serve"]);
    let (code, stdout, stderr) = run(half.env("AZURE_OPENAI_ENDPOINT", "https://n.openai.azure.com"));
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("no credential: set AZURE_OPENAI_API_KEY"), "{stderr}");
    let (code, _, stderr) = run(&mut toolgate(folder.path(), &["finetuning", "--http", "0.0.0.0:1"]));
    assert_eq!(code, 2);
    assert!(stderr.contains("nothing authenticates them"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_they_speak_on_stdin_and_stdout() {
    let folder = tempfile::tempdir().unwrap();
    let service = emulator().await;
    let mut command = toolgate(folder.path(), &["finetuning", "--stdio"]);
    let command = command.envs(variables(&service)).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut ask = |message: Value| writeln!(stdin, "{message}").unwrap();
    let params =
        json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    ask(json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }));
    let mut answer = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(answer()["result"]["serverInfo"]["name"], "azure-finetuning");
    ask(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    let arguments = json!({ "job_id": demo::SUCCEEDED_JOB });
    ask(
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": "fetch_finetuning_status", "arguments": arguments } }),
    );
    assert!(text(&answer()).contains("succeeded"));
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0), "the client has hung up");
}

#[tokio::test]
async fn the_emulator_runs_alone_and_says_how_to_use_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = toolgate(folder.path(), &["emulator", "--port", "0", "--key", "k"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let url = lines.next().unwrap().strip_prefix("emulator ready ").unwrap().to_owned();
    assert_eq!(lines.next().unwrap(), format!("export AZURE_OPENAI_ENDPOINT={url}"));
    assert_eq!(lines.next().unwrap(), "export AZURE_OPENAI_API_KEY=k");
    let gateway =
        Gateway::start_in(folder.path(), &[], &[("AZURE_OPENAI_ENDPOINT", &url), ("AZURE_OPENAI_API_KEY", "k")]);
    let status = client(&gateway).call("fetch_finetuning_status", json!({ "job_id": demo::PAUSED_JOB })).await;
    assert!(text(&status).contains("paused"), "{status}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    #[serde(rename = "$schema")]
    _schema: String,
    version: String,
    server: String,
    tools: BTreeMap<String, Classified>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Classified {
    category: String,
    risk: String,
    reason: String,
    evidence: String,
    confidence: String,
    reviewed_by: String,
}

#[test]
fn catalogue_policy_and_tools_are_in_step() {
    let catalogue: Catalogue = serde_json::from_str(CATALOGUE).unwrap();
    assert_eq!((catalogue.version.as_str(), catalogue.server.as_str()), ("1", "azure-finetuning"));
    let policy = policy::Policy::parse("policy.json", POLICY).unwrap();
    for entry in &TOOLS {
        let found = catalogue.tools.get(entry.name).unwrap_or_else(|| panic!("{} is not in the catalogue", entry.name));
        let expected = (entry.category.as_str(), entry.risk.as_str(), entry.reason, entry.evidence);
        assert_eq!((&*found.category, &*found.risk, &*found.reason, &*found.evidence), expected, "{}", entry.name);
        let (category, risk) = (entry.category.as_str(), entry.risk.as_str());
        let row = format!("| `{}` | {category} | {risk} | {} |", entry.name, entry.reason);
        assert!(PAGE.contains(&row), "docs/finetuning.md lacks: {row}");
        // Only looking is allowed, and not at what may be training data.
        let may = entry.category == Category::Read && entry.risk == finetuning_server::Risk::Low;
        assert_eq!(policy.lists(policy::Subject::Tool(entry.name)), may, "{}", entry.name);
        assert!(
            POLICY.contains(&format!("\"{}\"", entry.name)),
            "{} is not named, so an agent is not told why",
            entry.name
        );
    }
    for (name, tool) in &catalogue.tools {
        assert!(["Read", "Write", "Execute", "Destructive", "Financial"].contains(&&*tool.category), "{name}");
        assert!(["Low", "Medium", "High", "Critical"].contains(&&*tool.risk), "{name}");
        assert!(!tool.reason.is_empty() && !tool.evidence.is_empty() && !tool.reviewed_by.is_empty(), "{name}");
        assert_eq!(tool.confidence, "high", "{name}");
        let is_ours = TOOLS.iter().any(|entry| entry.name == name);
        assert!(is_ours || !policy.lists(policy::Subject::Tool(name)), "{name} is allowed, and we have no such tool");
    }
    assert_eq!(catalogue.tools.len(), TOOLS.len() + 41, "the tools of mcp-foundry beyond the seven");
}

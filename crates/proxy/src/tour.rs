//! What a newcomer sees who starts the program with nothing configured: an allowed and a denied call, ready to paste.

use std::net::SocketAddr;

use crate::default::Shown;

pub(crate) fn text(data: SocketAddr, shown: &Shown) -> String {
    let (behind, tool, arguments) = match shown {
        Shown::Real { endpoint } => (format!("for {endpoint}"), "list_finetuning_jobs", "{}".to_owned()),
        Shown::Emulated(emulator) => (
            format!("for an emulated service at {}; set AZURE_OPENAI_ENDPOINT for a real one", emulator.url()),
            "fetch_finetuning_status",
            format!(r#"{{"job_id":"{}"}}"#, azure_emulator::demo::SUCCEEDED_JOB),
        ),
    };
    let allowed = curl(data, tool, &arguments);
    let denied = curl(data, "create_finetuning_job", r#"{"model":"gpt-4.1-mini-2025-04-14","training_file":"file-1"}"#);
    format!(
        "\n\
         No servers are configured, so these are the Azure OpenAI fine-tuning tools,\n\
         {behind}.\n\
         A policy lets agents look, and nothing else: policies/azure-ai-foundry/policy.json\n\
         \n\
         Point any MCP client at http://{data}/mcp/azure-finetuning, for example with\n\
         \n  {{\"mcpServers\":{{\"azure-finetuning\":{{\"type\":\"http\",\"url\":\"http://{data}/mcp/azure-finetuning\"}}}}}}\n\
         \n\
         A call that is allowed:\n\n{allowed}\n\n\
         One that is denied, and says why:\n\n{denied}\n\n"
    )
}

fn curl(data: SocketAddr, tool: &str, arguments: &str) -> String {
    format!(
        r#"  curl -s http://{data}/mcp/azure-finetuning \
    -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
    -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' -H 'Mcp-Name: {tool}' \
    -d '{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments},
         "_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}'"#
    )
}

//! What a newcomer sees who starts the program with nothing configured: an allowed and a denied call, ready to paste.

use std::net::SocketAddr;

pub(crate) fn text(data: SocketAddr) -> String {
    let (allowed, denied) = (curl(data, "echo", r#"{"text":"hello"}"#), curl(data, "delete_everything", "{}"));
    format!(
        "\n\
         No servers are configured, so this is a small built-in one behind a policy that allows little.\n\
         Point any MCP client at http://{data}/mcp/demo\n\
         \n\
         A call that is allowed:\n\n{allowed}\n\n\
         One that is denied, and says why:\n\n{denied}\n\n"
    )
}

fn curl(data: SocketAddr, tool: &str, arguments: &str) -> String {
    format!(
        r#"  curl -s http://{data}/mcp/demo \
    -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
    -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' -H 'Mcp-Name: {tool}' \
    -d '{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments},
         "_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}'"#
    )
}

//! The Azure OpenAI fine-tuning tools, as an MCP server.

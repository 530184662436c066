//! The conformance fixture: an MCP server of both eras on rmcp.

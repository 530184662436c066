//! Where messages may be posted.

use super::reading::endpoint;

/// None where nothing is posted.
#[track_caller]
fn check(base: &str, said: &str, expected: Option<&str>) {
    let found = endpoint(&base.parse().unwrap(), said.as_bytes()).ok().map(|url| url.to_string());
    assert_eq!(found.as_deref(), expected, "{base} {said}");
}

#[test]
fn an_endpoint_is_of_the_servers_own_origin() {
    let base = "http://mcp.example.com/a/sse?key=1";
    check(base, "/messages?session=1", Some("http://mcp.example.com/messages?session=1"));
    check(base, "messages", Some("http://mcp.example.com/a/messages"));
    check(base, "?session=1", Some("http://mcp.example.com/a/sse?session=1"));
    check(base, "", Some("http://mcp.example.com/a/sse?key=1"));
    check(base, "http://mcp.example.com/m", Some("http://mcp.example.com/m"));
    check(base, "http://MCP.example.com:80/m#f", Some("http://mcp.example.com/m"));
    check(base, "http:/m", Some("http://mcp.example.com/m"));
    check("http://127.0.0.1:8000/sse", "http://127.1:8000/m", Some("http://127.0.0.1:8000/m"));
    for foreign in [
        "http://evil.example/m",
        "//evil.example/m",
        "\\\\evil.example\\m",
        "/\\evil.example/m",
        "/\t/evil.example/m",
        "https://mcp.example.com/m",
        "http://mcp.example.com:8080/m",
        "http://mcp.example.com.evil.example/m",
        "http://mcp.example.com@evil.example/m",
        "http://user@mcp.example.com/m",
        "http://:secret@mcp.example.com/m",
        "http://mcp.example.com./m",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "data:text/plain,x",
        "javascript:1",
        "http://[::1",
        &format!("/{}", "x".repeat(9000)),
    ] {
        check(base, foreign, None);
    }
    assert!(endpoint(&base.parse().unwrap(), b"/\xff").is_err());
}

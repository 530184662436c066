//! What clients are told.

use connect::{Name, Request, Transport, Variable, clients};
use serde_json::json;

use crate::{client, request};

fn stdio(request: Request) -> Request {
    Request { transport: Transport::Stdio { program: "/bin/toolgate".to_owned() }, ..request }
}

fn with_token(request: Request) -> Request {
    Request { token: Some("TOKEN".parse().unwrap()), ..request }
}

#[track_caller]
fn check(id: &str, request: &Request, expected: serde_json::Value) {
    let entries = request.entries(&client(id)).unwrap();
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!(serde_json::Value::Object(entry.members.iter().cloned().collect()), expected);
}

#[track_caller]
fn refused(request: &Request, id: &str, message: &str) {
    assert_eq!(request.entries(&client(id)).unwrap_err().to_string(), message);
}

#[test]
fn a_token_is_named_in_the_way_of_the_client() {
    let url = "http://127.0.0.1:4480/mcp";
    let request = with_token(request(&[]));
    check("codex", &request, json!({"url": url, "bearer_token_env_var": "TOKEN"}));
    check("gemini-cli", &request, json!({"httpUrl": url, "headers": {"Authorization": "Bearer ${TOKEN}"}}));
    check("windsurf", &request, json!({"serverUrl": url, "headers": {"Authorization": "Bearer ${env:TOKEN}"}}));
    let request = stdio(request);
    let args = json!(["bridge", "--token-env", "TOKEN", url]);
    check("codex", &request, json!({"command": "/bin/toolgate", "args": args, "env_vars": ["TOKEN"]}));
    check("cursor", &request, json!({"command": "/bin/toolgate", "args": args, "env": {"TOKEN": "${env:TOKEN}"}}));
    check("zed", &request, json!({"command": "/bin/toolgate", "args": args}));
}

#[test]
fn where_a_client_cannot_name_a_variable_nothing_is_pretended() {
    let request = with_token(request(&[]));
    refused(
        &request,
        "zed",
        "Zed takes no token from a variable for a URL; `--stdio` lets it start a bridge that does",
    );
    refused(&request, "claude-desktop", "Claude Desktop takes no token from a variable");
    refused(&stdio(request), "claude-desktop", "Claude Desktop takes no token from a variable");
}

#[test]
fn a_client_without_urls_is_bridged() {
    check(
        "claude-desktop",
        &request(&["github"]),
        json!({"command": "/bin/toolgate", "args": ["bridge", "http://127.0.0.1:4480/mcp/github"]}),
    );
}

#[test]
fn nothing_is_left_to_fill_in() {
    for client in clients().unwrap() {
        for request in [request(&[]), stdio(request(&[])), with_token(request(&[])), with_token(stdio(request(&[])))] {
            for entry in request.entries(&client).unwrap_or_default() {
                let text = format!("{:?}", entry.members);
                assert!(!["{url}", "{program}", "{token}"].iter().any(|hole| text.contains(hole)), "{text}");
            }
        }
        assert!(client.sources.iter().all(|source| source.starts_with("https://")) && !client.sources.is_empty());
        assert!(client.then.ends_with('.'), "{}", client.then);
    }
}

#[test]
fn the_address_is_a_gateway() {
    let at = |gateway: &str| Request { gateway: gateway.to_owned(), ..request(&[]) };
    check("cursor", &at("https://gate.example/base/"), json!({"url": "https://gate.example/base/mcp"}));
    check("cursor", &at("http://[::1]:80"), json!({"url": "http://[::1]/mcp"}));
    refused(&at("gate"), "cursor", "`gate` cannot be the gateway: it is no URL");
    refused(&at("ftp://h"), "cursor", "`ftp://h` cannot be the gateway: it is neither http nor https");
    refused(&at("http://h?x"), "cursor", "`http://h?x` cannot be the gateway: it has a query or a fragment");
    let doubled = "`http://h/mcp/` cannot be the gateway: the address of the gateway comes without `/mcp`";
    refused(&at("http://h/mcp/"), "cursor", doubled);
    refused(&at("http://me:s3cret@h"), "cursor", "`the URL` cannot be the gateway: it has user information in it");
}

#[test]
fn names_are_what_every_client_takes() {
    for name in ["", "-a", "_a", "a.b", "a b", "ä", &"a".repeat(65)] {
        assert!(name.parse::<Name>().is_err(), "{name}");
    }
    assert!("A-b_9".parse::<Name>().is_ok());
    for token in ["", "1A", "A-B", "eyJhbGciOi.x", "$A"] {
        let error = token.parse::<Variable>().unwrap_err().to_string();
        assert!(token.is_empty() || !error.contains(token), "the token is not repeated: {error}");
    }
    let two = Request { name: Some("x".parse().unwrap()), ..request(&["a", "b"]) };
    refused(&two, "cursor", "one name is not enough for several servers");
    assert!(two.names().is_err());
}

#[test]
fn a_path_that_clients_would_read_as_a_variable_is_refused() {
    let odd = Request { transport: Transport::Stdio { program: "/a$b/toolgate".to_owned() }, ..request(&[]) };
    let message = "`/a$b/toolgate` has a `$` in its path, which clients read as a variable: move the program";
    refused(&odd, "gemini-cli", message);
}

#[test]
fn a_token_in_the_clear_is_noticed() {
    let at = |gateway: &str| with_token(Request { gateway: gateway.to_owned(), ..request(&[]) }).exposes_token();
    assert!(at("http://gate.example") && at("http://10.0.0.1:4480"));
    assert!(!at("http://localhost:1") && !at("http://127.0.0.1") && !at("http://[::1]") && !at("https://gate.example"));
    assert!(!request(&[]).exposes_token());
}

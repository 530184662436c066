//! Texts before and after.

use std::path::Path;

use connect::{Change, edit};

use crate::{client, request};

fn set(id: &str, servers: &[&str], before: &str) -> Result<String, String> {
    let client = client(id);
    let changes: Vec<Change> = request(servers).entries(&client).unwrap().into_iter().map(Change::Set).collect();
    edit(&client, Path::new("f"), Some(before), &changes).map_err(|error| error.to_string())
}

/// Connecting makes `after` of `before`, and connecting once more changes nothing.
#[track_caller]
fn check(id: &str, before: &str, after: &str) {
    let edited = set(id, &[], before).unwrap();
    assert_eq!(edited, after, "{edited}");
    assert_eq!(set(id, &[], &edited).unwrap(), edited, "a second time");
}

#[track_caller]
fn refused(id: &str, before: &str, message: &str) {
    assert_eq!(set(id, &[], before).unwrap_err(), message);
}

#[test]
fn json_keeps_comments_and_layout() {
    check(
        "cursor",
        "",
        "{\n  \"mcpServers\": {\n    \"toolgate\": {\n      \"url\": \"http://127.0.0.1:4480/mcp\"\n    }\n  }\n}\n",
    );
    check(
        "cursor",
        "// hi\n",
        "// hi\n{\n  \"mcpServers\": {\n    \"toolgate\": {\n      \"url\": \"http://127.0.0.1:4480/mcp\"\n    }\n  }\n}\n",
    );
    check(
        "zed",
        "// mine\n{\n    \"theme\": \"One\", // dark\n\n    /* servers */\n    \"context_servers\": {\n        \"a\": { \"command\": \"x\" }, // first\n    },\n}\n",
        "// mine\n{\n    \"theme\": \"One\", // dark\n\n    /* servers */\n    \"context_servers\": {\n        \"a\": { \"command\": \"x\" }, // first\n        \"toolgate\": {\n            \"url\": \"http://127.0.0.1:4480/mcp\",\n        },\n    },\n}\n",
    );
    check(
        "cursor",
        "{\"mcpServers\":{\"a\":{\"url\":\"u\"}},\"b\":[1,2]}",
        "{\"mcpServers\":{\n    \"a\":{\"url\":\"u\"},\n    \"toolgate\": {\n      \"url\": \"http://127.0.0.1:4480/mcp\"\n    }\n  },\"b\":[1,2]}",
    );
}

#[test]
fn the_ends_of_lines_and_the_mark_stay() {
    check(
        "cursor",
        "\u{feff}{\r\n\t\"mcpServers\": {}\r\n}\r\n",
        "\u{feff}{\r\n\t\"mcpServers\": {\r\n\t\t\"toolgate\": {\r\n\t\t\t\"url\": \"http://127.0.0.1:4480/mcp\"\r\n\t\t}\r\n\t}\r\n}\r\n",
    );
    check(
        "codex",
        "model = \"o\" # best\r\n",
        "model = \"o\" # best\r\n\r\n[mcp_servers.toolgate]\r\nurl = \"http://127.0.0.1:4480/mcp\"\r\n",
    );
}

#[test]
fn toml_keeps_comments_and_layout() {
    check("codex", "", "[mcp_servers.toolgate]\nurl = \"http://127.0.0.1:4480/mcp\"\n");
    check(
        "codex",
        "# mine\nmodel   =  \"o\"\n\n[mcp_servers.a] # first\ncommand = 'x'\n\n# of projects\n[projects.\"/p\"]\ntrust_level = \"trusted\"\n",
        "# mine\nmodel   =  \"o\"\n\n[mcp_servers.a] # first\ncommand = 'x'\n\n[mcp_servers.toolgate]\nurl = \"http://127.0.0.1:4480/mcp\"\n\n# of projects\n[projects.\"/p\"]\ntrust_level = \"trusted\"\n",
    );
    check(
        "codex",
        "mcp_servers = { a = { command = \"x\" } }\n",
        "mcp_servers = { a = { command = \"x\" } , toolgate = { url = \"http://127.0.0.1:4480/mcp\" } }\n",
    );
    check(
        "codex",
        "mcp_servers.a.command = \"x\"\n",
        "mcp_servers.a.command = \"x\"\n\n[mcp_servers.toolgate]\nurl = \"http://127.0.0.1:4480/mcp\"\n",
    );
}

#[test]
fn an_entry_of_that_name_is_replaced_where_it_is() {
    check(
        "codex",
        "# ours\n[mcp_servers.toolgate] # old\ncommand = \"x\"\n[mcp_servers.toolgate.env]\nSECRET = \"s\"\n\n[tui]\nx = 1\n",
        "# ours\n[mcp_servers.toolgate] # old\nurl = \"http://127.0.0.1:4480/mcp\"\n\n[tui]\nx = 1\n",
    );
    check(
        "cursor",
        "{\n  \"mcpServers\": {\n    // ours\n    \"toolgate\": { \"command\": \"x\", \"env\": {\"SECRET\": \"s\"} },\n    \"b\": {}\n  }\n}\n",
        "{\n  \"mcpServers\": {\n    // ours\n    \"toolgate\": {\n      \"url\": \"http://127.0.0.1:4480/mcp\"\n    },\n    \"b\": {}\n  }\n}\n",
    );
}

#[test]
fn what_is_put_behind_leaves_the_rest_to_the_byte() {
    let entry = "\n[mcp_servers.toolgate]\nurl = \"http://127.0.0.1:4480/mcp\"\n";
    for text in [
        "# only a comment\n",
        "a = 1\r\nb = 2\n# both kinds\r\n[x]\nc=3\r\n",
        "[tui]\nx = 1\n# y = 2\n",
        "[mcp_servers.a]\nurl = \"v\"\n# enabled = false\n",
    ] {
        check("codex", text, &format!("{text}{entry}"));
    }
    check("codex", "[tui]\n# no end", &format!("[tui]\n# no end\n{entry}"));
}

#[test]
fn an_entry_in_one_line_stays_in_one_line() {
    check(
        "codex",
        "[mcp_servers]\ntoolgate = { command = \"x\" } # mine\nb = { url = \"u\" }\n[x]\n",
        "[mcp_servers]\ntoolgate = { url = \"http://127.0.0.1:4480/mcp\" } # mine\nb = { url = \"u\" }\n[x]\n",
    );
}

#[test]
fn the_order_of_tables_stays() {
    check(
        "codex",
        "[mcp_servers.a]\nurl = \"v\"\n\n[tui]\nx = 1\n\n[mcp_servers.toolgate]\nurl = \"old\"\n\n[z]\n",
        "[mcp_servers.a]\nurl = \"v\"\n\n[tui]\nx = 1\n\n[mcp_servers.toolgate]\nurl = \"http://127.0.0.1:4480/mcp\"\n\n[z]\n",
    );
}

#[test]
fn an_entry_that_says_the_same_stays_as_it_is_written() {
    for (id, text) in [
        ("codex", "[mcp_servers]\ntoolgate = { url = 'http://127.0.0.1:4480/mcp' } # mine\n"),
        ("codex", "[mcp_servers.toolgate]\nurl = 'http://127.0.0.1:4480/mcp' # mine\r\n"),
        ("cursor", "{\"mcpServers\":{\"toolgate\":{\"url\":/* mine */\"http://127.0.0.1:4480\\/mcp\"}}}"),
    ] {
        check(id, text, text);
    }
}

#[test]
fn an_entry_can_be_taken_out() {
    for (id, before, after) in [
        (
            "cursor",
            "{\n  \"mcpServers\": {\n    \"a\": {}, // a\n    \"toolgate\": {}\n  }\n}\n",
            "{\n  \"mcpServers\": {\n    \"a\": {} // a\n  }\n}\n",
        ),
        (
            "codex",
            "x = 1\n\n[mcp_servers.toolgate]\nurl = \"u\"\n\n[mcp_servers.a]\nurl = \"v\"\n",
            "x = 1\n\n[mcp_servers.a]\nurl = \"v\"\n",
        ),
        ("codex", "x = 1\n", "x = 1\n"),
        ("cursor", "{} // nothing", "{} // nothing"),
        ("cursor", "", ""),
    ] {
        let client = client(id);
        let changes = [Change::Remove("toolgate".parse().unwrap())];
        assert_eq!(edit(&client, Path::new("f"), Some(before), &changes).unwrap(), after);
    }
}

#[test]
fn several_servers_are_one_edit() {
    let edited = set("codex", &["github", "jira"], "").unwrap();
    assert_eq!(
        edited,
        "[mcp_servers.github]\nurl = \"http://127.0.0.1:4480/mcp/github\"\n\n[mcp_servers.jira]\nurl = \"http://127.0.0.1:4480/mcp/jira\"\n"
    );
}

#[test]
fn what_is_broken_is_refused_with_its_place() {
    refused(
        "cursor",
        "{\n  \"é\": 1,\n  \"a\" 2\n}",
        "`f`:3:7: Expected colon after the string or word in object property",
    );
    refused("cursor", "{'a': 1}", "`f`:1:2: Single-quoted strings are not allowed");
    refused("cursor", "[]", "`f`: the file is no JSON object");
    refused("cursor", "{\"mcpServers\": []}", "`f`: `mcpServers` is not what it should be, a table of servers");
    refused("cursor", "{\"mcpServers\": {}, \"mcp\\u0053ervers\": {}}", "`f`: `mcpServers` is there twice");
    refused("cursor", "{\"mcpServers\": {\"toolgate\": 1, \"toolgate\": 2}}", "`f`: `toolgate` is there twice");
    refused("codex", "a = 1\nb = \n", "`f`:2:5: string values must be quoted, expected literal string");
    refused("codex", "mcp_servers = 1\n", "`f`: `mcp_servers` is not what it should be, a table of servers");
    refused("codex", "[[mcp_servers]]\na = 1\n", "`f`: `mcp_servers` is not what it should be, a table of servers");
}

//! Vector 102: no name, whatever it resolves to and however it is spelt, leads the gateway to this machine, its networks or its
//! cloud, unless the operator said so.

use gateway::config::{Config, ConfigFile, Layers};
use serde_json::json;
use testkit::{HttpClient, McpClient, Recorder};

use crate::canary;
use crate::gate::{Gate, OPEN, Plan, tool};

/// Server `s` under this name of this machine, on the recorder's port.
fn named(upstream: &Recorder, name: &str, more: &str) -> Gate {
    let url = format!("http://{name}:{}/mcp", upstream.addr().port());
    Plan::default().server("s", url, "p").toml(more).policy("p", OPEN).start()
}

async fn call(gate: &Gate) -> serde_json::Value {
    McpClient::modern(HttpClient::new(gate.url("s"))).call("a", json!({})).await
}

/// What is wrong with a server of this URL; empty if nothing is.
fn refused(url: &str, more: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("toolgate.toml");
    std::fs::write(&file, format!("[servers.s]\nurl = \"{url}\"\npolicy = \"p\"\n{more}\n")).unwrap();
    let layers = Layers { file: ConfigFile::Required(file), ..Layers::default() };
    Config::load(&layers).err().map_or_else(String::new, |errors| {
        let said = errors.to_string();
        said.split_once(" (").map_or(said.clone(), |(said, _)| said.to_owned())
    })
}

#[tokio::test]
async fn a_name_of_this_machine_is_not_connected_to() {
    let upstream = Recorder::mcp([tool("a")]).await;
    for name in ["rebind.example", "127.0.0.1.nip.io", "localhost.", "localhost.example"] {
        let gate = named(&upstream, name, &format!("resolve = {{ \"{name}\" = \"127.0.0.1\" }}"));
        let answer = call(&gate).await;
        assert_eq!(answer["error"], json!({ "code": -32603, "message": "upstream failed" }), "{name}");
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn a_listed_network_is_connected_to() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let resolve = "resolve = { \"files.internal\" = [\"127.0.0.1\"] }";
    let gate = named(&upstream, "files.internal", &format!("{resolve}\nnetworks = [\"127.0.0.0/8\"]"));
    assert!(call(&gate).await["error"].is_null());
    // In any case of letters; and only that network.
    let gate = named(&upstream, "FILES.internal", &format!("{resolve}\nnetworks = [\"127.0.0.1\"]"));
    assert!(call(&gate).await["error"].is_null());
    let connections = upstream.connections();
    let gate = named(&upstream, "files.internal", &format!("{resolve}\nnetworks = [\"10.0.0.0/8\", \"::1\"]"));
    assert_eq!(call(&gate).await["error"]["code"], -32603);
    assert_eq!(upstream.connections(), connections);
}

#[tokio::test]
async fn what_the_operator_writes_out_is_connected_to() {
    let upstream = Recorder::mcp([tool("a")]).await;
    for name in ["127.0.0.1", "localhost", "LocalHost", "[::ffff:127.0.0.1]"] {
        let gate = named(&upstream, name, "");
        assert!(call(&gate).await["error"].is_null(), "{name}");
    }
    // `localhost` is this machine and nothing else.
    let gate = named(&upstream, "localhost", "resolve = { localhost = \"10.0.0.1\" }");
    assert_eq!(call(&gate).await["error"]["code"], -32603);
}

/// The log knows what the client is not told.
#[tokio::test]
async fn the_address_is_in_the_log_only() {
    canary::capture();
    let upstream = Recorder::mcp([tool("a")]).await;
    let url = format!("http://rebind.example:{}/mcp", upstream.addr().port());
    let gate = Plan::default().server("rebinds", url, "p").toml("resolve = { \"rebind.example\" = \"127.0.0.1\" }");
    let gate = gate.policy("p", OPEN).start();
    let answer = McpClient::modern(HttpClient::new(gate.url("rebinds"))).call("a", json!({})).await.to_string();
    assert!(!answer.contains("127.0.0.1") && !answer.contains("loopback"), "{answer}");
    let logged = serde_json::Value::from(canary::events("rebinds")).to_string();
    assert!(logged.contains("127.0.0.1 is a loopback address, and not in `networks`"), "{logged}");
}

#[test]
fn other_spellings_of_an_address_are_refused_at_load() {
    for host in ["0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.1", "127.0.0.1."] {
        let expected = "`servers.s.url` has a host that programs read differently: write 127.0.0.1";
        assert_eq!(refused(&format!("http://{host}:80/mcp"), ""), expected, "{host}");
    }
    for (url, expected) in [
        ("http://%31%32%37.0.0.1/mcp", "is not a URL"),
        ("http://①②⑦.⓪.⓪.①/mcp", "is not a URL"),
        ("http://127.0.0.1@metadata/", "must not hold user information: use `headers`"),
        ("http://example.com@169.254.169.254/", "must not hold user information: use `headers`"),
        ("http://256.0.0.1/", "has a host that is neither a name nor an address"),
        ("http://[fe80::1%25eth0]/", "has a host that is neither a name nor an address"),
    ] {
        assert_eq!(refused(url, ""), format!("`servers.s.url` {expected}"), "{url}");
    }
}

#[test]
fn addresses_that_are_never_meant_are_refused_at_load() {
    for (host, networks, kind) in [
        ("169.254.169.254", "", "the address of a metadata service"),
        ("169.254.169.254", "169.254.0.0/16", "the address of a metadata service"),
        ("[::ffff:169.254.169.254]", "", "the address of a metadata service"),
        ("[64:ff9b::a9fe:a9fe]", "", "the address of a metadata service"),
        ("[fd00:ec2::254]", "fd00::/8", "the address of a metadata service"),
        ("169.254.1.1", "", "a link-local address"),
        ("[fe80::1]", "", "a link-local address"),
        ("0.0.0.0", "", "no address of a machine"),
        ("[::]", "", "no address of a machine"),
        ("224.0.0.1", "", "a multicast address"),
        ("255.255.255.255", "", "a reserved address"),
        ("[2002:7f00:1::]", "", "an IPv4 address inside an IPv6 one"),
    ] {
        let said =
            refused(&format!("http://{host}/mcp"), &format!("networks = [\"{networks}\"]").replace("[\"\"]", "[]"));
        let expected = format!("is {kind}, and not in `networks`");
        assert!(
            said.starts_with("`servers.s.url` cannot be connected to: ") && said.ends_with(&expected),
            "{host}: {said}"
        );
    }
    for (host, networks) in
        [("169.254.1.1", "169.254.0.0/16"), ("169.254.169.254", "169.254.169.254"), ("8.8.8.8", "10.0.0.0/8")]
    {
        assert_eq!(refused(&format!("http://{host}/mcp"), &format!("networks = [\"{networks}\"]")), "", "{host}");
    }
}

#[test]
fn settings_of_the_guard_say_what_is_wrong_with_them() {
    for (more, expected) in [
        ("networks = \"ten\"", "`servers.s.networks` is \"ten\", expected a list such as [\"10.0.0.0/8\"]"),
        (
            "networks = [\"10.0.0.0/33\"]",
            "`servers.s.networks` is [\"10.0.0.0/33\"], expected a list such as [\"10.0.0.0/8\"]",
        ),
        (
            "resolve = { h = \"0x7f.1\" }",
            "`servers.s.resolve.h` is \"0x7f.1\", expected an address such as \"10.0.0.5\", or a list of some",
        ),
        (
            "resolve = { h = [] }",
            "`servers.s.resolve.h` is [], expected an address such as \"10.0.0.5\", or a list of some",
        ),
    ] {
        assert_eq!(refused("https://mcp.example.com/mcp", more), expected);
    }
    for builtin in ["networks = [\"10.0.0.0/8\"]", "resolve = { h = \"10.0.0.1\" }"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("toolgate.toml");
        std::fs::write(&file, format!("[servers.s]\nbuiltin = \"azure-finetuning\"\n{builtin}\n")).unwrap();
        let errors = Config::load(&Layers { file: ConfigFile::Required(file), ..Layers::default() }).unwrap_err();
        assert!(errors.to_string().contains("there is no setting `servers.s."), "{errors}");
    }
}

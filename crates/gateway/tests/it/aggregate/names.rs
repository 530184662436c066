//! Names: whose a thing is can be read in one way only.

use gateway::config::{Config, ConfigFile, Layers};
use serde_json::json;

use super::stack::{Fake, listed, modern, plan, said};
use crate::gate::OPEN;

/// `x` has a tool `y__t`, and what would be `x__y` has a tool `t`: such a server cannot be.
#[test]
fn a_server_whose_prefix_would_be_ambiguous_is_refused_at_load() {
    for id in ["x__y", "x_", "_x"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("toolgate.toml");
        std::fs::write(&file, format!("[servers.{id}]\nurl = \"http://127.0.0.1:1\"\npolicy = \"p\"\n")).unwrap();
        let layers = Layers { file: ConfigFile::Required(file), ..Layers::default() };
        let errors = Config::load(&layers).unwrap_err().to_string();
        assert!(errors.contains("is not a server id"), "{errors}");
    }
}

#[tokio::test]
async fn the_first_separator_is_the_one() {
    let [x, xy] = [Fake::with("x", &["y__t", "_t", "t"]).await, Fake::with("x_y", &["t", "_t", "__t"]).await];
    let gate = plan(&[("x", &x, OPEN), ("x_y", &xy, OPEN)]).start();
    let client = modern(&gate);
    let names = ["x__y__t", "x___t", "x__t", "x_y__t", "x_y___t", "x_y____t"];
    assert_eq!(client.list_tools().await, names);
    for (joined, by, name) in [
        ("x__y__t", "x", "y__t"),
        ("x___t", "x", "_t"),
        ("x_y__t", "x_y", "t"),
        ("x_y___t", "x_y", "_t"),
        ("x_y____t", "x_y", "__t"),
    ] {
        let said = said(&client.call(joined, json!({})).await);
        assert_eq!((&said["by"], &said["name"]), (&json!(by), &json!(name)), "{joined}");
    }
    for unknown in ["t", "__t", "x__", "y__t", "X__t", "x_y_t", "x/y__t", ""] {
        let answer = client.call(unknown, json!({})).await;
        assert_eq!(answer["error"], json!({ "code": -32602, "message": format!("Unknown tool: {unknown}") }));
    }
}

#[test]
fn servers_that_are_not_there_are_not_aggregated() {
    let env = vec![("TOOLGATE__AGGREGATE__SERVERS".into(), "gone".into())];
    let errors = Config::load(&Layers { env, ..Layers::default() }).unwrap_err().to_string();
    assert!(errors.contains("`aggregate.servers` names `gone`, and there is no such server"), "{errors}");
}

/// What is too long with its prefix is neither listed nor called.
#[tokio::test]
async fn a_name_that_is_too_long_does_not_exist() {
    let (fits, long) = ("t".repeat(125), "t".repeat(126));
    let a = Fake::with("a", &[&fits, &long]).await;
    let gate = plan(&[("a", &a, OPEN)]).start();
    let client = modern(&gate);
    let answer = client.request("tools/list", json!({})).await;
    assert_eq!(listed(&answer, "tools", "name"), [format!("a__{fits}")]);
    assert!(client.call(&format!("a__{fits}"), json!({})).await["error"].is_null());
    assert_eq!(client.call(&format!("a__{long}"), json!({})).await["error"]["code"], -32602);
}

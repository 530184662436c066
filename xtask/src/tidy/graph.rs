//! The crate graph of `docs/architecture.md`: leaves never see each other, the gateway composes, test helpers stay in tests.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::Value;

use crate::shell::{cargo, read};

/// What each crate may use of ours. A crate that is not here has no place yet.
const MAY_USE: [(&str, &[&str]); 15] = [
    ("azure-emulator", &[]),
    ("azure-finetuning", &[]),
    ("connect", &[]),
    ("console", &["gateway", "policy", "store"]),
    ("finetuning-server", &["azure-finetuning"]),
    ("gateway", &["finetuning-server", "journal", "mcp", "policy", "ratelimit", "redis-link", "store"]),
    ("journal", &[]),
    ("mcp", &[]),
    ("policy", &[]),
    ("proxy", &["azure-emulator", "connect", "console", "finetuning-server", "gateway", "policy", "store"]),
    ("ratelimit", &["redis-link"]),
    ("redis-link", &[]),
    ("store", &[]),
    ("testkit", &[]),
    ("xtask", &[]),
];

/// What only tests may use.
const IN_TESTS: [&str; 2] = ["azure-emulator", "testkit"];

pub(super) fn check() -> anyhow::Result<Vec<String>> {
    let metadata = read(&mut cargo(&["metadata", "--format-version=1", "--no-deps", "--offline"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
    Ok(edges(&metadata).iter().filter_map(judge).collect())
}

struct Edge {
    from: String,
    to: String,
    in_tests: bool,
}

/// Every dependency between two packages of the workspace, and each package once to itself, so that none is overlooked.
fn edges(metadata: &Value) -> Vec<Edge> {
    let packages: Vec<&Value> = list(metadata, "packages").collect();
    let ours: BTreeMap<&str, &&Value> = packages.iter().map(|package| (text(package, "name"), package)).collect();
    let mut edges = Vec::new();
    for (from, package) in &ours {
        edges.push(Edge { from: (*from).to_owned(), to: (*from).to_owned(), in_tests: false });
        for dependency in list(package, "dependencies") {
            let to = text(dependency, "name");
            if ours.contains_key(to) && dependency.get("path").is_some_and(Value::is_string) {
                let in_tests = text(dependency, "kind") == "dev";
                edges.push(Edge { from: (*from).to_owned(), to: to.to_owned(), in_tests });
            }
        }
    }
    edges
}

fn judge(Edge { from, to, in_tests }: &Edge) -> Option<String> {
    let Some((_, may_use)) = MAY_USE.iter().find(|(name, _)| name == from) else {
        return Some(format!("crate `{from}` has no place in the graph: give it one in xtask/src/tidy/graph.rs"));
    };
    let allowed = from == to || may_use.contains(&to.as_str()) || (*in_tests && IN_TESTS.contains(&to.as_str()));
    (!allowed).then(|| format!("crate `{from}` may not use `{to}`"))
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(from: &str, to: &str, kind: Option<&str>, expected: &[&str]) {
        let packages = json!({"packages": [
            {"name": from, "dependencies": [{"name": to, "path": "/x", "kind": kind}, {"name": "serde", "path": null}]},
            {"name": to, "dependencies": []},
        ]});
        let found: Vec<String> = edges(&packages).iter().filter_map(judge).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn leaves_never_see_each_other_and_helpers_stay_in_tests() {
        check("gateway", "policy", None, &[]);
        check("gateway", "testkit", Some("dev"), &[]);
        check("gateway", "testkit", None, &["crate `gateway` may not use `testkit`"]);
        check("policy", "ratelimit", None, &["crate `policy` may not use `ratelimit`"]);
        check("policy", "ratelimit", Some("dev"), &["crate `policy` may not use `ratelimit`"]);
        check("xtask", "mcp", None, &["crate `xtask` may not use `mcp`"]);
        let placeless = "crate `utils` has no place in the graph: give it one in xtask/src/tidy/graph.rs";
        check("gateway", "utils", None, &["crate `gateway` may not use `utils`", placeless]);
    }
}

//! What holds for every policy.

use proptest::prelude::*;
use serde_json::{Value, json};
use testkit::{HttpClient, McpClient, Recorder};

use crate::gate::{Plan, tool};

const TOOLS: [&str; 9] = ["a", "ab", "abc", "b", "b_a", "A", "ä", "a b", "*"];

fn pattern() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "ab", "b", "A", "a*", "*a", "b?a", "?", "*", "ä", "a b", "[ab]", "zz*"])
}

fn rule() -> impl Strategy<Value = Value> {
    let action = prop::sample::select(vec!["allow", "allow", "deny", "require_approval", "hide"]);
    (action, prop::option::of(prop::collection::vec(pattern(), 1..3))).prop_map(|(action, except)| match except {
        None => json!(action),
        Some(except) => json!({ "action": action, "except": except }),
    })
}

fn policy() -> impl Strategy<Value = Value> {
    let rules = prop::collection::btree_map(pattern(), rule(), 0..5);
    let hidden = prop::collection::vec(pattern(), 0..2);
    (prop::sample::select(vec!["allow", "deny"]), rules, hidden, prop::option::weighted(0.2, rule())).prop_map(
        |(default, tools, hide, all)| {
            let mut policy = json!({ "version": "1", "default": default, "tools": tools, "hide": hide });
            if let Some(all) = all {
                policy["all_tools"] = all;
            }
            policy
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Vector 76: a tool of the server's is listed if and only if a call of it can pass, now or with a person's consent.
    #[test]
    fn listed_if_and_only_if_callable(policies in prop::collection::vec(policy(), 8)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(agree(&policies));
    }
}

async fn agree(policies: &[Value]) {
    let upstream = Recorder::mcp(TOOLS.map(tool)).await;
    let name = |n: usize| format!("p{n}");
    let plan = policies.iter().enumerate().fold(Plan::default(), |plan, (n, policy)| {
        plan.server(&name(n), upstream.url("/mcp"), &name(n)).policy(&name(n), &policy.to_string())
    });
    let gate = plan.start();
    for (n, policy) in policies.iter().enumerate() {
        let client = McpClient::modern(HttpClient::new(gate.url(&name(n))));
        let listed = client.list_tools().await;
        for tool in TOOLS {
            let sent = upstream.requests().len();
            let answer = client.call(tool, json!({})).await;
            let code = answer["result"]["_meta"]["dev.toolgate/decision"]["code"].as_str();
            let ran = answer["result"]["isError"].is_null() && answer["error"].is_null();
            let callable = ran || code == Some("approval.unavailable");
            assert_eq!(listed.iter().any(|listed| listed == tool), callable, "`{tool}` under {policy}: {answer}");
            let calls = upstream
                .requests()
                .split_off(sent)
                .iter()
                .filter(|request| request.json()["method"] == "tools/call")
                .count();
            assert_eq!(calls, usize::from(ran), "`{tool}` under {policy}");
        }
    }
}

//! What holds for every stack of policies.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::stack::{Fake, legacy, modern, plan};

const TOOLS: [&str; 7] = ["a", "ab", "b", "b__a", "_a", "A", "ä"];

fn policy() -> impl Strategy<Value = Value> {
    let pattern = prop::sample::select(vec!["a", "ab", "b*", "*a", "_?", "A", "*", "s0__a"]);
    let action = prop::sample::select(vec!["allow", "allow", "deny", "require_approval", "hide"]);
    let rules = prop::collection::btree_map(pattern, action, 0..4);
    (prop::sample::select(vec!["allow", "deny"]), rules)
        .prop_map(|(default, tools)| json!({ "version": "1", "default": default, "tools": tools }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Vector 76 and 38: a tool is listed under its server's name if and only if a call of it can pass there, and a call reaches no
    /// other server.
    #[test]
    fn listed_if_and_only_if_callable(policies in prop::collection::vec(policy(), 3), page in 1..5_usize) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(agree(&policies, page));
    }
}

async fn agree(policies: &[Value], page: usize) {
    let mut fakes = Vec::new();
    for n in 0..policies.len() {
        fakes.push((format!("s{n}"), Fake::paged(&format!("s{n}"), &[&TOOLS[..3], &TOOLS[3..]]).await));
    }
    let texts: Vec<String> = policies.iter().map(Value::to_string).collect();
    let servers: Vec<_> =
        fakes.iter().zip(&texts).map(|((id, fake), text)| (id.as_str(), fake, text.as_str())).collect();
    let gate = plan(&servers).set("aggregate.page", &page.to_string()).start();
    for client in [modern(&gate), legacy(&gate).await] {
        let (mut listed, mut cursor) = (Vec::new(), json!({}));
        loop {
            let answer = client.request("tools/list", cursor).await;
            let names = super::stack::listed(&answer, "tools", "name");
            assert!(names.len() <= page);
            listed.extend(names);
            let next = &answer["result"]["nextCursor"];
            if next.is_null() {
                break;
            }
            cursor = json!({ "cursor": next });
        }
        for (n, (id, fake)) in fakes.iter().enumerate() {
            for tool in TOOLS {
                let sent: usize = fakes.iter().map(|(_, fake)| crate::gate::called(&fake.recorder).len()).sum();
                let own = crate::gate::called(&fake.recorder).len();
                let joined = format!("{id}__{tool}");
                let answer = client.call(&joined, json!({})).await;
                let code = answer["result"]["_meta"]["dev.toolgate/decision"]["code"].as_str();
                let ran = answer["result"]["isError"].is_null() && answer["error"].is_null();
                let callable = ran || code == Some("approval.unavailable");
                assert_eq!(listed.contains(&joined), callable, "`{joined}` under {}: {answer}", policies[n]);
                assert_eq!(crate::gate::called(&fake.recorder).len() - own, usize::from(ran));
                let all: usize = fakes.iter().map(|(_, fake)| crate::gate::called(&fake.recorder).len()).sum();
                assert_eq!(all - sent, usize::from(ran), "nobody else was called");
            }
        }
        assert_eq!(listed.len(), listed.iter().collect::<std::collections::HashSet<_>>().len());
    }
}

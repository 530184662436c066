//! Lists come in pages.

use serde_json::json;

use crate::stack::{Stack, problem};

#[tokio::test]
async fn pages_hold_everything_once_whoever_manages_it() {
    let upstream = crate::stack::upstream().await;
    let server = |id: &str| format!("[servers.{id}]\nurl = \"{}\"\npolicy = \"policy.json\"\n", upstream.url("/mcp"));
    let stack = Stack::with(&format!("{}{}", server("b"), server("e"))).await;
    for id in ["a", "c", "d", "f"] {
        stack
            .api()
            .make(&format!("/api/v1/servers/{id}"), &json!({ "document": { "url": upstream.url("/mcp") } }))
            .await;
    }
    for limit in [1, 2, 3, 6, 200] {
        let (mut seen, mut more) = (Vec::new(), String::new());
        loop {
            let page = stack.api().get(&format!("/api/v1/servers?limit={limit}{more}")).await.json();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= limit, "{page}");
            seen.extend(
                items
                    .iter()
                    .map(|item| format!("{}{}", item["id"].as_str().unwrap(), item["managed"]["by"].as_str().unwrap())),
            );
            match page["next"].as_str() {
                Some(next) => more = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, ["aapi", "bfile", "capi", "dapi", "efile", "fapi"], "{limit}");
    }
}

#[tokio::test]
async fn what_is_asked_of_a_list_is_checked() {
    let stack = Stack::start().await;
    for (query, path) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("cursor=x", "cursor"),
        ("limit=x", "query"),
        ("order=up", "query"),
    ] {
        for list in ["servers", "agents", "policies", "settings", "admins", "audit"] {
            let refused = problem(&stack.api().get(&format!("/api/v1/{list}?{query}")).await, 422, "invalid");
            assert_eq!(refused["errors"][0]["path"], path, "{list}?{query}");
        }
    }
}

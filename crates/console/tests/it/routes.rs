//! Who may do what, over every route that the OpenAPI document has.

use console::Role;
use serde_json::{Value, json};

use crate::stack::Stack;

/// Written down once more, on purpose: what the code thinks is held against what is meant. A route that is not here fails the test.
const MEANT: &[(&str, &[&str])] = &[
    ("anyone", &["GET /api/v1/openapi.json", "POST /api/v1/login"]),
    (
        "all",
        &[
            "POST /api/v1/logout",
            "GET /api/v1/me",
            "POST /api/v1/me/tokens",
            "GET /api/v1/servers",
            "GET /api/v1/servers/{id}",
            "GET /api/v1/servers/{id}/health",
            "GET /api/v1/agents",
            "GET /api/v1/agents/{id}",
            "GET /api/v1/agents/{id}/tokens",
            "GET /api/v1/agents/{id}/tokens/{token}",
            "GET /api/v1/policies",
            "GET /api/v1/policies/{name}",
            "GET /api/v1/policies/{name}/versions",
            "GET /api/v1/policies/{name}/versions/{number}",
            "GET /api/v1/policies/{name}/diff",
            "POST /api/v1/check",
            "GET /api/v1/credentials",
            "GET /api/v1/credentials/{id}",
            "GET /api/v1/settings",
            "GET /api/v1/settings/{key}",
            "GET /api/v1/approvals",
            "GET /api/v1/approvals/{id}",
            "GET /api/v1/grants",
            "GET /api/v1/grants/{id}",
            "GET /api/v1/audit",
            "GET /api/v1/audit/status",
            "GET /api/v1/events",
        ],
    ),
    (
        "approvers",
        &[
            "POST /api/v1/approvals/{id}/approve",
            "POST /api/v1/approvals/{id}/deny",
            "POST /api/v1/approvals/{id}/grant",
            "DELETE /api/v1/grants/{id}",
        ],
    ),
    (
        "policies",
        &[
            "PUT /api/v1/policies/{name}",
            "DELETE /api/v1/policies/{name}",
            "POST /api/v1/policies/{name}/versions",
            "POST /api/v1/policies/{name}/activate",
        ],
    ),
    (
        "admins",
        &[
            "PUT /api/v1/servers/{id}",
            "DELETE /api/v1/servers/{id}",
            "PUT /api/v1/agents/{id}",
            "DELETE /api/v1/agents/{id}",
            "POST /api/v1/agents/{id}/tokens",
            "DELETE /api/v1/agents/{id}/tokens/{token}",
            "POST /api/v1/agents/{id}/tokens/{token}/rotate",
            "PUT /api/v1/credentials/{id}",
            "DELETE /api/v1/credentials/{id}",
            "PUT /api/v1/settings/{key}",
            "DELETE /api/v1/settings/{key}",
            "GET /api/v1/admins",
            "GET /api/v1/admins/{name}",
            "PUT /api/v1/admins/{name}",
            "DELETE /api/v1/admins/{name}",
            "GET /api/v1/admins/{name}/tokens",
            "POST /api/v1/admins/{name}/tokens",
            "DELETE /api/v1/admins/{name}/tokens/{token}",
            "POST /api/v1/admins/{name}/links",
        ],
    ),
];

fn meant(route: &str) -> &'static str {
    let found = MEANT.iter().find(|(_, routes)| routes.contains(&route));
    found.unwrap_or_else(|| panic!("nobody said who may use `{route}`")).0
}

fn may(whom: &str, role: Option<Role>) -> bool {
    match (whom, role) {
        ("anyone", _) | ("all", Some(_)) | (_, Some(Role::Admin)) => true,
        ("policies", Some(Role::PolicyManager)) | ("approvers", Some(Role::Approver)) => true,
        (_, None) => false,
        (_, Some(Role::Viewer | Role::Approver | Role::PolicyManager)) => false,
    }
}

fn routes(document: &Value) -> Vec<(String, String)> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| {
        let methods: Vec<_> =
            item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())).collect();
        methods
    };
    paths.iter().flat_map(of).collect()
}

#[tokio::test]
async fn every_role_may_use_what_is_meant_for_it_and_nothing_else() {
    let stack = Stack::start().await;
    let document = stack.nobody().get("/api/v1/openapi.json").await.json();
    let routes = routes(&document);
    assert!(routes.len() > 40, "{}", routes.len());
    let mut callers = vec![(None, stack.nobody())];
    for role in Role::ALL {
        callers.push((Some(role), stack.as_token(&stack.token(&format!("a{}", role as u8), role).await)));
    }
    for (method, path) in &routes {
        let whom = meant(&format!("{method} {path}"));
        let at = ["{id}", "{name}", "{key}", "{token}", "{number}"]
            .iter()
            .fold(path.clone(), |at, part| at.replace(part, "7"));
        for (role, api) in &callers {
            let api = api.seen("\"0\"").with("content-type", "application/json");
            let status = api.reply(method, &at, Some("{}").filter(|_| method != "GET")).await.status;
            let refused = matches!(status, 401 | 403);
            assert_eq!(refused, !may(whom, *role), "{method} {at} as {role:?}: {status}");
            assert_ne!(status, 405, "{method} {at}: no rule");
            assert!(status < 500, "{method} {at} as {role:?}: {status}");
            if role.is_none() && refused {
                assert_eq!(status, 401, "{method} {at}");
            }
        }
    }
    let said: usize = MEANT.iter().map(|(_, routes)| routes.len()).sum();
    assert_eq!(said, routes.len(), "what is meant for routes that are not there");
}

#[tokio::test]
async fn an_agents_token_opens_nothing_here_and_an_admins_nothing_there() {
    let stack = Stack::start().await;
    stack.api().make("/api/v1/agents/a", &crate::stack::agent()).await;
    let token =
        stack.api().post("/api/v1/agents/a/tokens", &json!({})).await.json()["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("tg_"), "{token}");
    assert_eq!(stack.as_token(&token).get("/api/v1/me").await.status, 401);
    let id = crate::asking::waits(&stack, crate::asking::asked("{}")).await;
    let approve = format!("/api/v1/approvals/{id}/approve");
    assert_eq!(stack.as_token(&token).post(&approve, &json!({})).await.status, 401, "no agent approves");
    assert_eq!(stack.call("s", &stack.root, "allowed_tool").await.status, 401);
}

#[tokio::test]
async fn the_document_describes_what_is_there() {
    let stack = Stack::start().await;
    let document = stack.nobody().get("/api/v1/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let put = &document["paths"]["/api/v1/agents/{id}"]["put"];
    let headers: Vec<&str> =
        put["parameters"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(headers, ["id", "If-Match", "If-None-Match"]);
    assert!(put["responses"]["412"].is_object() && put["responses"]["428"].is_object());
    assert_eq!(document["paths"]["/api/v1/login"]["post"]["security"], json!([]));
}

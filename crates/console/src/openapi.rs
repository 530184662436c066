//! The OpenAPI document. What the table of roles says of a route is written into it here, so that it cannot say anything else.

use serde_json::{Value, json};
use utoipa::openapi::OpenApi;

use crate::page::MAX_LIMIT;
use crate::problem::Code;
use crate::roles::{Care, RULES, Rule, Who};

/// The document as it is served.
#[expect(
    clippy::indexing_slicing,
    reason = "an OpenAPI document is made of objects, and in those a member that is missing is made"
)]
pub(crate) fn document(described: &OpenApi) -> Result<Value, serde_json::Error> {
    let mut document = serde_json::to_value(described)?;
    document["info"] = json!({
        "title": "Toolgate admin API",
        "description": "Servers, agents, policies and who manages them. docs/api.md has what these pages cannot say.",
        "version": "1",
        "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
    });
    document["components"]["securitySchemes"] = json!({
        "token": { "type": "http", "scheme": "bearer", "description": "An admin's token, `tga_…`" },
        "session": {
            "type": "apiKey", "in": "cookie", "name": "toolgate_session",
            "description": "What a login gives. Every request that is not a GET also needs `X-CSRF-Token`. Over TLS the cookie's name begins with `__Host-`",
        },
    });
    for rule in RULES {
        let method = rule.method.as_str().to_ascii_lowercase();
        let item = document.get_mut("paths").and_then(|paths| paths.get_mut(rule.path));
        if let Some(operation) = item.and_then(|item| item.get_mut(&method)) {
            complete(operation, rule);
        }
    }
    Ok(document)
}

#[expect(
    clippy::indexing_slicing,
    reason = "an OpenAPI document is made of objects, and in those a member that is missing is made"
)]
fn complete(operation: &mut Value, rule: &Rule) {
    let body = operation.get("requestBody").is_some();
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let places: Vec<&str> = parameters.iter().filter_map(|parameter| parameter["in"].as_str()).collect();
    let mut codes = vec![Code::Malformed, Code::Internal, Code::Timeout, Code::StoreUnavailable];
    let (in_path, in_query) = (places.contains(&"path"), places.contains(&"query"));
    if in_path {
        codes.push(Code::NotFound);
    }
    if in_path || in_query || body {
        codes.push(Code::Invalid);
    }
    if body {
        codes.extend([Code::Slow, Code::TooLarge, Code::MediaType]);
    }
    match rule.who {
        Who::Anyone => {
            operation["security"] = json!([]);
        }
        Who::SignedIn | Who::Approvers | Who::Policies | Who::Admins => {
            codes.extend([Code::Unauthenticated, Code::Forbidden]);
            operation["security"] = json!([{ "token": [] }, { "session": [] }]);
        }
    }
    if !matches!(rule.care, Care::Plain) {
        codes.extend([Code::Exists, Code::Invalid, Code::AuditUnavailable]);
    }
    let mut parameters = parameters;
    if matches!(rule.care, Care::Version | Care::VersionOrNew | Care::VersionAndKey) {
        codes.extend([Code::Stale, Code::PreconditionRequired]);
        parameters.push(header("If-Match", "The `ETag` of what is meant, or `*`. Without it: 428"));
    }
    if matches!(rule.care, Care::VersionOrNew) {
        parameters.push(header("If-None-Match", "`*` to create"));
    }
    if matches!(rule.care, Care::Key | Care::VersionAndKey) {
        let text = "Up to 128 characters of your choice: the same request with the same key is carried out once, and answered alike for a day";
        parameters.push(header("Idempotency-Key", text));
    }
    if rule.path == "/api/v1/login" {
        codes.extend([Code::Unauthenticated, Code::TooManyFailures, Code::AuditUnavailable]);
    }
    // A grant is revoked on record, and whichever version it has.
    if rule.path == "/api/v1/grants/{id}" {
        codes.push(Code::AuditUnavailable);
    }
    // Of a policy that is a file's, no versions are kept.
    if rule.path.starts_with("/api/v1/policies/{name}/") {
        codes.push(Code::ManagedByFile);
    }
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    for code in codes {
        let status = code.status();
        let response = &mut operation["responses"][status.as_str()];
        if response.is_null() {
            *response = json!({
                "description": status.canonical_reason().unwrap_or_default(),
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            });
        }
    }
}

/// None of them is required as schemas mean it: what is missing has a status of its own.
fn header(name: &str, description: &str) -> Value {
    json!({ "name": name, "in": "header", "description": description, "required": false, "schema": { "type": "string", "minLength": 1, "maxLength": MAX_LIMIT } })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::document;
    use crate::roles::RULES;

    /// Pages for people, which are no part of the API.
    const PAGES: [&str; 6] =
        ["/login", "/login.js", "/approvals/{id}", "/approvals/{id}/look", "/approval.css", "/approval.js"];

    #[test]
    fn every_route_has_a_rule_and_every_rule_a_route() {
        let document = document(&crate::api::described().into_openapi()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let mut described = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                described.insert((method.to_uppercase(), path.clone()));
            }
        }
        let rules = RULES.iter().filter(|rule| !PAGES.contains(&rule.path));
        let rules: BTreeSet<_> = rules.map(|rule| (rule.method.to_string(), rule.path.to_owned())).collect();
        assert_eq!(described, rules);
    }

    #[test]
    fn all_that_is_referred_to_is_there() {
        let document = document(&crate::api::described().into_openapi()).unwrap();
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }
}

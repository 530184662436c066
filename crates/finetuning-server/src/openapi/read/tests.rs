//! What documents become, and what is wrong with those that become nothing.

use super::*;

fn v1() -> ApiSurface {
    ApiSurface::V1
}

/// `name METHOD segments` of each operation.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let document = document(text, &v1()).unwrap();
    let shown = document.operations.values().map(|operation| {
        let segment = |segment: &Segment| match segment {
            Segment::Literal(text) => text.clone(),
            Segment::Parameter(name) => format!("<{name}>"),
        };
        let path: Vec<String> = operation.segments.iter().map(segment).collect();
        format!("{} {} {}", operation.name, operation.method, path.join("/"))
    });
    assert_eq!(shown.collect::<Vec<_>>(), expected);
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let found = document(text, &v1()).map(drop).unwrap_err().to_string();
    assert!(found.contains(expected), "{found}");
}

#[test]
fn names_and_paths() {
    check(
        "servers: [{url: '{azure_endpoint}/openai', variables: {azure_endpoint: {default: x}}}]\n\
         paths: {/files: {get: {operationId: list-all.files}, post: {deprecated: true}}}",
        &["list_all_files GET openai/files"],
    );
    check(
        "servers: [{url: 'https://elsewhere.example/base/'}]\npaths: {/a: {delete: {}}}",
        &["delete_a DELETE base/a"],
    );
    check("{\"swagger\":\"2.0\",\"basePath\":\"/b\",\"paths\":{\"/a\":{\"get\":{}}}}", &["get_a GET b/a"]);
    let needs_header = "paths: {/a: {get: {parameters: [{name: x-h, in: header, required: true}]}}}";
    check(needs_header, &[]);
}

#[test]
fn the_built_in_document_follows_the_surface() {
    let path = |surface: &str| {
        let document = Document::built_in(&surface.parse().unwrap()).unwrap();
        let operation = &document.operations["getFineTuningJob"];
        (operation.segments.len(), operation.api_version.clone())
    };
    assert_eq!(path("v1"), (5, None));
    assert_eq!(path("preview"), (5, Some("preview".to_owned())));
    assert_eq!(path("2024-10-21"), (4, Some("2024-10-21".to_owned())));
}

#[test]
fn an_operation_that_refers_to_itself_is_left_out_alone() {
    let text = "x: {a: {$ref: '#/x/a'}, tree: {properties: {left: {$ref: '#/x/tree'}, right: {$ref: '#/x/tree'}}}}\n\
         paths: {/a: {get: {parameters: [{$ref: '#/x/a'}]}, post: {operationId: grow-tree, requestBody: {content: \
         {application/json: {schema: {$ref: '#/x/tree'}}}}}}, /b: {get: {parameters: [{name: q, in: query}]}}}";
    check(text, &["get_b GET b"]);
    assert_eq!(document(text, &v1()).unwrap().left_out, ["get_a", "grow_tree"]);
}

#[test]
fn what_cannot_be_used() {
    refused("a: [", "neither YAML nor JSON");
    refused("{}", "no `paths`");
    refused("paths: {/a: {get: {operationId: x}}, /b: {get: {operationId: x}}}", "two operations are called `x`");
    refused("paths: {'/a/{id}': {get: {}}}", "the parameter `{id}` of `/a/{id}` is not described");
    refused("paths: {'/a/../b': {get: {}}}", "has a part that cannot be a path's");
    refused("paths: {'/a{id}b': {get: {}}}", "has a part that cannot be a path's");
    let with = |reference: &str| format!("paths: {{/a: {{get: {{parameters: [{{$ref: '{reference}'}}]}}}}}}");
    refused(&with("https://example.com/x"), "only references into the document itself");
    refused(&with("#/none"), "does not exist");
    let ten = |of: usize| format!("[{}]", vec![format!("{{$ref: '#/x/{of}'}}"); 10].join(","));
    let many: Vec<String> = (0..12).map(|of| format!("'{of}': {{allOf: {}}}", ten(of + 1))).collect();
    refused(
        &format!("x: {{{}, '12': {{}}}}\npaths: {{/a: {{get: {{requestBody: {{$ref: '#/x/0'}}}}}}}}", many.join(",")),
        "too large, once their references are written out",
    );
    refused(
        "paths: {/a: {get: {parameters: [{name: q, in: query, schema: {type: nonsense}}]}}}",
        "make no JSON Schema",
    );
}

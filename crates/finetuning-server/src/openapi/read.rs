//! Reads a document: OpenAPI 3, or Swagger 2 as far as they are alike.

use std::cell::Cell;
use std::collections::BTreeMap;

use azure_finetuning::{ApiSurface, HttpMethod};
use serde_json::{Map, Value, json};

use super::operation::{Operation, Parameter, Segment};
use super::{Document, InvalidDocument};

const METHODS: [(&str, HttpMethod); 5] = [
    ("get", HttpMethod::GET),
    ("post", HttpMethod::POST),
    ("put", HttpMethod::PUT),
    ("patch", HttpMethod::PATCH),
    ("delete", HttpMethod::DELETE),
];
const DEEPEST: u32 = 48;
const MOST: usize = 2_000;
/// Values of all operations together, once what references stand for is written out.
const LARGEST: usize = 1_000_000;
/// For documents of the dated surface, when neither they nor the settings name a version.
const VERSION: &str = "2024-10-21";

/// What is read, and how much of it may still be written out.
struct Source {
    root: Value,
    left: Cell<usize>,
}

pub(super) fn document(text: &str, surface: &ApiSurface) -> Result<Document, InvalidDocument> {
    let root: Value = serde_saphyr::from_str(text).map_err(|error| InvalidDocument::Syntax(error.to_string()))?;
    let source = Source { root, left: Cell::new(LARGEST) };
    let root = &source.root;
    let base = base(root);
    let paths = root.get("paths").and_then(Value::as_object).ok_or(InvalidDocument::NoPaths)?;
    let (mut operations, mut left_out) = (BTreeMap::new(), Vec::new());
    for (path, item) in paths {
        let item = resolved(root, item, path)?;
        for (key, method) in &METHODS {
            let Some(operation) = item.get(*key) else { continue };
            let operation = resolved(root, operation, path)?;
            if operation.get("deprecated") == Some(&Value::Bool(true)) {
                continue;
            }
            let name = name_of(&operation, method, path);
            let left = source.left.get();
            let operation = match one(&source, &base, path, method, &item, &operation, surface) {
                Ok(Some(operation)) => operation,
                Ok(None) => continue,
                Err(why @ InvalidDocument::Recursive { .. }) => {
                    tracing::warn!(operation = name, %why, "an operation of the OpenAPI document is left out");
                    source.left.set(left);
                    left_out.push(name);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if operations.len() >= MOST {
                return Err(InvalidDocument::TooMany(MOST));
            }
            if let Some(other) = operations.insert(operation.name.clone(), operation) {
                return Err(InvalidDocument::Twice(other.name));
            }
        }
    }
    Ok(Document { operations, left_out })
}

/// The path of the server, whose host is not ours to choose.
fn base(root: &Value) -> String {
    let server = root.pointer("/servers/0");
    let url =
        server.and_then(|server| server.get("url")).or(root.get("basePath")).and_then(Value::as_str).unwrap_or("");
    // `{azure_endpoint}/path`, `https://host/path` or `/path`.
    let path = match (url.strip_prefix('{'), url.split_once("://")) {
        (Some(rest), _) => rest.split_once('}').map_or("", |(_, path)| path),
        (None, Some((_, rest))) => rest.split_once('/').map_or("", |(_, path)| path),
        (None, None) => url,
    };
    let variables = server.and_then(|server| server.get("variables")).and_then(Value::as_object);
    let filled = variables.into_iter().flatten().fold(path.to_owned(), |path, (name, variable)| {
        let default = variable.get("default").and_then(Value::as_str).unwrap_or_default();
        path.replace(&format!("{{{name}}}"), default)
    });
    filled.trim_matches('/').to_owned()
}

/// None for an operation that cannot be called without a header of the caller's choice: headers are ours.
fn one(
    source: &Source,
    base: &str,
    path: &str,
    method: &HttpMethod,
    item: &Value,
    operation: &Value,
    surface: &ApiSurface,
) -> Result<Option<Operation>, InvalidDocument> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str);
    let name = name_of(operation, method, path);
    let at = format!("{method} {path}");
    let (mut properties, mut required) = (Map::new(), Vec::new());
    let (mut parameters, mut version): (Vec<Parameter>, Option<Option<String>>) = (Vec::new(), None);
    let listed = [operation, item].into_iter().filter_map(|of| of.get("parameters").and_then(Value::as_array));
    for parameter in listed.flatten() {
        let parameter = inlined(source, parameter, &at, &Within::default())?;
        let field = |name: &str| parameter.get(name).and_then(Value::as_str).unwrap_or_default();
        let (name, place) = (field("name").to_owned(), field("in"));
        let is_required = place == "path" || parameter.get("required") == Some(&Value::Bool(true));
        let schema = schema_of(&parameter);
        if name == "api-version" {
            let default = schema.get("default").and_then(Value::as_str).map(str::to_owned);
            version.get_or_insert(default);
            continue;
        }
        match place {
            "path" | "query" if !parameters.iter().any(|known| known.name == name) => {
                parameters.push(Parameter { name, is_in_path: place == "path", is_required, schema });
            }
            "body" => {
                properties.insert("body".to_owned(), schema);
                required.extend(is_required.then(|| "body".to_owned()));
            }
            "path" | "query" => {}
            _ if is_required => return Ok(None),
            _ => {}
        }
    }
    if let Some(body) = operation.get("requestBody") {
        let body = inlined(source, body, &at, &Within::default())?;
        properties
            .insert("body".to_owned(), body.pointer("/content/application~1json/schema").cloned().unwrap_or(json!({})));
        required.extend((body.get("required") == Some(&Value::Bool(true))).then(|| "body".to_owned()));
    }
    let segments = segments(base, path)?;
    for segment in &segments {
        if let Segment::Parameter(name) = segment
            && !parameters.iter().any(|parameter| parameter.is_in_path && parameter.name == *name)
        {
            return Err(InvalidDocument::Undescribed { name: name.clone(), path: path.to_owned() });
        }
    }
    for parameter in &parameters {
        properties.insert(parameter.name.clone(), parameter.schema.clone());
        required.extend(parameter.is_required.then(|| parameter.name.clone()));
    }
    let schema =
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
    let validator =
        crate::server::validator(&schema).map_err(|why| InvalidDocument::Schema { name: name.clone(), why })?;
    let description = text("summary").or(text("description")).unwrap_or_default().to_owned();
    let api_version = api_version(&segments, version.flatten(), surface);
    let (method, path) = (method.clone(), path.to_owned());
    Ok(Some(Operation { name, method, path, segments, description, parameters, api_version, schema, validator }))
}

/// The v1 surface needs none; elsewhere the settings decide, then the document, then we.
fn api_version(segments: &[Segment], default: Option<String>, surface: &ApiSurface) -> Option<String> {
    let literal = |text: &str| Some(Segment::Literal(text.to_owned()));
    let is_v1 = segments.first().cloned() == literal("openai") && segments.get(1).cloned() == literal("v1");
    if is_v1 {
        return (*surface == ApiSurface::V1Preview).then(|| "preview".to_owned());
    }
    if let ApiSurface::Dated(version) = surface {
        return Some(version.as_str().to_owned());
    }
    Some(default.unwrap_or_else(|| VERSION.to_owned()))
}

fn segments(base: &str, path: &str) -> Result<Vec<Segment>, InvalidDocument> {
    let segment = |text: &str| {
        let parameter = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let is_clean = |text: &str| {
            !text.is_empty() && !text.contains(['{', '}', '?', '#', '%', '\\']) && text != "." && text != ".."
        };
        match parameter {
            Some(name) if is_clean(name) => Ok(Segment::Parameter(name.to_owned())),
            None if is_clean(text) => Ok(Segment::Literal(text.to_owned())),
            _ => Err(InvalidDocument::Path(path.to_owned())),
        }
    };
    let whole = format!("{base}/{}", path.trim_start_matches('/'));
    whole.trim_matches('/').split('/').map(segment).collect()
}

fn name_of(operation: &Value, method: &HttpMethod, path: &str) -> String {
    let given = operation.get("operationId").and_then(Value::as_str);
    sanitised(given.unwrap_or(&format!("{method}_{path}").to_lowercase()))
}

/// Runs of anything but letters, digits and `_` become one `_`.
fn sanitised(name: &str) -> String {
    let mut clean = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '_' => clean.push(c),
            _ if !clean.ends_with('_') => clean.push('_'),
            _ => {}
        }
    }
    clean.trim_matches('_').to_owned()
}

/// OpenAPI 3 has a `schema`, Swagger 2 writes its members beside the others.
fn schema_of(parameter: &Value) -> Value {
    let mut schema = match parameter.get("schema") {
        Some(schema) => schema.clone(),
        None => {
            let kept = [
                "type",
                "format",
                "enum",
                "pattern",
                "minimum",
                "maximum",
                "minLength",
                "maxLength",
                "default",
                "items",
            ];
            let kept = kept.iter().filter_map(|name| Some(((*name).to_owned(), parameter.get(*name)?.clone())));
            Value::Object(kept.collect())
        }
    };
    if let (Some(members), Some(description)) = (schema.as_object_mut(), parameter.get("description")) {
        members.entry("description").or_insert(description.clone());
    }
    schema
}

/// What a reference at the top of a value stands for.
fn resolved(root: &Value, value: &Value, at: &str) -> Result<Value, InvalidDocument> {
    let mut value = value;
    for _ in 0..DEEPEST {
        let Some(target) = value.get("$ref").and_then(Value::as_str) else { return Ok(value.clone()) };
        value = target_of(root, target, at)?;
    }
    Err(InvalidDocument::TooDeep(at.to_owned()))
}

fn target_of<'r>(root: &'r Value, target: &str, at: &str) -> Result<&'r Value, InvalidDocument> {
    let (at, owned) = (at.to_owned(), target.to_owned());
    match target.strip_prefix('#') {
        Some(pointer) => root.pointer(pointer).ok_or(InvalidDocument::DeadReference { at, target: owned }),
        None => Err(InvalidDocument::ForeignReference { at, target: owned }),
    }
}

/// Where a value stands: how deep, and inside which references.
#[derive(Clone, Copy, Default)]
struct Within<'w> {
    depth: u32,
    reference: Option<(&'w str, &'w Within<'w>)>,
}

impl Within<'_> {
    fn has(&self, target: &str) -> bool {
        self.reference.is_some_and(|(reference, outside)| reference == target || outside.has(target))
    }
}

/// A value with all its references replaced by what they stand for.
fn inlined(source: &Source, value: &Value, at: &str, within: &Within<'_>) -> Result<Value, InvalidDocument> {
    if within.depth > DEEPEST {
        return Err(InvalidDocument::TooDeep(at.to_owned()));
    }
    let deeper = Within { depth: within.depth + 1, ..*within };
    // Ten references to what has ten references, and so on: a small document can stand for a large one.
    let left = source.left.get().checked_sub(1).ok_or_else(|| InvalidDocument::TooLarge(at.to_owned()))?;
    source.left.set(left);
    match value {
        Value::Object(members) => match members.get("$ref").and_then(Value::as_str) {
            Some(target) if within.has(target) => {
                Err(InvalidDocument::Recursive { at: at.to_owned(), target: target.to_owned() })
            }
            Some(target) => {
                let inside = Within { reference: Some((target, within)), ..deeper };
                inlined(source, target_of(&source.root, target, at)?, at, &inside)
            }
            None => {
                let inline =
                    |(name, value): (&String, &Value)| Ok((name.clone(), inlined(source, value, at, &deeper)?));
                members.iter().map(inline).collect::<Result<Map<_, _>, _>>().map(Value::Object)
            }
        },
        Value::Array(items) => {
            let items = items.iter().map(|item| inlined(source, item, at, &deeper));
            items.collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
    }
}

#[cfg(test)]
mod tests;

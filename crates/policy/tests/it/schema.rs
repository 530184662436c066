//! The published JSON Schemas: they never refuse what the reader accepts, and refuse most of what it refuses.

use std::path::{Path, PathBuf};
use std::{env, fs};

use jsonc_parser::tokens::Token;
use jsonc_parser::{CollectOptions, CommentCollectionStrategy, ParseOptions, parse_to_ast};
use jsonschema::Validator;
use policy::{Catalogue, Policy};
use serde_json::{Value, json};

use crate::generator::{Random, seed};

const ROUNDS: usize = 8_000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn validator() -> Validator {
    jsonschema::draft202012::new(&policy::schema()).unwrap()
}

/// The text without its comments, as JSON.
pub(crate) fn json_of(text: &str) -> Value {
    let collect = CollectOptions { comments: CommentCollectionStrategy::AsTokens, tokens: true };
    let tokens = parse_to_ast(text, &collect, &ParseOptions::default()).unwrap().tokens.unwrap();
    let mut bytes = text.as_bytes().to_vec();
    for token in tokens.iter().filter(|token| matches!(token.token, Token::CommentLine(_) | Token::CommentBlock(_))) {
        bytes[token.range.start..token.range.end].fill(b' ');
    }
    serde_json::from_slice(&bytes).unwrap()
}

#[track_caller]
fn valid(validator: &Validator, document: &Value, what: &str) {
    let errors = validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path()));
    let errors = errors.collect::<Vec<_>>();
    assert!(errors.is_empty(), "{what}\n{errors:#?}\n{document}");
}

/// By the reader, with a catalogue at hand.
fn read(name: &str, text: &str) -> bool {
    let catalogue = Catalogue::parse("catalog.json", r#"{ "version": "1", "tools": {} }"#).unwrap();
    Policy::parse_with(name, text, &catalogue).is_ok()
}

#[test]
fn what_is_published_is_what_the_reader_goes_by() {
    for (name, schema, how) in [
        ("policy.v1.schema.json", policy::schema(), "cargo run -- schema > docs/schema/policy.v1.schema.json"),
        ("catalog.v1.schema.json", policy::catalogue_schema(), "UPDATE_SCHEMA=1 cargo test -p policy schema"),
    ] {
        jsonschema::draft202012::meta::validate(&schema).unwrap();
        let file = root().join("docs/schema").join(name);
        if env::var_os("UPDATE_SCHEMA").is_some() {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, format!("{schema:#}\n")).unwrap();
        }
        let published = fs::read_to_string(&file).unwrap_or_default();
        let published = serde_json::from_str::<Value>(&published).unwrap_or_default();
        assert!(published == schema, "docs/schema/{name} is out of step. Run `{how}`, or set UPDATE_SCHEMA=1");
    }
}

/// An editor shows the description where the pointer rests, so none is missing.
#[test]
fn every_key_is_described() {
    fn look(schema: &Value, place: &str, all: &Value) {
        for (key, schema) in schema.as_object().into_iter().flatten() {
            let place = format!("{place}/{key}");
            look(schema, &place, all);
            for (name, property) in schema.as_object().into_iter().flatten().filter(|_| key == "properties") {
                let reference = property["$ref"].as_str().map(|to| &all["$defs"][to.trim_start_matches("#/$defs/")]);
                let is_described =
                    [Some(property), reference].into_iter().flatten().any(|at| at["description"].is_string());
                let is_a_class = place.contains("/categories/") || place.contains("/risks/");
                assert!(is_described || is_a_class || place.contains("/allOf/"), "{place}/{name} has no description");
            }
        }
        schema.as_array().into_iter().flatten().for_each(|schema| look(schema, place, all));
    }
    for schema in [policy::schema(), policy::catalogue_schema()] {
        look(&schema, "", &schema);
    }
}

#[test]
fn shipped_policies_and_catalogues_are_valid_and_say_so() {
    let schemas = [
        ("policy.json", "policy.v1.schema.json", policy::schema()),
        ("catalog.json", "catalog.v1.schema.json", policy::catalogue_schema()),
    ];
    for (name, published, schema) in schemas {
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let folders = fs::read_dir(root().join("policies")).unwrap().map(|entry| entry.unwrap().path());
        let files = folders.map(|folder| folder.join(name)).filter(|file| file.exists()).inspect(|file| {
            let text = fs::read_to_string(file).unwrap();
            let first = format!("{{\n  \"$schema\": \"../../docs/schema/{published}\",\n");
            assert!(text.starts_with(&first), "{file:?} does not start with {first}");
            valid(&validator, &json_of(&text), &file.display().to_string());
        });
        assert!(files.count() >= 1);
    }
}

#[test]
fn the_examples_of_the_language_are_valid() {
    let validator = validator();
    let examples = crate::page::examples();
    for example in examples.iter().chain(&[include_str!("data/example.jsonc")]) {
        valid(&validator, &json_of(example), "the page");
    }
    for example in validator_examples(&policy::schema()) {
        assert!(read("policy.json", &example.to_string()), "{example}");
    }
}

fn validator_examples(schema: &Value) -> Vec<Value> {
    schema["examples"].as_array().unwrap().clone()
}

#[test]
fn a_policy_in_yaml_is_valid() {
    let text = "version: '1'\ntools:\n  a: { rate_limit: 5/minute }\n  b:\n    limits: [{ max: 0.5, window: 1m }]\n";
    assert!(read("policy.yaml", text));
    valid(&validator(), &serde_saphyr::from_str::<Value>(text).unwrap(), text);
}

#[test]
fn what_the_reader_refuses_is_mostly_invalid() {
    let validator = validator();
    let check = |document: &str, reader: bool| {
        let value = serde_json::from_str::<Value>(document).unwrap();
        assert!(!validator.is_valid(&value), "the schema lets pass {document}");
        assert!(!reader || !read("policy.json", document), "the reader lets pass {document}");
    };
    let root = |members: &str| check(&format!(r#"{{ "version": "1", {members} }}"#), true);
    let rule = |rule: &str| root(&format!(r#""tools": {{ "t": {rule} }}"#));
    let limit = |limit: &str| rule(&format!(r#"{{ "limits": [{limit}] }}"#));
    let condition = |condition: &str| rule(&format!(r#"{{ "require": [{{ "conditions": [{condition}] }}] }}"#));
    for text in ["{}", "[]", "null", r#"{ "version": 1 }"#, r#"{ "version": "2" }"#] {
        check(text, true);
    }
    for members in [
        r#""tool": {}"#,
        r#""default": "permit""#,
        r#""default": null"#,
        r#""mode": "audit""#,
        r#""hide": "a""#,
        r#""hide": [""]"#,
        r#""hide": ["a\u0007"]"#,
        r#""tools": []"#,
        r#""tools": { "": {} }"#,
        r#""all_tools": 1"#,
        r#""$schema": 1"#,
        r#""description": ["a"]"#,
        r#""categories": { "Money": {} }"#,
        r#""risks": { "high": {} }"#,
        r#""reverse": { "tools": "allow" }"#,
        r#""reverse": { "roots": true }"#,
    ] {
        root(members);
    }
    for text in [
        "true",
        "null",
        r#""Deny""#,
        r#"{ "acton": "deny" }"#,
        r#"{ "action": "block" }"#,
        r#"{ "reason": 1 }"#,
        r#"{ "mode": "enforce" }"#,
        r#"{ "except": ["a", 1] }"#,
        r#"{ "approval": [] }"#,
        r#"{ "approval": { "aprovers": [] } }"#,
        r#"{ "approval": { "quorum": 0 } }"#,
        r#"{ "approval": { "self_approval": "no" } }"#,
        r#"{ "approval": { "timeout": "soon" } }"#,
        r#"{ "require": {} }"#,
        r#"{ "require": [{}] }"#,
        r#"{ "deny_if": [{ "conditions": {} }] }"#,
        r#"{ "approve_if": [{ "conditions": [], "reason": "" }] }"#,
        r#"{ "rate_limit": 10 }"#,
        r#"{ "rate_limit": "10" }"#,
        r#"{ "rate_limit": "0/minute" }"#,
        r#"{ "rate_limit": "1.5/minute" }"#,
        r#"{ "rate_limit": "5/second" }"#,
        r#"{ "rate_limit": { "max": 1, "window": 1, "per": "agent" } }"#,
        r#"{ "rate_limit": ["1/minute", []] }"#,
        r#"{ "limits": ["1/minute"] }"#,
    ] {
        rule(text);
    }
    for text in [
        "{}",
        r#"{ "max": 1 }"#,
        r#"{ "max": 0, "window": 1 }"#,
        r#"{ "max": 1e99, "window": 1 }"#,
        r#"{ "max": "1", "window": 1 }"#,
        r#"{ "max": 1, "window": 0 }"#,
        r#"{ "max": 1, "window": 0.5 }"#,
        r#"{ "max": 1, "window": "0s" }"#,
        r#"{ "max": 1, "window": "hourly" }"#,
        r#"{ "max": 1, "window": 31622401 }"#,
        r#"{ "max": 1, "window": 1, "burst": 2 }"#,
        r#"{ "max": 1, "window": 1, "per": "user" }"#,
        r#"{ "max": 1, "window": 1, "per": "agent", "scope": "grant" }"#,
        r#"{ "max": 1, "window": 1, "algorithm": "gcra" }"#,
        r#"{ "max": 1, "window": 1, "cost": 0 }"#,
        r#"{ "max": 1, "window": 1, "cost": "agent.id" }"#,
        r#"{ "max": 1, "window": 1, "cost": "args.a[*].b" }"#,
        r#"{ "max": 1, "window": 1, "counter": "" }"#,
        r#"{ "max": 1, "window": 1, "counter": "/tools" }"#,
    ] {
        limit(text);
    }
    for text in [
        "[]",
        "{}",
        r#"{ "not": [] }"#,
        r#"{ "any": {} }"#,
        r#"{ "any": [], "all": [] }"#,
        r#"{ "none": [] }"#,
        r#"{ "path": "args.a", "op": "eq" }"#,
        r#"{ "path": "args.a", "op": "equals", "value": 1 }"#,
    ] {
        condition(text);
    }
    for path in ["", "args", "arg.a", "args.", "args..a", "args.*", "args.a[0]", "args.a b", "args[*]a", "args['a']"] {
        condition(&json!({ "path": path, "op": "exists", "value": true }).to_string());
    }
    for path in ["agent", "agent.labels", "agent.labels.a.b", "tool.names", "time.minute", "state.t.c", "time().hour"] {
        condition(&json!({ "path": path, "op": "exists", "value": true }).to_string());
    }
    condition(&json!({ "path": format!("args{}", ".a".repeat(65)), "op": "exists", "value": true }).to_string());
    for (op, value) in [
        ("lt", json!("1")),
        ("in", json!("a")),
        ("exists", json!(1)),
        ("starts_with", json!(["a"])),
        ("regex", json!(1)),
        ("path_within", json!(1)),
        ("path_within", json!("")),
        ("url_host_in", json!("a")),
        ("url_host_in", json!(["https://a.b/"])),
        ("type", json!("float")),
        ("len_lt", json!(1.5)),
        ("len_gte", json!(-1)),
    ] {
        condition(&json!({ "path": "args.a", "op": op, "value": value }).to_string());
    }
}

#[test]
fn catalogues() {
    let validator = jsonschema::draft202012::new(&policy::catalogue_schema()).unwrap();
    let check = |tool: Value, expected: bool| {
        for name in ["a", "é b", "a*", ""] {
            let document = json!({ "version": "1", "tools": { name: tool } });
            let expected = expected && name != "a*" && !name.is_empty();
            assert_eq!(validator.is_valid(&document), expected, "{document}");
            assert_eq!(Catalogue::parse("catalog.json", &document.to_string()).is_ok(), expected, "{document}");
        }
    };
    check(json!({ "category": "Read", "risk": "Low", "evidence": ["a"], "confidence": 0.9 }), true);
    check(
        json!({ "category": "Read", "risk": "Low", "evidence": "a", "confidence": "high", "reviewed_by": "b" }),
        true,
    );
    check(json!({ "category": "read", "risk": "Low" }), false);
    check(json!({ "category": "Read" }), false);
    check(json!({ "category": "Read", "risk": "Low", "owner": "x" }), false);
    check(json!({ "category": "Read", "risk": "Low", "confidence": true }), false);
}

/// What may stand somewhere in a policy, and what almost may.
const WORDS: [&str; 36] = [
    "allow",
    "deny",
    "hide",
    "shadow",
    "enforce",
    "grant",
    "agent",
    "smooth",
    "integer",
    "exists",
    "path_within",
    "in",
    "len_lt",
    "10/minute",
    "010/01s",
    "5/fortnight",
    "1d",
    "0s",
    "366d",
    "minute",
    "second",
    "args.a",
    "args[ \"\\u0061\"].b",
    "args[\"\\q\"]",
    "args.\u{feff}",
    "args.a\u{3000}",
    "agent.labels[\"a b\"]",
    "agent.labels[*]",
    "time(\"UTC\").hour",
    "time(\"Europe/Zurich\").date",
    "tool.risk",
    "*",
    "",
    "a\u{85}",
    "/a",
    "1",
];

const KEYS: [&str; 24] = [
    "action",
    "reason",
    "tools",
    "limits",
    "rate_limit",
    "max",
    "window",
    "per",
    "scope",
    "cost",
    "counter",
    "any",
    "not",
    "path",
    "op",
    "value",
    "conditions",
    "on_deny",
    "approval",
    "quorum",
    "approvers",
    "mode",
    "version",
    "rules",
];

fn any_number(random: &mut Random) -> Value {
    if random.chance(50) {
        return json!(random.pick(&[0.0, -1.0, 1.0, 0.5, 1e-7, 1e9, 1.8e13, 1.9e13]));
    }
    json!(random.pick(&[0, 1, 2, 3, 86_400, 31_622_400, 31_622_401]))
}

fn any_value(random: &mut Random) -> Value {
    match random.below(6) {
        0 => random.pick(&[Value::Null, json!(true), json!([]), json!({})].each_ref()).clone(),
        1 | 2 => any_number(random),
        3 => json!([random.pick(&WORDS)]),
        4 => random.rule(),
        _ => json!(random.pick(&WORDS)),
    }
}

/// Changes one place, each as likely as any other.
fn mutate(document: &mut Value, random: &mut Random) {
    let mut places = Vec::new();
    list(document, "", &mut places);
    let place = random.below(places.len());
    let value = document.pointer_mut(&places[place]).unwrap();
    match value {
        Value::Object(members) if random.chance(60) => {
            let key = members.keys().nth(random.below(members.len().max(1))).cloned();
            let value = key.filter(|_| random.chance(60)).and_then(|key| members.remove(&key));
            if random.chance(70) {
                let value = value.unwrap_or_else(|| any_value(random));
                members.insert(random.pick(&KEYS).to_owned(), value);
            }
        }
        Value::String(_) if random.chance(70) => *value = json!(random.pick(&WORDS)),
        Value::Number(_) if random.chance(70) => *value = any_number(random),
        _ => *value = any_value(random),
    }
}

fn list(value: &Value, pointer: &str, places: &mut Vec<String>) {
    places.push(pointer.to_owned());
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    for (key, value) in value.as_object().into_iter().flatten() {
        list(value, &format!("{pointer}/{}", escaped(key)), places);
    }
    for (number, value) in value.as_array().into_iter().flatten().enumerate() {
        list(value, &format!("{pointer}/{number}"), places);
    }
}

#[test]
fn whatever_the_reader_accepts_is_valid() {
    let validator = validator();
    let mut random = Random::new(seed());
    let (mut both, mut neither, mut reader_alone) = (0, 0, 0);
    for _ in 0..ROUNDS {
        let mut document = match random.below(8) {
            0 => random.document(),
            1 => json!({ "version": "1", "risks": { "High": random.rule() }, "reverse": { "roots": "deny" } }),
            2 => crate::dialect::document(&mut random),
            _ => json!({ "version": "1", "tools": { "t": random.rule() } }),
        };
        for _ in 0..random.below(3) {
            mutate(&mut document, &mut random);
        }
        let text = random.write(&document);
        let written = serde_json::from_str::<Value>(&text).unwrap();
        match (read("policy.json", &text), validator.is_valid(&written)) {
            (true, true) => both += 1,
            (true, false) => valid(&validator, &written, "read, but not valid"),
            (false, false) => neither += 1,
            // Such as a regular expression that does not compile: more than a schema can say.
            (false, true) => reader_alone += 1,
        }
    }
    println!("accepted {both}, refused {neither}, refused by the reader alone {reader_alone}");
    assert!(
        both > ROUNDS / 4 && neither > ROUNDS / 4 && reader_alone * 10 < neither,
        "{both} {neither} {reader_alone}"
    );
}

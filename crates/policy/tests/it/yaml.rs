//! A policy in YAML is the same policy.

use policy::Policy;

use crate::{ask_with, parse};

#[track_caller]
fn check(yaml: &str, json: &str) {
    let yaml = Policy::parse("policy.yaml", yaml).unwrap_or_else(|errors| panic!("{errors}\n{yaml}"));
    let json = parse(json);
    for (tool, arguments) in
        [("a", "{}"), ("a", r#"{ "n": 9007199254740993 }"#), ("b", "{}"), ("yes", "{}"), ("h", "{}")]
    {
        assert_eq!(ask_with(&yaml, tool, arguments), ask_with(&json, tool, arguments), "{tool} {arguments}");
    }
    assert_eq!(format!("{:?}", yaml.counters()), format!("{:?}", json.counters()));
}

#[test]
fn yaml_says_what_json_says() {
    check(
        r#"
version: "1" # the string
hide: [h]
tools:
  a:
    require:
      - conditions:
          - { path: args.n, op: eq, value: 9007199254740993 }
        on_deny: Not that one.
    limits: [{ max: 0.5, window: 1m, counter: c }]
  b: deny
  yes: &same {}
  "c": *same
"#,
        r#"{ "version": "1", "hide": ["h"], "tools": {
            "a": { "require": [{ "conditions": [{ "path": "args.n", "op": "eq", "value": 9007199254740993 }], "on_deny": "Not that one." }],
                   "limits": [{ "max": 0.5, "window": "1m", "counter": "c" }] },
            "b": "deny", "yes": {}, "c": {} } }"#,
    );
    check(r#"{ "version": "1", "tools": { "a": {} } }"#, r#"{ "version": "1", "tools": { "a": {} } }"#);
}

#[test]
fn what_is_a_boolean_to_some_is_said_to_be_text() {
    let warned = |value: &str| {
        let text = format!(
            "{{ version: '1', tools: {{ yes: {{ deny_if: [{{ conditions: [{{ path: args.force, op: eq, value: {value} }}] }}] }} }} }}"
        );
        let policy = Policy::parse("policy.yaml", &text).unwrap();
        policy.warnings().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(warned("Yes"), ["`Yes` is a text here, and a boolean to some readers"]);
    assert_eq!(warned("'yes'"), [""; 0]);
    assert_eq!(warned("true"), [""; 0]);
}

#[track_caller]
fn refuses(yaml: &str, expected: &[&str]) {
    let errors = Policy::parse("policy.yml", yaml).err().into_iter().flat_map(|errors| {
        let shown = |finding: &policy::Finding| {
            let (line, column) = finding.position();
            format!("{} {line}:{column}", finding.code().as_str())
        };
        errors.iter().map(shown).collect::<Vec<_>>()
    });
    let expected = expected.iter().map(|line| format!("policy::{line}")).collect::<Vec<_>>();
    assert_eq!(errors.collect::<Vec<_>>(), expected, "{yaml}");
}

#[test]
fn what_is_wrong_is_shown_where_it_stands() {
    refuses("version: 1\ntools: {}\n", &["unknown_version 1:10"]);
    refuses("version: '1'\ntools:\n  é: { acton: deny }\n  b: alow\n", &["unknown_key 3:8", "unknown_value 4:6"]);
    refuses("version: '1'\ntools:\n  a:\n    rate_limit: { max: 0x10, window: 60 }\n", &["syntax 4:24"]);
    refuses("version: '1'\ntools: { a: {}, a: deny }\n", &["syntax 2:17"]);
    refuses("- version\n", &["wrong_type 1:1"]);
    refuses("version: '1'\ndefault: yes\n", &["unknown_value 2:10"]);
    refuses(": : :\n- [", &["syntax 1:1"]);
    refuses("version: '1'\ntools: &a { b: {}, <<: *a }\n", &["syntax 2:20"]);
    refuses("", &["wrong_type 1:1"]);
}

#[test]
fn neither_depth_nor_aliases_do_harm() {
    let bomb =
        (1..40).fold("a0: &a0 [x]\n".to_owned(), |bomb, n| format!("{bomb}a{n}: &a{n} [*a{0}, *a{0}, *a{0}]\n", n - 1));
    for text in ["[".repeat(100_000), "a: ".repeat(100_000), "- ".repeat(100_000), bomb] {
        assert!(Policy::parse("policy.yaml", &text).is_err());
    }
}

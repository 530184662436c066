//! What is refused, and under which code. How it reads is in `messages`.

use policy::Policy;

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let errors = Policy::parse("policy.json", text).err().into_iter().flat_map(|errors| {
        let shown = |finding: &policy::Finding| format!("{} {}", finding.code().as_str(), &text[finding.span()]);
        errors.iter().map(shown).collect::<Vec<_>>()
    });
    let expected = expected.iter().map(|line| format!("policy::{line}")).collect::<Vec<_>>();
    assert_eq!(errors.collect::<Vec<_>>(), expected, "{text}");
}

#[track_caller]
fn in_policy(members: &str, expected: &[&str]) {
    check(&format!(r#"{{ "version": "1", {members} }}"#), expected);
}

#[track_caller]
fn in_limit(members: &str, expected: &[&str]) {
    in_policy(&format!(r#""tools": {{ "t": {{ "limits": [{{ {members} }}] }} }}"#), expected);
}

#[test]
fn documents() {
    check("", &["syntax "]);
    check("// nothing", &["syntax "]);
    check("\u{feff}{ \"version\": \"1\" }", &["syntax \u{feff}"]);
    check("null", &["wrong_type null"]);
    check("[]", &["wrong_type []"]);
    check("{", &["syntax {"]);
    check("{} {}", &["syntax {"]);
    check("{}", &["missing_key {"]);
    check("\u{feff}{}", &["syntax \u{feff}"]);
    check(r#"{ "version": 1 }"#, &["unknown_version 1"]);
    check(r#"{ "version": 1.0 }"#, &["wrong_type 1.0"]);
    check(r#"{ "version": "2" }"#, &["unknown_version \"2\""]);
    check(r#"{ "version": null }"#, &["wrong_type null"]);
    check(r#"{ /* a */ "version": "1" } // b"#, &[]);
}

#[test]
fn only_comments_are_more_than_json() {
    check(r#"{ "version": "1", }"#, &["syntax ,"]);
    check(r#"{ 'version': "1" }"#, &["syntax '"]);
    check(r#"{ version: "1" }"#, &["syntax version"]);
    check("{ \"version\": \"1\", \"description\": \"a\tb\" }", &["syntax \t"]);
    check("{\u{a0}\"version\": \"1\" }", &["syntax \u{a0}"]);
    check("{\u{c}\"version\": \"1\" }", &["syntax \u{c}"]);
    check(r#"{ "version": "1" "default": "deny" }"#, &["syntax "]);
    check(r#"{ "version": "1", "description": "\ud800" }"#, &["syntax \\ud800\""]);
    in_limit(r#""max": 0x10, "window": 1"#, &["syntax 0"]);
    in_limit(r#""max": +1, "window": 1"#, &["syntax +"]);
}

#[test]
fn keys() {
    in_policy(r#""tool": {}"#, &["unknown_key \"tool\""]);
    in_policy(r#""tools": { "a": {}, "a": "deny" }"#, &["duplicate_key \"a\""]);
    in_policy(r#""tools": { "a": {}, "\u0061": {} }"#, &["duplicate_key \"\\u0061\""]);
    in_policy(r#""x": [{ "a": { "b": 1, "b": 2 } }]"#, &["unknown_key \"x\"", "duplicate_key \"b\""]);
    in_policy(r#""reverse": { "tools": "allow" }"#, &["unknown_key \"tools\""]);
    in_limit(r#""max": 1, "window": 1, "burst": 2"#, &["unknown_key \"burst\""]);
    in_policy(
        r#""tools": { "t": { "rate_limit": { "max": 1, "window": 1, "per": "agent" } } }"#,
        &["unknown_key \"per\""],
    );
}

#[test]
fn modes_and_approvals() {
    in_policy(r#""mode": "audit""#, &["unknown_value \"audit\""]);
    in_rule(r#""mode": "enforce""#, &["unknown_value \"enforce\""]);
    in_rule(r#""approval": []"#, &["wrong_type ["]);
    in_rule(r#""approval": { "aprovers": [] }"#, &["unknown_key \"aprovers\""]);
    in_rule(r#""approval": { "approvers": ["a", 1], "self_approval": 1 }"#, &["wrong_type 1", "wrong_type 1"]);
    in_rule(
        r#""approval": { "quorum": 0, "timeout": "soon", "hold": 0 }"#,
        &["bad_value 0", "bad_window \"soon\"", "bad_window 0"],
    );
    in_rule(r#""approval": { "quorum": 1.5 }"#, &["bad_value 1.5"]);
}

#[test]
fn rules_by_class_need_a_catalogue() {
    in_policy(
        r#""categories": { "Financial": {}, "Money": {} }, "risks": { "High": "deny", "high": {} }"#,
        &["no_catalogue \"Financial\"", "unknown_value \"Money\"", "no_catalogue \"High\"", "unknown_value \"high\""],
    );
    in_policy(r#""categories": {}, "risks": {}"#, &[]);
    let asks = r#"{ "not": { "path": "tool.risk", "op": "eq", "value": "High" } }"#;
    in_rule(
        &format!(r#""deny_if": [{{ "conditions": [] }}, {{ "conditions": [{{ "any": [{asks}] }}] }}]"#),
        &["no_catalogue {"],
    );
}

#[track_caller]
fn in_rule(members: &str, expected: &[&str]) {
    in_policy(&format!(r#""tools": {{ "t": {{ {members} }} }}"#), expected);
}

#[test]
fn catalogues() {
    let check = |text: &str, expected: &[&str]| {
        let errors = policy::Catalogue::parse("catalog.json", text).err().into_iter();
        let shown = errors.flat_map(|errors| {
            errors.iter().map(|error| format!("{} {}", error.code().as_str(), &text[error.span()])).collect::<Vec<_>>()
        });
        let expected = expected.iter().map(|line| format!("policy::{line}")).collect::<Vec<_>>();
        assert_eq!(shown.collect::<Vec<_>>(), expected, "{text}");
    };
    check("[]", &["wrong_type []"]);
    check("{}", &["missing_key {"]);
    check(
        r#"{ "version": "1", "server": "s", "tools": { "a": { "category": "Read", "risk": "Low", "reason": "r", "evidence": "e",
            "confidence": 0.9, "reviewed_by": "alice", "definition_hash": "00" } } }"#,
        &[],
    );
    check(
        r#"{ "version": "1", "tools": { "a": {}, "b*": { "category": "Read", "risk": "Low" } } }"#,
        &["missing_key {", "missing_key {", "bad_pattern \"b*\""],
    );
    check(
        r#"{ "version": "1", "tools": { "a": { "category": "read", "risk": "None", "owner": "x", "reason": 1 } } }"#,
        &["unknown_value \"read\"", "unknown_value \"None\"", "unknown_key \"owner\"", "wrong_type 1"],
    );
}

#[test]
fn values() {
    in_policy(r#""default": "permit""#, &["unknown_value \"permit\""]);
    in_policy(r#""default": true"#, &["wrong_type true"]);
    in_policy(r#""description": 1, "$schema": {}"#, &["wrong_type 1", "wrong_type {"]);
    in_policy(r#""tools": []"#, &["wrong_type ["]);
    in_policy(r#""tools": { "t": true }"#, &["wrong_type true"]);
    in_policy(r#""tools": { "t": null }"#, &["wrong_type null"]);
    in_policy(r#""tools": { "t": "Deny" }"#, &["unknown_value \"Deny\""]);
    in_policy(r#""tools": { "t": { "action": "block", "reason": 1 } }"#, &["unknown_value \"block\"", "wrong_type 1"]);
    in_policy(r#""reverse": { "roots": true }"#, &["wrong_type true"]);
}

#[test]
fn patterns() {
    in_policy(r#""hide": "a""#, &["wrong_type \"a\""]);
    in_policy(r#""hide": ["", 1, "a\u0000"]"#, &["bad_pattern \"\"", "wrong_type 1", "bad_pattern \"a\\u0000\""]);
    in_policy(r#""tools": { "": {}, "a": { "except": [""] } }"#, &["bad_pattern \"\"", "bad_pattern \"\""]);
}

#[test]
fn limits() {
    in_limit("", &["missing_key {", "missing_key {"]);
    in_limit(r#""max": 1"#, &["missing_key {"]);
    in_limit(r#""max": 0, "window": 0"#, &["bad_max 0", "bad_window 0"]);
    in_limit(r#""max": -1, "window": -1"#, &["bad_max -1", "bad_window -1"]);
    in_limit(r#""max": 1e99, "window": 1e9"#, &["bad_max 1e99", "bad_window 1e9"]);
    in_limit(r#""max": 0.0000001, "window": 0.5"#, &["bad_max 0.0000001", "bad_window 0.5"]);
    in_limit(r#""max": "1", "window": null"#, &["wrong_type \"1\"", "wrong_type null"]);
    in_limit(r#""max": 1, "window": "hourly""#, &["bad_window \"hourly\""]);
    in_limit(r#""max": 1, "window": "367d""#, &["bad_window \"367d\""]);
    in_limit(r#""max": 1, "window": 1, "per": "user""#, &["unknown_value \"user\""]);
    in_limit(r#""max": 1, "window": 1, "per": "agent", "scope": "grant""#, &["conflict \"grant\""]);
    in_limit(r#""max": 1, "window": 1, "algorithm": "gcra""#, &["unknown_value \"gcra\""]);
    in_limit(r#""max": 1, "window": 1, "cost": 0"#, &["bad_cost 0"]);
    in_limit(r#""max": 1, "window": 1, "cost": 0.0000001"#, &["bad_cost 0.0000001"]);
    in_limit(r#""max": 1, "window": 1, "cost": true"#, &["wrong_type true"]);
    in_limit(r#""max": 1, "window": 1, "cost": "agent.id""#, &["bad_cost \"agent.id\""]);
    in_limit(r#""max": 1, "window": 1, "cost": "args.a[*].b""#, &["bad_cost \"args.a[*].b\""]);
    in_limit(r#""max": 1, "window": 1, "cost": "budget""#, &["bad_path \"budget\""]);
    for name in ["", "/tools/t/limits/0", "a\\n"] {
        let name = format!("\"{name}\"");
        in_limit(&format!(r#""max": 1, "window": 1, "counter": {name}"#), &[&format!("bad_counter {name}")]);
    }
    in_policy(r#""tools": { "t": { "limits": {} } }"#, &["wrong_type {"]);
    in_policy(r#""tools": { "t": { "limits": ["1/minute"] } }"#, &["wrong_type \"1/minute\""]);
}

#[track_caller]
fn in_condition(members: &str, expected: &[&str]) {
    let rule = format!(r#"{{ "deny_if": [{{ "conditions": [{{ {members} }}] }}] }}"#);
    in_policy(&format!(r#""tools": {{ "t": {rule} }}"#), expected);
}

#[test]
fn predicates() {
    let check = |predicates: &str, expected: &[&str]| {
        in_policy(&format!(r#""tools": {{ "t": {{ "require": {predicates} }} }}"#), expected)
    };
    check("{}", &["wrong_type {"]);
    check("[1]", &["wrong_type 1"]);
    check("[{}]", &["missing_key {"]);
    check(r#"[{ "conditions": {} }]"#, &["wrong_type {"]);
    check(r#"[{ "conditions": [], "on_deny": 1 }]"#, &["wrong_type 1"]);
    check(r#"[{ "conditions": [], "reason": "" }]"#, &["unknown_key \"reason\""]);
    check(r#"[{ "conditions": [[], 1] }]"#, &["wrong_type [", "wrong_type 1"]);
    check(r#"[{ "conditions": [{}] }]"#, &["missing_key {", "missing_key {", "missing_key {"]);
    check(r#"[{ "conditions": [{ "not": [] }] }]"#, &["wrong_type ["]);
    check(r#"[{ "conditions": [{ "any": {} }] }]"#, &["wrong_type {"]);
    check(r#"[{ "conditions": [{ "any": [], "all": [] }] }]"#, &["conflict ["]);
    check(
        r#"[{ "conditions": [{ "none": [] }] }]"#,
        &["missing_key {", "missing_key {", "missing_key {", "unknown_key \"none\""],
    );
}

#[test]
fn paths() {
    let check = |path: &str, expected: &[&str]| {
        let path = serde_json::Value::from(path);
        in_condition(&format!(r#""path": {path}, "op": "exists", "value": true"#), expected);
    };
    for path in
        ["args.a", "args.a-b.$c.é", "args[*]", "args[\"\"].b[*][*].c", "agent.labels[\"a b\"]", "time(\"UTC\").hour"]
    {
        check(path, &[]);
    }
    for path in
        ["", "args", "arg.a", "args.", "args..a", "args.*", "args.a[0]", "args.a[", "args.a b", "args[*]a", "args['a']"]
    {
        check(path, &[&format!("bad_path \"{path}\"")]);
    }
    for path in
        ["agent", "agent.name", "agent.labels", "agent.labels.a.b", "server", "tool.names", "time.minute", "state.t.c"]
    {
        check(path, &[&format!("bad_path \"{path}\"")]);
    }
    for path in ["time(\"Europe/Zurich\").hour", "time(\"America/Argentina/Ushuaia\").date", "time(\"CET\").weekday"] {
        check(path, &[]);
    }
    for path in [
        "time(\"europe/zurich\").hour",
        "time(\"\").hour",
        "time(Europe/Zurich).hour",
        "time(\"Europe/Zurich\")",
        "time(\"Europe/Zurich\").minute",
        "time(\"UTC\")(\"UTC\").hour",
        "time(\"UTC\")hour",
    ] {
        check(path, &[&format!("bad_path {}", serde_json::Value::from(path))]);
    }
    check(&format!("args{}", ".a".repeat(64)), &[]);
    let deep = format!("args{}", ".a".repeat(65));
    check(&deep, &[&format!("bad_path \"{deep}\"")]);
}

#[test]
fn operators() {
    let check = |op: &str, value: &str, expected: &[&str]| {
        in_condition(&format!(r#""path": "args.a", "op": "{op}", "value": {value}"#), expected);
    };
    check("equals", "1", &["unknown_value \"equals\""]);
    check("eq", "1e1000000000000", &["bad_value 1e1000000000000"]);
    check("eq", r#"{ "a": [1e-1000000000001] }"#, &["bad_value 1e-1000000000001"]);
    check("lt", "\"1\"", &["wrong_type \"1\""]);
    check("in", "\"a\"", &["wrong_type \"a\""]);
    check("not_in", "[1e1000000000000, 2e1000000000000]", &["bad_value 1e1000000000000", "bad_value 2e1000000000000"]);
    check("exists", "1", &["wrong_type 1"]);
    check("starts_with", "[\"a\"]", &["wrong_type ["]);
    check("regex", "\"(\"", &["bad_regex \"(\""]);
    check("regex", "\"a)|(b\"", &["bad_regex \"a)|(b\""]);
    check("regex", r#""(?x)a # )""#, &[r#"bad_regex "(?x)a # )""#]);
    check("regex", "\"(?=a)\"", &["bad_regex \"(?=a)\""]);
    check("regex", r#""(\\pL{1000}){1000}""#, &[r#"bad_regex "(\\pL{1000}){1000}""#]);
    check("path_within", "1", &["wrong_type 1"]);
    check("path_within", "[\"/a\", 1]", &["wrong_type 1"]);
    check("path_within", "\"\"", &["bad_value \"\""]);
    check("url_host_in", "\"a\"", &["wrong_type \"a\""]);
    check("url_host_in", "[\"https://a.b/\", \"*\"]", &["bad_value \"https://a.b/\"", "bad_value \"*\""]);
    check("type", "\"float\"", &["unknown_value \"float\""]);
    check("len_lt", "1.5", &["bad_value 1.5"]);
    check("len_lt", "-1", &["bad_value -1"]);
}

#[test]
fn rates() {
    let check = |rate: &str, expected: &[&str]| {
        in_policy(&format!(r#""tools": {{ "t": {{ "rate_limit": {rate} }} }}"#), expected)
    };
    check("10", &["wrong_type 10"]);
    check(r#""10""#, &["bad_rate \"10\""]);
    check(r#""/minute""#, &["bad_max \"/minute\""]);
    check(r#""0/minute""#, &["bad_max \"0/minute\""]);
    check(r#""1e3/minute""#, &["bad_max \"1e3/minute\""]);
    check(r#""-1/fortnight""#, &["bad_max \"-1/fortnight\"", "bad_window \"-1/fortnight\""]);
    check(r#"["1/minute", "1/0s", []]"#, &["bad_window \"1/0s\"", "wrong_type ["]);
}

#[test]
fn all_errors_are_reported_at_once_in_the_order_of_the_text() {
    check(
        r#"{ "default": "no", "tools": { "a": { "acton": "deny", "limits": [{ "max": 0 }] }, "a": 1 }, "hide": [""] }"#,
        &[
            "missing_key {",
            "unknown_value \"no\"",
            "unknown_key \"acton\"",
            "missing_key {",
            "bad_max 0",
            "duplicate_key \"a\"",
            "wrong_type 1",
            "bad_pattern \"\"",
        ],
    );
}

#[test]
fn an_error_is_one_line_in_a_log() {
    let error = Policy::parse("a\nb.json", "{\n \"versio\\n\": 1 }").unwrap_err();
    assert_eq!(
        error.to_string(),
        r"policy `a\nb.json` is bad at 1:1: a policy must say its `version` (and one more error)"
    );
    let error = Policy::parse("p.json", "{ \"version\": \"1\",\n  \"é\": 1, \"versio\\n\": 1 }").unwrap_err();
    assert_eq!(error.to_string(), r"policy `p.json` is bad at 2:3: unknown key `é` in a policy (and one more error)");
}

#[track_caller]
fn warns(members: &str, expected: &[&str]) {
    let text = format!(r#"{{ "version": "1", {members} }}"#);
    let policy = crate::parse(&text);
    let shown =
        policy.warnings().iter().map(|finding| format!("{} {}", finding.code().as_str(), &text[finding.span()]));
    let expected = expected.iter().map(|line| format!("policy::{line}")).collect::<Vec<_>>();
    assert_eq!(shown.collect::<Vec<_>>(), expected, "{text}");
}

#[test]
fn warnings() {
    warns(r#""tools": { "list_*": { "except": ["list_x"], "rate_limit": "1/minute" } }"#, &[]);
    warns(r#""hide": ["a"]"#, &["hides_only \"a\""]);
    let open = r#""tools": { "a": { "rate_limit": "1/minute", "on_store_failure": "allow" } }"#;
    warns(open, &["passes_uncounted \"allow\""]);
    warns(r#""tools": { "a": { "on_store_failure": "allow" } }"#, &["passes_uncounted \"allow\""]);
    warns(r#""tools": { "a": { "rate_limit": "1/minute", "on_store_failure": "deny" } }"#, &[]);
    warns(r#""hide": ["a"], "default": "allow""#, &[]);
    warns(r#""hide": ["a"], "tools": { "b": {} }"#, &[]);
    warns(r#""hide": ["a*"], "tools": { "b": {}, "ab": {} }"#, &["never_applies \"ab\""]);
    warns(r#""tools": { "a?": { "except": ["a*"] } }"#, &["never_applies \"a?\""]);
    warns(r#""tools": { "a": { "action": "deny", "rate_limit": "1/minute" } }"#, &["never_applies \"1/minute\""]);
    warns(r#""tools": { "a": { "action": "deny", "deny_if": [{ "conditions": [] }] } }"#, &["never_applies {"]);
    warns(r#""tools": { "a": { "limits": [{ "max": 0.9, "window": 1 }] } }"#, &["never_passes {"]);
    warns(r#""tools": { "a": { "limits": [{ "max": 4, "window": 1, "cost": 5 }] } }"#, &["never_passes {"]);
    warns(r#""tools": { "a": { "limits": [{ "max": 0.5, "window": 1, "cost": "args.a" }] } }"#, &[]);
    warns(r#""tools": { "a": { "approval": { "quorum": 2 } } }"#, &["nobody_approves {"]);
    warns(r#""tools": { "a": { "action": "deny", "mode": "shadow" } }"#, &["shadow_allows \"a\""]);
    warns(r#""tools": { "a": { "action": "deny", "mode": "shadow" } }, "default": "allow""#, &[]);
    warns(r#""tools": { "*": {} }"#, &["lists_nothing \"*\""]);
    warns(r#""tools": { "*": {}, "a": {} }"#, &["lists_nothing \"*\""]);
    warns(r#""tools": { "*": { "rate_limit": "1/minute" }, "a": {} }"#, &[]);
    warns(r#""resources": { "*": { "rate_limit": "1/minute" } }"#, &["lists_nothing \"*\""]);
    warns(r#""default": "allow", "tools": { "*": {} }"#, &[]);
    warns(r#""default": "allow", "hide": ["a\u200b", "ｆ"]"#, &["non_ascii \"a\\u200b\"", "non_ascii \"ｆ\""]);
    warns(r#""default": "allow", "hide": ["{a,b}"], "resources": { "x://[::1]": {} }"#, &["not_a_glob \"{a,b}\""]);
}

#[test]
fn a_time_zone_that_is_not_there_may_be_another() {
    let check = |zone: &str, expected: &str| {
        let path = serde_json::Value::from(format!("time({}).hour", serde_json::Value::from(zone)));
        let condition = format!(r#"{{ "path": {path}, "op": "lt", "value": 9 }}"#);
        let text = format!(
            r#"{{ "version": "1", "tools": {{ "t": {{ "require": [{{ "conditions": [{condition}] }}] }} }} }}"#
        );
        let errors = Policy::parse("policy.json", &text).unwrap_err();
        assert_eq!(errors.iter().map(|error| error.help().unwrap()).collect::<Vec<_>>(), [expected]);
    };
    check("Europe/Zürich", "did you mean `Europe/Zurich`?");
    check("europe/zurich", "did you mean `Europe/Zurich`?");
    check("Zurich", "did you mean `Europe/Zurich`?");
    check("America/New York", "did you mean `America/New_York`?");
    check("Mars/Olympus_Mons", "write a name of the IANA time zone database, such as Europe/Zurich");
    check(&"Europe/Zurich".repeat(10_000), "write a name of the IANA time zone database, such as Europe/Zurich");
}

#[test]
fn recorded_values() {
    let in_rule = |record: &str, expected: &[&str]| {
        in_policy(&format!(r#""tools": {{ "t": {{ "record": {record} }} }}"#), expected);
    };
    in_rule(r#"[]"#, &[]);
    in_rule(r#"["args.a", "args.a.b", "args[\"odd.key\"]"]"#, &[]);
    in_rule(r#""args.a""#, &["wrong_type \"args.a\""]);
    in_rule("[1]", &["wrong_type 1"]);
    in_rule(
        r#"["args", "args.a[*]", "agent.id", "a"]"#,
        &["bad_path \"args\"", "bad_path \"args.a[*]\"", "bad_path \"agent.id\"", "bad_path \"a\""],
    );
}

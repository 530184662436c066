//! The order of rules, one case a line.

use policy::{Policy, Reverse, Subject};
use serde_json::value::RawValue;

use crate::{ask, call, parse, show};

#[track_caller] // the one place that calls `decide`
fn check(members: &str, subject: Subject<'_>, expected: &str) {
    let policy = parse(&format!("{{ \"version\": \"1\", {members} }}"));
    let shown = ask(&policy, subject);
    let short = shown.split(" | ").next().unwrap_or_default();
    assert_eq!(short, expected, "{subject:?}");
    let callable = shown.starts_with("permit") || shown.starts_with("approval.required");
    assert_eq!(policy.lists(subject), callable, "listed if and only if callable: {subject:?}");
    assert_eq!(policy.is_hidden(subject), shown == "hidden (hidden)");
}

#[track_caller]
fn tool(members: &str, name: &str, expected: &str) {
    check(members, Subject::Tool(name), expected);
}

#[test]
fn the_default_decides_on_names_that_no_rule_lists() {
    tool(r#""tools": {}"#, "add", "denied.default (default deny)");
    tool(r#""default": "deny""#, "add", "denied.default (default deny)");
    tool(r#""default": "allow""#, "add", "permit (default allow)");
    tool(r#""tools": { "add": {} }"#, "add", "permit /tools/add");
    tool(r#""tools": { "add": "allow" }"#, "add", "permit /tools/add");
    tool(r#""tools": { "add": {} }"#, "Add", "denied.default (default deny)");
    tool(r#""tools": { "add": {} }"#, "add ", "denied.default (default deny)");
    tool(r#""tools": { "add": {} }"#, "", "denied.default (default deny)");
    tool(r#""tools": { "\u0061dd": {} }"#, "add", "permit /tools/add");
}

#[test]
fn globs_match_with_exact_names_together() {
    tool(r#""tools": { "get_*": {} }"#, "get_job", "permit /tools/get_*");
    tool(r#""tools": { "get_*": {} }"#, "get_a/b", "permit /tools/get_*");
    tool(r#""tools": { "get_*": {}, "get_job": {} }"#, "get_job", "permit /tools/get_job");
    tool(r#""tools": { "get_*": "deny", "get_job": {} }"#, "get_job", "denied.rule /tools/get_*");
    tool(r#""tools": { "get_*": {}, "get_job": "deny" }"#, "get_job", "denied.rule /tools/get_job");
    tool(r#""tools": { "*_job": {}, "get_*": {}, "g*": {} }"#, "get_job", "permit /tools/*_job");
    tool(r#""tools": { "??": {}, "a/~": "deny" }"#, "a/~", "denied.rule /tools/a~1~0");
    tool(r#""tools": { "??": {} }"#, "éé", "permit /tools/??");
    tool(r#""tools": { "??": {} }"#, "é", "denied.default (default deny)");
    tool(r#""tools": { "**": {} }"#, "add", "permit /tools/**");
}

#[test]
fn except_is_the_way_out_of_a_pattern() {
    tool(r#""tools": { "get_*": { "except": ["*_secret"] } }"#, "get_job", "permit /tools/get_*");
    tool(r#""tools": { "get_*": { "except": ["*_secret"] } }"#, "get_secret", "denied.default (default deny)");
    tool(r#""tools": { "*_x": {}, "get_*": { "action": "deny", "except": ["get_x"] } }"#, "get_x", "permit /tools/*_x");
    tool(
        r#""tools": { "get_x": {}, "get_*": { "action": "deny", "except": ["get_x"] } }"#,
        "get_x",
        "permit /tools/get_x",
    );
    tool(r#""tools": { "add": { "except": ["a*"] } }"#, "add", "denied.default (default deny)");
    tool(r#""tools": { "add": {} }, "all_tools": { "action": "deny", "except": ["add"] }"#, "add", "permit /tools/add");
}

#[test]
fn all_tools_adds_to_rules_and_lists_nothing() {
    tool(r#""all_tools": {}"#, "add", "denied.default (default deny)");
    tool(r#""tools": { "*": {} }"#, "add", "denied.default (default deny)");
    tool(r#""tools": { "add": {} }, "all_tools": "deny""#, "add", "denied.rule /all_tools");
    tool(r#""tools": { "add": {}, "*": "require_approval" }"#, "add", "approval.required /tools/*");
    tool(r#""default": "allow", "all_tools": "require_approval""#, "add", "approval.required /all_tools");
    tool(r#""default": "allow", "tools": { "*": "hide" }"#, "add", "hidden (hidden)");
    // What every tool is asked comes before the question whether it is listed.
    tool(r#""all_tools": { "action": "deny", "reason": "Closed." }"#, "add", "denied.rule /all_tools: Closed.");
}

#[test]
fn hidden_comes_first_then_deny_then_default_then_approval() {
    let all = r#""hide": ["x*"], "tools": { "x1": "deny", "y*": "require_approval", "y1": "deny", "z": "hide", "*z": "deny" }"#;
    tool(all, "x1", "hidden (hidden)");
    tool(all, "x2", "hidden (hidden)");
    tool(all, "y1", "denied.rule /tools/y1");
    tool(all, "y2", "approval.required /tools/y*");
    tool(all, "z", "hidden (hidden)");
    tool(all, "zz", "denied.rule /tools/*z");
    tool(all, "w", "denied.default (default deny)");
    tool(r#""hide": ["add"], "default": "allow""#, "add", "hidden (hidden)");
    tool(r#""hide": ["*"], "tools": { "add": {} }"#, "add", "hidden (hidden)");
}

#[test]
fn a_denial_gives_the_reason_of_the_rule_that_denied() {
    let both =
        r#""tools": { "d*": { "action": "deny", "reason": "No d." }, "do": { "action": "deny", "reason": "No do." } }"#;
    tool(both, "do", "denied.rule /tools/do: No do.");
    tool(both, "die", "denied.rule /tools/d*: No d.");
    tool(
        r#""tools": { "do": { "action": "require_approval", "reason": "Ask." } }"#,
        "do",
        "approval.required /tools/do: Ask.",
    );
    tool(r#""hide": ["do"], "tools": { "do": { "action": "deny", "reason": "No." } }"#, "do", "hidden (hidden)");
}

#[test]
fn resources_and_prompts_have_rules_of_their_own() {
    let policy = r#""hide": ["h*"], "all_tools": "deny", "tools": { "t": {} }, "resources": { "docs://*": {}, "docs://x": "hide" },
        "prompts": { "h": {}, "p": { "action": "deny", "reason": "No." } }"#;
    check(policy, Subject::Resource("docs://a/b"), "permit /resources/docs:~1~1*");
    check(policy, Subject::Resource("docs://x"), "hidden (hidden)");
    check(policy, Subject::Resource("DOCS://a"), "denied.default (default deny)");
    check(policy, Subject::Resource("t"), "denied.default (default deny)");
    check(policy, Subject::Prompt("h"), "permit /prompts/h");
    check(policy, Subject::Prompt("p"), "denied.rule /prompts/p: No.");
    check(r#""default": "allow""#, Subject::Prompt("p"), "permit (default allow)");
    check(r#""resources": { "*": {} }"#, Subject::Resource("a"), "denied.default (default deny)");
    check(r#""default": "allow", "resources": { "*": "deny" }"#, Subject::Resource("a"), "denied.rule /resources/*");
}

#[track_caller]
fn owes(members: &str, name: &str, expected: &[&str]) {
    let policy = parse(&format!("{{ \"version\": \"1\", {members} }}"));
    let shown = ask(&policy, Subject::Tool(name));
    assert_eq!(shown.split(" | ").skip(1).collect::<Vec<_>>(), expected, "{shown}");
}

#[test]
fn every_way_to_write_a_limit() {
    let check = |limit: &str, expected: &str| owes(&format!(r#""tools": {{ "t": {{ {limit} }} }}"#), "t", &[expected]);
    let rate = "/tools/t/rate_limit per agent: [/tools/t/rate_limit 10000000/60s Window]";
    check(r#""rate_limit": { "max": 10, "window": 60 }"#, rate);
    check(r#""rate_limit": { "max": 10.0, "window": "1m" }"#, rate);
    check(r#""rate_limit": "10/minute""#, rate);
    check(r#""rate_limit": "10/60s""#, rate);
    check(
        r#""limits": [{ "max": 0.5, "window": "day", "per": "session", "algorithm": "smooth" }]"#,
        "/tools/t/limits/0 per session: [/tools/t/limits/0 500000/86400s Smooth]",
    );
    check(
        r#""limits": [{ "max": 1, "window": "hour", "scope": "grant", "counter": "c", "algorithm": "window" }]"#,
        "c per agent: [/tools/t/limits/0 1000000/3600s Window]",
    );
    owes(
        r#""tools": { "t": { "rate_limit": ["1/minute", { "max": 2, "window": "hour" }] } }"#,
        "t",
        &[
            "/tools/t/rate_limit/0 per agent: [/tools/t/rate_limit/0 1000000/60s Window]",
            "/tools/t/rate_limit/1 per agent: [/tools/t/rate_limit/1 2000000/3600s Window]",
        ],
    );
}

#[test]
fn a_limit_on_a_glob_is_one_count_for_all_it_matches() {
    let policy = r#""tools": { "list_*": { "rate_limit": "1/minute" }, "list_a": {} }"#;
    let owed = ["/tools/list_*/rate_limit per agent: [/tools/list_*/rate_limit 1000000/60s Window]"];
    owes(policy, "list_a", &owed);
    owes(policy, "list_b", &owed);
}

#[test]
fn all_rules_that_match_are_owed_together() {
    let all = "/all_tools/rate_limit per agent: [/all_tools/rate_limit 9000000/60s Window]";
    let glob = "/tools/a*/rate_limit per agent: [/tools/a*/rate_limit 2000000/60s Window]";
    let exact = "/tools/a/rate_limit per agent: [/tools/a/rate_limit 1000000/60s Window]";
    let policy = r#""default": "allow", "all_tools": { "rate_limit": "9/minute", "except": ["free"] },
        "tools": { "a": { "rate_limit": "1/minute" }, "a*": { "rate_limit": "2/minute" } }"#;
    owes(policy, "a", &[all, glob, exact]);
    owes(policy, "ab", &[all, glob]);
    owes(policy, "b", &[all]);
    owes(policy, "free", &[]);
}

#[test]
fn a_named_counter_is_fed_by_all_its_users_but_each_enforces_its_own() {
    let policy = r#""tools": {
        "a": { "limits": [{ "counter": "c", "max": 1, "window": 1 }, { "counter": "c", "max": 5, "window": 9 }] },
        "b": { "limits": [{ "counter": "c", "max": 2, "window": 1, "per": "server" }] },
        "d": { "limits": [{ "counter": "d", "max": 2, "window": 1 }] }
    }"#;
    let agent = |[open, close]: [char; 2]| {
        format!(
            "c per agent: {open}/tools/a/limits/0 1000000/1s Window{close} {open}/tools/a/limits/1 5000000/9s Window{close}"
        )
    };
    let server = |[open, close]: [char; 2]| format!("c per server: {open}/tools/b/limits/0 2000000/1s Window{close}");
    let (enforced, fed) = (['[', ']'], ['(', ')']);
    owes(policy, "a", &[&agent(enforced), &server(fed)]);
    owes(policy, "b", &[&agent(fed), &server(enforced)]);
    owes(policy, "d", &["d per agent: [/tools/d/limits/0 2000000/1s Window]"]);
}

#[test]
fn counters_are_shared_between_tools_resources_and_prompts() {
    let limit = |max: u8| format!(r#"{{ "limits": [{{ "counter": "c", "max": {max}, "window": 1 }}] }}"#);
    let (tool, resource, prompt) = (limit(1), limit(2), limit(3));
    let policy = format!(
        r#"{{ "version": "1", "tools": {{ "t": {tool} }}, "resources": {{ "r": {resource} }}, "prompts": {{ "p": {prompt} }} }}"#
    );
    let policy = parse(&policy);
    assert_eq!(policy.counters().len(), 1);
    let shown = ask(&policy, Subject::Prompt("p"));
    let fed = "(/resources/r/limits/0 2000000/1s Window) (/tools/t/limits/0 1000000/1s Window)";
    assert_eq!(shown, format!("permit /prompts/p | c per agent: [/prompts/p/limits/0 3000000/1s Window] {fed}"));
}

#[test]
fn a_server_may_ask_only_what_the_policy_allows() {
    let check = |members: &str, expected: [bool; 3]| {
        let policy = parse(&format!("{{ \"version\": \"1\" {members} }}"));
        assert_eq!(
            [Reverse::Sampling, Reverse::Elicitation, Reverse::Roots].map(|ask| policy.reverse(ask)),
            expected,
            "{members}"
        );
    };
    check("", [false; 3]);
    check(r#", "default": "allow""#, [false; 3]);
    check(r#", "reverse": {}"#, [false; 3]);
    check(r#", "reverse": { "sampling": "allow", "elicitation": "deny" }"#, [true, false, false]);
    check(r#", "reverse": { "elicitation": "allow" }"#, [false, true, false]);
    check(r#", "reverse": { "roots": "allow" }"#, [false, false, true]);
}

#[test]
fn a_policy_knows_whether_it_can_hide() {
    let hides = |members: &str| parse(&format!("{{ \"version\": \"1\" {members} }}")).hides();
    assert!(!hides(r#", "hide": [], "tools": { "a": "deny" }"#));
    assert!(hides(r#", "hide": ["a"]"#));
    assert!(hides(r#", "tools": { "a": "hide" }"#));
    assert!(hides(r#", "prompts": { "a": { "action": "hide" } }"#));
    assert!(hides(r#", "all_tools": "hide""#));
}

#[test]
fn a_policy_may_be_asked_from_any_thread() {
    fn shared<T: Send + Sync>() {}
    shared::<policy::Policy>();
    shared::<policy::PolicyErrors>();
}

#[test]
fn the_hash_follows_the_text() {
    let (a, b) = (parse(r#"{"version":"1"}"#), parse(r#"{"version":"1"} "#));
    assert_eq!(a.hash(), parse(r#"{"version":"1"}"#).hash());
    assert_ne!(a.hash(), b.hash());
    assert_eq!(a.hash().to_string().len(), 64);
}

/// All rules that match want theirs on record; what decides is not asked.
#[test]
fn what_is_recorded_is_what_any_matching_rule_wants() {
    let policy = r#"{ "version": "1", "all_tools": { "record": ["args.who"] }, "tools": {
        "pay": { "action": "deny", "record": ["args.amount", "args.who"] }, "p*": { "except": ["pick"], "record": ["args.to.name"] },
        "other": {} }, "resources": { "x": {} } }"#;
    let policy = Policy::parse("policy.json", policy).unwrap();
    let recorded =
        |subject| policy.recorded(subject).iter().map(|recorded| recorded.path().to_owned()).collect::<Vec<_>>();
    assert_eq!(recorded(Subject::Tool("pay")), ["args.amount", "args.who", "args.to.name"]);
    assert_eq!(recorded(Subject::Tool("pick")), ["args.who"]);
    assert_eq!(recorded(Subject::Tool("unlisted")), ["args.who"]);
    assert!(recorded(Subject::Resource("x")).is_empty());
    let printed =
        policy::native("policy.json", r#"{ "version": "1", "tools": { "a": { "record": ["args[\"b\"].c"] } } }"#);
    assert!(printed.unwrap().contains(r#""record": ["args.b.c"]"#));
}

/// What a person's consent replaces: approval, by a rule or by a condition. All else is as without it.
#[test]
fn a_consented_call_is_judged_by_everything_but_approval() {
    let policy = parse(
        r#"{ "version": "1", "hide": ["h"], "all_tools": { "deny_if": [{ "conditions": [{ "path": "args.n", "op": "gt", "value": 9 }] }] }, "tools": {
        "ask": "require_approval", "no": "deny", "free": {}, "h": {},
        "some": { "approve_if": [{ "conditions": [{ "path": "args.n", "op": "gt", "value": 1 }] }], "rate_limit": "2/minute" },
        "pay": { "action": "require_approval", "limits": [{ "max": 5, "window": "1h", "cost": "args.n" }] } } }"#,
    );
    let check = |tool: &str, n: u8, expected: &str| {
        let arguments = RawValue::from_string(format!(r#"{{ "n": {n} }}"#)).unwrap();
        let decision = policy.decide_consented(call(Subject::Tool(tool), Some(&arguments)));
        let shown = show(&policy, decision);
        assert!(shown.starts_with(expected), "{tool} {n}: {shown}");
    };
    check("ask", 1, "permit /tools/ask");
    check("ask", 10, "denied.condition /all_tools/deny_if/0");
    check("no", 1, "denied.rule /tools/no");
    check("h", 1, "hidden");
    check("other", 1, "denied.default");
    check("free", 1, "permit /tools/free");
    check("some", 1, "permit /tools/some | ");
    check("some", 2, "permit /tools/some | ");
    check("pay", 5, "permit /tools/pay | ");
    check("pay", 6, "limited /tools/pay/limits/0");
}

/// What a gateway must be ready for: that any call at all can need a person.
#[test]
fn a_policy_says_whether_it_ever_asks() {
    let asks = |members: &str| parse(&format!("{{ \"version\": \"1\", {members} }}")).asks();
    for members in [
        r#""tools": { "a": "require_approval" }"#,
        r#""tools": { "a": {}, "b*": { "approve_if": [{ "conditions": [{ "path": "args.n", "op": "gt", "value": 1 }] }] } }"#,
        r#""all_tools": { "action": "require_approval" }"#,
        r#""prompts": { "a": "require_approval" }"#,
    ] {
        assert!(asks(members), "{members}");
    }
    for members in [
        r#""tools": { "a": {}, "b": "deny" }"#,
        r#""tools": { "a": { "action": "require_approval", "mode": "shadow" } }"#,
        r#""mode": "shadow", "tools": { "a": "require_approval" }"#,
    ] {
        assert!(!asks(members), "{members}");
    }
}

//! The policy language once more, as plainly as it can be said: no compiling, no index, every rule asked for every name,
//! straight from the JSON. Written from the description of the language, not from the engine.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The answer for one name, shown the way `show` shows the engine's.
/// `space` is `tools`, `resources` or `prompts`; `document` must be valid.
pub(crate) fn decide(document: &Value, space: &str, name: &str) -> String {
    let matching =
        rules(document).into_iter().filter(|rule| rule.space == space && rule.matches(name)).collect::<Vec<_>>();
    let with = |action: &str| matching.iter().find(|rule| rule.action == action);

    // 1. hidden
    if with("hide").is_some() {
        return "hidden (hidden)".to_owned();
    }
    // 2. any deny
    if let Some(rule) = with("deny") {
        return refusal("denied.rule", rule);
    }
    // 3. not listed: the default
    let listing = matching.iter().find(|rule| rule.lists);
    if listing.is_none() && document["default"] != "allow" {
        return "denied.default (default deny)".to_owned();
    }
    // 5. approval
    if let Some(rule) = with("require_approval") {
        return refusal("approval.required", rule);
    }
    // 6. what is owed, 7. permitted
    let rule = listing.map_or("(default allow)", |rule| &rule.pointer);
    let mut shown = vec![format!("permit {rule}")];
    shown.extend(owed(document, &matching));
    shown.join(" | ")
}

fn refusal(code: &str, rule: &Rule) -> String {
    let reason = rule.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{code} {}{reason}", rule.pointer)
}

struct Rule {
    space: &'static str,
    pattern: String,
    except: Vec<String>,
    action: String,
    lists: bool,
    pointer: String,
    reason: Option<String>,
    limits: Vec<Limit>,
}

#[derive(Clone)]
struct Limit {
    pointer: String,
    counter: String,
    per: String,
    max: u64,
    window: u64,
    algorithm: &'static str,
}

impl Rule {
    fn matches(&self, name: &str) -> bool {
        matches(&self.pattern, name) && !self.except.iter().any(|except| matches(except, name))
    }
}

/// Every rule of the document, those first that are to be named when several decide: rules that list before those that do
/// not, exact names before globs, longer before shorter, then by text.
fn rules(document: &Value) -> Vec<Rule> {
    let mut rules = Vec::new();
    for space in ["tools", "resources", "prompts"] {
        for (pattern, entry) in document[space].as_object().into_iter().flatten() {
            let pointer = format!("/{space}/{}", escape(pattern));
            rules.push(rule(space, pattern, entry, pointer, pattern != "*"));
        }
    }
    if let Some(entry) = document.get("all_tools") {
        rules.push(rule("tools", "*", entry, "/all_tools".to_owned(), false));
    }
    for pattern in document["hide"].as_array().into_iter().flatten() {
        rules.push(rule("tools", pattern.as_str().unwrap(), &Value::from("hide"), String::new(), false));
    }
    rules.sort_by_key(|rule| {
        let glob = rule.pattern.contains(['*', '?']);
        (!rule.lists, glob, usize::MAX - rule.pattern.len(), rule.pattern.clone(), rule.pointer.clone())
    });
    rules
}

fn rule(space: &'static str, pattern: &str, entry: &Value, pointer: String, lists: bool) -> Rule {
    let limits = limits(entry, &pointer);
    let action = entry.as_str().or(entry["action"].as_str()).unwrap_or("allow").to_owned();
    let except = entry["except"].as_array().into_iter().flatten().map(|except| except.as_str().unwrap().to_owned());
    let reason = entry["reason"].as_str().map(str::to_owned);
    Rule { space, pattern: pattern.to_owned(), except: except.collect(), action, lists, pointer, reason, limits }
}

fn escape(key: &str) -> String {
    key.chars()
        .map(|c| match c {
            '~' => "~0".to_owned(),
            '/' => "~1".to_owned(),
            c => c.to_string(),
        })
        .collect()
}

/// Character by character: the set of places in the pattern that the name read so far can lead to.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern = pattern.chars().collect::<Vec<_>>();
    let over_runs = |mut places: BTreeSet<usize>| {
        for (place, wanted) in pattern.iter().enumerate() {
            if places.contains(&place) && *wanted == '*' {
                places.insert(place + 1);
            }
        }
        places
    };
    let mut places = over_runs(BTreeSet::from([0]));
    for c in name.chars() {
        let after = places.iter().filter_map(|&place| match pattern.get(place) {
            Some('*') => Some(place),
            Some('?') => Some(place + 1),
            Some(wanted) if *wanted == c => Some(place + 1),
            _ => None,
        });
        places = over_runs(after.collect());
    }
    places.contains(&pattern.len())
}

fn limits(entry: &Value, pointer: &str) -> Vec<Limit> {
    let mut limits = Vec::new();
    match &entry["rate_limit"] {
        Value::Null => {}
        Value::Array(list) => {
            for (number, rate) in list.iter().enumerate() {
                limits.push(limit(rate, format!("{pointer}/rate_limit/{number}")));
            }
        }
        one => limits.push(limit(one, format!("{pointer}/rate_limit"))),
    }
    for (number, entry) in entry["limits"].as_array().into_iter().flatten().enumerate() {
        limits.push(limit(entry, format!("{pointer}/limits/{number}")));
    }
    limits
}

fn limit(entry: &Value, pointer: String) -> Limit {
    let rate = entry.as_str().and_then(|rate| rate.split_once('/'));
    let (max, window) = match rate {
        Some((max, window)) => (max.parse::<f64>().unwrap(), seconds(window)),
        None => (
            entry["max"].as_f64().unwrap(),
            entry["window"].as_u64().unwrap_or_else(|| seconds(entry["window"].as_str().unwrap())),
        ),
    };
    let per = entry["per"].as_str().or(entry["scope"].as_str()).unwrap_or("agent");
    Limit {
        counter: entry["counter"].as_str().unwrap_or(&pointer).to_owned(),
        per: if per == "grant" { "agent" } else { per }.to_owned(),
        max: (max * 1e6).round() as u64,
        window,
        algorithm: if entry["algorithm"] == "smooth" { "Smooth" } else { "Window" },
        pointer,
    }
}

fn seconds(window: &str) -> u64 {
    let unit = |word: &str| match word {
        "s" => 1,
        "m" | "minute" => 60,
        "h" | "hour" => 3_600,
        "d" | "day" => 86_400,
        other => panic!("unit {other}"),
    };
    match window.find(|c: char| !c.is_ascii_digit()) {
        Some(0) => unit(window),
        Some(digits) => window[..digits].parse::<u64>().unwrap() * unit(&window[digits..]),
        None => panic!("window {window}"),
    }
}

/// Every counter whose name a matching rule uses, for every kind of key it is counted by, with all its limits; those of
/// the matching rules in brackets.
fn owed(document: &Value, matching: &[Rule]) -> Vec<String> {
    let own = matching.iter().flat_map(|rule| &rule.limits);
    let touched = own.clone().map(|limit| &limit.counter).collect::<BTreeSet<_>>();
    let enforced = own.map(|limit| &limit.pointer).collect::<BTreeSet<_>>();

    let mut counters = BTreeMap::<_, Vec<Limit>>::new();
    for limit in rules(document).into_iter().flat_map(|rule| rule.limits) {
        let per = ["agent", "session", "server", "gateway"].iter().position(|per| *per == limit.per).unwrap();
        counters.entry((limit.counter.clone(), per, limit.per.clone())).or_default().push(limit);
    }
    let touched = counters.into_iter().filter(|((name, _, _), _)| touched.contains(name));
    let show = |((name, _, per), mut limits): ((String, usize, String), Vec<Limit>)| {
        limits.sort_by(|a, b| a.pointer.cmp(&b.pointer));
        let limits = limits.iter().map(|limit| {
            let Limit { pointer, max, window, algorithm, .. } = limit;
            let shown = format!("{pointer} {max}/{window}s {algorithm}");
            if enforced.contains(pointer) { format!("[{shown}]") } else { format!("({shown})") }
        });
        format!("{name} per {per}: {}", limits.collect::<Vec<_>>().join(" "))
    };
    touched.map(show).collect()
}

//! The policy language once more, as plainly as it can be said: no compiling, no index, every rule asked for every name,
//! straight from the JSON. Written from the description of the language, not from the engine.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::plain::{Asking, all_hold, cost};

/// The answer for one call, shown the way `show` shows the engine's.
/// `space` is `tools`, `resources` or `prompts`; `document` must be valid.
pub(crate) fn decide(document: &Value, space: &str, name: &str, asking: &Asking<'_>) -> String {
    let matching =
        rules(document).into_iter().filter(|rule| rule.space == space && rule.matches(name)).collect::<Vec<_>>();
    let in_shadow = document["mode"] == "shadow";
    let acting = matching.iter().map(|rule| if rule.shadow { rule.tamed() } else { rule.clone() }).collect::<Vec<_>>();
    let default_allows = document["default"] == "allow";
    let (mut shown, refused) = owed(document, &matching, asking);
    let [refused, would_refuse] = refused;

    if let Some(refusal) = refusal(&acting, default_allows || in_shadow, asking).or(refused) {
        return refusal;
    }
    let would = refusal(&matching, default_allows, asking).or(would_refuse);
    let listing = matching.iter().find(|rule| rule.lists).map(|rule| rule.pointer.as_str());
    let rule = listing.unwrap_or(if would.is_some() { "(shadow)" } else { "(default allow)" });
    shown.insert(0, format!("permit {rule}"));
    shown.extend(would.map(|would| format!("would be {would}")));
    shown.join(" | ")
}

/// Steps 1 to 5.
fn refusal(matching: &[Rule], default_allows: bool, asking: &Asking<'_>) -> Option<String> {
    let with = |action: &str| matching.iter().find(|rule| rule.action == action);
    // 1. hidden
    if with("hide").is_some() {
        return Some("hidden (hidden)".to_owned());
    }
    // 2. any deny
    if let Some(rule) = with("deny") {
        return Some(denial("denied.rule", &rule.pointer, rule.reason.as_ref()));
    }
    // 3. not listed: the default
    if !default_allows && !matching.iter().any(|rule| rule.lists) {
        return Some("denied.default (default deny)".to_owned());
    }
    // 4. conditions
    for rule in matching {
        for (key, wanted) in [("require", true), ("deny_if", false)] {
            if let Some(denial) = rule.judge(key, asking, wanted, "denied.condition") {
                return Some(denial);
            }
        }
    }
    // 5. approval
    if let Some(rule) = with("require_approval") {
        return Some(denial("approval.required", &rule.pointer, rule.reason.as_ref()));
    }
    matching.iter().find_map(|rule| rule.judge("approve_if", asking, false, "approval.required"))
}

fn denial(code: &str, pointer: &str, reason: Option<&String>) -> String {
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{code} {pointer}{reason}")
}

#[derive(Clone)]
struct Rule {
    space: &'static str,
    pattern: String,
    except: Vec<String>,
    action: String,
    lists: bool,
    pointer: String,
    reason: Option<String>,
    limits: Vec<Limit>,
    shadow: bool,
    entry: Value,
}

#[derive(Clone)]
struct Limit {
    pointer: String,
    counter: String,
    per: String,
    max: u64,
    window: u64,
    algorithm: &'static str,
    cost: Value,
}

impl Rule {
    /// As a rule that allows and asks nothing.
    fn tamed(&self) -> Self {
        Self { action: "allow".to_owned(), entry: Value::Null, ..self.clone() }
    }

    /// The first predicate under `key` that does not come out as wanted.
    fn judge(&self, key: &str, asking: &Asking<'_>, wanted: bool, code: &str) -> Option<String> {
        let mut predicates = self.entry[key].as_array().into_iter().flatten().enumerate();
        let (number, predicate) =
            predicates.find(|(_, predicate)| all_hold(&predicate["conditions"], asking, key == "require") != wanted)?;
        let reason = predicate["on_deny"].as_str().map(str::to_owned).or(self.reason.clone());
        Some(denial(code, &format!("{}/{key}/{number}", self.pointer), reason.as_ref()))
    }

    fn matches(&self, name: &str) -> bool {
        matches(&self.pattern, name) && !self.except.iter().any(|except| matches(except, name))
    }
}

/// Every rule of the document, those first that are to be named when several decide: rules that list before those that do
/// not, exact names before globs, longer before shorter, then by text.
fn rules(document: &Value) -> Vec<Rule> {
    let mut rules = Vec::new();
    let in_shadow = document["mode"] == "shadow";
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
    rules.iter_mut().for_each(|rule| rule.shadow |= in_shadow);
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
    let (shadow, entry, pattern) = (entry["mode"] == "shadow", entry.clone(), pattern.to_owned());
    Rule { space, pattern, except: except.collect(), action, lists, pointer, reason, limits, shadow, entry }
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
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
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
        cost: entry.get("cost").cloned().unwrap_or(1.into()),
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
/// the matching rules in brackets. Also which cost refuses the call: one in force, one in shadow.
fn owed(document: &Value, matching: &[Rule], asking: &Asking<'_>) -> (Vec<String>, [Option<String>; 2]) {
    let own = matching.iter().flat_map(|rule| rule.limits.iter().map(|limit| (rule.shadow, limit)));
    let bracketed = |wanted: bool| {
        own.clone().filter(|(shadow, _)| *shadow == wanted).map(|(_, limit)| &limit.pointer).collect::<BTreeSet<_>>()
    };
    let (enforced, shadowed) = (bracketed(false), bracketed(true));

    let mut counters = BTreeMap::<_, Vec<Limit>>::new();
    for limit in rules(document).into_iter().flat_map(|rule| rule.limits) {
        let per = ["agent", "session", "server", "gateway"].iter().position(|per| *per == limit.per).unwrap();
        counters.entry((limit.counter.clone(), per, limit.per.clone())).or_default().push(limit);
    }
    let (mut shown, mut refused) = (Vec::new(), [None, None]);
    for ((name, _, per), mut limits) in counters {
        let touching = own.clone().filter(|(_, limit)| limit.counter == name).collect::<Vec<_>>();
        if touching.is_empty() {
            continue;
        }
        let mut total = 0;
        for (shadow, limit) in touching {
            match cost(&limit.cost, asking).filter(|cost| !limit.cost.is_string() || *cost <= limit.max) {
                Some(cost) => total = total.max(cost),
                None => drop(refused[usize::from(shadow)].get_or_insert(format!("limited {}", limit.pointer))),
            }
        }
        limits.sort_by(|a, b| a.pointer.cmp(&b.pointer));
        let limits = limits.iter().map(|limit| {
            let Limit { pointer, max, window, algorithm, .. } = limit;
            let shown = format!("{pointer} {max}/{window}s {algorithm}");
            match (enforced.contains(pointer), shadowed.contains(pointer)) {
                (true, _) => format!("[{shown}]"),
                (_, true) => format!("<{shown}>"),
                _ => format!("({shown})"),
            }
        });
        let cost = if total == 1_000_000 { String::new() } else { format!(" +{total}") };
        shown.push(format!("{name} per {per}{cost}: {}", limits.collect::<Vec<_>>().join(" ")));
    }
    (shown, refused)
}

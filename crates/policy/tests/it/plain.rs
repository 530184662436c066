//! Conditions once more, as plainly as they can be said: from the description of the language, not from the engine. A string
//! that begins with `#` stands for the number written after it, since `serde_json` would round it.

use serde_json::Value;

use crate::generator::{REGEXES, URLS};

/// Who calls what, where and when.
pub(crate) struct Asking<'a> {
    pub(crate) arguments: Option<&'a Value>,
    pub(crate) agent: Option<&'a str>,
    pub(crate) team: Option<&'a str>,
    pub(crate) tool: Option<&'a str>,
    pub(crate) moment: &'a Moment,
}

/// A moment, in seconds since 1970, and what clocks and calendars show then, as looked up elsewhere.
pub(crate) struct Moment {
    pub(crate) seconds: u64,
    utc: Clock,
    zurich: Clock,
    los_angeles: Clock,
}

/// Hour, weekday and date.
type Clock = (u8, u8, &'static str);

pub(crate) const MOMENTS: [Moment; 6] = [
    Moment {
        seconds: 1_795_426_200,
        utc: (9, 1, "2026-11-23"),
        zurich: (10, 1, "2026-11-23"),
        los_angeles: (1, 1, "2026-11-23"),
    },
    // A second before summer time in Zurich, and its first second.
    Moment {
        seconds: 1_774_745_999,
        utc: (0, 7, "2026-03-29"),
        zurich: (1, 7, "2026-03-29"),
        los_angeles: (17, 6, "2026-03-28"),
    },
    Moment {
        seconds: 1_774_746_000,
        utc: (1, 7, "2026-03-29"),
        zurich: (3, 7, "2026-03-29"),
        los_angeles: (18, 6, "2026-03-28"),
    },
    // The last second of it, and the first after.
    Moment {
        seconds: 1_792_889_999,
        utc: (0, 7, "2026-10-25"),
        zurich: (2, 7, "2026-10-25"),
        los_angeles: (17, 6, "2026-10-24"),
    },
    Moment {
        seconds: 1_792_890_000,
        utc: (1, 7, "2026-10-25"),
        zurich: (2, 7, "2026-10-25"),
        los_angeles: (18, 6, "2026-10-24"),
    },
    // Another year already.
    Moment {
        seconds: 1_798_759_800,
        utc: (23, 4, "2026-12-31"),
        zurich: (0, 5, "2027-01-01"),
        los_angeles: (15, 4, "2026-12-31"),
    },
];

enum Found<'a> {
    Value(Value),
    At(&'a Value),
    Missing,
    WrongType,
}

/// Whether all conditions of a predicate hold; `require` says whether it is one that must.
pub(crate) fn all_hold(conditions: &Value, asking: &Asking<'_>, require: bool) -> bool {
    conditions.as_array().unwrap().iter().all(|condition| holds(condition, asking, require, false))
}

fn holds(condition: &Value, asking: &Asking<'_>, require: bool, negated: bool) -> bool {
    let each = |list: &Value| {
        let conditions = list.as_array().unwrap().iter();
        conditions.map(|condition| holds(condition, asking, require, negated)).collect::<Vec<_>>()
    };
    if let Some(inner) = condition.get("not") {
        return holds(inner, asking, require, !negated);
    }
    if let Some(list) = condition.get(if negated { "any" } else { "all" }) {
        return !each(list).contains(&false);
    }
    if let Some(list) = condition.get(if negated { "all" } else { "any" }) {
        return each(list).contains(&true);
    }
    let (op, negated) = complement(condition["op"].as_str().unwrap(), negated);
    let found = find(condition["path"].as_str().unwrap(), asking);
    let answers = found.iter().map(|found| answer(op, negated, &condition["value"], found, require));
    let answers = answers.collect::<Vec<_>>();
    if require { !answers.contains(&false) } else { answers.contains(&true) }
}

/// The operator that says the opposite, where there is one.
fn complement(op: &str, negated: bool) -> (&str, bool) {
    let pairs =
        [("eq", "neq"), ("in", "not_in"), ("lt", "gte"), ("lte", "gt"), ("len_lt", "len_gte"), ("len_lte", "len_gt")];
    if !negated {
        return (op, false);
    }
    let swapped = pairs.iter().find_map(|(a, b)| if *a == op { Some(*b) } else { (*b == op).then_some(*a) });
    swapped.map_or((op, true), |other| (other, false))
}

fn answer(op: &str, negated: bool, wanted: &Value, found: &Found<'_>, require: bool) -> bool {
    let value = match found {
        Found::WrongType => return !require,
        Found::Missing if op == "exists" => return (*wanted == false) != negated,
        Found::Missing if require => return false,
        Found::Missing => return negated || op == "neq" || op == "not_in",
        Found::Value(value) => value,
        Found::At(value) => value,
    };
    match ask(op, wanted, value) {
        Some(yes) => yes != negated,
        None => !require,
    }
}

/// None for a value of the wrong type.
fn ask(op: &str, wanted: &Value, value: &Value) -> Option<bool> {
    let list = || wanted.as_array().unwrap().iter();
    let text = || string(value);
    Some(match op {
        "eq" => equal(wanted, value),
        "neq" => !equal(wanted, value),
        "in" => list().any(|one| equal(one, value)),
        "not_in" => !list().any(|one| equal(one, value)),
        "exists" => *wanted == true,
        "lt" => compare(number(value)?, number(wanted).unwrap()).is_lt(),
        "lte" => compare(number(value)?, number(wanted).unwrap()).is_le(),
        "gt" => compare(number(value)?, number(wanted).unwrap()).is_gt(),
        "gte" => compare(number(value)?, number(wanted).unwrap()).is_ge(),
        "contains" => match value {
            Value::Array(elements) => elements.iter().any(|element| equal(element, wanted)),
            _ => text()?.contains(string(wanted)?),
        },
        "starts_with" => text()?.starts_with(string(wanted).unwrap()),
        "ends_with" => text()?.ends_with(string(wanted).unwrap()),
        "glob" => crate::reference::matches(string(wanted).unwrap(), text()?),
        "regex" => {
            let (_, matches) = REGEXES.iter().find(|(regex, _)| *wanted == **regex).unwrap();
            matches(text()?)
        }
        "path_within" => {
            let path = parts(text()?);
            let folders = wanted.as_array().cloned().unwrap_or(vec![wanted.clone()]);
            folders
                .iter()
                .map(|folder| parts(string(folder).unwrap()))
                .any(|(absolute, folder)| absolute == path.0 && path.1.starts_with(&folder))
        }
        "url_host_in" => {
            let url = text()?;
            let (_, host) = URLS.iter().find(|(known, _)| *known == url)?;
            list().any(|listed| match string(listed).unwrap().strip_prefix("*.") {
                Some(domain) => host.is_some_and(|host| host.ends_with(&format!(".{domain}"))),
                None => host.is_some_and(|host| *listed == *host),
            })
        }
        "type" => match (value, wanted.as_str().unwrap()) {
            (Value::Null, "null") | (Value::Bool(_), "boolean") => true,
            (Value::Array(_), "array") | (Value::Object(_), "object") => true,
            (value, "string") => string(value).is_some(),
            (value, "number") => number(value).is_some(),
            (value, "integer") => number(value).is_some_and(|digits| digits.fraction.chars().all(|c| c == '0')),
            _ => false,
        },
        "len_lt" | "len_lte" | "len_gt" | "len_gte" => {
            let length = match value {
                Value::Array(elements) => elements.len(),
                Value::Object(members) => members.len(),
                _ => text()?.chars().count(),
            };
            let bound = wanted.as_u64().unwrap() as usize;
            match op {
                "len_lt" => length < bound,
                "len_lte" => length <= bound,
                "len_gt" => length > bound,
                _ => length >= bound,
            }
        }
        other => panic!("operator {other}"),
    })
}

fn string(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.starts_with('#'))
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => match (number(a), number(b)) {
            (Some(a), Some(b)) => compare(a, b).is_eq(),
            _ => a == b,
        },
    }
}

/// A number written out in full.
struct Digits {
    negative: bool,
    whole: String,
    fraction: String,
}

fn number(value: &Value) -> Option<Digits> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        value => value.as_str()?.strip_prefix('#')?.to_owned(),
    };
    let (negative, text) = text.strip_prefix('-').map_or((false, text.as_str()), |text| (true, text));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.parse::<i32>().unwrap();
    let (mut whole, mut fraction) = (whole.to_owned(), fraction.to_owned());
    for _ in 0..exponent {
        whole.push(if fraction.is_empty() { '0' } else { fraction.remove(0) });
    }
    for _ in exponent..0 {
        fraction.insert(0, whole.pop().unwrap_or('0'));
    }
    let zero = whole.chars().chain(fraction.chars()).all(|c| c == '0');
    Some(Digits { negative: negative && !zero, whole, fraction })
}

/// What a call costs, in millionths; none where that cannot be said.
pub(crate) fn cost(cost: &Value, asking: &Asking<'_>) -> Option<u64> {
    let amount = match cost.as_str().map(|path| find(path, asking)).as_deref() {
        None => number(cost)?,
        Some([Found::At(value)]) => number(value)?,
        Some(_) => return None,
    };
    let fine = amount.fraction.trim_end_matches('0').len() > 6;
    let millionths = format!("{}{:0<6.6}", amount.whole, amount.fraction);
    (!amount.negative && !fine).then_some(())?;
    millionths.parse().ok()
}

fn compare(a: Digits, b: Digits) -> std::cmp::Ordering {
    let (whole, fraction) = (a.whole.len().max(b.whole.len()), a.fraction.len().max(b.fraction.len()));
    let padded = |number: &Digits| format!("{:0>whole$}{:0<fraction$}", number.whole, number.fraction);
    match (a.negative, b.negative) {
        (false, false) => padded(&a).cmp(&padded(&b)),
        (true, true) => padded(&b).cmp(&padded(&a)),
        (a, b) => b.cmp(&a),
    }
}

/// Whether it is absolute, and its parts. The generator writes no relative path that leaves where it starts.
fn parts(path: &str) -> (bool, Vec<String>) {
    let path = ["%2e", "%2E"].iter().fold(path.to_owned(), |path, escape| path.replace(escape, "."));
    let path = ["%2f", "%2F", "%5c", "%5C", "\\"].iter().fold(path, |path, escape| path.replace(escape, "/"));
    let mut parts = Vec::<String>::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part.to_owned()),
        }
    }
    (path.starts_with('/'), parts)
}

fn find<'a>(path: &str, asking: &Asking<'a>) -> Vec<Found<'a>> {
    let fact = |fact: Option<&str>| vec![fact.map_or(Found::Missing, |fact| Found::Value(fact.into()))];
    let Some(steps) = path.strip_prefix("args") else {
        return match path {
            "agent.id" => fact(asking.agent),
            "agent.labels.team" => fact(asking.team),
            "tool.name" => fact(asking.tool),
            "server.id" => fact(Some("github")),
            other => {
                let (zone, part) = other.rsplit_once('.').unwrap();
                let (hour, weekday, date) = match zone {
                    "time" => asking.moment.utc,
                    "time(\"Europe/Zurich\")" => asking.moment.zurich,
                    "time(\"America/Los_Angeles\")" => asking.moment.los_angeles,
                    other => panic!("zone {other}"),
                };
                match part {
                    "hour" => vec![Found::Value(hour.into())],
                    "weekday" => vec![Found::Value(weekday.into())],
                    "date" => fact(Some(date)),
                    other => panic!("part {other}"),
                }
            }
        };
    };
    let steps = steps.replace("[*]", ".*").replace("[\"é.\"]", ".é");
    let mut found = vec![asking.arguments.map_or(Found::Missing, Found::At)];
    for step in steps.split('.').skip(1) {
        let step = if step == "é" { "é." } else { step };
        found = found.into_iter().flat_map(|found| follow(found, step)).collect();
    }
    found
}

fn follow<'a>(found: Found<'a>, step: &str) -> Vec<Found<'a>> {
    match (found, step) {
        (Found::At(Value::Array(elements)), "*") => elements.iter().map(Found::At).collect(),
        (Found::At(Value::Object(members)), step) if step != "*" => {
            vec![members.get(step).map_or(Found::Missing, Found::At)]
        }
        (Found::Missing, _) => vec![Found::Missing],
        _ => vec![Found::WrongType],
    }
}

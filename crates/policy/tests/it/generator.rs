//! Makes many small documents fast. Names and patterns come from a tiny alphabet, so that rules meet.

use serde_json::{Value, json};

const OPS: [&str; 21] = [
    "eq",
    "neq",
    "lt",
    "lte",
    "gt",
    "gte",
    "in",
    "not_in",
    "exists",
    "contains",
    "starts_with",
    "ends_with",
    "glob",
    "regex",
    "path_within",
    "url_host_in",
    "type",
    "len_lt",
    "len_lte",
    "len_gt",
    "len_gte",
];

const WHERE: [&str; 24] = [
    "args.a",
    "args.a",
    "args.a",
    "args.b",
    "args.b",
    "args[\"é.\"]",
    "args.a.b",
    "args.b[\"é.\"]",
    "args.a[*]",
    "args.b[*]",
    "args.a[*].b",
    "args.b[*][*]",
    "args.missing",
    "agent.id",
    "agent.labels.team",
    "tool.name",
    "server.id",
    "time.hour",
    "time.weekday",
    "time.date",
    "time(\"Europe/Zurich\").hour",
    "time(\"Europe/Zurich\").weekday",
    "time(\"America/Los_Angeles\").weekday",
    "time(\"America/Los_Angeles\").date",
];

/// `#` marks a number, see `plain`.
const NUMBERS: [&str; 16] = [
    "#0",
    "#-0.0",
    "#1",
    "#1.0",
    "#10e-1",
    "#2",
    "#-1",
    "#0.5",
    "#9",
    "#1e2",
    "#100",
    "#9007199254740993",
    "#9007199254740992",
    "#1e300",
    "#0.1e301",
    "#0.0000001",
];

const TEXTS: [&str; 10] = ["", "a", "ab", "bc", "é", "e\u{301}", "a\nb", "a\"\\b", "\u{1f600}a", "github"];

const PATHS: [&str; 10] = [
    "/srv/docs",
    "/srv/docs/a",
    "/srv/docs2",
    "/srv/docs/../x",
    "/srv/docs/%2e%2E/x",
    "\\srv\\docs\\a",
    "docs/a",
    "docs/./b/..",
    "/",
    "/srv%2fdocs",
];

const HOSTS: [&str; 4] = ["example.com", "*.example.com", "xn--bcher-kva.example", "127.0.0.1"];

/// With the host that everybody should see, if any.
pub(crate) const URLS: [(&str, Option<&str>); 8] = [
    ("https://example.com/a", Some("example.com")),
    ("https://A.Example.com.:8443", Some("a.example.com")),
    ("https://example.com@evil.test/", Some("evil.test")),
    ("https://bücher.example", Some("xn--bcher-kva.example")),
    ("http://0x7f.1/", Some("127.0.0.1")),
    ("https://notexample.com?example.com", Some("notexample.com")),
    ("mailto:a@example.com", None),
    ("custom://EXAMPLE.com", Some("example.com")),
];

type Matches = fn(&str) -> bool;

/// With what they match, said otherwise.
pub(crate) const REGEXES: [(&str, Matches); 5] = [
    ("a|ab", |text| text == "a" || text == "ab"),
    ("[ab]*", |text| text.chars().all(|c| c == 'a' || c == 'b')),
    (".", |text| text.chars().count() == 1 && text != "\n"),
    ("^a", |text| text == "a"),
    ("(?s).*b", |text| text.ends_with('b')),
];

fn escaped(c: char) -> String {
    let mut units = [0; 2];
    c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

/// `TOOLGATE_TEST_SEED=7 cargo test -p policy` tries other inputs than the usual; printed where a failure shows it.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("TOOLGATE_TEST_SEED").map_or(20_261_123, |seed| seed.parse().unwrap());
    println!("TOOLGATE_TEST_SEED={seed}");
    seed
}

/// SplitMix64: a random stream that is the same everywhere for the same seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn text(&mut self, alphabet: &[char], most: usize) -> String {
        let length = 1 + self.below(most);
        (0..length).map(|_| self.pick(alphabet)).collect()
    }

    pub(crate) fn name(&mut self) -> String {
        self.text(&['a', 'b', '_', '/', 'é'], 3)
    }

    fn pattern(&mut self) -> String {
        match self.below(10) {
            0 => "*".to_owned(),
            1..=4 => self.name(),
            _ => self.text(&['a', 'b', '_', '/', 'é', '*', '*', '*', '?', '?', '~'], 3),
        }
    }

    fn patterns(&mut self, most: usize) -> Value {
        (0..self.below(most + 1)).map(|_| self.pattern()).collect()
    }

    fn window(&mut self) -> Value {
        match self.below(3) {
            0 => json!(1 + self.below(100)),
            1 => json!(self.pick(&["minute", "hour", "day"])),
            _ => json!(format!("{}{}", 1 + self.below(9), self.pick(&["s", "m", "h", "d"]))),
        }
    }

    fn rate(&mut self) -> Value {
        let max = 1 + self.below(9);
        match self.below(2) {
            0 => json!(format!("{max}/{}", self.pick(&["minute", "hour", "day", "30s"]))),
            _ => json!({ "max": max, "window": self.window() }),
        }
    }

    fn limit(&mut self) -> Value {
        let mut limit = json!({ "max": self.pick(&[0.5, 1.0, 2.25, 7.0]), "window": self.window() });
        if self.chance(60) {
            limit["counter"] = json!(self.pick(&["c", "d", "e"]));
        }
        if self.chance(50) {
            let key = self.pick(&["per", "scope"]);
            limit[key] = json!(self.pick(&["agent", "grant", "session", "server", "gateway"]));
        }
        if self.chance(50) {
            limit["cost"] = self.pick(&[json!("args.a"), json!("args.b"), json!(2), json!(0.25)].each_ref()).clone();
        }
        if self.chance(30) {
            limit["algorithm"] = json!(self.pick(&["window", "smooth"]));
        }
        limit
    }

    /// What an argument may be, or what one is compared with.
    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 6 } else { 9 }) {
            0 | 1 => json!(self.pick(&NUMBERS)),
            2 => json!(self.pick(&TEXTS)),
            3 => json!(self.pick(&URLS).0),
            4 => json!(self.pick(&PATHS)),
            5 => self.pick(&[Value::Null, json!(true), json!(false)].each_ref()).clone(),
            6 | 7 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            _ => self.object(depth - 1),
        }
    }

    fn object(&mut self, depth: usize) -> Value {
        let mut object = json!({});
        for key in ["a", "b", "é."] {
            if self.chance(60) {
                object[key] = self.value(depth);
            }
        }
        object
    }

    pub(crate) fn arguments(&mut self) -> Option<Value> {
        self.chance(95).then(|| self.object(3))
    }

    fn condition(&mut self, depth: usize) -> Value {
        if depth > 0 && self.chance(35) {
            return match self.below(3) {
                0 => json!({ "not": self.condition(depth - 1) }),
                1 => json!({ "any": self.conditions(depth - 1) }),
                _ => json!({ "all": self.conditions(depth - 1) }),
            };
        }
        let op = self.pick(&OPS);
        let value = match op {
            "exists" => json!(self.chance(50)),
            "lt" | "lte" | "gt" | "gte" => json!(self.pick(&NUMBERS)),
            "in" | "not_in" => (0..self.below(4)).map(|_| self.value(1)).collect(),
            "starts_with" | "ends_with" => json!(self.pick(&TEXTS)),
            "glob" => json!(self.pick(&["", "*", "a*", "?", "*a?", "é*", "a*b"])),
            "regex" => json!(self.pick(&REGEXES).0),
            "path_within" if self.chance(50) => json!(self.pick(&["/srv/docs", "/", "docs", "/srv"])),
            "path_within" => json!(["/srv/docs", "docs"]),
            "url_host_in" => json!([self.pick(&HOSTS), self.pick(&HOSTS)]),
            "type" => json!(self.pick(&["string", "number", "integer", "boolean", "object", "array", "null"])),
            "eq" | "neq" | "contains" => self.value(2),
            _ => json!(self.below(5)),
        };
        json!({ "path": self.pick(&WHERE), "op": op, "value": value })
    }

    fn conditions(&mut self, depth: usize) -> Value {
        (0..self.below(3)).map(|_| self.condition(depth)).collect()
    }

    fn predicates(&mut self) -> Value {
        let predicate = |random: &mut Self| {
            let mut predicate = json!({ "conditions": random.conditions(2) });
            if random.chance(30) {
                predicate["on_deny"] = json!("Not so.");
            }
            predicate
        };
        (0..self.below(3)).map(|_| predicate(self)).collect()
    }

    pub(crate) fn rule(&mut self) -> Value {
        const ACTIONS: [&str; 8] = ["allow", "allow", "allow", "allow", "allow", "deny", "require_approval", "hide"];
        if self.chance(30) {
            return json!(self.pick(&ACTIONS));
        }
        let mut rule = json!({});
        if self.chance(40) {
            rule["action"] = json!(self.pick(&ACTIONS));
        }
        if self.chance(20) {
            rule["reason"] = json!(self.pick(&["Because.", "No.", ""]));
        }
        for (key, percent) in [("require", 15), ("deny_if", 25), ("approve_if", 12)] {
            if self.chance(percent) {
                rule[key] = self.predicates();
            }
        }
        if self.chance(8) {
            rule["mode"] = json!("shadow");
        }
        if self.chance(20) {
            rule["except"] = self.patterns(2);
        }
        if self.chance(20) {
            rule["rate_limit"] =
                if self.chance(70) { self.rate() } else { (0..self.below(3)).map(|_| self.rate()).collect() };
        }
        if self.chance(30) {
            rule["limits"] = (0..self.below(4)).map(|_| self.limit()).collect();
        }
        rule
    }

    fn rules(&mut self, most: usize) -> Value {
        let mut rules = json!({});
        for _ in 0..self.below(most + 1) {
            rules[self.pattern()] = self.rule();
        }
        rules
    }

    pub(crate) fn document(&mut self) -> Value {
        let mut document = json!({ "version": "1" });
        if self.chance(80) {
            document["default"] = json!(self.pick(&["allow", "deny"]));
        }
        if self.chance(10) {
            document["mode"] = json!(self.pick(&["shadow", "enforce"]));
        }
        if self.chance(30) {
            document["hide"] = self.patterns(2);
        }
        if self.chance(25) {
            document["all_tools"] = self.rule();
        }
        for (space, most) in [("tools", 12), ("resources", 6), ("prompts", 6)] {
            if self.chance(80) {
                document[space] = self.rules(most);
            }
        }
        document
    }

    /// The document as text, the keys of each object in any order.
    pub(crate) fn write(&mut self, value: &Value) -> String {
        match value {
            Value::Object(members) => {
                let mut members = members.iter().collect::<Vec<_>>();
                for end in (1..members.len()).rev() {
                    members.swap(end, self.below(end + 1));
                }
                let member =
                    |(key, value): &(&String, &Value)| format!("{}:{}", Value::from(key.as_str()), self.write(value));
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
            }
            Value::Array(elements) => {
                let elements = elements.iter().map(|element| self.write(element)).collect::<Vec<_>>();
                format!("[{}]", elements.join(","))
            }
            Value::String(text) if text.starts_with('#') => text.trim_start_matches('#').to_owned(),
            Value::String(text) if self.chance(10) => format!("\"{}\"", text.chars().map(escaped).collect::<String>()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        }
    }
}

//! Makes many small documents fast. Names and patterns come from a tiny alphabet, so that rules meet.

use serde_json::{Value, json};

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
        if self.chance(30) {
            limit["algorithm"] = json!(self.pick(&["window", "smooth"]));
        }
        limit
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
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        }
    }
}

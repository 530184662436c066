//! One spelling for all that a JSON text may look like without meaning another thing: keys sorted, no whitespace; strings and numbers as they
//! were written. In one pass, as deep as the parser lets a message be.

/// How deep arrays and objects may nest: no deeper than a message may (`mcp`), so that the stack is bounded here too.
const MAX_DEPTH: usize = 128;

/// None where `json` is no JSON, or deeper than that.
pub(crate) fn canonical(json: &str) -> Option<String> {
    let mut writer = Writer { json, at: 0, out: String::with_capacity(json.len()) };
    writer.value(MAX_DEPTH)?;
    writer.space();
    writer.rest().is_empty().then_some(writer.out)
}

struct Writer<'a> {
    json: &'a str,
    at: usize,
    out: String,
}

impl<'a> Writer<'a> {
    fn value(&mut self, depth: usize) -> Option<()> {
        self.space();
        match self.peek()? {
            b'{' => self.object(depth.checked_sub(1)?),
            b'[' => self.array(depth.checked_sub(1)?),
            b'"' => {
                let string = self.string()?;
                self.out.push_str(string);
                Some(())
            }
            _ => self.word(),
        }
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.take(b'[')?;
        self.out.push('[');
        self.space();
        if self.peek()? != b']' {
            loop {
                self.value(depth)?;
                self.space();
                match self.peek()? {
                    b',' => self.take(b',')?,
                    _ => break,
                }
                self.out.push(',');
            }
        }
        self.take(b']')?;
        self.out.push(']');
        Some(())
    }

    /// Members are written as they come, and put in order afterwards if they are not.
    fn object(&mut self, depth: usize) -> Option<()> {
        self.take(b'{')?;
        self.out.push('{');
        let start = self.out.len();
        let mut members: Vec<(String, std::ops::Range<usize>)> = Vec::new();
        self.space();
        if self.peek()? != b'}' {
            loop {
                self.space();
                let key: String = serde_json::from_str(self.string()?).ok()?;
                self.space();
                self.take(b':')?;
                let from = self.out.len();
                self.out.push_str(&mcp::string(&key));
                self.out.push(':');
                self.value(depth)?;
                members.push((key, from..self.out.len()));
                self.out.push(',');
                self.space();
                match self.peek()? {
                    b',' => self.take(b',')?,
                    _ => break,
                }
            }
        }
        self.take(b'}')?;
        if !members.is_sorted_by(|a, b| a.0 < b.0) {
            members.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            let mut sorted = String::with_capacity(self.out.len() - start);
            for (_, range) in members {
                sorted.push_str(self.out.get(range)?);
                sorted.push(',');
            }
            self.out.truncate(start);
            self.out.push_str(&sorted);
        }
        if self.out.len() > start {
            self.out.pop(); // the last comma
        }
        self.out.push('}');
        Some(())
    }

    /// A string as it is written, quotes included.
    fn string(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.take(b'"')?;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        self.json.get(start..self.at)
    }

    /// A number, or one of the three words.
    fn word(&mut self) -> Option<()> {
        let rest = self.rest();
        let end = rest.find([',', ']', '}', ' ', '\t', '\n', '\r']).unwrap_or(rest.len());
        let word = rest.get(..end).filter(|word| !word.is_empty())?;
        self.out.push_str(word);
        self.at += end;
        Some(())
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.json.get(self.at..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::canonical;

    #[test]
    fn what_means_the_same_is_spelled_the_same() {
        let one = r#"{"a":1.0,"b":[{"c":"x\u0041","d":[]},{}],"é":null}"#;
        for other in [
            "{ \"b\" : [ {\"d\":[ ], \"c\":\"x\\u0041\"} , { } ],\n\t\"a\" :1.0 , \"\\u00e9\":null }",
            r#"{"\u0061":1.0,"b":[{"d":[],"c":"x\u0041"},{}],"é":null}"#,
        ] {
            assert_eq!(canonical(other).as_deref(), Some(one), "{other}");
        }
    }

    #[test]
    fn another_spelling_of_a_value_is_another_value() {
        let all = [r#"{"a":1}"#, r#"{"a":1.0}"#, r#"{"a":"1"}"#, r#"{"a":1e0}"#, r#"{"a":[1]}"#, r#"{"a":"\u0031"}"#];
        for (at, one) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| canonical(one) != canonical(other)), "{one}");
        }
    }

    #[test]
    fn no_text_that_is_cut_or_too_deep_has_a_spelling() {
        let whole = r#"{"a":[1,{"b":"\"}"}]}"#;
        assert_eq!(canonical(whole).as_deref(), Some(whole));
        for end in 0..whole.len() {
            assert_eq!(canonical(&whole[..end]), None, "{end}");
        }
        assert_eq!(canonical("{} {}"), None);
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(canonical(&nested(128)).is_some());
        assert_eq!(canonical(&nested(129)), None);
        assert_eq!(canonical(&"[".repeat(1 << 20)), None);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
            Just(Value::Null)
        ];
        leaf.prop_recursive(6, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..5).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        /// `serde_json` without `preserve_order` sorts as well: a second opinion.
        #[test]
        fn it_is_what_another_writer_makes_of_it(value in any_json()) {
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            let read: Value = serde_json::from_str(&canonical(&pretty).unwrap()).unwrap();
            prop_assert_eq!(&read, &value);
            prop_assert_eq!(canonical(&pretty), canonical(&value.to_string()));
            prop_assert_eq!(canonical(&pretty), canonical(&canonical(&pretty).unwrap()));
        }
    }
}

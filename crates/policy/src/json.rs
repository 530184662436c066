//! Looks into JSON text without reading more of it than it is asked for. The text must be valid JSON, as a `RawValue` is;
//! of text that is not, it finds nothing, but does no harm.

use std::borrow::Cow;

use memchr::memchr2;

/// One JSON value, as written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<'t>(&'t str);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

impl<'t> Json<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self(trimmed(text))
    }

    pub(crate) fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Boolean,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            Some(_) | None => Kind::Null,
        }
    }

    pub(crate) fn text(self) -> &'t str {
        self.0
    }

    /// What a string says. None where half a surrogate pair stands for a character.
    pub(crate) fn string(self) -> Option<Cow<'t, str>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if inner.contains('\\') {
            serde_json::from_str(self.0).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(inner))
        }
    }

    /// Looks no further than it must: that no key stands twice was made sure of when the call was parsed.
    pub(crate) fn member(self, key: &str) -> Option<Self> {
        self.members().find(|(name, _)| name.says(key)).map(|(_, value)| value)
    }

    /// Of an object; of anything else, nothing.
    pub(crate) fn members(self) -> impl Iterator<Item = (Self, Self)> {
        let mut rest = self.0.strip_prefix('{').unwrap_or_default();
        std::iter::from_fn(move || {
            let (key, after) = next(rest)?;
            let (value, after) = next(trimmed(after).strip_prefix(':')?)?;
            rest = after;
            Some((key, value))
        })
    }

    /// Of a list; of anything else, nothing.
    pub(crate) fn elements(self) -> impl Iterator<Item = Self> {
        let mut rest = self.0.strip_prefix('[').unwrap_or_default();
        std::iter::from_fn(move || {
            let (value, after) = next(rest)?;
            rest = after;
            Some(value)
        })
    }

    fn says(self, text: &str) -> bool {
        match self.0.get(1..self.0.len().saturating_sub(1)) {
            // An escape is longer than what it says, so most keys are told apart by their length.
            Some(inner) if inner.len() < text.len() => false,
            Some(inner) if inner.len() == text.len() => inner == text && !inner.contains('\\'),
            Some(inner) => inner.contains('\\') && self.string().is_some_and(|said| said == text),
            None => false,
        }
    }
}

/// The next value of a container, and what follows it. None at the container's end.
fn next(rest: &str) -> Option<(Json<'_>, &str)> {
    let rest = trimmed(rest);
    let rest = trimmed(rest.strip_prefix(',').unwrap_or(rest));
    let length = match rest.as_bytes().first()? {
        b'"' => string_length(rest.as_bytes()),
        b'{' | b'[' => container_length(rest.as_bytes()),
        b'}' | b']' => None,
        _ => Some(rest.bytes().position(|byte| b",]} \t\n\r".contains(&byte)).unwrap_or(rest.len())),
    };
    let (value, after) = rest.split_at_checked(length?)?;
    Some((Json(value), after))
}

/// The bytes from one quotation mark to the other.
fn string_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    // Most keys and many values are short: looking at a few bytes costs less than a call that is fast on many.
    while at < 24 {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Counts brackets instead of descending, so depth costs no stack.
fn container_length(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        let rest = bytes.get(at..)?;
        let skipped = rest.iter().position(|byte| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']'))?;
        match rest.get(skipped)? {
            b'"' => at += string_length(rest.get(skipped..)?)? - 1,
            b'{' | b'[' => depth += 1,
            _ if depth == 1 => return Some(at + skipped + 1),
            _ => depth -= 1,
        }
        at += skipped + 1;
    }
}

fn trimmed(text: &str) -> &str {
    // Most text has no space there, and then there is nothing to search for.
    if text.as_bytes().first().is_some_and(|byte| *byte > b' ') {
        return text;
    }
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_elements() {
        let text = r#" { "a" : [1 , {"x":"]}\"{"}, "é"] ,"b\u0062":{ } , "c":-1e5}"#;
        let json = Json::new(text);
        let seen = json.members().map(|(key, value)| (key.text(), value.text())).collect::<Vec<_>>();
        assert_eq!(seen, [("\"a\"", r#"[1 , {"x":"]}\"{"}, "é"]"#), ("\"b\\u0062\"", "{ }"), ("\"c\"", "-1e5")]);
        let list = json.member("a").unwrap();
        assert_eq!(list.elements().map(Json::text).collect::<Vec<_>>(), ["1", r#"{"x":"]}\"{"}"#, "\"é\""]);
        assert_eq!(json.member("bb").unwrap().kind(), Kind::Object);
        assert!(json.member("d").is_none());
        assert_eq!(Json::new("[]").elements().count() + Json::new("{}").members().count(), 0);
    }

    #[test]
    fn strings() {
        let check =
            |text: &str, expected: Option<&str>| assert_eq!(Json::new(text).string().as_deref(), expected, "{text}");
        check(r#""a""#, Some("a"));
        check(r#""\u00e9\n""#, Some("é\n"));
        check(r#""\ud83d\ude00""#, Some("\u{1f600}"));
        check(r#""\ud800""#, None);
        check("1", None);
    }

    #[test]
    fn broken_text_does_no_harm() {
        for text in ["", "{", "[", "{\"a", "{\"a\\", "{\"a\":", "[1,", "[[", "{\"a\":{\"", "[\"\\", "[}", "{]"] {
            let json = Json::new(text);
            assert!(json.elements().count() + json.members().count() <= 1, "{text}");
        }
    }
}

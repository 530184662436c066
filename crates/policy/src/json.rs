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
        let mut rest = Rest::of(self, b'{');
        std::iter::from_fn(move || {
            let key = rest.next()?;
            Some((key, rest.next()?))
        })
    }

    /// Of a list; of anything else, nothing.
    pub(crate) fn elements(self) -> impl Iterator<Item = Self> {
        let mut rest = Rest::of(self, b'[');
        std::iter::from_fn(move || rest.next())
    }

    fn says(self, text: &str) -> bool {
        match self.0.as_bytes().get(1..self.0.len().saturating_sub(1)) {
            // An escape is longer than what it says, so most keys are told apart by their length.
            Some(inner) if inner.len() < text.len() => false,
            Some(inner) if inner.len() == text.len() => inner == text.as_bytes() && !text.contains('\\'),
            Some(inner) => inner.contains(&b'\\') && self.string().is_some_and(|said| said == text),
            None => false,
        }
    }
}

/// What of a container has not been read yet.
struct Rest<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Rest<'t> {
    fn of(json: Json<'t>, opening: u8) -> Self {
        let at = if json.0.as_bytes().first() == Some(&opening) { 1 } else { json.0.len() };
        Self { text: json.0, at }
    }

    /// The next key or value. None at the container's end.
    fn next(&mut self) -> Option<Json<'t>> {
        let bytes = self.text.as_bytes();
        let between = |byte| matches!(byte, b',' | b':' | b' ' | b'\t' | b'\n' | b'\r');
        while bytes.get(self.at).copied().is_some_and(between) {
            self.at += 1;
        }
        let rest = bytes.get(self.at..)?;
        let length = match rest.first()? {
            b'"' => string_length(rest)?,
            b'{' | b'[' => container_length(rest)?,
            b'}' | b']' => return None,
            _ => rest.iter().position(|byte| b",]} \t\n\r".contains(byte)).unwrap_or(rest.len()),
        };
        let start = self.at;
        self.at += length;
        self.text.get(start..self.at).map(Json)
    }
}

/// The bytes from one quotation mark to the other.
fn string_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += special(bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Where the first quotation mark or backslash stands. Most keys and many values are short: for a few words of eight bytes,
/// looking at them here costs less than a call that is fast on many.
fn special(bytes: &[u8]) -> Option<usize> {
    const FEW: usize = 4;
    let mut at = 0;
    for word in bytes.as_chunks::<8>().0.iter().take(FEW) {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ all(b'"')) | zeros(word ^ all(b'\\'));
        if found != 0 {
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    Some(at + memchr2(b'"', b'\\', bytes.get(at..)?)?)
}

const fn all(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Marks the zero bytes of a word, each by its highest bit. Only the first mark is sure: what follows it may be a mistake.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(all(0x01)) & !word & all(0x80)
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

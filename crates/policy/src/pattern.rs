//! A pattern of names: `*` is any run (also across `/`), `?` one Unicode scalar value, all else itself, byte for byte.
//!
//! globset is not used: its `?` is one byte, and `[`, `{` and `\` mean something to it.

/// An exact name or a glob. A pattern of names is never empty and has no control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pattern(Box<str>);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidPattern {
    #[error("a pattern must not be empty")]
    Empty,
    #[error("a pattern must not contain control characters")]
    Control,
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidPattern> {
        if text.is_empty() {
            return Err(InvalidPattern::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidPattern::Control);
        }
        Ok(Self(text.into()))
    }

    /// A pattern of what strings say, not of names: it may be empty, and contain anything.
    pub(crate) fn of_text(text: &str) -> Self {
        Self(text.into())
    }

    /// `*`: what `all_tools` is written on.
    pub(crate) fn everything() -> Self {
        Self("*".into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_glob(&self) -> bool {
        self.0.contains(['*', '?'])
    }

    pub(crate) fn is_everything(&self) -> bool {
        &*self.0 == "*"
    }

    /// The longest text that every matching name contains; empty when there is none.
    pub(crate) fn literal(&self) -> &str {
        self.0.split(['*', '?']).max_by_key(|part| part.len()).unwrap_or_default()
    }

    /// Whether every name that `other` matches is matched by this one. May miss some cases, never claims one wrongly.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        // `?` of ours must not stand for a `*` of theirs; a run of ours may well stand for any part of theirs.
        self == other || (!self.0.contains('?') || !other.is_glob()) && self.matches(&other.0)
    }

    /// Time is bounded by the length of the name, times that of a part between two `*` if that part has a `?`.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|first| after_prefix(name, first)) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            match after_leftmost(rest, part) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        ends_with(rest, last)
    }
}

fn after_prefix<'n>(name: &'n str, part: &str) -> Option<&'n str> {
    if !part.contains('?') {
        return name.strip_prefix(part);
    }
    let mut rest = name.chars();
    part.chars().all(|wanted| rest.next().is_some_and(|c| wanted == '?' || c == wanted)).then_some(rest.as_str())
}

fn after_leftmost<'n>(name: &'n str, part: &str) -> Option<&'n str> {
    if !part.contains('?') {
        return name.split_once(part).map(|(_, after)| after);
    }
    let mut rest = name;
    loop {
        if let Some(after) = after_prefix(rest, part) {
            return Some(after);
        }
        let mut chars = rest.chars();
        chars.next()?;
        rest = chars.as_str();
    }
}

fn ends_with(name: &str, part: &str) -> bool {
    if !part.contains('?') {
        return name.ends_with(part);
    }
    let mut rest = name.chars();
    part.chars().rev().all(|wanted| rest.next_back().is_some_and(|c| wanted == '?' || c == wanted))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Pattern;

    #[track_caller]
    fn check(pattern: &str, name: &str, expected: bool) {
        assert_eq!(Pattern::parse(pattern).unwrap().matches(name), expected, "{pattern} against {name}");
    }

    #[test]
    fn matching() {
        check("add", "add", true);
        check("add", "Add", false);
        check("add", "add ", false);
        check("*", "", true);
        check("list_*", "list_", true);
        check("list_*", "a_list_", false);
        check("docs://*", "docs://a/b/../c", true);
        check("*_all", "delete_all", true);
        check("*_all", "_all_", false);
        check("a*a", "a", false);
        check("a*a", "aa", true);
        check("*ab*ab", "ab", false);
        check("*ab*ab", "abab", true);
        check("get_?", "get_é", true);
        check("get_?", "get_", false);
        check("get_?", "get_ab", false);
        check("get_??", "get_é", false);
        check("*?", "", false);
        check("?*", "\u{1f600}", true);
        check("*a?c*e?", "xxabcxxexef", true);
        check("[ab]", "a", false);
        check("[ab]", "[ab]", true);
        check("{a,b}*", "{a,b}c", true);
        check("a\\*", "a*", false);
        check("a\\*", "a\\b", true);
        check("!a", "b", false);
        check("caf\u{e9}", "cafe\u{301}", false);
    }

    #[test]
    fn covering() {
        let covers = |a: &str, b: &str| Pattern::parse(a).unwrap().covers(&Pattern::parse(b).unwrap());
        assert!(covers("*", "list_*"));
        assert!(covers("list_*", "list_a?"));
        assert!(covers("a?", "ab"));
        assert!(covers("a?", "a?"));
        assert!(!covers("a?", "a*"));
        assert!(!covers("list_a*", "list_*"));
    }

    /// Says the same as the documentation, one character at a time.
    fn naive(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            (['*', rest @ ..], _) => naive(rest, name) || !name.is_empty() && naive(pattern, &name[1..]),
            (['?', rest @ ..], [_, after @ ..]) => naive(rest, after),
            ([wanted, rest @ ..], [c, after @ ..]) => wanted == c && naive(rest, after),
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn agrees_with_the_naive_matcher(pattern in "[ab/é*?\\[{]{1,8}", name in "[ab/é\\[{]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = naive(&chars(&pattern), &chars(&name));
            let pattern = Pattern::parse(&pattern).unwrap();
            prop_assert_eq!(pattern.matches(&name), expected);
            prop_assert!(!expected || name.contains(pattern.literal()));
        }

        #[test]
        fn what_covers_a_pattern_matches_all_it_matches(a in "[ab*?]{1,5}", b in "[ab*?]{1,5}", name in "[ab]{0,6}") {
            let (a, b) = (Pattern::parse(&a).unwrap(), Pattern::parse(&b).unwrap());
            prop_assert!(!a.covers(&b) || !b.matches(&name) || a.matches(&name));
        }
    }
}

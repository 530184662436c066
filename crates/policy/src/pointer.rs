//! Names the place in a policy that decided: a JSON Pointer, or one of a few fixed words where no rule did.

use std::fmt;
use std::sync::Arc;

/// A JSON Pointer into the policy (`/tools/list_*/limits/0`), or a word such as `(default deny)`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RulePointer(Text);

#[derive(Clone)]
enum Text {
    Word(&'static str),
    Path(Arc<str>),
}

impl RulePointer {
    /// No rule lists the name, and the default is to deny.
    pub const DEFAULT_DENY: Self = Self(Text::Word("(default deny)"));
    /// No rule lists the name, and the default is to allow.
    pub const DEFAULT_ALLOW: Self = Self(Text::Word("(default allow)"));
    /// No rule lists the name, and it passes although something in shadow would refuse it.
    pub const SHADOW: Self = Self(Text::Word("(shadow)"));
    /// Stands for every rule that hides, so that not even a record of the answer tells which pattern it was.
    pub const HIDDEN: Self = Self(Text::Word("(hidden)"));
    /// For those who have no policy to ask. This crate never answers it.
    pub const NO_POLICY: Self = Self(Text::Word("(no policy)"));

    /// The pointer that goes through these keys, each escaped as RFC 6901 says.
    pub(crate) fn to<'k>(keys: impl IntoIterator<Item = &'k str>) -> Self {
        Self::DOCUMENT.join(keys)
    }

    pub(crate) fn join<'k>(&self, keys: impl IntoIterator<Item = &'k str>) -> Self {
        let mut path = self.as_str().to_owned();
        for key in keys {
            path.push('/');
            path.push_str(&key.replace('~', "~0").replace('/', "~1"));
        }
        Self(Text::Path(path.into()))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    const DOCUMENT: Self = Self(Text::Word(""));
}

impl fmt::Display for RulePointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RulePointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RulePointer({:?})", self.as_str())
    }
}

impl Text {
    fn as_str(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Path(path) => path,
        }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl std::hash::Hash for Text {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::RulePointer;

    #[test]
    fn keys_are_escaped() {
        let pointer = RulePointer::to(["resources", "docs://~a/*"]).join(["limits", "0"]);
        assert_eq!(pointer.as_str(), "/resources/docs:~1~1~0a~1*/limits/0");
    }
}

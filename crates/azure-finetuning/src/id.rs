//! Identifiers that go into URLs. Each is checked once, here, so that no id can ever leave its own path segment.

/// Why a text is not an identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidId {
    /// The text is empty.
    #[error("an id is empty")]
    Empty,
    /// The text is longer than [`MAX_ID_BYTES`] bytes; the number is its length.
    #[error("an id has {0} bytes, more than {MAX_ID_BYTES}")]
    TooLong(usize),
    /// The text does not begin with an ASCII letter or digit.
    #[error("an id begins with `{}`, not with a letter or digit", .0.escape_default())]
    Start(char),
    /// The text contains something else than ASCII letters, digits, `.`, `_`, `:` and `-`.
    #[error("an id contains `{}`", .0.escape_default())]
    Character(char),
}

/// The longest id that is accepted, in bytes.
pub const MAX_ID_BYTES: usize = 255;

// INVARIANT: no `/`, `\`, `%`, `?`, `#`, and never `.` or `..`: such a text is one path segment before and after URL normalisation.
pub(crate) fn check(text: &str) -> Result<(), InvalidId> {
    let first = text.chars().next().ok_or(InvalidId::Empty)?;
    if text.len() > MAX_ID_BYTES {
        return Err(InvalidId::TooLong(text.len()));
    }
    let lawful = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
    match text.chars().find(|c| !lawful(c)) {
        Some(c) => Err(InvalidId::Character(c)),
        None if !first.is_ascii_alphanumeric() => Err(InvalidId::Start(first)),
        None => Ok(()),
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// 1 to 255 bytes: an ASCII letter or digit, then letters, digits, `.`, `_`, `:` or `-`. Anything else is refused by
        /// [`FromStr`](std::str::FromStr), the only way in, so an id can neither leave its path segment nor reach the query of a URL.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The id as the service writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::id::InvalidId;

            fn from_str(text: &str) -> Result<Self, $crate::id::InvalidId> {
                $crate::id::check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use id;

id!(
    /// A fine-tuning job, such as `ftjob-0a1b2c3d4e5f60718293a4b5c6d7e8f9`.
    JobId
);
id!(
    /// An uploaded file or a result file, such as `file-11112222333344445555666677778888`.
    FileId
);
id!(
    /// A checkpoint of a job, such as `ftchkpt-5555666677778888999900001111aaaa`.
    CheckpointId
);
id!(
    /// An event of a job, such as `ftevent-02`.
    EventId
);
id!(
    /// A base model, a fine-tuned model or a checkpoint's model, such as `gpt-4.1-mini-2025-04-14.ft-0a1b:ckpt-step-20`.
    ModelId
);
id!(
    /// An upload in parts, such as `upload_abc123`.
    UploadId
);
id!(
    /// One part of an upload, such as `part_def456`.
    PartId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = text.parse::<JobId>().map_or_else(|error| error.to_string(), |id| format!("ok {id}"));
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn what_is_an_id() {
        check("ftjob-0a1b", "ok ftjob-0a1b");
        check("gpt-4.1-mini.ft-0a1b:ckpt-step-20", "ok gpt-4.1-mini.ft-0a1b:ckpt-step-20");
        check("ftckpt_1", "ok ftckpt_1");
        check("", "an id is empty");
        check(".", "an id begins with `.`, not with a letter or digit");
        check("..", "an id begins with `.`, not with a letter or digit");
        check("-x", "an id begins with `-`, not with a letter or digit");
        check("../../files/file-x/content", "an id contains `/`");
        check("%2e%2e", "an id contains `%`");
        check("a\\b", "an id contains `\\\\`");
        check("a?b", "an id contains `?`");
        check("a#b", "an id contains `#`");
        check("a b", "an id contains ` `");
        check("a\nb", "an id contains `\\n`");
        check("ä", "an id contains `\\u{e4}`");
        check(&"a".repeat(256), "an id has 256 bytes, more than 255");
    }

    #[test]
    fn an_unlawful_id_is_not_read_from_json() {
        assert!(serde_json::from_str::<FileId>(r#""file-1""#).is_ok());
        assert!(serde_json::from_str::<FileId>(r#""../x""#).is_err());
    }
}

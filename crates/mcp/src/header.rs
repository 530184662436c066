//! Header values that mirror the body: plain visible ASCII, or `=?base64?…?=` (MCP 2026-07-28, "Value Encoding").

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};

const PREFIX: &str = "=?base64?";
const SUFFIX: &str = "?=";

/// Why a header value cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    #[error("characters that a header value may not have")]
    Characters,
    #[error("a base64 value that does not decode to UTF-8 text")]
    Base64,
}

/// The value that a header carries.
pub fn decode(value: &[u8]) -> Result<Cow<'_, str>, HeaderFault> {
    let text = std::str::from_utf8(value).map_err(|_| HeaderFault::Characters)?;
    let text = text.trim_matches([' ', '\t']);
    if text.bytes().any(|byte| !matches!(byte, b'\t' | b' '..=b'~')) {
        return Err(HeaderFault::Characters);
    }
    match text.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX)) {
        None => Ok(Cow::Borrowed(text)),
        Some(coded) => {
            let bytes = STANDARD.decode(coded).map_err(|_| HeaderFault::Base64)?;
            String::from_utf8(bytes).map(Cow::Owned).map_err(|_| HeaderFault::Base64)
        }
    }
}

/// A header value that carries `text`.
pub fn encode(text: &str) -> Cow<'_, str> {
    let safe = text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && text.trim_matches(' ') == text;
    match safe && !(text.starts_with(PREFIX) && text.ends_with(SUFFIX)) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(format!("{PREFIX}{}{SUFFIX}", STANDARD.encode(text))),
    }
}

/// Does the header carry exactly `expected`?
pub fn matches(value: &[u8], expected: &str) -> bool {
    decode(value).is_ok_and(|text| text == expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: Result<&str, HeaderFault>) {
        assert_eq!(decode(value.as_bytes()).as_deref(), expected.as_ref().copied());
    }

    #[test]
    fn sentinels() {
        check("us-west1", Ok("us-west1"));
        check("  padded\t", Ok("padded"));
        check("=?base64?SGVsbG8sIOS4lueVjA==?=", Ok("Hello, 世界"));
        check("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", Ok("=?base64?literal?="));
        check("=?base64?SGVsbG8?=", Err(HeaderFault::Base64));
        check("=?base64?SGVs!!!bG8=?=", Err(HeaderFault::Base64));
        check("=?base64?/w==?=", Err(HeaderFault::Base64));
        check("SGVsbG8=", Ok("SGVsbG8="));
        check("=?base64?SGVsbG8=", Ok("=?base64?SGVsbG8="));
        check("=?BASE64?SGVsbG8=?=", Ok("=?BASE64?SGVsbG8=?="));
        check("=?base64?=", Ok("=?base64?="));
        check("=?base64??=", Ok(""));
        check("wörld", Err(HeaderFault::Characters));
        check("a\u{7f}", Err(HeaderFault::Characters));
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for text in ["plain", "", " lead", "naïve", "a\nb", "=?base64?x?=", "=?base64?", "tab\there"] {
            assert_eq!(decode(encode(text).as_bytes()).unwrap(), text);
            assert!(matches(encode(text).as_bytes(), text));
        }
    }
}

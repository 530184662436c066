//! What a request is called, in the journal, in the log and to the client: ours, told once, and by what it came from in a trace.

use std::fmt::{self, Display};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderMap;
use mcp::{Object, Params};

/// Tells apart the requests of all processes there ever were.
static PROCESS: LazyLock<u64> = LazyLock::new(|| {
    // Without randomness there are no sessions either; then the numbers alone must do.
    u64::from_be_bytes(crate::random::bytes().unwrap_or_default())
});

static NEXT: AtomicU64 = AtomicU64::new(1);

/// One for each message that is judged. Made by `default`, never the same twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(u64);

impl Default for RequestId {
    fn default() -> Self {
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", *PROCESS, self.0)
    }
}

/// The trace that a request belongs to (W3C Trace Context), in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceId([u8; 32]);

impl TraceId {
    /// What the message itself says, else what its header does. Whatever is not exactly as the standard wants it is not there.
    pub(crate) fn of(headers: &HeaderMap, params: &Params<'_>) -> Option<Self> {
        let meta = params.meta().filter(|meta| meta.contains("traceparent")).and_then(Object::read);
        if let Some(told) = meta.and_then(|meta| meta.text("traceparent").and_then(|text| Self::read(&text))) {
            return Some(told);
        }
        let mut lines = headers.get_all("traceparent").iter();
        let line = lines.next().filter(|_| lines.next().is_none())?;
        Self::read(line.to_str().ok()?)
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |part: &str, length: usize| {
            part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_something = |part: &str| part.bytes().any(|byte| byte != b'0');
        let known = version == "00" && parts.next().is_none();
        // A later version may say more.
        let later = is_hex(version, 2) && version != "00" && version != "ff";
        let lawful = (known || later) && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2);
        if lawful && is_something(trace) && is_something(span) {
            Some(Self(trace.as_bytes().try_into().ok()?))
        } else {
            None
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_exactly_as_the_standard_wants_it() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let read = |text: &str| TraceId::read(text).map(|trace| trace.as_str().to_owned());
        let good = format!("00-{trace}-00f067aa0bc902b7-01");
        assert_eq!(read(&good).as_deref(), Some(trace));
        assert_eq!(read(&format!("cc-{trace}-00f067aa0bc902b7-01-what-comes")).as_deref(), Some(trace));
        for bad in [
            format!("ff-{trace}-00f067aa0bc902b7-01"),
            format!("00-{}-00f067aa0bc902b7-01", trace.to_uppercase()),
            format!("00-{}-00f067aa0bc902b7-01", "0".repeat(32)),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{trace}-00f067aa0bc902b7-01-more"),
            format!("00-{trace}-00f067aa0bc902b7"),
            format!(" {good}"),
            String::new(),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }

    #[test]
    fn what_the_message_says_goes_before_its_header() {
        let [inner, outer] = ["a".repeat(32), "b".repeat(32)];
        let parent = |trace: &str| format!("00-{trace}-00f067aa0bc902b7-01");
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", parent(&outer).parse().unwrap());
        let mut params = Params::default();
        assert_eq!(TraceId::of(&headers, &params).unwrap().as_str(), outer);
        params.replace_meta(format!(r#"{{"traceparent":"{}"}}"#, parent(&inner)));
        assert_eq!(TraceId::of(&headers, &params).unwrap().as_str(), inner);
        params.replace_meta(r#"{"traceparent":7}"#.into());
        headers.append("traceparent", parent(&inner).parse().unwrap());
        assert_eq!(TraceId::of(&headers, &params), None, "two lines say nothing");
    }

    #[test]
    fn no_two_requests_are_called_the_same() {
        assert_ne!(RequestId::default().to_string(), RequestId::default().to_string());
    }
}

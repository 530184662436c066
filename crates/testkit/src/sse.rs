//! Server-sent events, read as a browser would.

use serde_json::Value;

use crate::wire::find;

/// One event; a comment or an empty keep-alive is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseEvent {
    pub id: Option<String>,
    pub event: Option<String>,
    pub retry: Option<u64>,
    pub data: String,
}

impl SseEvent {
    /// The data as JSON; panics when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|e| panic!("{e}: `{}`", self.data))
    }

    /// Takes the next complete event from the front of `buffer`, comments left out.
    pub(crate) fn take(buffer: &mut Vec<u8>) -> Option<Self> {
        while let Some(end) = find(buffer, b"\n\n") {
            let block: Vec<u8> = buffer.drain(..end + 2).collect();
            if let Some(event) = Self::parse(str::from_utf8(&block).unwrap()) {
                return Some(event);
            }
        }
        None
    }

    fn parse(block: &str) -> Option<Self> {
        let mut event = Self::default();
        let mut data: Vec<&str> = Vec::new();
        let mut seen = false;
        for line in block.lines().filter(|line| !line.is_empty() && !line.starts_with(':')) {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            seen = true;
            match field {
                "id" => event.id = Some(value.to_owned()),
                "event" => event.event = Some(value.to_owned()),
                "retry" => event.retry = value.parse().ok(),
                "data" => data.push(value),
                _ => panic!("unknown SSE field `{line}`"),
            }
        }
        event.data = data.join("\n");
        seen.then_some(event)
    }
}

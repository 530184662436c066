//! Server-sent events, incremental and bounded (WHATWG HTML, section 9.2). Fields are kept as far as a relay needs them:
//! an empty `data:` or `id:` is not the same as none, since MCP primes streams with empty data.

use memchr::memchr2;

/// The longest name of a field that is kept, with what separates it from its value.
const LONGEST_NAME: usize = "event: ".len();

/// A line buffer larger than this is given back after its event: an idle stream costs little.
const IDLE_LINE: usize = 4096;

/// One event. Comments are not events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub event: Option<String>,
    pub id: Option<String>,
    pub retry: Option<u64>,
    /// The data lines, joined by `\n`.
    pub data: Option<Vec<u8>>,
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("an event is larger than {0} bytes")]
    TooLarge(usize),
    #[error("a field other than data is not UTF-8")]
    NotUtf8,
}

/// Turns bytes into events; an event that the stream's end cuts off is dropped, as the standard says.
#[derive(Debug)]
pub struct Reader {
    max: usize,
    line: Vec<u8>,
    event: Event,
    size: usize,
    after_cr: bool,
    started: bool,
}

impl Reader {
    /// A reader of events of at most `max` bytes: the values of all fields, and a line end between any two of them.
    pub fn new(max: usize) -> Self {
        Self { max, line: Vec::new(), event: Event::default(), size: 0, after_cr: false, started: false }
    }

    /// Takes the next bytes of the stream and hands every event that they complete to `each`.
    pub fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(Event)) -> Result<(), Broken> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr)
                && let Some(rest) = bytes.strip_prefix(b"\n")
            {
                bytes = rest;
                continue;
            }
            let Some(end) = memchr2(b'\n', b'\r', bytes) else {
                return self.extend(bytes);
            };
            let (line, rest) = bytes.split_at(end);
            self.extend(line)?;
            self.after_cr = rest.first() == Some(&b'\r');
            bytes = rest.get(1..).unwrap_or_default();
            if let Some(event) = self.end_line()? {
                each(event);
            }
        }
        Ok(())
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        if self.size + self.line.len() + bytes.len() > self.max.saturating_add(LONGEST_NAME) {
            return Err(Broken::TooLarge(self.max));
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) -> Result<Option<Event>, Broken> {
        let mut line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.started, true) && line.starts_with("\u{feff}".as_bytes()) {
            line.drain(..3);
        }
        let event = match line.is_empty() {
            true => self.dispatch(),
            false => {
                self.field(&line)?;
                None
            }
        };
        line.clear();
        if event.is_some() {
            line.shrink_to(IDLE_LINE);
        }
        self.line = line;
        Ok(event)
    }

    fn dispatch(&mut self) -> Option<Event> {
        self.size = 0;
        let event = std::mem::take(&mut self.event);
        (event != Event::default()).then_some(event)
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Broken> {
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(0) => return Ok(()), // a comment
            Some(at) => {
                let (name, value) = line.split_at(at);
                let value = value.get(1..).unwrap_or_default();
                (name, value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &[][..]),
        };
        self.size += value.len() + 1;
        if self.size > self.max.saturating_add(1) {
            return Err(Broken::TooLarge(self.max));
        }
        let text = || std::str::from_utf8(value).map(str::to_owned).map_err(|_| Broken::NotUtf8);
        match name {
            b"data" => match &mut self.event.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                none => *none = Some(value.to_vec()),
            },
            b"event" => self.event.event = Some(text()?),
            b"id" if !value.contains(&0) => self.event.id = Some(text()?),
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                self.event.retry = text()?.parse().ok().or(self.event.retry);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Writes an event so that no value can leave its field.
pub fn write(event: &Event, out: &mut Vec<u8>) {
    let mut field = |name: &str, value: &[u8]| {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.push(b'\n');
    };
    if let Some(name) = &event.event {
        field("event", one_line(name).as_bytes());
    }
    if let Some(id) = &event.id {
        field("id", one_line(id).as_bytes());
    }
    if let Some(retry) = event.retry {
        field("retry", retry.to_string().as_bytes());
    }
    if let Some(data) = &event.data {
        let mut rest = data.as_slice();
        loop {
            let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            let (line, after) = rest.split_at(end);
            field("data", line);
            if after.is_empty() {
                break;
            }
            rest = after.strip_prefix(b"\r\n").or(after.get(1..)).unwrap_or_default();
        }
    }
    out.push(b'\n');
}

/// A comment that keeps the connection from looking idle.
pub const KEEP_ALIVE: &[u8] = b":\n\n";

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '\n' | '\r' | '\0')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: &[u8], piece: usize) -> Result<Vec<Event>, Broken> {
        let mut reader = Reader::new(64);
        let mut events = Vec::new();
        for bytes in stream.chunks(piece) {
            reader.push(bytes, |event| events.push(event))?;
        }
        Ok(events)
    }

    #[track_caller]
    fn check(stream: &str, expected: &str) {
        for piece in [1, 2, 3, 5, 1000] {
            let mut out = Vec::new();
            read(stream.as_bytes(), piece).unwrap().iter().for_each(|event| write(event, &mut out));
            assert_eq!(String::from_utf8(out).unwrap(), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn streams() {
        check("data: {}\n\n", "data: {}\n\n");
        check("data:{}\r\n\r\ndata: 2\r\rdata:3\n\n", "data: {}\n\ndata: 2\n\ndata: 3\n\n");
        check("id: 7\nretry: 500\ndata:\n\n", "id: 7\nretry: 500\ndata: \n\n");
        check(": hello\n\nevent: message\ndata: a\ndata: b\n\n", "event: message\ndata: a\ndata: b\n\n");
        check("\u{feff}data: x\n\n", "data: x\n\n");
        check("id\nid: \ndata\n\n", "id: \ndata: \n\n");
        check("nonsense: 1\nretry: soon\n\n", "");
        check("retry: 7\nretry: +5\nretry:\nretry: 99999999999999999999\n\n", "retry: 7\n\n");
        check("data: cut off", "");
    }

    #[test]
    fn an_event_is_bounded() {
        let long = format!("data: {}\n\n", "x".repeat(64));
        assert_eq!(read(long.as_bytes(), 7).unwrap().len(), 1);
        for field in ["data:", "data: ", "event: ", "id:", "x:"] {
            let longer = format!("{field}{}\n\n", "x".repeat(65));
            assert_eq!(read(longer.as_bytes(), 7), Err(Broken::TooLarge(64)), "{field}");
        }
        let many = "data: 1234567\n".repeat(20);
        assert_eq!(read(many.as_bytes(), 7), Err(Broken::TooLarge(64)));
        let apart = "data: 1234567\n\n".repeat(20);
        assert_eq!(read(apart.as_bytes(), 7).unwrap().len(), 20);
    }

    #[test]
    fn nothing_leaves_its_field() {
        let forged = Event {
            id: Some("1\ndata: {\"forged\":1}".into()),
            data: Some(b"x\n\ndata: y\rz".to_vec()),
            ..Event::default()
        };
        let mut out = Vec::new();
        write(&forged, &mut out);
        let events = read(&out, 1000).unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].data.as_deref(), Some(b"x\n\ndata: y\nz".as_slice()));
    }
}

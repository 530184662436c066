//! Checks training data the way the service does when a job starts: JSON lines of the right shape, ten at least.

use std::io::BufRead;

use serde_json::Value;

/// Lines that are looked at closely; the rest is only counted.
const CHECKED: u64 = 10_000;
const MAX_LINE: usize = 4 << 20;
const LEAST: u64 = 10;

/// What a file of training data holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) lines: u64,
    /// The first thing that is wrong, for each method.
    pub(crate) supervised: Option<String>,
    pub(crate) dpo: Option<String>,
    pub(crate) reinforcement: Option<String>,
}

impl Checked {
    pub(crate) fn of(mut reader: impl BufRead) -> std::io::Result<Self> {
        let mut checked = Self::default();
        let mut line = Vec::new();
        let mut number = 0_u64;
        loop {
            line.clear();
            if read_line(&mut reader, &mut line)? == 0 {
                break;
            }
            number += 1;
            let text = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| number == 1).unwrap_or(&line).trim_ascii();
            if text.is_empty() {
                continue;
            }
            checked.lines += 1;
            if checked.lines <= CHECKED {
                checked.check(number, text);
            }
        }
        let few = (checked.lines < LEAST)
            .then(|| format!("The file has {} examples; at least {LEAST} are needed.", checked.lines));
        for problem in [&mut checked.supervised, &mut checked.dpo, &mut checked.reinforcement] {
            *problem = problem.take().or_else(|| few.clone());
        }
        Ok(checked)
    }

    fn check(&mut self, number: u64, text: &[u8]) {
        let value: Value = match serde_json::from_slice(text) {
            Ok(value) => value,
            Err(_) => {
                for problem in [&mut self.supervised, &mut self.dpo, &mut self.reinforcement] {
                    problem.get_or_insert_with(|| format!("Line {number}: not a JSON object."));
                }
                return;
            }
        };
        let list = |pointer: &str| value.pointer(pointer).and_then(Value::as_array).filter(|list| !list.is_empty());
        let missing = |what: &str| format!("Line {number}: '{what}' is missing.");
        if list("/messages").is_none() {
            self.supervised.get_or_insert_with(|| missing("messages"));
        }
        for (pointer, name) in [
            ("/input/messages", "input.messages"),
            ("/preferred_output", "preferred_output"),
            ("/non_preferred_output", "non_preferred_output"),
        ] {
            if list(pointer).is_none() {
                self.dpo.get_or_insert_with(|| missing(name));
            }
        }
        match list("/messages").and_then(|messages| messages.last()?.get("role")?.as_str()) {
            Some("user") => {}
            Some(_) => {
                self.reinforcement
                    .get_or_insert_with(|| format!("Line {number}: the last message must be of the user."));
            }
            None => {
                self.reinforcement.get_or_insert_with(|| missing("messages"));
            }
        }
    }
}

/// One line without more than `MAX_LINE` of it; how many bytes were taken.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut taken = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(taken);
        }
        let (part, ends) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), false),
        };
        let room = MAX_LINE.saturating_sub(line.len());
        line.extend(buffer.iter().take(part.min(room)));
        reader.consume(part);
        taken += part;
        if ends {
            return Ok(taken);
        }
    }
}

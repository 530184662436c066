//! A call's arguments as whoever decides sees them: every character that is there, and nothing that only seems to be.
//!
//! Strings and numbers stay as they were written. White space between them is ours, so that nothing hides behind a screen full of it.

use gateway::{is_unseen, visible};

/// Characters of a preview.
const PREVIEW: usize = 160;

/// Members of members are set in so deep, and no deeper: what is laid out stays about as large as what came.
const DEEPEST: usize = 8;

const UNSEEN: &str = "contains invisible or direction-changing characters";
const CONTROLS: &str = "contains control characters";

/// A member a line.
pub(crate) fn laid_out(json: &str) -> String {
    let mut sheet = Sheet { text: String::with_capacity(json.len() * 2), broken: true, depth: 0, last: Last::Other };
    lay(json, &mut sheet);
    sheet.text
}

/// Its beginning, on one line.
pub(crate) fn preview(json: &str) -> String {
    // What stands beyond this cannot be in the preview, unless it is white space.
    let beginning: String = json.chars().take(8 * PREVIEW).collect();
    let mut sheet = Sheet { text: String::new(), broken: false, depth: 0, last: Last::Other };
    lay(&beginning, &mut sheet);
    let cut: String = sheet.text.chars().take(PREVIEW).collect();
    match cut.len() < sheet.text.len() || beginning.len() < json.len() {
        true => cut + "…",
        false => cut,
    }
}

/// What to look out for, in words.
pub(crate) fn warnings(json: &str) -> Vec<&'static str> {
    let escapes = char::decode_utf16(escapes(json)).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
    let (mut unseen, mut controls) = (false, false);
    for c in json.chars().chain(escapes) {
        unseen |= is_unseen(c);
        controls |= c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    }
    [(unseen, UNSEEN), (controls, CONTROLS)].into_iter().filter_map(|(there, said)| there.then_some(said)).collect()
}

struct Sheet {
    text: String,
    /// Into lines?
    broken: bool,
    depth: usize,
    last: Last,
}

/// What was written last, as far as a line may break after it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Opening,
    Comma,
    Other,
}

fn lay(json: &str, sheet: &mut Sheet) {
    let (mut within, mut escaped) = (false, false);
    for c in json.chars() {
        match c {
            _ if within => {
                sheet.text.push_str(&visible(c.encode_utf8(&mut [0; 4])));
                within = c != '"' || escaped;
                escaped = c == '\\' && !escaped;
            }
            ' ' | '\t' | '\n' | '\r' => {}
            c => {
                sheet.token(c);
                within = c == '"';
            }
        }
    }
}

impl Sheet {
    fn token(&mut self, c: char) {
        let closing = matches!(c, '}' | ']');
        if closing {
            self.depth = self.depth.saturating_sub(1);
        }
        match self.last {
            Last::Opening if !closing => self.line(),
            Last::Comma => self.line(),
            Last::Other if closing => self.line(),
            Last::Opening | Last::Other => {}
        }
        self.text.push_str(&visible(c.encode_utf8(&mut [0; 4])));
        self.last = match c {
            '{' | '[' => {
                self.depth += 1;
                Last::Opening
            }
            ',' => Last::Comma,
            ':' => {
                self.text.push(' ');
                Last::Other
            }
            _ => Last::Other,
        };
    }

    fn line(&mut self) {
        match (self.broken, self.last) {
            (true, _) => {
                self.text.push('\n');
                self.text.extend(std::iter::repeat_n("  ", self.depth.min(DEEPEST)));
            }
            (false, Last::Comma) => self.text.push(' '),
            (false, Last::Opening | Last::Other) => {}
        }
    }
}

/// What stands as `\u202e` or `\b` in strings, as UTF-16.
fn escapes(json: &str) -> impl Iterator<Item = u16> {
    let mut chars = json.chars();
    std::iter::from_fn(move || {
        loop {
            if chars.next()? != '\\' {
                continue;
            }
            match chars.next()? {
                'u' => {
                    let digits = chars.as_str().get(..4).and_then(|digits| u16::from_str_radix(digits, 16).ok());
                    if let Some(unit) = digits {
                        return Some(unit);
                    }
                }
                'b' => return Some(8),
                'f' => return Some(12),
                _ => {}
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{CONTROLS, UNSEEN, laid_out, preview, warnings};

    #[test]
    fn every_member_has_a_line_and_stays_as_it_was_written() {
        let json = "{\"a\":1.50,  \n\n\n\n \"b\":[{},[],\"x\\\"],{\"],  \"c\":{\"d\":1e400}}";
        let shown = "{\n  \"a\": 1.50,\n  \"b\": [\n    {},\n    [],\n    \"x\\\"],{\"\n  ],\n  \"c\": {\n    \"d\": 1e400\n  }\n}";
        assert_eq!(laid_out(json), shown);
        assert_eq!(preview(json), r#"{"a": 1.50, "b": [{}, [], "x\"],{"], "c": {"d": 1e400}}"#);
        assert_eq!(laid_out(""), "");
    }

    #[test]
    fn what_hides_is_written_out() {
        let shown = laid_out("{\"a\":\"\u{202e}x\u{1b}[2J\u{7}\r\"}");
        assert_eq!(shown, "{\n  \"a\": \"\\u{202e}x\\u{1b}[2J\\u{7}\\u{d}\"\n}");
        assert!(preview("[\"\u{200b}\"]").contains("\\u{200b}"));
    }

    #[test]
    fn what_hides_is_warned_of_however_it_is_written() {
        for (json, expected) in [
            (r#"{"a":"b\nc\t€","d":"\\u202e"}"#, &[][..]),
            ("[\"\u{202e}\"]", &[UNSEEN]),
            (r#"["\u202E"]"#, &[UNSEEN]),
            (r#"["\\\u200b"]"#, &[UNSEEN]),
            (r#"["\udb40\udc41"]"#, &[UNSEEN]),
            (r#"["\u001b[2J"]"#, &[CONTROLS]),
            (r#"["\b","\u2066"]"#, &[UNSEEN, CONTROLS]),
        ] {
            assert_eq!(warnings(json), expected, "{json}");
        }
    }

    #[test]
    fn what_is_deep_or_large_stays_in_bounds() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(laid_out(&deep).len() < 20 * deep.len());
        let padded = format!("{{{}\"a\":1}}", " ".repeat(100_000));
        assert_eq!(laid_out(&padded), "{\n  \"a\": 1\n}");
        assert!(preview(&padded).ends_with('…'));
        assert!(preview(&format!("[{}1]", "1,".repeat(1_000))).chars().count() <= 161);
    }
}

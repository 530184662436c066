//! A call's arguments as whoever decides sees them: every character that is there, and nothing that only seems to be.
//!
//! Strings and numbers stay as they were written. White space between them is ours, so that nothing hides behind a screen full of it.

use gateway::{is_unseen, visible};

/// Characters of a preview.
const PREVIEW: usize = 160;

/// Members of members are set in so deep, and no deeper: what is laid out stays about as large as what came.
const DEEPEST: usize = 8;

/// Blanks in a row within a string that are shown as they are. More could hide what stands behind them.
const BLANKS: usize = 8;

const UNSEEN: &str = "contains invisible or direction-changing characters";
const CONTROLS: &str = "contains control characters";
const BLANK: &str = "contains long runs of blanks";
const RIGHT_TO_LEFT: &str =
    "contains letters written from right to left, which may be shown in another order than they are sent in";

/// Of what is laid out: a string with its quotes, or what stands between strings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) is_string: bool,
}

/// A member a line.
pub(crate) fn laid_out(json: &str) -> String {
    joined(pieces(json))
}

/// The same, with the strings apart: each has a direction of writing of its own.
pub(crate) fn pieces(json: &str) -> Vec<Piece> {
    lay(json, true)
}

/// Its beginning, on one line.
pub(crate) fn preview(json: &str) -> String {
    // What stands beyond this cannot be in the preview, unless it is white space.
    let beginning: String = json.chars().take(8 * PREVIEW).collect();
    let text = joined(lay(&beginning, false));
    let cut: String = text.chars().take(PREVIEW).collect();
    match cut.len() < text.len() || beginning.len() < json.len() {
        true => cut + "…",
        false => cut,
    }
}

fn joined(pieces: Vec<Piece>) -> String {
    pieces.into_iter().map(|piece| piece.text).collect()
}

/// What to look out for, in words.
pub(crate) fn warnings(json: &str) -> Vec<&'static str> {
    let escapes = char::decode_utf16(escapes(json)).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
    let (mut unseen, mut controls, mut right_to_left) = (false, false, false);
    for c in json.chars().chain(escapes) {
        unseen |= is_unseen(c);
        controls |= c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        right_to_left |= is_right_to_left(c);
    }
    let mut blank = false;
    scan(json, |_, blanks| blank |= blanks.is_some_and(|blanks| blanks > BLANKS));
    let there = [(unseen, UNSEEN), (controls, CONTROLS), (blank, BLANK), (right_to_left, RIGHT_TO_LEFT)];
    there.into_iter().filter_map(|(there, said)| there.then_some(said)).collect()
}

/// Is what they warn of written out where the arguments are shown? Letters are shown as letters.
pub(crate) fn is_spelt(warnings: &[&'static str]) -> bool {
    warnings.iter().any(|&warning| warning != RIGHT_TO_LEFT)
}

/// The blocks of scripts that are written so.
fn is_right_to_left(c: char) -> bool {
    matches!(c,
        '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' | '\u{10800}'..='\u{10fff}'
        | '\u{1e800}'..='\u{1efff}')
}

struct Sheet {
    pieces: Vec<Piece>,
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

fn lay(json: &str, broken: bool) -> Vec<Piece> {
    let mut sheet = Sheet { pieces: Vec::new(), broken, depth: 0, last: Last::Other };
    scan(json, |c, blanks| match blanks {
        Some(blanks) => sheet.of_string(c, blanks),
        None => sheet.token(c),
    });
    sheet.pieces
}

/// All but the white space between tokens. Of what a string has after its first quote, with how many blanks stand in a row, this one included.
fn scan(json: &str, mut each: impl FnMut(char, Option<usize>)) {
    let (mut within, mut escaped, mut blanks) = (false, false, 0);
    for c in json.chars() {
        match c {
            _ if within => {
                blanks = if c.is_whitespace() { blanks + 1 } else { 0 };
                each(c, Some(blanks));
                within = c != '"' || escaped;
                escaped = c == '\\' && !escaped;
            }
            ' ' | '\t' | '\n' | '\r' => {}
            c => {
                each(c, None);
                within = c == '"';
            }
        }
    }
}

impl Sheet {
    /// A string begins with each quote that is a token, and ends where the next token is.
    fn text(&mut self, begins: bool, is_string: bool) -> &mut String {
        let goes_on = self.pieces.pop_if(|piece| !begins && piece.is_string == is_string);
        let piece = goes_on.unwrap_or_else(|| Piece { text: String::new(), is_string });
        &mut self.pieces.push_mut(piece).text
    }

    /// `blanks`: how many stand in a row, this one included.
    fn of_string(&mut self, c: char, blanks: usize) {
        let hides = blanks > BLANKS || (blanks > 1 && c != ' ');
        let shown = if hides { c.escape_unicode().to_string() } else { visible(c.encode_utf8(&mut [0; 4])) };
        self.text(false, true).push_str(&shown);
    }

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
        let (shown, is_quote) = (visible(c.encode_utf8(&mut [0; 4])), c == '"');
        self.text(is_quote, is_quote).push_str(&shown);
        self.last = match c {
            '{' | '[' => {
                self.depth += 1;
                Last::Opening
            }
            ',' => Last::Comma,
            ':' => {
                self.text(false, false).push(' ');
                Last::Other
            }
            _ => Last::Other,
        };
    }

    fn line(&mut self) {
        match (self.broken, self.last) {
            (true, _) => {
                let depth = self.depth.min(DEEPEST);
                let text = self.text(false, false);
                text.push('\n');
                text.extend(std::iter::repeat_n("  ", depth));
            }
            (false, Last::Comma) => self.text(false, false).push(' '),
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
    use super::{BLANK, CONTROLS, RIGHT_TO_LEFT, UNSEEN, laid_out, pieces, preview, warnings};

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
    fn no_blanks_hide_what_stands_behind_them() {
        let (nbsp, wide) = ("\u{a0}", "\u{3000}");
        assert_eq!(
            laid_out(&format!("[\"a{nbsp}b{wide}c{}d\"]", " ".repeat(8))),
            format!("[\n  \"a{nbsp}b{wide}c        d\"\n]")
        );
        assert_eq!(
            laid_out(&format!("[\"{nbsp}{nbsp}x{}y\"]", " ".repeat(10))),
            format!("[\n  \"{nbsp}\\u{{a0}}x{}\\u{{20}}\\u{{20}}y\"\n]", " ".repeat(8))
        );
        for (blanks, expected) in [(" ".repeat(8), &[][..]), (" ".repeat(9), &[BLANK]), (nbsp.repeat(9), &[BLANK])] {
            assert_eq!(warnings(&format!("{{\"a{blanks}\":1,             \"b\":2}}")), expected, "{blanks:?}");
        }
    }

    #[test]
    fn each_string_stands_by_itself() {
        let told: Vec<_> =
            pieces(r#"{"אב":"ג\"}","n":["",1]}"#).into_iter().map(|piece| (piece.text, piece.is_string)).collect();
        let expected = [
            ("{\n  ", false),
            (r#""אב""#, true),
            (": ", false),
            (r#""ג\"}""#, true),
            (",\n  ", false),
            (r#""n""#, true),
            (": [\n    ", false),
            (r#""""#, true),
            (",\n    1\n  ]\n}", false),
        ];
        assert_eq!(told, expected.map(|(text, is_string)| (text.to_owned(), is_string)));
        assert_eq!(warnings(r#"["ש"]"#), [RIGHT_TO_LEFT]);
        assert_eq!(warnings(r#"["\u05e9"]"#), [RIGHT_TO_LEFT]);
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

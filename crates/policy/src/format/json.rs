//! Prints the tokens of a sound JSON document with comments. Printing what was printed changes nothing: whatever is decided
//! here goes by what the printed text shows again, such as whether two tokens stand on one line.

use jsonc_parser::tokens::{Token, TokenAndRange};

use super::flat::{self, is_comment, text_of};

const WIDTH: usize = 100;

pub(super) fn print(text: &str, tokens: &[TokenAndRange<'_>]) -> String {
    let mut printer = Printer { text, rest: tokens, end: 0, out: String::with_capacity(text.len()) };
    printer.comments(0);
    printer.start_line(0);
    printer.value(0);
    printer.trailing_comments();
    printer.comments(0);
    printer.out.push('\n');
    printer.out
}

struct Printer<'p, 't> {
    text: &'p str,
    rest: &'p [TokenAndRange<'t>],
    /// Where in the text ends what was printed last.
    end: usize,
    out: String,
}

impl Printer<'_, '_> {
    fn value(&mut self, level: usize) {
        let Some(first) = self.rest.first() else {
            return;
        };
        let length = flat::length(self.rest);
        if length == 1 {
            self.token();
            return;
        }
        let close = if first.token == Token::OpenBrace { Token::CloseBrace } else { Token::CloseBracket };
        if let Some(flat) = self.flat(length) {
            self.out.push_str(&flat);
            self.skip(length);
            return;
        }
        self.token();
        self.trailing_comments();
        loop {
            self.comments(level + 1);
            match self.rest.first() {
                None => return,
                Some(token) if token.token == close => break,
                Some(_) => self.member(level + 1, close == Token::CloseBrace),
            }
        }
        self.new_line(level);
        self.token();
    }

    /// With the comma, which comes before all comments, whatever stood between.
    fn member(&mut self, level: usize, named: bool) {
        self.start_line(level);
        if named && let [key, rest @ ..] = self.rest {
            self.rest = rest;
            // Comments between the name and the value go before both.
            while let Some(token) = self.rest.first().filter(|token| token.token == Token::Colon || is_comment(token)) {
                if is_comment(token) {
                    self.token();
                    self.new_line(level);
                } else {
                    self.skip(1);
                }
            }
            self.out.push_str(text_of(self.text, key));
            self.out.push_str(": ");
        }
        self.value(level);
        if self.comma_follows() {
            self.out.push(',');
        }
        self.trailing_comments();
    }

    /// Those on the line where something was just printed.
    fn trailing_comments(&mut self) {
        while let Some(token) = self.rest.first().filter(|token| is_comment(token) || token.token == Token::Comma) {
            let on_same_line = !self.text.get(self.end..token.range.start).unwrap_or_default().contains('\n');
            match (&token.token, on_same_line) {
                (Token::Comma, true) => self.skip(1),
                // What follows it there must not come after a line comment that was just printed.
                (Token::Comma, false) => self.drop_comma(),
                (_, false) => break,
                (_, true) => {
                    self.out.push(' ');
                    self.token();
                }
            }
        }
    }

    /// Each on a line of its own.
    fn comments(&mut self, level: usize) {
        while let Some(token) = self.rest.first().filter(|token| is_comment(token) || token.token == Token::Comma) {
            if token.token == Token::Comma {
                self.drop_comma();
            } else {
                self.start_line(level);
                self.token();
            }
        }
    }

    fn comma_follows(&self) -> bool {
        self.rest.iter().find(|token| !is_comment(token)).is_some_and(|token| token.token == Token::Comma)
    }

    /// On one line, where it was on one and there is room for it and a comma.
    fn flat(&self, length: usize) -> Option<String> {
        let tokens = self.rest.get(..length)?;
        let (open, close) = (tokens.first()?, tokens.last()?);
        let is_empty = length == 2;
        if !is_empty && self.text.get(open.range.start..close.range.end)?.contains('\n') {
            return None;
        }
        let flat = flat::line(self.text, tokens);
        let column = self.out.rsplit('\n').next().unwrap_or_default().chars().count();
        let comma = usize::from(self.after(length).comma_follows());
        (is_empty || column + flat.chars().count() + comma <= WIDTH).then_some(flat)
    }

    fn after(&self, length: usize) -> Printer<'_, '_> {
        let rest = self.rest.get(length..).unwrap_or_default();
        Printer { text: self.text, rest, end: self.end, out: String::new() }
    }

    fn token(&mut self) {
        if let Some(token) = self.rest.first() {
            self.out.push_str(text_of(self.text, token).trim_end());
        }
        self.skip(1);
    }

    /// One that was printed already, where nothing else was.
    fn drop_comma(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    fn skip(&mut self, length: usize) {
        let (skipped, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, &[]));
        self.end = skipped.last().map_or(self.end, |token| token.range.end);
        self.rest = rest;
    }

    /// For what comes next; a blank line before it stays, but for the first line within something.
    fn start_line(&mut self, level: usize) {
        if self.out.is_empty() {
            return;
        }
        let next = self.rest.first().map_or(self.end, |token| token.range.start);
        let between = self.text.get(self.end..next).unwrap_or_default();
        let mut inner = between.split('\n').skip(1).collect::<Vec<_>>();
        inner.pop();
        if inner.iter().any(|line| line.trim().is_empty()) && !self.out.ends_with(['{', '[']) {
            self.out.push('\n');
        }
        self.new_line(level);
    }

    fn new_line(&mut self, level: usize) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n("  ", level));
    }
}

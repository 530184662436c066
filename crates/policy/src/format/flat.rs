//! What a value looks like on one line, and how long it is.

use jsonc_parser::tokens::{Token, TokenAndRange};

/// The tokens on one line: `{ "a": [1, 2] }`.
pub(super) fn line(text: &str, tokens: &[TokenAndRange<'_>]) -> String {
    let mut line = String::new();
    let mut before = None;
    for token in tokens {
        if before.is_some_and(|before| is_spaced(before, token)) {
            line.push(' ');
        }
        line.push_str(text_of(text, token));
        before = Some(token);
    }
    line
}

/// How many tokens the value has that comes first.
pub(super) fn length(tokens: &[TokenAndRange<'_>]) -> usize {
    let mut depth = 0_usize;
    for (place, token) in tokens.iter().enumerate() {
        if matches!(token.token, Token::OpenBrace | Token::OpenBracket) {
            depth += 1;
        } else if matches!(token.token, Token::CloseBrace | Token::CloseBracket) {
            depth = depth.saturating_sub(1);
        }
        if depth == 0 {
            return place + 1;
        }
    }
    tokens.len()
}

pub(super) fn is_comment(token: &TokenAndRange<'_>) -> bool {
    matches!(token.token, Token::CommentLine(_) | Token::CommentBlock(_))
}

pub(super) fn text_of<'t>(text: &'t str, token: &TokenAndRange<'_>) -> &'t str {
    text.get(token.range.start..token.range.end).unwrap_or_default()
}

fn is_spaced(before: &TokenAndRange<'_>, token: &TokenAndRange<'_>) -> bool {
    !matches!(
        (&before.token, &token.token),
        (_, Token::Comma | Token::Colon | Token::CloseBracket)
            | (Token::OpenBracket, _)
            | (Token::OpenBrace, Token::CloseBrace)
    )
}

//! The one layout: what it looks like, and that nothing but the layout changes.

use jsonc_parser::tokens::Token;
use jsonc_parser::{CollectOptions, CommentCollectionStrategy, ParseOptions, parse_to_ast};
use policy::Policy;

use crate::generator::{Random, seed};
use crate::hostile::{SEEDS, mutate};

const ROUNDS: usize = 3_000;

#[track_caller]
fn format(text: &str) -> String {
    policy::format("policy.json", text).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(format(text), expected, "{text}");
    same(text, expected);
    means_the_same(text, expected);
}

/// The texts of all tokens but comments, and of all comments, line by line.
fn said(text: &str) -> (Vec<&str>, Vec<&str>) {
    let collect = CollectOptions { comments: CommentCollectionStrategy::AsTokens, tokens: true };
    let parsed = parse_to_ast(text, &collect, &ParseOptions::default());
    let tokens = parsed.unwrap_or_else(|error| panic!("{error}\n{text}")).tokens.unwrap();
    let (comments, others): (Vec<_>, Vec<_>) =
        tokens.iter().partition(|token| matches!(token.token, Token::CommentLine(_) | Token::CommentBlock(_)));
    let text_of = |token: &&jsonc_parser::tokens::TokenAndRange<'_>| &text[token.range.start..token.range.end];
    let lines = comments.iter().map(text_of).flat_map(|comment| comment.split(['\n', '\r']).map(str::trim_end));
    (others.iter().map(text_of).collect(), lines.filter(|line| !line.is_empty()).collect())
}

/// Counters tell all of a policy but its conditions, whose tokens are the same.
#[track_caller]
fn means_the_same(text: &str, formatted: &str) {
    let counters = |text| Policy::parse("policy.json", text).map(|policy| format!("{:?}", policy.counters())).ok();
    assert_eq!(counters(formatted), counters(text), "{text:?}");
}

#[track_caller]
fn same(text: &str, formatted: &str) {
    assert_eq!(said(formatted), said(text), "{text:?}");
    assert_eq!(format(formatted), formatted, "not the same when laid out again: {text:?}");
    let wide = |line: &str| line.chars().count() > 100 && line.trim_start().starts_with(['{', '[']);
    assert!(!formatted.contains(['\r', '\t']) || text.contains(['\r', '\t']));
    assert!(!formatted.lines().any(wide) || text.lines().any(wide) || text.contains("/*"), "{formatted}");
}

#[test]
fn what_was_on_one_line_and_fits_stays_on_it() {
    check(
        r#"{"version":"1","tools":{"a":{},"b":[ ]}}"#,
        "{ \"version\": \"1\", \"tools\": { \"a\": {}, \"b\": [] } }\n",
    );
    check(
        "{\"version\":\"1\",\n\"hide\":[\"a\" ,\"b\"], \"tools\":{\n\n\"a\":{ }}}",
        "{\n  \"version\": \"1\",\n  \"hide\": [\"a\", \"b\"],\n  \"tools\": {\n    \"a\": {}\n  }\n}\n",
    );
    check("{\n}\n\n", "{}\n");
    let long = format!("{{\"version\":\"1\",\"hide\":[{}]}}", ["\"abcdef\""; 8].join(","));
    let lines = format!("{{\n  \"version\": \"1\",\n  \"hide\": [{}]\n}}\n", ["\"abcdef\""; 8].join(", "));
    check(&long, &lines);
}

#[test]
fn a_line_has_a_hundred_characters_at_most() {
    for (length, fits) in [(85, true), (86, false)] {
        let text = format!("{{\n  \"hide\": [\"{}\"],\n  \"version\": \"1\"\n}}\n", "é".repeat(length));
        assert_eq!(text.lines().nth(1).unwrap().chars().count() <= 100, fits, "{text}");
        assert_eq!(format(&text) == text, fits, "{text}");
    }
}

#[test]
fn comments_stay_beside_what_they_are_about() {
    check(
        "// of all\n{ // of the inside\n  \"version\": \"1\",     // trailing\n  // own\n\n\n  /* a\n     b */\n  \"hide\": []\n // last\n} /* after */\n// end",
        "// of all\n{ // of the inside\n  \"version\": \"1\", // trailing\n  // own\n\n  /* a\n     b */\n  \"hide\": []\n  // last\n} /* after */\n// end\n",
    );
    check(
        "{ \"version\" /* a */ : // b\n \"1\" // c\n // d\n , // e\n \"hide\": [ /* f */ ] }",
        "{\n  /* a */\n  // b\n  \"version\": \"1\", // c\n  // d\n  // e\n  \"hide\": [/* f */]\n}\n",
    );
    check("{ /* x */ \"version\": /* y */ \"1\" /* z */ }", "{ /* x */ \"version\": /* y */ \"1\" /* z */ }\n");
    check(
        "{\r\n\"version\": \"1\", // a \r\n// b\r\"hide\":[]}",
        "{\n  \"version\": \"1\", // a\n  // b\n  \"hide\": []\n}\n",
    );
}

#[test]
fn documents_of_the_project_are_laid_out() {
    let pages = crate::page::examples();
    for text in pages.iter().chain(&SEEDS).chain(&[include_str!("data/example.jsonc")]) {
        same(text, &format(text));
        means_the_same(text, &format(text));
    }
}

#[test]
fn what_cannot_be_parsed_is_refused_as_by_the_reader() {
    for text in ["", "{", "[]", "{ \"version\": \"1\", \"version\": \"1\" }", "{ \"a\": 1, }", "{\u{a0}}"] {
        let refused = policy::format("policy.json", text).unwrap_err();
        assert!(refused.iter().all(|finding| text.get(finding.span()).is_some()));
        let read = Policy::parse("policy.json", text).unwrap_err();
        assert_eq!(
            refused.iter().next().map(|finding| finding.code()),
            read.iter().next().map(|finding| finding.code())
        );
    }
    // Not a policy, but laid out all the same: what is wrong with it is for `check` to say.
    assert_eq!(format("{\"version\":1}"), "{ \"version\": 1 }\n");
    let refused = policy::format("policy.yaml", "version: '1'\n").unwrap_err();
    assert!(refused.to_string().contains("YAML is left as it is"), "{refused}");
}

/// The same tokens with anything that may stand between them.
fn messy(text: &str, random: &mut Random) -> String {
    const GAPS: [&str; 16] = [
        "",
        "",
        "",
        " ",
        " ",
        "\t",
        "\n",
        "\n",
        "\r\n",
        "\n\n\n",
        " // line {\n",
        "//\r",
        "/* block */",
        " /* a\n\n * b */ ",
        "\n// own \n",
        "/**/",
    ];
    let (tokens, _) = said(text);
    let tidy = random.chance(30);
    let gap = |random: &mut Random| if tidy && random.chance(90) { " " } else { random.pick(&GAPS) };
    let mut messy = gap(random).to_owned();
    for token in tokens {
        messy.push_str(token);
        messy.push_str(gap(random));
    }
    messy
}

#[test]
fn only_the_layout_changes() {
    let mut random = Random::new(seed());
    for round in 0..ROUNDS {
        let document = random.document();
        let text = random.write(&document);
        let messy = messy(&text, &mut random);
        same(&messy, &format(&messy));
        if round % 20 == 0 {
            means_the_same(&messy, &format(&messy));
        }
    }
}

#[test]
fn no_text_makes_the_formatter_panic() {
    let mut random = Random::new(seed());
    let mut formatted = 0;
    for _ in 0..ROUNDS {
        let mut text = random.pick(&SEEDS).to_owned();
        for _ in 0..=random.below(3) {
            mutate(&mut text, &mut random);
        }
        if let Ok(after) = policy::format("policy.json", &text) {
            same(&text, &after);
            formatted += 1;
        }
    }
    assert!(formatted * 20 > ROUNDS, "{formatted}");
    for depth in [100, 500, 100_000] {
        let nested = format!("{{ \"a\": {}\n{} }}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(policy::format("policy.json", &nested).is_ok(), depth <= 500, "{depth}");
    }
}

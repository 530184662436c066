//! Documents of cases: what they may say, and what is wrong with those that say something else.

use std::time::{Duration, UNIX_EPOCH};

use policy::{Cases, Named, Outcome};

/// Every error, by line, column and message.
#[track_caller]
fn wrong(name: &str, text: &str, expected: &[(usize, usize, &str)]) {
    let errors = Cases::parse(name, text).map(|_| "no error").unwrap_err();
    let shown: Vec<_> = errors.iter().map(|error| (error.position(), error.message().to_owned())).collect();
    let shown: Vec<_> = shown.iter().map(|((line, column), message)| (*line, *column, message.as_str())).collect();
    assert_eq!(shown, expected, "{text}");
}

/// What is wrong with a case that is good but for this.
#[track_caller]
fn wrong_case(more: &str, expected: &[(usize, &str)]) {
    let text = format!("[{{ \"tool\": \"t\", \"expect\": {{ \"outcome\": \"permit\" }},\n{more} }}]");
    let errors = Cases::parse("cases.json", &text).map(|_| "no error").unwrap_err();
    let shown: Vec<_> = errors.iter().map(|error| (error.position().1, error.message())).collect();
    assert_eq!(shown, expected, "{more}");
}

#[test]
fn a_case_says_what_is_called_and_what_is_expected() {
    let text = r#"{ "version": "1", "cases": [
        // A comment.
        { "tool": "t", "expect": { "outcome": "hide" } },
        { "name": "n", "resource": "a://b", "arguments": { "a": [1.50, "é\n", null /* odd */], "b": {} }, "agent": "alice", "labels": { "k": "v" },
          "session": "s", "server": "x", "times": 7, "at": 1.5,
          "expect": { "remaining": 0.5, "retry_after": "1m 30s", "approval": { "quorum": 2 } } } ] }"#;
    let cases = Cases::parse("cases.json", text).unwrap();
    assert_eq!(cases.start, UNIX_EPOCH + Duration::from_secs(1_767_225_600));
    let [first, second] = cases.list.as_slice() else { panic!("{cases:?}") };
    assert_eq!((first.line, &first.asked, first.at), (3, &Named::Tool("t".into()), Duration::ZERO));
    assert_eq!((first.expected.outcome, first.expected.code), (Some(Outcome::Hide), None));
    assert_eq!(
        (second.line, &second.asked, second.at),
        (4, &Named::Resource("a://b".into()), Duration::from_millis(1500))
    );
    assert_eq!(second.arguments.as_ref().unwrap().get(), r#"{"a":[1.50,"é\n",null],"b":{}}"#);
    assert_eq!(
        (second.agent.as_deref(), second.session.as_deref(), second.server.as_deref()),
        (Some("alice"), Some("s"), Some("x"))
    );
    assert_eq!((second.times.get(), second.labels.as_slice()), (7, &[("k".into(), "v".into())][..]));
    let expected = &second.expected;
    assert_eq!((expected.remaining, expected.retry_after), (Some(500_000), Some(Duration::from_secs(90))));
    assert_eq!(expected.approval.as_ref().unwrap().quorum.unwrap().get(), 2);
}

#[test]
fn yaml_says_the_same() {
    let text = "- tool: t\n  arguments: {a: 1.50}\n  expect: {code: denied.rule}\n- prompt: p\n  after: 2m\n  expect:\n    outcome: permit\n";
    let cases = Cases::parse("cases.yaml", text).unwrap();
    let [first, second] = cases.list.as_slice() else { panic!("{cases:?}") };
    assert_eq!(first.arguments.as_ref().unwrap().get(), r#"{"a":1.50}"#);
    assert_eq!((first.expected.code, second.line, second.at), (Some("denied.rule"), 4, Duration::from_secs(120)));
    wrong(
        "cases.yaml",
        "- tool: t\n  expct: {}\n",
        &[(1, 3, "a case must say what to `expect`"), (2, 3, "unknown key `expct` in a case")],
    );
}

#[test]
fn time_goes_on() {
    let at = |first: &str, second: &str| {
        let case = |when: &str| format!("{{ \"tool\": \"t\", {when}, \"expect\": {{ \"outcome\": \"permit\" }} }}");
        let cases = Cases::parse("cases.json", &format!("[{}, {}]", case(first), case(second))).unwrap();
        let start = cases.start.duration_since(UNIX_EPOCH).unwrap().as_secs();
        (start, cases.list[0].at.as_secs(), cases.list[1].at.as_secs())
    };
    let new_year = 1_767_225_600;
    assert_eq!(at(r#""at": "90s""#, r#""after": 10"#), (new_year, 90, 100));
    assert_eq!(at(r#""after": "1h""#, r#""at": "2026-01-01T01:00:01Z""#), (new_year, 3600, 3601));
    assert_eq!(at(r#""at": "1970-01-01T00:00:05Z""#, r#""at": "2m""#), (5, 0, 120));
    assert_eq!(at(r#""at": "1970-01-01T00:00:05Z""#, r#""at": "1970-01-01T00:00:05Z""#), (5, 0, 0));
}

#[test]
fn what_is_wrong_is_shown_at_its_place() {
    let no_list = "cases must be a list, or an object with `cases`";
    wrong("cases.json", "3", &[(1, 1, no_list)]);
    wrong("cases.json", "", &[(1, 1, "the document is empty")]);
    wrong("cases.json", "[]", &[(1, 1, "the list of cases is empty")]);
    wrong(
        "cases.json",
        "{\n}",
        &[(1, 1, "a document of cases must say its `version`"), (1, 1, "there are no `cases`")],
    );
    wrong(
        "cases.json",
        r#"{ "version": "1", "cases": [], "casse": 1 }"#,
        &[(1, 28, "the list of cases is empty"), (1, 32, "unknown key `casse` in a document of cases")],
    );
    wrong(
        "cases.json",
        "[{}]",
        &[
            (1, 2, "a case must name one of `tool`, `resource` and `prompt`"),
            (1, 2, "a case must say what to `expect`"),
        ],
    );
    wrong(
        "cases.json",
        "[{ \"tool\": \"t\", \"expect\": {} },\n 5]",
        &[(1, 27, "`expect` must name what is expected"), (2, 2, "`each of cases` must be an object")],
    );
    let text = r#"[{ "tool": "t", "expect": { "approval": {} } }]"#;
    wrong("cases.json", text, &[(1, 41, "`approval` must name what is expected of it")]);
    let two = r#"[{ "tool": "t", "prompt": "p", "expect": { "outcome": "permit" } }]"#;
    wrong("cases.json", two, &[(1, 2, "a case must name one of `tool`, `resource` and `prompt`")]);
}

#[test]
fn times_that_cannot_be() {
    let text = |second: &str| {
        format!(
            "[{{ \"tool\": \"t\", \"at\": \"2m\", \"expect\": {{ \"outcome\": \"permit\" }} }},\n{{ \"at\":{second}, \"tool\": \"t\", \"expect\": {{ \"outcome\": \"permit\" }} }}]"
        )
    };
    for second in [r#""119s""#, r#""2026-01-01T00:01:59Z""#, r#""2025-12-31T23:59:59Z""#] {
        wrong("cases.json", &text(second), &[(2, 8, "time never goes back")]);
    }
    let shape = "`at` must be a duration such as \"90s\" or a time such as \"2026-11-23T09:00:00Z\"";
    wrong_case(r#""at": "2026-11-23T09:00:00+01:00""#, &[(7, shape)]);
    wrong_case(r#""at": "soon""#, &[(7, shape)]);
    wrong_case(r#""at": -1"#, &[(7, shape)]);
    wrong_case(r#""at": true"#, &[(7, "`at` must be a duration such as \"90s\"")]);
    wrong_case(r#""after": "200y""#, &[(10, "that is more than a century after the start")]);
    wrong_case(r#""after": 1, "at": 1"#, &[(10, "`at` and `after` both say when; only one may be there")]);
}

#[test]
fn values_that_cannot_be() {
    wrong_case(r#""agent": 7"#, &[(10, "`agent` must be a string")]);
    wrong_case(r#""labels": { "a": 1 }"#, &[(18, "`each of labels` must be a string")]);
    wrong_case(r#""arguments": []"#, &[(14, "`arguments` must be an object")]);
    wrong_case(r#""times": 0"#, &[(10, "`times` must be a whole number above zero")]);
    wrong_case(r#""times": 1000001"#, &[(10, "`times` must be 1000000 or less")]);
    wrong_case(r#""arguments": { "a": 1, "a": 2 }"#, &[(24, "key `a` stands twice in the same object")]);
    let expect = |member: &str| format!("[{{ \"tool\": \"t\", \"expect\": {{\n{member} }} }}]");
    let wrong = |member: &str, column, message| wrong("cases.json", &expect(member), &[(2, column, message)]);
    wrong(r#""outcome": "permitt""#, 12, "`outcome` cannot be `permitt`");
    wrong(r#""code": "denied""#, 9, "`code` cannot be `denied`");
    wrong(r#""remaining": "1""#, 14, "`remaining` must be a number of at most six digits after the point");
    wrong(r#""remaining": 0.0000001"#, 14, "`remaining` must be a number of at most six digits after the point");
    wrong(r#""retry_after": "x""#, 16, "`retry_after` must be a duration such as \"90s\"");
    wrong(r#""owed": ["a", 1]"#, 15, "`each of owed` must be a string");
    wrong(r#""approval": { "quorum": 0 }"#, 25, "`quorum` must be a whole number above zero");
    wrong(r#""approval": { "who": 0 }"#, 15, "unknown key `who` in `approval`");
}

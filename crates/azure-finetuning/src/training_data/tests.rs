//! Data that is right, and every way in which it is not.

use std::io::{BufReader, Read};

use proptest::prelude::*;

use super::*;

const USER: &str = r#"{"role":"user","content":"a"}"#;
const ANSWER: &str = r#"{"role":"assistant","content":"b"}"#;

fn supervised() -> String {
    format!(r#"{{"messages":[{USER},{ANSWER}]}}"#)
}

fn preference() -> String {
    format!(
        r#"{{"input":{{"messages":[{USER}],"tools":[],"parallel_tool_calls":true}},"preferred_output":[{ANSWER}],"non_preferred_output":[{ANSWER}]}}"#
    )
}

fn reinforcement() -> String {
    format!(r#"{{"messages":[{USER}],"reference":"a"}}"#)
}

fn report(data: &[u8], method: &MethodKind) -> DataReport {
    validate_jsonl(data, method).unwrap()
}

/// What is wrong with one line among ten that are right.
#[track_caller]
fn check(method: &MethodKind, line: &str, expected: &[&str]) {
    let right = match method {
        MethodKind::Dpo => preference(),
        MethodKind::Reinforcement => reinforcement(),
        MethodKind::Supervised | MethodKind::Unknown(_) => supervised(),
    };
    let data = format!("{}{line}\n", format!("{right}\n").repeat(10));
    let found: Vec<String> = report(data.as_bytes(), method).problems.iter().map(ToString::to_string).collect();
    let expected: Vec<String> = expected.iter().map(|problem| format!("line 11: {problem}")).collect();
    assert_eq!(found, expected, "{line}");
}

#[test]
fn what_no_method_takes() {
    for method in [MethodKind::Supervised, MethodKind::Dpo, MethodKind::Reinforcement, MethodKind::from("new")] {
        check(&method, "", &[]);
        check(&method, "{", &["not JSON, from column 1 on"]);
        check(&method, "{}{}", &["not JSON, from column 3 on"]);
        check(&method, "[]", &["not a JSON object"]);
        check(&method, "\u{feff}{}", &["not JSON, from column 1 on"]);
    }
    check(&MethodKind::from("new"), "{}", &[]);
}

#[test]
fn supervised_examples() {
    let check = |line: &str, expected: &[&str]| check(&MethodKind::Supervised, line, expected);
    let messages = |inner: &str| format!(r#"{{"messages":[{inner}]}}"#);
    check(&supervised(), &[]);
    check(&messages(&format!(r#"{{"role":"assistant","content":null,"tool_calls":[],"weight":0}},{ANSWER}"#)), &[]);
    check("{}", &["`messages` is missing"]);
    check(r#"{"messages":{}}"#, &["`messages` is not a list"]);
    check(&messages(""), &["`messages` is empty"]);
    check(&messages(USER), &["`messages` has no message of the assistant"]);
    check(&messages(&format!("7,{ANSWER}")), &["`messages[0]` is not an object"]);
    check(&messages(&format!(r#"{ANSWER},{{"content":""}}"#)), &["`messages[1].role` is missing"]);
    check(&messages(&format!(r#"{ANSWER},{{"role":"robot","content":""}}"#)), &["`messages[1].role` is not a role"]);
    check(&messages(r#"{"role":"assistant"}"#), &["`messages[0].content` is missing"]);
    check(&messages(r#"{"role":"assistant","content":7}"#), &["`messages[0].content` is not a text or a list"]);
    check(&messages(r#"{"role":"assistant","content":"","weight":0.5}"#), &["`messages[0].weight` is not 0 or 1"]);
    let weighty = format!(r#"{{"role":"user","content":"","weight":1}},{ANSWER}"#);
    check(&messages(&weighty), &["`messages[0].weight` is not lawful: only the assistant's messages have weight"]);
    check(&format!(r#"{{"messages":[{ANSWER}],"tools":7}}"#), &["`tools` is not a list"]);
}

#[test]
fn preference_examples() {
    let check = |line: &str, expected: &[&str]| check(&MethodKind::Dpo, line, expected);
    check(&preference(), &[]);
    let missing = ["`input` is missing", "`preferred_output` is missing", "`non_preferred_output` is missing"];
    check(&supervised(), &missing);
    check(&preference().replace(r#"{"messages""#, r#"{"message""#), &["`input.messages` is missing"]);
    check(&preference().replace("true", "7"), &["`input.parallel_tool_calls` is not true or false"]);
    let answers = format!("[{ANSWER}]");
    let unanswered = preference().replacen(&answers, &format!("[{USER}]"), 1);
    check(&unanswered, &["`preferred_output` has no message of the assistant"]);
    check(&preference().replacen(&answers, "[]", 1), &["`preferred_output` is empty"]);
    check(
        r#"{"input":[],"preferred_output":7}"#,
        &["`input` is not an object", "`preferred_output` is not a list", missing[2]],
    );
}

#[test]
fn reinforcement_examples() {
    let check = |line: &str, expected: &[&str]| check(&MethodKind::Reinforcement, line, expected);
    check(&reinforcement(), &[]);
    check(&supervised(), &["the last message is not the user's"]);
    check("{}", &["`messages` is missing"]);
}

#[test]
fn the_whole_file() {
    let whole = |data: &[u8]| {
        let report = report(data, &MethodKind::Supervised);
        let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
        (report.examples, report.has_bom, problems.join(", "))
    };
    let few = |count: u64| format!("there are {count} examples, 10 are needed");
    assert_eq!(whole(b""), (0, false, few(0)));
    let nine = format!("\u{feff}{}\r\n\n \n", format!("{}\r\n", supervised()).repeat(9));
    assert_eq!(whole(nine.as_bytes()), (9, true, few(9)));
    let ten = format!("{nine}{}", supervised());
    assert_eq!(whole(ten.as_bytes()), (10, true, String::new()));
    let broken = [ten.as_bytes(), b"\n\"\xff\"\n"].concat();
    assert_eq!(whole(&broken), (11, true, "line 14: not UTF-8".to_owned()));
}

#[test]
fn many_problems_are_counted() {
    let report = report(&b"x\n".repeat(250), &MethodKind::Dpo);
    assert_eq!((report.problems.len(), report.more_problems, report.examples, report.bytes), (100, 150, 250, 500));
    assert_eq!(report.problems[99].line, Some(100));
}

#[test]
fn an_endless_line_is_not_held() {
    let data = std::io::repeat(b'x').take(40 << 20).chain(&b"\n{}\n"[..]);
    let report = validate_jsonl(BufReader::new(data), &MethodKind::from("any")).unwrap();
    let found: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["line 1: longer than 16 MiB", "there are 2 examples, 10 are needed"]);
    let mut lines = Lines::new(BufReader::new(std::io::repeat(b'x').take(40 << 20)));
    assert!(matches!(lines.next().unwrap(), Some((1, Line::TooLong))));
    assert_eq!(lines.bytes(), 40 << 20);
    assert!(lines.held() <= 32 << 20, "{} bytes are held", lines.held());
}

#[test]
fn a_file_is_too_large_from_512_mib_on() {
    let of = |bytes: u64| BufReader::with_capacity(1 << 20, std::io::repeat(b'\n').take(bytes));
    let method = MethodKind::Supervised;
    let last = |bytes: u64| validate_jsonl(of(bytes), &method).unwrap().problems.pop().unwrap().to_string();
    assert_eq!(last(1 << 20), "there are 0 examples, 10 are needed");
    let mut report = DataReport { examples: 10, bytes: LARGEST, ..DataReport::default() };
    report.whole();
    assert_eq!(report.problems[0].to_string(), "the file has 536870912 bytes, it may have less than 536870912");
}

proptest! {
    #[test]
    fn however_it_is_cut_the_report_is_the_same(
        lines in prop::collection::vec("[ -~]{0,20}", 0..30), capacity in 1_usize..50, ends in any::<bool>(),
    ) {
        let data = lines.join("\n") + if ends { "\n" } else { "" };
        let whole = report(data.as_bytes(), &MethodKind::Supervised);
        let cut = BufReader::with_capacity(capacity, data.as_bytes());
        prop_assert_eq!(validate_jsonl(cut, &MethodKind::Supervised).unwrap(), whole);
        let blank = |line: &&String| line.trim().is_empty();
        let report = report(data.as_bytes(), &MethodKind::Supervised);
        prop_assert_eq!(report.examples as usize, lines.iter().filter(|line| !blank(line)).count());
        prop_assert_eq!(report.bytes as usize, data.len());
    }
}

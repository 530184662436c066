//! Fuzz targets as plain tests. FUZZ_SECONDS says how long each runs (3), FUZZ_SEED where it starts (1); a failure prints the
//! FUZZ_CASE that repeats it alone.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use mcp::{ListOf, sse};
use serde_json::{Value, value::RawValue};

use crate::{
    mutants::compare,
    mutation::{mutant, mutate},
    reading::{Numbers, accept, canonical},
    rng::{Rng, setting},
};

#[expect(clippy::disallowed_methods, reason = "how long to run is for the real clock to say")]
fn run(target: &str, mut case: impl FnMut(&mut Rng)) {
    if let Ok(only) = std::env::var("FUZZ_CASE") {
        return case(&mut Rng::new(only.parse().unwrap()));
    }
    let seed = setting("FUZZ_SEED", 1);
    let (mut cases, mut seeds) = (0, Rng::new(seed));
    let end = Instant::now() + Duration::from_secs(setting("FUZZ_SECONDS", 3));
    while Instant::now() < end {
        for _ in 0..32 {
            let one = seeds.next();
            catch_unwind(AssertUnwindSafe(|| case(&mut Rng::new(one))))
                .unwrap_or_else(|_| panic!("target {target} failed: repeat it with FUZZ_CASE={one}"));
            cases += 1;
        }
    }
    println!("target {target}: {cases} cases from seed {seed}");
}

#[test]
fn body() {
    run("body", |rng| {
        let (revision, body, _) = mutant(rng);
        let Ok(accepted) = accept(&body, revision) else { return };
        for accepted in accepted {
            if accepted.method.is_some() {
                let again = accept(&accepted.written, revision).unwrap().remove(0);
                assert_eq!((again.method, again.members.len()), (accepted.method.clone(), accepted.members.len()));
                assert!(!accepted.written.iter().any(|byte| matches!(byte, b'\n' | b'\r')));
            }
            compare(&[(body.clone(), accepted)], &mut [], 0);
        }
    });
}

/// The standard's algorithm over a whole stream, without bounds.
fn events_of(stream: &[u8]) -> Option<Vec<sse::Event>> {
    let stream = stream.strip_prefix("\u{feff}".as_bytes()).unwrap_or(stream);
    let mut lines = vec![Vec::new()];
    let mut bytes = stream.iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if(|next| **next == b'\n');
                lines.push(Vec::new());
            }
            b'\n' => lines.push(Vec::new()),
            byte => lines.last_mut().unwrap().push(*byte),
        }
    }
    lines.pop(); // not ended
    let (mut events, mut event) = (Vec::new(), sse::Event::default());
    for line in lines {
        if line.is_empty() {
            let done = std::mem::take(&mut event);
            events.extend((done != sse::Event::default()).then_some(done));
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let text = || String::from_utf8(value.to_vec()).ok();
        match name {
            b"data" => match &mut event.data {
                None => event.data = Some(value.to_vec()),
                Some(data) => data.extend([b"\n", value].concat()),
            },
            b"event" => event.event = Some(text()?),
            b"id" if !value.contains(&0) => event.id = Some(text()?),
            b"retry" if value.iter().all(u8::is_ascii_digit) => event.retry = text()?.parse().ok().or(event.retry),
            _ => {}
        }
    }
    Some(events)
}

fn size(event: &sse::Event) -> usize {
    let texts = event.event.iter().chain(&event.id).map(String::len).sum::<usize>();
    texts + event.data.as_ref().map_or(0, Vec::len)
}

#[test]
fn sse_reader() {
    let parts = [
        "data:",
        "data: ",
        "data",
        "id:",
        "id: 1",
        "event: x",
        "retry: 5",
        "retry:",
        ": c",
        "\n",
        "\n",
        "\n\n",
        "\r",
        "\r\n",
        "\r\n\r\n",
        "{\"a\":1}",
        " ",
        "\u{feff}",
        "\0",
        "é",
        ":",
        "xyz",
        "unknown: field",
        "0123456789",
    ];
    run("sse", |rng| {
        let max = rng.below(64);
        let mut stream = Vec::new();
        for _ in 0..rng.below(40) {
            match rng.below(20) {
                0 => stream.push(rng.next() as u8),
                1 => stream.extend(vec![b'x'; rng.below(90)]),
                _ => stream.extend(rng.pick(&parts).bytes()),
            }
        }
        let read = |rng: &mut Rng, whole: bool| {
            let (mut reader, mut events, mut rest) = (sse::Reader::new(max), Vec::new(), stream.as_slice());
            while !rest.is_empty() {
                let piece = if whole { rest.len() } else { 1 + rng.below(rest.len().min(9)) };
                if let Err(broken) = reader.push(&rest[..piece], |event| events.push(event)) {
                    return (events, Some(broken));
                }
                rest = &rest[piece..];
            }
            (events, None)
        };
        let (events, broken) = read(rng, true);
        for _ in 0..3 {
            assert_eq!(read(rng, false), (events.clone(), broken), "however it is cut");
        }
        assert!(events.iter().all(|event| size(event) <= max), "within {max}");
        match (broken, events_of(&stream)) {
            (None, Some(expected)) => assert_eq!(events, expected),
            (None, None) => panic!("text that is no UTF-8 was let through"),
            (Some(sse::Broken::NotUtf8), all) => assert!(all.is_none()),
            (Some(sse::Broken::TooLarge(_)), all) => {
                let within = |all: Vec<sse::Event>| assert_eq!(events, all[..events.len()]);
                all.into_iter().for_each(within);
            }
        }
        let mut anew = Vec::new();
        events.iter().for_each(|event| sse::write(event, &mut anew));
        let mut clean = events.clone();
        for event in &mut clean {
            event.event = event.event.take().map(|name| name.replace('\0', ""));
        }
        assert_eq!(events_of(&anew), Some(clean), "written anew");
    });
}

#[test]
fn header_sentinel() {
    let parts = ["=?base64?", "?=", "=", "QQ", "Zg==", "w7w", " ", "\t", "A", "/", "+", "é", "=?BASE64?", "?"];
    run("header", |rng| {
        let mut value = Vec::new();
        for _ in 0..rng.below(7) {
            match rng.below(6) {
                0 => value.push(rng.next() as u8),
                _ => value.extend(rng.pick(&parts).bytes()),
            }
        }
        let Ok(text) = mcp::decode(&value) else { return assert!(!mcp::matches(&value, "A")) };
        assert!(mcp::matches(&value, &text));
        assert!(!mcp::matches(&value, &format!("{text}x")));
        let anew = mcp::encode(&text);
        assert_eq!(mcp::decode(anew.as_bytes()).unwrap(), text);
        assert!(anew.bytes().all(|byte| matches!(byte, b' '..=b'~')));
    });
}

#[test]
fn list_filter() {
    let list = r#"{"tools":[{"name":"A","inputSchema":{"type":"object"}},{"name":"F","execution":{"x":[1]}},{"title":"t","name":"A2"}],"cacheScope":"public","ttlMs":5}"#;
    run("filter_list", |rng| {
        let mut text = list.as_bytes().to_vec();
        mutate(rng, &mut text);
        let Ok(raw) = serde_json::from_slice::<&RawValue>(&text) else { return };
        let Some(kept) = mcp::filter_list(raw, ListOf::Tools, |item| item.name.starts_with('A')) else { return };
        let Ok(value) = serde_json::from_str::<Value>(&kept.json) else {
            // a lone surrogate or too large a number may stand in what nobody judges
            return assert!(serde_json::from_str::<Value>(raw.get()).is_err());
        };
        for item in value["tools"].as_array().unwrap() {
            let private = item.as_object().is_none_or(|item| item.get("name").is_none());
            assert!(private || item["name"].as_str().unwrap().starts_with('A'), "{}", kept.json);
        }
        let raw: &RawValue = serde_json::from_str(&kept.json).unwrap();
        let again = mcp::filter_list(raw, ListOf::Tools, |item| item.name.starts_with('A')).unwrap();
        assert_eq!((again.json, again.dropped), (kept.json, 0));
        if kept.dropped > 0 {
            assert!(value.get("cacheScope").is_none_or(|scope| scope == "private"));
        }
    });
}

#[test]
fn compaction() {
    run("compact", |rng| {
        let (_, text, _) = mutant(rng);
        let Ok(text) = String::from_utf8(text) else { return };
        let compact = |json: &str| {
            let mut out = Vec::new();
            mcp::compact(json, &mut out);
            String::from_utf8(out).unwrap()
        };
        let tight = compact(&text);
        assert_eq!(compact(&tight), tight);
        if mcp::parse(text.as_bytes()).is_ok() {
            assert_eq!(canonical(&tight, Numbers::Digits), canonical(&text, Numbers::Digits));
        }
    });
}

#[test]
fn mirrors() {
    let tool = r#"{"name":"A","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"deep":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"N"},"b":{"type":"boolean","x-mcp-header":"B"}}}}}}"#;
    let arguments = r#"{"region":"us","deep":{"n":42,"b":true}}"#;
    let values: [&[u8]; 10] =
        [b"us", b"42", b"42.0", b"4.2e1", b"true", b"=?base64?dXM=?=", b"", b"inf", b"9007199254740993", b"\xff"];
    run("mirrors", |rng| {
        let (mut tool, mut arguments) = (tool.as_bytes().to_vec(), arguments.as_bytes().to_vec());
        let text = if rng.one_in(2) { &mut tool } else { &mut arguments };
        mutate(rng, text);
        let (Ok(tool), Ok(arguments)) = (serde_json::from_slice::<&RawValue>(&tool), std::str::from_utf8(&arguments))
        else {
            return;
        };
        let Some(mirrors) = mcp::mirrors(tool) else { return };
        for (n, mirror) in mirrors.iter().enumerate() {
            let name = mirror.header.strip_prefix("mcp-param-").unwrap();
            assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
            assert!(mirrors[..n].iter().all(|other| other.header != mirror.header));
            assert_eq!(mirror.header_value(None, None), Ok(None));
            let given = *rng.pick(&values);
            if let Ok(written) = mirror.header_value(Some(arguments), Some(given)) {
                let written = written.unwrap();
                assert!(mirror.header_value(Some(arguments), None).is_err(), "what is there must be mirrored");
                let again = mirror.header_value(Some(arguments), Some(written.as_bytes()));
                assert_eq!(again, Ok(Some(written)));
            }
        }
    });
}

//! What strict reading costs beside a plain `serde_json::Value`, and what writing anew adds. Only the ratios count.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot go on stops")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mcp::{Body, Message, Params, Revision, Writer};
use serde_json::Value;

fn call(arguments: &str) -> String {
    let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"ExampleClient","version":"1.0.0"},"io.modelcontextprotocol/clientCapabilities":{}}"#;
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"get_weather","arguments":{arguments},"_meta":{meta}}}}}"#
    )
}

fn bodies() -> [(&'static str, String); 3] {
    let line = "The quick brown fox\\n";
    let text = format!(r#"{{"path":"/srv/a.txt","content":"{}"}}"#, line.repeat(262_000 / line.len()));
    let row = |n: u32| format!(r#"{{"id":{n},"name":"row {n}","price":{n}.25,"tags":["a"]}}"#);
    let rows = format!(r#"{{"rows":[{}]}}"#, (0..2_000).map(row).collect::<Vec<_>>().join(","));
    [
        ("350 B", call(r#"{"location":"Seattle, WA","units":"metric"}"#)),
        ("262 KB, one string", call(&text)),
        ("100 KB, 2000 rows", call(&rows)),
    ]
}

fn read(body: &[u8]) -> Params<'_> {
    let Body::One(Message::Request(request)) = mcp::parse(body).unwrap() else { panic!("not a request") };
    Params::of(request.method.unwrap(), Revision::MODERN, &request.params).unwrap()
}

fn benches(criterion: &mut Criterion) {
    for (name, body) in bodies() {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function("strict parse", |bench| {
            bench.iter(|| read(black_box(body.as_bytes())).name().map(str::len))
        });
        group.bench_function("serde_json::Value", |bench| {
            bench.iter(|| serde_json::from_slice::<Value>(black_box(body.as_bytes())).unwrap());
        });
        group.bench_function("strict parse and write", |bench| {
            bench.iter(|| {
                let params = read(black_box(body.as_bytes()));
                Writer::request(7, mcp::Method::ToolsCall, &params)
            });
        });
        group.finish();
    }
}

criterion_group!(all, benches);
criterion_main!(all);

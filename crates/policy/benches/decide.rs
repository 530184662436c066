//! What a decision costs, and that it does not grow with the number of rules.

#![expect(clippy::panic, reason = "a bench without a policy has nothing to measure")]

use std::fmt::Write;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use policy::{Call, Context, Decision, Policy, Subject};
use serde_json::value::RawValue;

/// Half of the rules on exact names, half on globs; one in four with a limit.
fn policy(rules: usize) -> Policy {
    let mut tools = String::new();
    for number in 0..rules / 2 {
        let limit = if number % 2 == 1 { r#"{ "rate_limit": "10/minute" }"# } else { "{}" };
        let comma = if number == 0 { "" } else { "," };
        write!(tools, r#"{comma}"service_{number}_get_status": {limit}, "service_{number}_list_*": {limit}"#)
            .unwrap_or_default();
    }
    let text = format!(r#"{{ "version": "1", "tools": {{ {tools} }} }}"#);
    Policy::parse("bench", &text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Three conditions, on the first, the middle and the last of the arguments.
const CONDITIONS: &str = r#"{ "version": "1", "tools": { "create_job": {
    "require": [{ "conditions": [
        { "path": "args.model", "op": "in", "value": ["gpt-4.1-mini", "gpt-4.1-nano"] },
        { "path": "args.hyperparameters.n_epochs", "op": "lte", "value": 10 } ] }],
    "deny_if": [{ "conditions": [{ "path": "args.suffix", "op": "contains", "value": "prod" }] }] } } }"#;

/// 300 bytes.
const ARGUMENTS: &str = r#"{"model":"gpt-4.1-nano","training_file":"file-8Wq2f7kJpZtR3xYv5nLbMd","validation_file":"file-1Aa2Bb3Cc4Dd5Ee6Ff7Gg8","hyperparameters":{"n_epochs":3,"batch_size":8,"learning_rate_multiplier":0.1},"metadata":{"team":"search","ticket":"ML-1234","note":"first try \"small\" set"},"seed":42,"suffix":"trial-7"}"#;

fn call<'a>(name: &'a str, arguments: Option<&'a RawValue>) -> Call<'a> {
    let context = Context { agent: Some("alice"), labels: &[], server: "bench", time: std::time::UNIX_EPOCH };
    Call { subject: Subject::Tool(name), arguments, context }
}

fn conditions(c: &mut Criterion) {
    let policy = Policy::parse("bench", CONDITIONS).unwrap_or_else(|errors| panic!("{errors}"));
    let arguments = serde_json::from_str::<&RawValue>(ARGUMENTS).unwrap_or_else(|error| panic!("{error}"));
    let call = call("create_job", Some(arguments));
    assert!(matches!(policy.decide(call), Decision::Permit(_)));
    c.bench_function("3 conditions on 300 bytes", |b| b.iter(|| policy.decide(black_box(call))));
}

fn decide(c: &mut Criterion) {
    let cases = [
        ("exact", "service_0_get_status", true),
        ("exact, limited", "service_1_get_status", true),
        ("glob", "service_0_list_things", true),
        ("glob, limited", "service_1_list_things", true),
        ("default", "service_0_delete_status", false),
    ];
    let policies = [10, 100, 10_000].map(|rules| (rules, policy(rules)));
    for (case, name, permitted) in cases {
        let mut group = c.benchmark_group(case);
        for (rules, policy) in &policies {
            let call = call(name, None);
            assert_eq!(matches!(policy.decide(call), Decision::Permit(_)), permitted);
            group.bench_function(BenchmarkId::from_parameter(rules), |b| b.iter(|| policy.decide(black_box(call))));
        }
        group.finish();
    }
}

criterion_group!(benches, decide, conditions);
criterion_main!(benches);

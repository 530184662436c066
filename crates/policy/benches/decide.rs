//! What a decision costs, and that it does not grow with the number of rules.

#![expect(clippy::panic, reason = "a bench without a policy has nothing to measure")]

use std::fmt::Write;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use policy::{Call, Decision, Policy, Subject};

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
            let call = Call { subject: Subject::Tool(name), arguments: None };
            assert_eq!(matches!(policy.decide(call), Decision::Permit(_)), permitted);
            group.bench_function(BenchmarkId::from_parameter(rules), |b| b.iter(|| policy.decide(black_box(call))));
        }
        group.finish();
    }
}

criterion_group!(benches, decide);
criterion_main!(benches);

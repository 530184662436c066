//! What a decision costs.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

mod stand;

fn decide(c: &mut Criterion) {
    let policies = [10, 100, 10_000].map(|rules| (rules, stand::policy(rules)));
    for case in stand::CASES {
        let mut group = c.benchmark_group(case.name);
        for (rules, policy) in &policies {
            let call = case.call(policy);
            group.bench_function(BenchmarkId::from_parameter(rules), |b| b.iter(|| policy.decide(black_box(call))));
        }
        group.finish();
    }
}

criterion_group!(benches, decide);
criterion_main!(benches);

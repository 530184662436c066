//! What a decision costs in each engine, by criterion: `cargo bench --bench engines`.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use policy_benches::{From, cases, engines};

fn decide(c: &mut Criterion) {
    for case in cases() {
        let engines = engines(&case);
        for call in &case.calls {
            for (from, way) in [(From::Text, "from text"), (From::Ready, "ready")] {
                let mut group = c.benchmark_group(format!("{}, {}, {way}", case.name, call.name));
                for engine in &engines {
                    let mut decide = engine.decide(call, from);
                    group.bench_function(BenchmarkId::from_parameter(engine.name()), |b| b.iter(&mut decide));
                }
                group.finish();
            }
        }
    }
}

criterion_group!(benches, decide);
criterion_main!(benches);

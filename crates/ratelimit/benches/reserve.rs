//! What a call pays for its limits: reserve and spend, on one key, on three, among many, and when refused.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use criterion::{Criterion, criterion_group, criterion_main};
use ratelimit::{Algorithm, Demand, Limiter, Meter, MonotonicClock, Quota};
use std::{hint::black_box, num::NonZeroU64, sync::Arc, time::Duration};

fn meter(max: u64, algorithm: Algorithm) -> Arc<Meter> {
    let quota = Quota::new(NonZeroU64::new(max).unwrap(), Duration::from_secs(60), algorithm).unwrap();
    Arc::new(Meter::new([quota]).unwrap())
}

fn demand(key: u64, meter: &Arc<Meter>) -> Demand<'_, u64> {
    Demand { key, meter, enforced: [0].into_iter().collect(), cost: 1 }
}

fn reserve(c: &mut Criterion) {
    let limiter: Limiter<u64> = Limiter::new(1_000_000, MonotonicClock::default());
    let (window, smooth) = (meter(u64::MAX, Algorithm::Window), meter(u64::MAX, Algorithm::Smooth));
    let spend = |demands: &[Demand<'_, u64>]| limiter.reserve(black_box(demands)).unwrap().spend();

    c.bench_function("window, one key", |b| b.iter(|| spend(&[demand(1, &window)])));
    c.bench_function("smooth, one key", |b| b.iter(|| spend(&[demand(2, &smooth)])));
    c.bench_function("window, three keys", |b| b.iter(|| spend(&[5, 4, 3].map(|key| demand(key, &window)))));
    c.bench_function("window, 100,000 keys", |b| {
        let mut key = 0;
        b.iter(|| {
            key = (key + 7) % 100_000;
            spend(&[demand(key + 10, &window)]);
        });
    });

    let full = meter(1000, Algorithm::Window);
    while let Ok(reservation) = limiter.reserve(&[demand(1_000_000, &full)]) {
        reservation.spend();
    }
    c.bench_function("refused", |b| b.iter(|| limiter.reserve(black_box(&[demand(1_000_000, &full)])).is_err()));
}

criterion_group!(benches, reserve);
criterion_main!(benches);

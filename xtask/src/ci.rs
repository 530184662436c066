//! What CI does: every step, each under a heading and with its time. A failed step does not stop the ones after it.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::{bench, conformance, e2e, fmt, lint, readme, soak, test, tidy};

type Step = (&'static str, &'static [&'static str], fn(&[String]) -> anyhow::Result<()>);

/// Cheap ones first; what needs the release build after the one that makes it.
const STEPS: [Step; 11] = [
    ("fmt", &["--check"], fmt::run),
    ("tidy", &[], tidy::run),
    ("lint", &[], lint::run),
    ("test", &[], test::run),
    ("readme", &[], readme::run),
    ("conformance", &["--release"], conformance::run),
    ("e2e", &["--release"], e2e::run),
    ("contract", &["--contract", "--release"], e2e::run),
    ("soak", &["--release"], soak::run),
    ("planted", &["--planted", "--release"], soak::run),
    ("bench", &["--smoke"], bench::run),
];

pub(crate) fn run(only: &[String]) -> anyhow::Result<()> {
    if let Some(unknown) = only.iter().find(|&name| STEPS.iter().all(|(step, ..)| step != name)) {
        bail!("`{unknown}` is not a step of ci");
    }
    let mut report = Vec::new();
    for (name, args, step) in STEPS {
        if !only.is_empty() && !only.iter().any(|only| only == name) {
            continue;
        }
        eprintln!("\n=== {name} ===");
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let start = now();
        let done = step(&args);
        let took = now().duration_since(start);
        if let Err(error) = &done {
            eprintln!("error: {error:#}");
        }
        eprintln!("=== {name}: {} in {} ===", verdict(done.is_ok()), seconds(took));
        report.push((name, done.is_ok(), took));
    }

    eprintln!();
    for (name, ok, took) in &report {
        eprintln!("{name:<12} {:<7} {:>8}", verdict(*ok), seconds(*took));
    }
    eprintln!("{:<12} {:<7} {:>8}", "total", "", seconds(report.iter().map(|(_, _, took)| *took).sum()));
    let failed: Vec<&str> = report.iter().filter(|(_, ok, _)| !ok).map(|(name, ..)| *name).collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn verdict(ok: bool) -> &'static str {
    if ok { "ok" } else { "FAILED" }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[expect(clippy::disallowed_methods, reason = "how long a step took is a fact about the real clock")]
fn now() -> Instant {
    Instant::now()
}

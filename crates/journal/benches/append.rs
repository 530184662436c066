//! What a journal costs a call: CPU and switches between threads, beside the same calls without one. Two threads, each with a runtime of
//! its own, as the gateway has; a third answers the calls. Run with `cargo bench -p journal`.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use std::sync::Arc;
use std::time::Duration;

use journal::{Journal, Settings, SigningKey, Sync};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::Instant;

const WORKERS: usize = 2;

/// As long as the gateway's.
const DECISION: usize = 620;
const OUTCOME: usize = 130;

fn main() {
    let span = Duration::from_secs(if std::env::args().any(|arg| arg == "--smoke") { 1 } else { 4 });
    println!("{:>8} {:>8} {:>10} {:>10} {:>10} {:>10}", "tasks", "journal", "calls/s", "cpu us", "switches", "p99 us");
    let chosen = std::env::args().find_map(|arg| arg.strip_prefix("--tasks=")?.parse().ok());
    for tasks in chosen.map_or(vec![1, 8, 64], |tasks| vec![tasks]) {
        let without = run(tasks, None, span);
        without.show(tasks, "off");
        let with = run(tasks, Some(Sync::Every(Duration::from_secs(1))), span);
        with.show(tasks, "on");
        println!("{tasks:>8} adds {:.1} us of CPU to a call", with.cpu - without.cpu);
    }
}

struct Measured {
    calls: usize,
    span: Duration,
    /// Microseconds a call.
    cpu: f64,
    switches: f64,
    p99: u128,
}

impl Measured {
    fn show(&self, tasks: usize, name: &str) {
        let rate = self.calls as f64 / self.span.as_secs_f64();
        println!("{tasks:>8} {name:>8} {rate:>10.0} {:>10.1} {:>10.2} {:>10}", self.cpu, self.switches, self.p99);
    }
}

fn run(tasks: usize, sync: Option<Sync>, span: Duration) -> Measured {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let opened = sync.map(|sync| {
        Journal::open(Settings {
            folder: folder.path().join("audit"),
            node: "bench".into(),
            sync,
            segment: 1 << 30,
            queue: 10_000,
            patience: Duration::from_secs(5),
            key: Arc::new(SigningKey::load_or_make(&folder.path().join("key")).unwrap()),
            keep: journal::Keep::default(),
            stamp: Arc::new(|_| "2026-11-27T12:00:00.000Z".into()),
        })
        .unwrap()
    });
    let mut ends = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..WORKERS {
        let (ours, other): (Vec<_>, Vec<_>) =
            (0..tasks.div_ceil(WORKERS)).map(|_| std::os::unix::net::UnixStream::pair().unwrap()).unzip();
        ends.push(ours);
        theirs.extend(other);
    }
    if tasks == 1 {
        ends.truncate(1);
        theirs.truncate(1);
    }
    let (before_cpu, before_switches, began) = (cpu(), switches(), Instant::now());
    let until = began + span;
    let server = std::thread::spawn(move || on_a_runtime(async move { serve(theirs).await }));
    let workers: Vec<_> = ends
        .into_iter()
        .map(|ends| {
            let journal = opened.as_ref().map(|opened| opened.journal.clone());
            std::thread::spawn(move || {
                let (calls, switched) = on_a_runtime(async move {
                    let calls: Vec<_> =
                        ends.into_iter().map(|end| tokio::spawn(call(end, journal.clone(), until))).collect();
                    let mut took = Vec::new();
                    for task in calls {
                        took.extend(task.await.unwrap());
                    }
                    (took, switches())
                });
                (calls, switched)
            })
        })
        .collect();
    let mut took = Vec::new();
    let mut after_switches = 0;
    for worker in workers {
        let (calls, switched) = worker.join().unwrap();
        took.extend(calls);
        after_switches = after_switches.max(switched);
    }
    let (after_cpu, span) = (cpu(), began.elapsed());
    server.join().unwrap();
    if let Some(opened) = opened {
        opened.close();
        assert_eq!(journal::verify(&folder.path().join("audit"), None).unwrap().bad, None);
    }
    took.sort_unstable();
    let calls = took.len();
    Measured {
        calls,
        span,
        cpu: (after_cpu - before_cpu) / calls as f64,
        switches: after_switches.saturating_sub(before_switches) as f64 / calls as f64,
        p99: took.get(calls * 99 / 100).unwrap().as_micros(),
    }
}

fn on_a_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

async fn call(end: std::os::unix::net::UnixStream, journal: Option<Journal>, until: Instant) -> Vec<Duration> {
    end.set_nonblocking(true).unwrap();
    let mut end = UnixStream::from_std(end).unwrap();
    let (decision, outcome) = (record(DECISION), record(OUTCOME));
    let (mut took, mut answer) = (Vec::new(), [0; 256]);
    while Instant::now() < until {
        let began = Instant::now();
        if let Some(journal) = &journal {
            journal.append(&decision).await.unwrap();
        }
        end.write_all(&[7; 200]).await.unwrap();
        let mut read = 0;
        while read < 200 {
            read += end.read(&mut answer).await.unwrap();
        }
        took.push(began.elapsed());
        if let Some(journal) = &journal {
            journal.append_later(&outcome).unwrap();
        }
    }
    took
}

async fn serve(ends: Vec<std::os::unix::net::UnixStream>) {
    let serving: Vec<_> = ends
        .into_iter()
        .map(|end| {
            tokio::spawn(async move {
                end.set_nonblocking(true).unwrap();
                let mut end = UnixStream::from_std(end).unwrap();
                let mut asked = [0; 256];
                while let Ok(length @ 1..) = end.read(&mut asked).await {
                    end.write_all(asked.get(..length).unwrap()).await.unwrap();
                }
            })
        })
        .collect();
    for one in serving {
        _ = one.await;
    }
}

fn record(length: usize) -> String {
    format!(r#"{{"kind":"bench","filler":"{}"}}"#, "x".repeat(length))
}

/// Microseconds of CPU that this process has used.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields.iter().skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    ticks * 10_000.0
}

/// How often threads that live now gave up the CPU.
fn switches() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let status = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok());
    let counts = status.map(|status| {
        let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
        lines.filter_map(|line| line.rsplit(':').next()?.trim().parse::<u64>().ok()).sum::<u64>()
    });
    counts.sum()
}

//! What a program says on stderr, in our log: line by line, made visible, cut short, and not more of it than a log bears.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::ChildStderr;
use tokio::time::Instant;

use super::lines::{Line, Lines};
use crate::record::visible;

/// Lines that are logged within a span, for each process; the rest is counted.
const MAX_LINES: usize = 100;
const SPAN: Duration = Duration::from_secs(10);

/// Characters of a line that are logged, and bytes that are looked at.
const SHOWN: usize = 1_000;
const LONGEST: usize = 64 << 10;

/// Until the program closes its stderr.
pub(super) async fn log(mut stderr: ChildStderr, server: Arc<str>) {
    let mut lines = Lines::new(LONGEST);
    let mut said = Said { server, since: Instant::now(), lines: 0 };
    // Whatever becomes of the lines, it is read on: a program that cannot write waits.
    loop {
        lines.make_room();
        if !stderr.read_buf(&mut lines.unread).await.is_ok_and(|read| read > 0) {
            break;
        }
        while let Some(line) = lines.next() {
            match line {
                Line::Whole(line) => said.line(&String::from_utf8_lossy(&line)),
                Line::TooLong => said.line("(a line too long to be shown)"),
            }
        }
    }
    said.told_all();
}

struct Said {
    server: Arc<str>,
    since: Instant,
    lines: usize,
}

impl Said {
    fn line(&mut self, line: &str) {
        if self.since.elapsed() >= SPAN {
            self.told_all();
            (self.since, self.lines) = (Instant::now(), 0);
        }
        self.lines += 1;
        if self.lines <= MAX_LINES {
            tracing::info!(target: "toolgate::server", server = %self.server, line = shown(line), "stderr");
        }
    }

    fn told_all(&self) {
        let more = self.lines.saturating_sub(MAX_LINES);
        if more > 0 {
            tracing::warn!(target: "toolgate::server", server = %self.server, lines = more, "more on stderr than is logged");
        }
    }
}

/// A program's words as a log bears them.
pub(super) fn shown(text: &str) -> String {
    let cut = text.char_indices().nth(SHOWN).map_or(text, |(end, _)| text.get(..end).unwrap_or_default());
    visible(cut)
}

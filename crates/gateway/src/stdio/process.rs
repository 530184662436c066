//! One running program: spawned in a group of its own with an environment we chose, read line by line, written to without waiting.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::process::{ExitStatus, Stdio as Pipe};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command as Spawn};
use tokio::time::{Instant, sleep_until, timeout};

use super::error::StdioError;
use super::lines::Lines;
use super::stderr;
use crate::config::Command;
use crate::limits::Held;

/// How long a program may take to end by itself after its stdin was closed, and after SIGTERM; then comes SIGKILL.
const CLOSE_GRACE: Duration = Duration::from_secs(2);
const TERM_GRACE: Duration = Duration::from_secs(2);

/// What a program that has ended said last may still be in the pipe, which a descendant may hold open.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Bytes that are handed to the pipe at a time, unless a message is longer.
const CHUNK: usize = 64 << 10;

pub(super) struct Process {
    group: Group,
    child: Child,
    /// None once the program takes nothing more.
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    pub(super) lines: Lines,
    /// Written, but not yet on its way.
    pending: VecDeque<Pending>,
    outgoing: BytesMut,
    exited: Option<(Instant, ExitStatus)>,
}

struct Pending {
    line: Vec<u8>,
    id: Option<u64>,
    held: Option<Held>,
}

/// What happened.
pub(super) enum Event {
    /// There may be lines.
    Read,
    Wrote,
    /// It is over.
    Ended(String),
}

/// Everything that the program started and that did not leave its group.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            _ = kill_process_group(group, signal); // there may be nobody left
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

impl Process {
    /// Must run within the runtime that will drive it.
    pub(super) fn spawn(command: &Command, server: &Arc<str>, longest: usize) -> Result<Self, StdioError> {
        let mut spawn = Spawn::new(&command.program);
        spawn.args(&command.arguments).env_clear().envs(command.environment.iter()).process_group(0);
        spawn.stdin(Pipe::piped()).stdout(Pipe::piped()).stderr(Pipe::piped()).kill_on_drop(true);
        if let Some(folder) = &command.folder {
            spawn.current_dir(folder);
        }
        let failed = |error: std::io::Error| StdioError::Spawn {
            program: command.program.clone(),
            reason: error.to_string(),
            hint: hint(error.kind(), command),
        };
        let mut child = spawn.spawn().map_err(failed)?;
        let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let group = Group(pid);
        let piped = || failed(std::io::Error::other("it has no pipes"));
        let stdout = child.stdout.take().ok_or_else(piped)?;
        let stdin = child.stdin.take();
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(stderr::log(stderr, Arc::clone(server)));
        }
        let (pending, outgoing) = (VecDeque::new(), BytesMut::new());
        Ok(Self { group, child, stdin, stdout, lines: Lines::new(longest), pending, outgoing, exited: None })
    }

    pub(super) fn id(&self) -> i32 {
        self.group.0.map_or(0, |pid| pid.as_raw_nonzero().get())
    }

    pub(super) fn write(&mut self, line: Vec<u8>, id: Option<u64>, held: Option<Held>) {
        self.pending.push_back(Pending { line, id, held });
    }

    /// Messages that wait for the pipe.
    pub(super) fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// Takes a request back, if nothing of it has left.
    pub(super) fn unwrite(&mut self, id: u64) -> bool {
        let before = self.pending.len();
        self.pending.retain(|pending| pending.id != Some(id));
        self.pending.len() < before
    }

    /// The next thing that happens. Nothing is lost when it is dropped.
    pub(super) async fn next(&mut self) -> Event {
        self.fill();
        self.lines.make_room();
        let Self { child, stdin, stdout, lines, outgoing, exited, .. } = self;
        let more = stdin.is_some() && outgoing.has_remaining();
        let ended = |exited: &Option<(Instant, ExitStatus)>| {
            Event::Ended(exited.map_or_else(|| "it closed its stdout".to_owned(), |(_, status)| status.to_string()))
        };
        let write = async {
            match stdin {
                Some(stdin) => stdin.write_buf(outgoing).await,
                None => std::future::pending().await,
            }
        };
        let over = exited.map(|(at, _)| at + LAST_WORDS);
        tokio::select! {
            biased;
            // First, or whoever says something without pause would never hear anything. If it does not read, this waits.
            wrote = write, if more => {
                if wrote.is_err() {
                    *stdin = None; // that it reads no more shows when it ends
                }
                Event::Wrote
            }
            // What it said before it ended counts.
            read = stdout.read_buf(&mut lines.unread) => match read {
                Ok(1..) => Event::Read,
                Ok(0) | Err(_) => {
                    if exited.is_none() && let Ok(Ok(status)) = timeout(LAST_WORDS, child.wait()).await {
                        *exited = Some((Instant::now(), status));
                    }
                    ended(exited)
                }
            },
            status = child.wait(), if over.is_none() => {
                if let Ok(status) = status {
                    *exited = Some((Instant::now(), status));
                }
                Event::Wrote
            }
            () = sleep_until(over.unwrap_or_else(Instant::now)), if over.is_some() => ended(exited),
        }
    }

    /// INVARIANT: what a message holds is spent before its first byte is handed to the pipe.
    fn fill(&mut self) {
        while self.outgoing.len() < CHUNK
            && let Some(pending) = self.pending.pop_front()
        {
            if let Some(held) = pending.held {
                held.spend();
            }
            self.outgoing.extend_from_slice(&pending.line);
        }
    }

    /// The order of the specification: stdin is closed, then SIGTERM, then SIGKILL; each to the whole group.
    pub(super) async fn end(mut self) {
        self.stdin = None;
        if self.ends_within(CLOSE_GRACE).await {
            return;
        }
        self.group.signal(Signal::TERM);
        if !self.ends_within(TERM_GRACE).await {
            self.kill().await;
        }
    }

    pub(super) async fn kill(mut self) {
        self.group.signal(Signal::KILL);
        _ = self.child.wait().await;
    }

    /// Reads on meanwhile: a program that cannot write does not end.
    async fn ends_within(&mut self, grace: Duration) -> bool {
        let Self { child, stdout, lines, .. } = self;
        let ends = async {
            loop {
                lines.unread.clear();
                lines.make_room();
                tokio::select! {
                    status = child.wait() => return status,
                    Ok(1..) = stdout.read_buf(&mut lines.unread) => {}
                }
            }
        };
        timeout(grace, ends).await.is_ok()
    }
}

fn hint(kind: ErrorKind, command: &Command) -> &'static str {
    match (kind == ErrorKind::NotFound, kind == ErrorKind::PermissionDenied) {
        (true, _) if command.folder.as_ref().is_some_and(|folder| !folder.is_dir()) => {
            "check that its folder `cwd` exists"
        }
        (true, _) if command.program.contains('/') => {
            "check the path in `command`, and the interpreter that the file names"
        }
        (true, _) => "check that it is installed, and in the `PATH` of the gateway",
        (_, true) => "check that the gateway may execute it",
        (false, false) => "check `command`, and what this machine allows the gateway",
    }
}

//! One connection to a program, which outlives its processes: for one agent, or for all. Everything about it happens in one task, in
//! order: what is posted, what the program says, how it ends and is started again.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use mcp::{Method, Verdict, Writer};
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::crashes::{Crashes, Next};
use super::error::StdioError;
use super::handle::{Command, Handle, Note, Open, Post, Spare, Waiter};
use super::house::House;
use super::message::{self, Asked, Kind};
use super::outlet::Outlet;
use super::process::{Event, Process};
use super::questions::Questions;
use super::session::{Memory, Session};

/// Messages that wait for a program that does not read; whoever posts more waits.
const PENDING: usize = 64;
const COMMANDS: usize = 64;

/// How often a line looks whether anybody still needs it.
const ROUND: Duration = Duration::from_secs(1);

/// How long a program that was started again may take to answer `initialize`.
const HELLO: Duration = Duration::from_secs(60);

/// Lines that are no messages: so many are logged, and so many in a row are the end of the process.
const TOLD: u32 = 5;
const MAX_IN_ROW: u32 = 1_000;

/// Legacy requests that nobody waits for, of which it is known that they may be cancelled.
const LEFT: usize = 64;

/// Requests of our own have ids from here on, which no client's request ever gets.
const OWN_IDS: u64 = 1 << 52;

pub(super) struct Line {
    pub(super) house: Arc<House>,
    commands: mpsc::Receiver<Command>,
    notes: mpsc::UnboundedReceiver<Note>,
    spare: Arc<Spare>,
    stop: watch::Receiver<bool>,
    /// Of the few that the server may have.
    _room: OwnedSemaphorePermit,
    /// Is the program spoken to as a legacy one?
    pub(super) legacy: bool,
    pub(super) process: Option<Process>,
    phase: Phase,
    crashes: Crashes,
    /// Waits until the program has been greeted.
    first: Option<Command>,
    pub(super) open: BTreeMap<u64, Open>,
    /// Legacy requests of these sessions run on though nobody waits, and may still be cancelled: the newest few.
    pub(super) left: VecDeque<(u64, Option<Arc<str>>)>,
    pub(super) sessions: HashMap<Arc<str>, Session>,
    pub(super) memory: Memory,
    pub(super) questions: Questions,
    next_own: u64,
    pub(super) used: Instant,
    noise: Noise,
    over: bool,
}

enum Phase {
    /// No process, and none is wanted yet.
    Off,
    /// No process before then.
    Backoff(Instant),
    /// Too many ended: none before then, and whoever asks is told so.
    Refusing(Instant),
    /// A process that has not answered our `initialize` yet, and must by then.
    Greeting(Instant),
    Ready,
}

enum Happening {
    /// The gateway ends, or nobody has the other end any more.
    Stop,
    Noted(Note),
    Process(Event),
    Command(Command),
    Time,
}

#[derive(Default)]
struct Noise {
    in_row: u32,
    told: u32,
}

impl Line {
    pub(super) fn new(house: Arc<House>, room: OwnedSemaphorePermit, stop: watch::Receiver<bool>) -> (Self, Handle) {
        let (commands, posted) = mpsc::channel(COMMANDS);
        let (notes, noted) = mpsc::unbounded_channel();
        let spare = Arc::new(Spare::default());
        let handle = Handle { commands, notes, spare: Arc::clone(&spare) };
        let line = Self {
            house,
            commands: posted,
            notes: noted,
            spare,
            stop,
            _room: room,
            legacy: false,
            process: None,
            phase: Phase::Off,
            crashes: Crashes::default(),
            first: None,
            open: BTreeMap::new(),
            left: VecDeque::new(),
            sessions: HashMap::new(),
            memory: Memory::default(),
            questions: Questions::default(),
            next_own: OWN_IDS,
            used: Instant::now(),
            noise: Noise::default(),
            over: false,
        };
        (line, handle)
    }

    /// Until nobody needs it, or the gateway ends. `_alive` is held as long as there may be a process.
    pub(super) async fn run(mut self, _alive: mpsc::Sender<()>) {
        let mut round = Instant::now() + ROUND;
        while !self.over {
            self.proceed();
            let wake = self.wake().map_or(round, |wake| wake.min(round));
            match self.next(wake).await {
                Happening::Stop => break,
                Happening::Noted(note) => self.noted(note),
                Happening::Process(event) => self.happened(event),
                Happening::Command(command) => self.command(command),
                Happening::Time => {}
            }
            if Instant::now() >= round {
                round = Instant::now() + ROUND;
                self.look_around();
            }
        }
        self.fail_all(&StdioError::Ending);
        self.commands.close();
        if let Some(process) = self.process.take() {
            process.end().await;
            self.house.ended();
        }
    }

    async fn next(&mut self, wake: Instant) -> Happening {
        let takes = self.takes();
        let Self { commands, notes, stop, process, .. } = self;
        let happens = async {
            match process {
                Some(process) => process.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => Happening::Stop,
            Some(note) = notes.recv() => Happening::Noted(note),
            event = happens => Happening::Process(event),
            command = commands.recv(), if takes => command.map_or(Happening::Stop, Happening::Command),
            () = sleep_until(wake) => Happening::Time,
        }
    }

    /// Is there room for another message, or at least an answer to it?
    fn takes(&self) -> bool {
        match &self.phase {
            Phase::Off | Phase::Refusing(_) => true,
            Phase::Ready => self.process.as_ref().is_some_and(|process| process.waiting() < PENDING),
            Phase::Backoff(_) | Phase::Greeting(_) => false,
        }
    }

    fn wake(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Backoff(at) | Phase::Greeting(at) => Some(*at),
            Phase::Off | Phase::Refusing(_) | Phase::Ready => None,
        }
    }

    /// Does what is due.
    fn proceed(&mut self) {
        let now = Instant::now();
        match &self.phase {
            // A session's program runs; others are started when they are asked something.
            Phase::Backoff(at) if now >= *at => match self.sessions.is_empty() {
                true => self.phase = Phase::Off,
                false => _ = self.start().inspect_err(|why| self.crashed(why.clone())),
            },
            Phase::Greeting(until) if now >= *until => {
                self.crashed(StdioError::Died("it did not answer `initialize` in time".to_owned()));
            }
            Phase::Refusing(until) if now >= *until => self.phase = Phase::Off,
            Phase::Off | Phase::Backoff(_) | Phase::Refusing(_) | Phase::Greeting(_) | Phase::Ready => {}
        }
    }

    fn start(&mut self) -> Result<(), StdioError> {
        let process = Process::spawn(&self.house.command, &self.house.server, self.house.longest)?;
        tracing::info!(target: "toolgate::server", server = %self.house.server, pid = process.id(), "started");
        self.house.started();
        self.process = Some(process);
        self.noise.in_row = 0;
        self.phase = Phase::Ready;
        self.greet();
        Ok(())
    }

    /// A program that clients believe to be introduced must hear it (again).
    pub(super) fn greet(&mut self) {
        if let Some(hello) = self.memory.hello(self.house.command.shared && self.legacy) {
            self.phase = Phase::Greeting(Instant::now() + HELLO);
            self.say(Method::Initialize, &hello, Waiter::Greeting);
        }
    }

    /// The program agreed. It hears the rest, and then whoever waited for that.
    pub(super) fn greeted(&mut self) {
        self.phase = Phase::Ready;
        for (method, params) in self.memory.told() {
            match method {
                Some(method) => self.say(method, &params, Waiter::Nobody),
                None => self.write(&Writer::server_message(None, "notifications/initialized", None)),
            }
        }
        if let Some(first) = self.first.take() {
            self.command(first);
        }
    }

    /// The program will not be spoken to as a legacy one: whoever wanted that is told so.
    pub(super) fn refused(&mut self, error: &RawValue) {
        (self.phase, self.legacy) = (Phase::Ready, false);
        let Some(Command::Post(post)) = self.first.take() else { return };
        if let (Kind::Request(asked), Some(outlet)) = (post.message.kind, post.outlet) {
            outlet.finish(Writer::answer(&asked.id.to_string(), Verdict::Error(error)));
        }
    }

    /// A request of our own.
    pub(super) fn say(&mut self, method: Method, params: &str, waiter: Waiter) {
        let id = self.next_own;
        self.next_own += 1;
        self.write(&Writer::server_message(Some(id), method.as_str(), Some(params)));
        let asked = Asked { id, method, token: None, logs: false, uri: None, params: None };
        self.open.insert(id, Open { waiter, asked, modern: false, session: None });
    }

    pub(super) fn write(&mut self, message: &[u8]) {
        match (message::line(message), &mut self.process) {
            (Ok(line), Some(process)) => process.write(line, None, None),
            (Err(_), _) | (_, None) => {}
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Listen(session, outlet) => self.listen(&session, outlet),
            Command::Post(post) if post.outlet.as_ref().is_some_and(Outlet::is_closed) => {} // and what it held is given back
            Command::Post(post) => self.post_when_ready(post),
        }
    }

    fn post_when_ready(&mut self, post: Box<Post>) {
        self.used = Instant::now();
        if let Err(why) = self.admit(&post) {
            return post.fail(why);
        }
        if let Phase::Refusing(until) = &self.phase {
            return post.fail(StdioError::Crashing(*until - Instant::now()));
        }
        if self.process.is_none()
            && let Err(why) = self.start()
        {
            self.crashed(why.clone());
            return post.fail(why);
        }
        match &self.phase {
            Phase::Greeting(_) => self.first = Some(Command::Post(post)),
            Phase::Off | Phase::Backoff(_) | Phase::Refusing(_) | Phase::Ready => self.post(*post),
        }
    }

    pub(super) fn ask_again_as_legacy(&mut self, post: Post) {
        self.legacy = true;
        self.greet();
        self.first = Some(Command::Post(Box::new(post)));
    }

    fn noted(&mut self, note: Note) {
        match note {
            Note::Left(id) => self.left(id),
            Note::End(session) => self.end(&session),
            Note::Retire => self.over = self.sessions.is_empty() && self.open.is_empty(),
        }
        // Whoever took the line as a spare one posts to it next, and that is no moment to end.
        self.over &= self.commands.is_empty();
    }

    /// Nobody waits for the answer. In modern that cancels; in legacy it does not.
    fn left(&mut self, id: u64) {
        let Some(open) = self.open.remove(&id) else { return };
        let unsent = self.process.as_mut().is_some_and(|process| process.unwrite(id));
        if open.asked.method == Method::Discover {
            self.probed(false);
        } else if open.modern && !unsent {
            self.cancel(id);
        } else if !unsent {
            self.left.truncate(LEFT - 1);
            self.left.push_front((id, open.session));
        }
    }

    pub(super) fn cancel(&mut self, id: u64) {
        let params = format!("{{\"requestId\":{id}}}");
        self.write(&Writer::server_message(None, "notifications/cancelled", Some(&params)));
    }

    pub(super) fn probed(&mut self, modern: bool) {
        self.spare.probed(modern);
    }

    pub(super) fn asked_for(&mut self, method: Method) {
        if method != Method::Discover {
            self.spare.used();
        }
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::Wrote => {}
            Event::Ended(how) => self.crashed(StdioError::Died(how)),
            Event::Read => {
                while let Some(line) = self.process.as_mut().and_then(|process| process.lines.next()) {
                    self.said(line);
                }
            }
        }
    }

    /// The process is no more, or must not be. Every open request ends here, once.
    pub(super) fn crashed(&mut self, why: StdioError) {
        if let Some(process) = self.process.take() {
            tracing::warn!(target: "toolgate::server", server = %self.house.server, pid = process.id(), error = %why, "ended");
            self.house.ended();
            self.house.restart();
            tokio::spawn(process.kill());
        } else {
            tracing::warn!(target: "toolgate::server", server = %self.house.server, error = %why, "not started");
        }
        self.questions = Questions::default(); // the next process counts anew
        self.fail_all(&why);
        if let Some(Command::Post(post)) = self.first.take() {
            post.fail(why);
        }
        self.phase = match self.crashes.one_more(Instant::now()) {
            Next::StartAt(at) => Phase::Backoff(at),
            Next::RefuseUntil(at) => Phase::Refusing(at),
        };
    }

    fn fail_all(&mut self, why: &StdioError) {
        for (_, open) in std::mem::take(&mut self.open) {
            if let Waiter::Client(outlet) = open.waiter {
                outlet.fail(why.clone());
            }
        }
        self.forget_what_was_under_way();
    }

    /// A line that is no message. A program that says nothing else is no server.
    pub(super) fn noise(&mut self, line: &str) {
        self.noise.in_row += 1;
        if self.noise.told < TOLD {
            self.noise.told += 1;
            let line = super::stderr::shown(line);
            tracing::warn!(target: "toolgate::server", server = %self.house.server, line, "no message on stdout: dropped");
        }
        self.house.noise();
        if self.noise.in_row >= MAX_IN_ROW {
            self.crashed(StdioError::Died(format!("it said {MAX_IN_ROW} lines in a row that are no messages")));
        }
    }

    pub(super) fn no_noise(&mut self) {
        self.noise.in_row = 0;
    }

    /// Does anybody still need the process, and the line?
    fn look_around(&mut self) {
        self.forget_sessions();
        let quiet = self.open.is_empty() && self.first.is_none() && self.commands.is_empty();
        let idle = self.sessions.is_empty() && self.used.elapsed() >= self.house.command.idle;
        self.over |= quiet && (idle || self.house.is_retired());
    }

    pub(super) fn finish(&mut self) {
        self.over = true;
    }
}

//! `toolgate connect`: shows what would change in a client's file, asks, and has it written. What a client's file is like, and how it
//! is edited without harm, is the business of the crate `connect`.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use connect::{Change, Client, ConfigFile, Error, Name, Os, Place, Request, Surroundings, Transport, Undo};
use serde_json::{Value, json};

use crate::cli::{self, Format};
use crate::exit;

pub(crate) fn run(args: &cli::Connect) -> anyhow::Result<ExitCode> {
    let done = match &args.client {
        None => list(args),
        Some(id) => connect(args, id),
    };
    done.map(ExitCode::from).or_else(|error| {
        let Some(code) = error.downcast_ref::<Error>().map(code) else { return Err(error) };
        eprintln!("error: {error:#}");
        Ok(code.into())
    })
}

fn connect(args: &cli::Connect, id: &str) -> anyhow::Result<u8> {
    let clients = connect::clients()?;
    let Some(client) = clients.iter().find(|client| client.id == id) else {
        let ids: Vec<&str> = clients.iter().map(|client| client.id.as_str()).collect();
        eprintln!("error: there is no client `{id}`: expected one of {}", ids.join(", "));
        return Ok(exit::USAGE);
    };
    if args.print {
        return print(args, client);
    }
    let place = place(args, client)?;
    if args.undo { undo(args, client, &place) } else { edit(args, client, &place) }
}

fn edit(args: &cli::Connect, client: &Client, place: &Place) -> anyhow::Result<u8> {
    let changes = changes(args, client)?;
    if !args.remove {
        place.check(args.create)?;
    }
    let file = ConfigFile::read(&place.file)?;
    let after = connect::edit(client, file.path(), file.text(), &changes)?;
    let is_same = file.text().unwrap_or_default() == after;
    let mut step = Step::new(args, client, &file, if is_same { file.text() } else { Some(&after) });
    if step.is_agreed()? {
        place.make()?;
        let backup = file.write(&after)?;
        step.outcome = Outcome::Written { backup: file.text().map(|_| backup) };
    }
    step.report()
}

fn undo(args: &cli::Connect, client: &Client, place: &Place) -> anyhow::Result<u8> {
    let undo = Undo::find(ConfigFile::read(&place.file)?)?;
    let mut step = Step::new(args, client, undo.file(), undo.before());
    if step.is_agreed()? {
        undo.apply()?;
        step.outcome = Outcome::Restored;
    }
    step.report()
}

fn changes(args: &cli::Connect, client: &Client) -> anyhow::Result<Vec<Change>> {
    let request = request(args)?;
    if args.remove {
        return Ok(request.names()?.into_iter().map(Change::Remove).collect());
    }
    if request.exposes_token() {
        eprintln!("warning: the token would travel to another machine without TLS");
    }
    Ok(request.entries(client)?.into_iter().map(Change::Set).collect())
}

fn request(args: &cli::Connect) -> anyhow::Result<Request> {
    let program = std::env::current_exe().context("the path of this program is not known")?;
    let program = program
        .into_os_string()
        .into_string()
        .map_err(|path| anyhow::anyhow!("the path of this program is not UTF-8: `{}`", path.display()))?;
    let servers = args.server.iter().map(|id| id.as_str().parse()).collect::<Result<Vec<Name>, Error>>()?;
    Ok(Request {
        gateway: args.url.clone(),
        servers,
        name: args.name.clone(),
        transport: if args.stdio { Transport::Stdio { program } } else { Transport::Best { program } },
        token: args.token_env.as_deref().map(str::parse).transpose()?,
    })
}

fn place(args: &cli::Connect, client: &Client) -> anyhow::Result<Place> {
    if let Some(file) = &args.config_file {
        return Ok(Place::of_file(file));
    }
    let project = std::env::current_dir().context("the working directory is not known")?;
    let here = Surroundings { os: Os::HERE, variable: &|name| std::env::var_os(name), project: &project };
    Ok(if args.project { Place::of_project(client, &here)? } else { Place::of_user(client, &here)? })
}

/// What happened to a file, or would have.
enum Outcome {
    Unchanged,
    WouldChange,
    Declined,
    /// Nobody was there to ask.
    NotAsked,
    Written {
        /// None for a file that was not there.
        backup: Option<PathBuf>,
    },
    Restored,
}

/// One change of one file, from the look at it to the report.
struct Step<'a> {
    args: &'a cli::Connect,
    client: &'a Client,
    path: PathBuf,
    diff: String,
    outcome: Outcome,
}

impl<'a> Step<'a> {
    fn new(args: &'a cli::Connect, client: &'a Client, file: &ConfigFile, after: Option<&str>) -> Self {
        let path = file.path().to_owned();
        let diff = connect::diff(&path.display().to_string(), file.text(), after);
        let outcome = if file.text() == after { Outcome::Unchanged } else { Outcome::WouldChange };
        Self { args, client, path, diff, outcome }
    }

    /// Whether the file is to be changed. People see how before they are asked.
    fn is_agreed(&mut self) -> io::Result<bool> {
        let is_human = matches!(self.args.format, Format::Human);
        if is_human {
            write!(io::stdout(), "{}", self.diff)?;
        }
        if matches!(self.outcome, Outcome::Unchanged) || self.args.dry_run {
            return Ok(false);
        }
        if self.args.yes {
            return Ok(true);
        }
        if !is_human || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            self.outcome = Outcome::NotAsked;
            return Ok(false);
        }
        let agreed = ask(&self.path)?;
        self.outcome = Outcome::Declined;
        Ok(agreed)
    }

    fn report(&self) -> anyhow::Result<u8> {
        let (path, then) = (self.path.display(), &self.client.then);
        let (word, text, code) = match &self.outcome {
            Outcome::Unchanged => ("unchanged", format!("`{path}` is so already: nothing to do"), exit::OK),
            Outcome::WouldChange => ("would_change", "nothing was written".to_owned(), exit::OK),
            Outcome::Declined => ("declined", "nothing was written".to_owned(), exit::FINDINGS),
            Outcome::NotAsked => ("not_asked", String::new(), exit::USAGE),
            Outcome::Written { backup } => {
                let backup = backup.as_ref().map(|backup| format!("; as it was, it is in `{}`", backup.display()));
                let text = format!("`{path}` is written{}\n{then}", backup.unwrap_or_default());
                ("written", text, exit::OK)
            }
            Outcome::Restored => ("restored", format!("`{path}` is as it was\n{then}"), exit::OK),
        };
        match self.args.format {
            Format::Human if !text.is_empty() => writeln!(io::stdout(), "{text}")?,
            Format::Human => {}
            Format::Json => writeln!(io::stdout(), "{:#}", self.json(word))?,
        }
        if matches!(self.outcome, Outcome::NotAsked) {
            eprintln!("error: nothing was written: there is no terminal to ask on; `--yes` says yes");
        }
        Ok(code)
    }

    fn json(&self, outcome: &str) -> Value {
        let backup = match &self.outcome {
            Outcome::Written { backup } => backup.as_ref().map(|backup| backup.display().to_string()),
            Outcome::Unchanged | Outcome::WouldChange | Outcome::Declined | Outcome::NotAsked | Outcome::Restored => {
                None
            }
        };
        let file = self.path.display().to_string();
        let then = &self.client.then;
        json!({ "client": self.client.id, "file": file, "outcome": outcome, "diff": self.diff, "backup": backup, "then": then })
    }
}

fn ask(path: &Path) -> io::Result<bool> {
    eprint!("change `{}` like this? [y/N] ", path.display());
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// What is to be pasted, as a whole file would have it.
fn print(args: &cli::Connect, client: &Client) -> anyhow::Result<u8> {
    let text = connect::edit(client, Path::new(""), None, &changes(args, client)?)?;
    match args.format {
        Format::Human => write!(io::stdout(), "{text}")?,
        Format::Json => writeln!(io::stdout(), "{:#}", json!({ "client": client.id, "text": text }))?,
    }
    Ok(exit::OK)
}

/// Where the file of each client is, and whether it is there.
fn list(args: &cli::Connect) -> anyhow::Result<u8> {
    let clients = connect::clients()?;
    let mut rows = Vec::new();
    for client in clients.iter().filter(|client| !args.project || client.project.is_some()) {
        let place = place(args, client)?;
        let state = match (place.file.exists(), place.own.is_dir()) {
            (true, _) => "there",
            (false, true) => "absent",
            (false, false) => "no-client",
        };
        rows.push((client, place.file.display().to_string(), state));
    }
    let mut out = io::stdout().lock();
    match args.format {
        Format::Human => {
            let width = rows.iter().map(|(client, ..)| client.id.len()).max().unwrap_or_default();
            for (client, file, state) in rows {
                writeln!(out, "{:width$}  {state:9}  {file}", client.id)?;
            }
        }
        Format::Json => {
            let row = |(client, file, state): (&Client, String, &str)| json!({ "id": client.id, "name": client.name, "file": file, "state": state });
            writeln!(out, "{:#}", json!({ "clients": rows.into_iter().map(row).collect::<Vec<_>>() }))?;
        }
    }
    Ok(exit::OK)
}

fn code(error: &Error) -> u8 {
    match error {
        Error::Meanwhile { .. } | Error::NoBackup { .. } | Error::Since { .. } => exit::FINDINGS,
        Error::Data(_) | Error::Read { .. } | Error::Write { .. } => exit::RUNTIME,
        Error::Name(_)
        | Error::Variable
        | Error::OneName
        | Error::Url { .. }
        | Error::Program { .. }
        | Error::NoToken { .. }
        | Error::NoProject { .. }
        | Error::NoHome
        | Error::NoFolder { .. }
        | Error::Syntax { .. }
        | Error::Shape { .. }
        | Error::Unfit { .. } => exit::USAGE,
    }
}

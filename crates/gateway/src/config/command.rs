//! A server that is a program: what is started, where, and what of our environment it may see. Nothing of it ever comes from the network.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::error::Problem;
use super::layers::{Layers, read_text};
use super::origin::Origin;
use super::settings::{Entry, Settings};
use super::value::{self, Written};
use super::{HOUR, SECOND};

/// What every program may know of where it runs. All else must be named.
const INHERITED: [&str; 9] = ["HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "USER"];

/// Processes of one server, unless the operator sets it.
const PROCESSES: usize = 64;
const MAX_PROCESSES: usize = 10_000;

/// How long a process that nobody needs is kept, unless the operator sets it.
const IDLE: Duration = Duration::from_secs(10 * 60);

/// A program that speaks MCP over stdin and stdout.
#[derive(Clone, Debug)]
pub struct Command {
    pub program: String,
    pub arguments: Vec<String>,
    /// None: where the gateway runs.
    pub folder: Option<PathBuf>,
    pub environment: Environment,
    /// One process for all agents, instead of one for each.
    pub shared: bool,
    /// How many processes there may be at a time.
    pub processes: NonZeroUsize,
    /// How long a process that nobody needs is kept.
    pub idle: Duration,
}

/// All that the program finds in its environment. `Debug` shows the names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    pub fn iter(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.0.iter()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.keys().map(|name| (name, "***"))).finish()
    }
}

/// A command that was written somewhere; none where something is wrong with it.
pub(super) struct Found {
    pub(super) origin: Origin,
    pub(super) command: Option<Command>,
}

/// None when there is no `command`: then what belongs to one stays unread, and so is unknown.
pub(super) fn read(server: &str, settings: &mut Settings, layers: &Layers) -> Option<Found> {
    let Entry { value, origin } = settings.take(&["servers", server, "command"])?;
    let program = program(server, &value, &origin, settings);
    let folder = folder(server, settings);
    let environment = environment(server, settings, layers);
    let shared = setting(server, "shared", false, "\"true\" or \"false\"", settings, flag);
    let processes = format!("a number from 1 to {MAX_PROCESSES}");
    let processes = setting(server, "processes", PROCESSES, &processes, settings, |found| {
        value::count(found).filter(|count| (1..=MAX_PROCESSES).contains(count))
    });
    let processes = NonZeroUsize::new(processes).unwrap_or(NonZeroUsize::MIN);
    let idle = setting(server, "idle", IDLE, "a duration such as \"10m\", from 1s to 24h", settings, |found| {
        value::span(found).filter(|idle| (SECOND..=24 * HOUR).contains(idle))
    });
    let command = program.map(|(program, arguments)| Command {
        program,
        arguments,
        folder,
        environment,
        shared,
        processes,
        idle,
    });
    Some(Found { origin, command })
}

fn program(server: &str, written: &Written, origin: &Origin, settings: &mut Settings) -> Option<(String, Vec<String>)> {
    let words = value::list(written, |word| Some(word.to_owned())).filter(|_| !matches!(written, Written::Table));
    let mut words = words.unwrap_or_default().into_iter();
    let lawful = |word: &String| !word.contains('\0');
    match words.next().filter(|program| !program.is_empty() && lawful(program)) {
        Some(program) if words.as_slice().iter().all(lawful) => Some((placed(program, origin), words.collect())),
        Some(_) | None => {
            let path = ["servers", server, "command"].map(str::to_owned);
            let expected = "a program and its arguments such as [\"npx\", \"-y\", \"some-server\"]";
            settings.invalid(&path, written, expected, origin.clone());
            None
        }
    }
}

/// A bare name is looked for in `PATH`; a relative path belongs to the file that names it.
fn placed(program: String, origin: &Origin) -> String {
    match program.contains('/') {
        true => origin.resolve(&program).ok().and_then(|path| path.into_os_string().into_string().ok()),
        false => None,
    }
    .unwrap_or(program)
}

fn folder(server: &str, settings: &mut Settings) -> Option<PathBuf> {
    let path = ["servers", server, "cwd"];
    let Entry { value, origin } = settings.take(&path)?;
    let folder = value::text(&value).filter(|text| !text.is_empty()).and_then(|text| origin.resolve(text).ok());
    if folder.is_none() {
        settings.invalid(&path.map(str::to_owned), &value, "the path of a folder", origin);
    }
    folder
}

fn flag(found: &Written) -> Option<bool> {
    match found {
        Written::Text(text) | Written::Other(text) => text.parse().ok(),
        Written::Number(_) | Written::List(_) | Written::Table | Written::Item(_) => None,
    }
}

fn setting<T>(
    server: &str,
    key: &str,
    default: T,
    expected: &str,
    settings: &mut Settings,
    parse: impl FnOnce(&Written) -> Option<T>,
) -> T {
    let path = ["servers", server, key];
    let Some(Entry { value, origin }) = settings.take(&path) else { return default };
    parse(&value).unwrap_or_else(|| {
        settings.invalid(&path.map(str::to_owned), &value, expected, origin);
        default
    })
}

fn environment(server: &str, settings: &mut Settings, layers: &Layers) -> Environment {
    let more = setting(server, "inherit", Vec::new(), "a list of names such as [\"GOPATH\"]", settings, |found| {
        value::list(found, |name| is_name(name).then(|| name.to_owned()))
    });
    let inherited = |name: &OsString| {
        INHERITED.iter().any(|known| name == known) || more.iter().any(|known| name == known.as_str())
    };
    let mut all: BTreeMap<_, _> = layers.env.iter().filter(|(name, _)| inherited(name)).cloned().collect();
    all.extend(variables(server, settings, layers));
    Environment(all)
}

/// `env = { NAME = "value" | { file = "…" } | { env = "…" } }`: the one written in the latest layer counts.
fn variables(server: &str, settings: &mut Settings, layers: &Layers) -> Vec<(OsString, OsString)> {
    let mut by_name: BTreeMap<String, (Option<String>, Entry)> = BTreeMap::new();
    for (rest, entry) in settings.take_below(&["servers", server, "env"]) {
        let path = || ["servers", server, "env"].map(str::to_owned).into_iter().chain(rest.clone()).collect::<Vec<_>>();
        let place = match rest.as_slice() {
            [] if matches!(entry.value, Written::Table) => continue, // `env = {}`
            [] => {
                settings.invalid(&path(), &entry.value, "a table", entry.origin);
                continue;
            }
            [_] => None,
            [_, place] if place == "file" || place == "env" => Some(place.clone()),
            _ => {
                settings.unknown(&path(), entry.origin);
                continue;
            }
        };
        let Some(name) = rest.first() else { continue };
        match by_name.get(name) {
            Some((_, other)) if other.origin.layer() == entry.origin.layer() => {
                let reason = "is written twice: give the value, or one of `file` and `env`".to_owned();
                settings.problem(Problem::Unusable { key: path().join("."), reason, origin: entry.origin });
            }
            Some((_, other)) if other.origin > entry.origin => {}
            Some(_) | None => drop(by_name.insert(name.clone(), (place, entry))),
        }
    }
    let mut variables = Vec::new();
    for (name, (place, entry)) in by_name {
        match variable(&name, place.as_deref(), &entry, layers) {
            Ok(value) => variables.push((name.into(), value.into())),
            Err(reason) => {
                let key = format!("servers.{server}.env.{name}");
                settings.problem(Problem::Unusable { key, reason, origin: entry.origin });
            }
        }
    }
    variables
}

/// The error is the reason, and never the value.
fn variable(name: &str, place: Option<&str>, entry: &Entry, layers: &Layers) -> Result<String, String> {
    if !is_name(name) {
        return Err("is not the name of a variable".to_owned());
    }
    let text = value::text(&entry.value).ok_or("must be a string, `{ file = \"…\" }` or `{ env = \"…\" }`")?;
    let value = match place {
        Some("file") => {
            let path = entry.origin.resolve(text).map_err(|e| e.to_string())?;
            let secret = read_text(&path).map_err(|e| format!("cannot be read from `{}`: {e}", path.display()))?;
            secret.trim_end_matches(['\r', '\n']).to_owned()
        }
        Some(_) => {
            let variable = layers.variable(text);
            variable.ok_or_else(|| format!("needs the variable `{text}`, which is not set"))?.to_owned()
        }
        None => text.to_owned(),
    };
    match value.contains('\0') {
        true => Err("holds a character that no variable may have".to_owned()),
        false => Ok(value),
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

//! The written form: every setting as text or number beside where it came from. Reading one checks it and notes what is wrong;
//! what nobody read is unknown.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::time::Duration;

use config::{Map, Value, ValueKind};

use super::error::{ConfigErrors, Problem};
use super::layers::{Layers, env_name};
use super::origin::Origin;
use super::value::{self, Written};

pub(super) type Path = Vec<String>;

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) value: Written,
    pub(super) origin: Origin,
}

/// INVARIANT: a reader that finds a problem returns a placeholder, which never gets out: `finish` fails when there is any problem.
pub(super) struct Settings {
    unread: BTreeMap<Path, Entry>,
    known: Vec<String>,
    problems: Vec<Problem>,
    printed: String,
}

impl Settings {
    pub(super) fn merge(layers: &Layers) -> Result<Self, ConfigErrors> {
        let mut unread = BTreeMap::new();
        flatten(&layers.merge()?, &mut Vec::new(), &mut unread);
        Ok(Self { printed: print(&unread), unread, known: Vec::new(), problems: Vec::new() })
    }

    /// One description, which lies in no layer.
    pub(super) fn of(unread: BTreeMap<Path, Entry>) -> Self {
        Self { unread, known: Vec::new(), problems: Vec::new(), printed: String::new() }
    }

    /// What is written below a path, as JSON: for people, so what may be a secret is masked.
    pub(super) fn written(&self, path: &[&str]) -> serde_json::Value {
        let below = self.unread.iter().filter(|(key, _)| starts_with(key, path));
        let mut tree = serde_json::Map::new();
        for (key, entry) in below {
            let steps = key.get(path.len()..).unwrap_or_default();
            plant(&mut tree, steps, value::shown(key, &entry.value));
        }
        tree.into()
    }

    /// The effective values, if nothing was wrong.
    pub(super) fn finish(mut self) -> Result<String, ConfigErrors> {
        for (path, entry) in std::mem::take(&mut self.unread) {
            let section = path.join(".") + ".";
            let is_section = self.known.iter().any(|key| key.starts_with(&section));
            let is_table = matches!(entry.value, Written::Table);
            match (is_section || path == ["servers"] || path == ["agents"], is_table) {
                (true, true) => {}
                (true, false) => self.invalid(&path, &entry.value, "a table", entry.origin),
                (false, _) => self.unknown(&path, entry.origin),
            }
        }
        ConfigErrors::check(self.problems)?;
        Ok(self.printed)
    }

    /// What is written there, and not read yet.
    pub(super) fn entry(&self, path: &Path) -> Option<&Entry> {
        self.unread.get(path)
    }

    pub(super) fn take(&mut self, path: &[&str]) -> Option<Entry> {
        let path: Path = path.iter().map(|&segment| segment.to_owned()).collect();
        self.known.push(path.join("."));
        self.unread.remove(&path)
    }

    /// Everything below a path, with the rest of its path.
    pub(super) fn take_below(&mut self, path: &[&str]) -> Vec<(Path, Entry)> {
        self.known.push(path.join(".") + ".");
        let below: Vec<Path> = self.unread.keys().filter(|key| starts_with(key, path)).cloned().collect();
        let mut taken = Vec::new();
        for key in below {
            if let Some(entry) = self.unread.remove(&key) {
                taken.push((key.into_iter().skip(path.len()).collect(), entry));
            }
        }
        taken
    }

    /// The names directly below a path.
    pub(super) fn names(&self, path: &[&str]) -> Vec<String> {
        let below = self.unread.keys().filter(|key| starts_with(key, path));
        let mut names: Vec<String> = below.filter_map(|key| key.get(path.len()).cloned()).collect();
        names.dedup();
        names
    }

    pub(super) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Reads one of the settings that have a default.
    pub(super) fn read<T>(
        &mut self,
        key: &str,
        placeholder: T,
        expected: &str,
        parse: impl FnOnce(&Written) -> Option<T>,
    ) -> T {
        let path: Vec<&str> = key.split('.').collect();
        let (found, origin) = match self.take(&path) {
            Some(entry) => (entry.value, entry.origin),
            // A table was written over the default.
            None => match self.take_below(&path).into_iter().next() {
                Some((_, entry)) => (Written::Table, entry.origin),
                None => return placeholder,
            },
        };
        match parse(&found) {
            Some(value) => value,
            None => {
                let path: Path = path.into_iter().map(str::to_owned).collect();
                self.invalid(&path, &found, expected, origin);
                placeholder
            }
        }
    }

    pub(super) fn address(&mut self, key: &str) -> (SocketAddr, Origin) {
        let path: Vec<&str> = key.split('.').collect();
        let origin = self.origin(&path);
        let placeholder = SocketAddr::from(([127, 0, 0, 1], 0));
        let expected = "an address and a port such as \"127.0.0.1:4480\"";
        (self.read(key, placeholder, expected, |found| value::text(found)?.parse().ok()), origin)
    }

    pub(super) fn bytes(&mut self, key: &str, range: RangeInclusive<usize>) -> usize {
        let expected = format!(
            "a size such as 65536 or \"64KiB\", from {} to {}",
            value::show_bytes(*range.start()),
            value::show_bytes(*range.end())
        );
        self.read(key, *range.start(), &expected, |found| value::bytes(found).filter(|size| range.contains(size)))
    }

    /// A number from 1.
    pub(super) fn count(&mut self, key: &str, max: usize) -> NonZeroUsize {
        self.read(key, NonZeroUsize::MIN, &format!("a number from 1 to {max}"), |found| {
            let count = value::count(found).filter(|&count| count <= max)?;
            NonZeroUsize::new(count)
        })
    }

    pub(super) fn span(&mut self, key: &str, range: RangeInclusive<Duration>) -> Duration {
        let expected = format!(
            "a duration such as \"500ms\", \"30s\" or \"5m\", from {} to {}",
            humantime::format_duration(*range.start()),
            humantime::format_duration(*range.end())
        );
        self.read(key, *range.start(), &expected, |found| value::span(found).filter(|span| range.contains(span)))
    }

    pub(super) fn origin(&self, path: &[&str]) -> Origin {
        let found = self.unread.iter().find(|(key, _)| starts_with(key, path));
        found.map_or(Origin::Default, |(_, entry)| entry.origin.clone())
    }

    pub(super) fn invalid(&mut self, path: &[String], found: &Written, expected: &str, origin: Origin) {
        self.problems.push(Problem::Invalid {
            key: path.join("."),
            found: value::show(path, found),
            expected: expected.to_owned(),
            origin,
        });
    }

    pub(super) fn unknown(&mut self, path: &[String], origin: Origin) {
        let key = path.join(".");
        let distance = |known: &&String| strsim::damerau_levenshtein(known, &key);
        let nearest = self.known.iter().filter(|known| !known.ends_with('.')).min_by_key(distance);
        let nearest = nearest.filter(|known| distance(known) <= 3);
        let suggestion = nearest.map(|known| match origin {
            Origin::Env(_) => env_name(known),
            Origin::Default | Origin::File(_) | Origin::Flag(_) | Origin::Store => known.clone(),
        });
        self.problems.push(Problem::Unknown { key, origin, suggestion });
    }
}

fn plant(tree: &mut serde_json::Map<String, serde_json::Value>, steps: &[String], value: serde_json::Value) {
    match steps {
        [] => {}
        [last] => drop(tree.insert(last.clone(), value)),
        [first, rest @ ..] => {
            let below = tree.entry(first.clone()).or_insert_with(|| serde_json::Map::new().into());
            if let Some(below) = below.as_object_mut() {
                plant(below, rest, value);
            }
        }
    }
}

fn starts_with(path: &Path, prefix: &[&str]) -> bool {
    path.len() >= prefix.len() && path.iter().zip(prefix).all(|(a, b)| a == b)
}

fn flatten(map: &Map<String, Value>, above: &mut Path, out: &mut BTreeMap<Path, Entry>) {
    for (name, value) in map {
        let origin = Origin::decode(value.origin());
        above.push(name.clone());
        if let ValueKind::Table(children) = &value.kind
            && !children.is_empty()
        {
            flatten(children, above, out);
        } else {
            let value = value.kind.clone().into();
            out.insert(above.clone(), Entry { value, origin });
        }
        above.pop();
    }
}

/// One line a setting, as TOML reads it back, with where it came from.
fn print(entries: &BTreeMap<Path, Entry>) -> String {
    let lines = entries.iter().map(|(path, entry)| {
        let line = format!("{} = {}", path.join("."), value::show(path, &entry.value));
        (line, &entry.origin)
    });
    lines.fold(String::new(), |mut text, (line, origin)| {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{line:<60} # {origin}");
        text
    })
}

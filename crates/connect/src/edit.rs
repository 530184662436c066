//! One edit of a file's text: entries are set or taken out, and nothing else becomes different.

use std::path::Path;

use serde_json::{Map, Value};

use crate::client::{Client, Format};
use crate::entry::{Entry, Name};
use crate::error::Error;
use crate::{json, toml};

/// What is to become of an entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is there, and has exactly these members.
    Set(Entry),
    /// It is not there.
    Remove(Name),
}

impl Change {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Set(entry) => entry.name.as_str(),
            Self::Remove(name) => name.as_str(),
        }
    }

    /// The entry as it is to be.
    fn wanted(&self) -> Option<Value> {
        match self {
            Self::Set(entry) => Some(entry.value()),
            Self::Remove(_) => None,
        }
    }
}

impl Entry {
    pub(crate) fn value(&self) -> Value {
        Value::Object(self.members.iter().cloned().collect())
    }
}

/// What is wrong with a text.
pub(crate) enum Flaw {
    Syntax { offset: usize, message: String },
    Shape(String),
}

impl Flaw {
    pub(crate) fn not_a_table(key: &str) -> Self {
        Self::Shape(format!("`{key}` is not what it should be, a table of servers"))
    }

    fn of(self, path: &Path, text: &str) -> Error {
        let path = path.to_owned();
        match self {
            Self::Shape(message) => Error::Shape { path, message },
            Self::Syntax { offset, message } => {
                let before = text.get(..offset).unwrap_or(text);
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                Error::Syntax { path, line, column, message }
            }
        }
    }
}

const MARK: &str = "\u{feff}";

/// The text of a client's file after the changes; the very same text where they change nothing.
pub fn edit(client: &Client, path: &Path, text: Option<&str>, changes: &[Change]) -> Result<String, Error> {
    let text = text.unwrap_or_default();
    let (mark, body) = text.strip_prefix(MARK).map_or(("", text), |body| (MARK, body));
    let key = client.servers.as_str();
    let edited = match client.format {
        Format::Json => json::edit(body, key, changes),
        Format::Toml => toml::edit(body, key, changes),
    };
    let Some(edited) = edited.map_err(|flaw| flaw.of(path, body))? else {
        return Ok(text.to_owned());
    };
    let edited = lines_as_in(body, edited);
    if !is_nothing_else(client.format, key, body, &edited, changes) {
        let message = "it is laid out in a way that no entry can be put into without touching the rest".to_owned();
        return Err(Error::Shape { path: path.to_owned(), message });
    }
    Ok(format!("{mark}{edited}"))
}

/// With the ends of lines that the file has, if it has one kind.
fn lines_as_in(before: &str, after: String) -> String {
    let ends = before.matches('\n').count();
    let is_dos = ends > 0 && before.matches("\r\n").count() == ends;
    if is_dos { after.replace("\r\n", "\n").replace('\n', "\r\n") } else { after }
}

// INVARIANT: what the file says apart from the named entries is the same before and after, and they are as they are wanted. The
// editors below see to it; this holds them to it, since the files are other people's.
fn is_nothing_else(format: Format, key: &str, before: &str, after: &str, changes: &[Change]) -> bool {
    let (Some(mut before), Some(mut after)) = (read(format, before), read(format, after)) else {
        return false;
    };
    for change in changes {
        take(&mut before, key, change.name());
        if take(&mut after, key, change.name()) != change.wanted() {
            return false;
        }
    }
    before == after
}

fn read(format: Format, text: &str) -> Option<Map<String, Value>> {
    match format {
        Format::Json => json::read(text),
        Format::Toml => toml::read(text),
    }
}

/// Takes an entry out, and the table with it when that leaves it empty.
fn take(file: &mut Map<String, Value>, key: &str, name: &str) -> Option<Value> {
    let servers = file.get_mut(key)?.as_object_mut()?;
    let taken = servers.remove(name);
    if servers.is_empty() {
        file.remove(key);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &str, after: &str, expected: bool) {
        let entry = Entry { name: "x".parse().unwrap(), members: vec![("url".to_owned(), "u".into())] };
        for (format, key) in [(Format::Json, "s"), (Format::Toml, "s")] {
            let text = |json: &str| match format {
                Format::Json => json.to_owned(),
                Format::Toml => toml_edit::ser::to_string(&json::read(json)).unwrap(),
            };
            let is = is_nothing_else(format, key, &text(before), &text(after), &[Change::Set(entry.clone())]);
            assert_eq!(is, expected, "{before} {after}");
        }
    }

    #[test]
    fn an_edit_that_touches_anything_else_is_noticed() {
        let wanted = r#"{"x": {"url": "u"}}"#;
        check("{}", &format!(r#"{{"s": {wanted}}}"#), true);
        check(r#"{"a": 1, "s": {"y": {}}}"#, r#"{"a": 1, "s": {"y": {}, "x": {"url": "u"}}}"#, true);
        check(r#"{"a": 1}"#, &format!(r#"{{"a": 2, "s": {wanted}}}"#), false);
        check(r#"{"a": 1}"#, &format!(r#"{{"s": {wanted}}}"#), false);
        check(r#"{"s": {"y": {}}}"#, &format!(r#"{{"s": {wanted}}}"#), false);
        check("{}", r#"{"s": {"x": {"url": "u", "more": 1}}}"#, false);
        check("{}", "{}", false);
    }
}

//! TOML files, comments and layout kept.

use serde_json::{Map, Value};
use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike};

use crate::edit::{Change, Flaw};
use crate::entry::Entry;

/// None where the changes change nothing.
pub(crate) fn edit(text: &str, key: &str, changes: &[Change]) -> Result<Option<String>, Flaw> {
    let mut file: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| Flaw::Syntax {
        offset: error.span().map_or(0, |span| span.start),
        message: error.message().replace('\n', ", "),
    })?;
    let now = read(text).unwrap_or_default();
    let end = file.trailing().clone();
    file.set_trailing("");
    let before = file.to_string();
    let servers = file.entry(key).or_insert_with(|| {
        let mut servers = Table::new();
        servers.set_implicit(true);
        Item::Table(servers)
    });
    let is_inline = servers.is_inline_table();
    let is_empty = text.trim().is_empty();
    let servers = servers.as_table_like_mut().ok_or_else(|| Flaw::not_a_table(key))?;
    let now = now.get(key).and_then(Value::as_object);
    let mut is_changed = false;
    for change in changes {
        let now = now.and_then(|servers| servers.get(change.name()));
        is_changed |= match change {
            Change::Set(entry) => now != Some(&entry.value()) && set(servers, entry, is_inline, is_empty),
            Change::Remove(_) => servers.remove(change.name()).is_some(),
        };
    }
    if !is_changed {
        return Ok(None);
    }
    // What is only put behind leaves the text as it is, to the last comment.
    if let Some(added) = file.to_string().strip_prefix(&before) {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return Ok(Some(format!("{text}{end}{added}")));
    }
    file.set_trailing(end);
    Ok(Some(file.to_string()))
}

pub(crate) fn read(text: &str) -> Option<Map<String, Value>> {
    toml_edit::de::from_str(text).ok()
}

fn set(servers: &mut dyn TableLike, entry: &Entry, is_inline: bool, is_first: bool) -> bool {
    let name = entry.name.as_str();
    let mut value = inline(entry.members.iter().map(|(key, value)| (key, value)));
    if let Some(Item::Value(old)) = servers.get_mut(name) {
        *value.decor_mut() = old.decor().clone();
        *old = value;
        return true;
    }
    if is_inline {
        servers.insert(name, Item::Value(value));
        return true;
    }
    let mut table: Table = entry.members.iter().map(|(key, value)| (key.as_str(), Item::Value(item(value)))).collect();
    match servers.get(name).and_then(Item::as_table) {
        // Where it was, with the comments that were above it.
        Some(old) => {
            table.set_position(old.position());
            *table.decor_mut() = old.decor().clone();
        }
        None if !is_first || !servers.is_empty() => table.decor_mut().set_prefix("\n"),
        None => {}
    }
    servers.insert(name, Item::Table(table));
    true
}

fn inline<'a>(members: impl Iterator<Item = (&'a String, &'a Value)>) -> toml_edit::Value {
    toml_edit::Value::InlineTable(members.map(|(key, value)| (key.as_str(), item(value))).collect::<InlineTable>())
}

fn item(value: &Value) -> toml_edit::Value {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => toml_edit::Value::Array(items.iter().map(item).collect()),
        Value::Object(members) => inline(members.iter()),
        // TOML has no null; an empty text then fails the comparison that follows every edit.
        Value::Null => "".into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.into(),
            (None, number) => number.unwrap_or(f64::NAN).into(),
        },
    }
}

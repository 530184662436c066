//! What the store says of a server: the keys of `[servers.ID]`, read by the same code, but for what may only ever come from a file.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::{ConfigErrors, Problem};
use super::layers::Layers;
use super::origin::Origin;
use super::server::{self, Binds, PolicySource, Server, ServerId};
use super::settings::{Entry, Path, Settings};
use super::value::Written;

/// Parts of a description, of which none is longer than that many.
const DEEPEST: usize = 8;

impl Server {
    /// `commands`: may it be a program?
    pub(crate) fn of_document(
        id: &str,
        document: &Value,
        policy: PolicySource,
        commands: bool,
    ) -> Result<(ServerId, Self), ConfigErrors> {
        let path = vec!["servers".to_owned(), id.to_owned()];
        let id: ServerId = id.parse().map_err(|error| unusable(&path, &format!("is not a server id: it {error}")))?;
        let mut settings = settings(path.clone(), document, commands)?;
        let server = server::read_one(id.as_str(), &mut settings, &Layers::default(), &Binds::To(policy));
        settings.finish()?;
        let server = server.ok_or_else(|| unusable(&path, "says too little"))?;
        Ok((id, server))
    }
}

fn unusable(path: &Path, reason: &str) -> Problem {
    Problem::Unusable { key: path.join("."), reason: reason.to_owned(), origin: Origin::Store }
}

/// What the store says at a path, to be read like a file. `commands`: may there be a program in it?
pub(super) fn settings(mut path: Path, document: &Value, commands: bool) -> Result<Settings, ConfigErrors> {
    let mut entries = BTreeMap::new();
    if !document.is_object() {
        return Err(unusable(&path, "is not an object").into());
    }
    flatten(document, &mut path, &mut entries).map_err(|path| unusable(&path, "is nested too deeply"))?;
    let forbidden = entries.keys().filter_map(|path| Some((path, forbidden(path, commands)?)));
    let forbidden: Vec<Problem> = forbidden.map(|(path, why)| unusable(path, why)).collect();
    // INVARIANT: nothing of a document that says what it may not is looked at: no file is opened, no variable read
    ConfigErrors::check(forbidden)?;
    Ok(Settings::of(entries))
}

/// A command, or a place on this machine where something is to be read, comes from files and never by the network.
fn forbidden(path: &Path, commands: bool) -> Option<&'static str> {
    let below: Vec<&str> = path.iter().skip(2).map(String::as_str).collect();
    match below.as_slice() {
        ["command", ..] if !commands => {
            Some("may only come from the configuration file, unless `store.commands` is true")
        }
        ["builtin" | "policy" | "catalog", ..] => Some("may only come from the configuration file"),
        ["tls", "ca" | "cert" | "key", ..] => Some("names a file, which only the configuration file may"),
        // Wherever it stands: a header's, an agent's, a client's secret.
        ["headers" | "env" | "oauth" | "agents", _, .., "file" | "env"] => {
            Some("names a file or a variable of the gateway's, which only the configuration file may")
        }
        _ => None,
    }
}

fn flatten(value: &Value, above: &mut Path, out: &mut BTreeMap<Path, Entry>) -> Result<(), Path> {
    if above.len() > DEEPEST {
        return Err(above.clone());
    }
    if let Some(members) = value.as_object().filter(|members| !members.is_empty()) {
        for (name, value) in members {
            above.push(name.clone());
            flatten(value, above, out)?;
            above.pop();
        }
    } else {
        out.insert(above.clone(), Entry { value: written(value), origin: Origin::Store });
    }
    Ok(())
}

pub(super) fn written(value: &Value) -> Written {
    match value {
        Value::String(text) => Written::Text(text.clone()),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Written::Number(number),
            None => Written::Other(number.to_string()),
        },
        Value::Array(items) => Written::List(items.iter().map(written).collect()),
        Value::Object(_) => Written::Table,
        Value::Bool(_) | Value::Null => Written::Other(value.to_string()),
    }
}

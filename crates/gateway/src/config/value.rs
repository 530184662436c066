//! How a single value is written: sizes, durations, lists. Also how it is shown again, without its secrets.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use config::ValueKind;
use ipnet::IpNet;

const UNITS: [(&str, usize); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
const SHOWN: usize = 120;

/// A value before anybody knows what it should be.
#[derive(Clone, Debug)]
pub(super) enum Written {
    Text(String),
    Number(i64),
    List(Vec<Written>),
    /// Always empty: what lies in a table is a setting of its own.
    Table,
    /// A table in a list.
    Item(BTreeMap<String, Written>),
    /// What no setting takes, as it was written.
    Other(String),
}

impl From<ValueKind> for Written {
    fn from(value: ValueKind) -> Self {
        match value {
            ValueKind::String(text) => Self::Text(text),
            ValueKind::I64(number) => Self::Number(number),
            ValueKind::Array(items) => Self::List(items.into_iter().map(|item| item.kind).map(Self::item).collect()),
            ValueKind::Table(_) => Self::Table,
            other @ (ValueKind::Nil
            | ValueKind::Boolean(_)
            | ValueKind::I128(_)
            | ValueKind::U64(_)
            | ValueKind::U128(_)
            | ValueKind::Float(_)) => Self::Other(other.to_string()),
        }
    }
}

impl Written {
    fn item(value: ValueKind) -> Self {
        let ValueKind::Table(members) = value else { return value.into() };
        Self::Item(members.into_iter().map(|(key, value)| (key, Self::item(value.kind))).collect())
    }
}

pub(super) fn flag(value: &Written) -> Option<bool> {
    match value {
        Written::Text(text) | Written::Other(text) => text.parse().ok(),
        Written::Number(_) | Written::List(_) | Written::Table | Written::Item(_) => None,
    }
}

pub(super) fn text(value: &Written) -> Option<&str> {
    if let Written::Text(text) = value { Some(text) } else { None }
}

/// A TOML number, or its digits where only text can be written (variables, flags).
pub(super) fn count(value: &Written) -> Option<usize> {
    if let Written::Number(number) = value {
        usize::try_from(*number).ok()
    } else {
        text(value)?.replace('_', "").parse().ok()
    }
}

pub(super) fn bytes(value: &Written) -> Option<usize> {
    let unit = text(value)
        .and_then(|text| UNITS.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?.trim_end(), *size))));
    match unit {
        Some((number, size)) => number.parse::<usize>().ok()?.checked_mul(size),
        None => count(value),
    }
}

pub(super) fn show_bytes(size: usize) -> String {
    let unit = UNITS.iter().find(|(_, unit)| size >= *unit && size.is_multiple_of(*unit));
    match unit {
        Some((name, unit)) => format!("{}{name}", size / unit),
        None => size.to_string(),
    }
}

pub(super) fn span(value: &Written) -> Option<Duration> {
    humantime::parse_duration(text(value)?).ok()
}

/// A TOML list of strings, or one string with commas.
pub(super) fn list<T>(value: &Written, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    if let Written::List(items) = value {
        items.iter().map(|item| parse(text(item)?)).collect()
    } else {
        let items = text(value)?.split(',').map(str::trim);
        items.filter(|item| !item.is_empty()).map(parse).collect()
    }
}

/// Networks, or single addresses.
pub(super) fn networks(value: &Written) -> Option<Vec<IpNet>> {
    list(value, |text| text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok())
}

/// The value as TOML, for people: what may be a secret is masked.
pub(super) fn show(path: &[String], value: &Written) -> String {
    match value {
        Written::Table => "a table".to_owned(),
        _ if is_secret(path, value) => "\"***\"".to_owned(),
        Written::Text(text) => {
            let text: String = mask_url(text).chars().take(SHOWN).collect();
            format!("{text:?}")
        }
        Written::Number(number) => number.to_string(),
        Written::List(items) => {
            let items: Vec<String> = items.iter().map(|item| show(path, item)).collect();
            format!("[{}]", items.join(", "))
        }
        Written::Item(members) => {
            let members = members.iter().map(|(key, value)| {
                let path: Vec<String> = path.iter().chain([key]).cloned().collect();
                format!("{key} = {}", show(&path, value))
            });
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        Written::Other(other) => other.clone(),
    }
}

/// The same as JSON.
pub(super) fn shown(path: &[String], value: &Written) -> serde_json::Value {
    match value {
        Written::Table => serde_json::Value::Object(serde_json::Map::new()),
        _ if is_secret(path, value) => "***".into(),
        Written::Text(text) => mask_url(text).into(),
        Written::Number(number) => (*number).into(),
        Written::List(items) => items.iter().map(|item| shown(path, item)).collect(),
        Written::Other(other) => serde_json::from_str(other).unwrap_or_else(|_| other.as_str().into()),
        Written::Item(_) => show(path, value).into(),
    }
}

/// The value of a header, of a variable for a program or of a client's secret is a secret; the place where to find it is not. And where the
/// hash of a token belongs, there may stand a token.
fn is_secret(path: &[String], value: &Written) -> bool {
    match path {
        [agents, _, tokens, rest @ ..] if agents == "agents" && tokens == "tokens" => match rest {
            [] => !matches!(value, Written::List(_) | Written::Item(_)),
            [key] => key != "label" && key != "expires",
            _ => true,
        },
        // The address of a channel is what lets one write there.
        [approvals, notify, _, secret, rest @ ..]
            if approvals == "approvals"
                && notify == "notify"
                && ["url", "secret", "password"].contains(&secret.as_str()) =>
        {
            !matches!(rest, [place] if place == "file" || place == "env")
        }
        [servers, server, agents, _, rest @ ..] if servers == "servers" && agents == "agents" => {
            is_secret(&[&[servers.clone(), server.clone()], rest].concat(), value)
        }
        [servers, _, oauth, secret, rest @ ..]
            if servers == "servers" && oauth == "oauth" && secret == "client_secret" =>
        {
            !matches!(rest, [place] if place == "file" || place == "env")
        }
        [servers, _, table, rest @ ..] if servers == "servers" && (table == "headers" || table == "env") => {
            !matches!(rest, [_, place] if place == "file" || place == "env")
        }
        // Where a place belongs, there may stand the key.
        [store, key, rest @ ..] if store == "store" && key == "key" => {
            !matches!(rest, [place] if place == "file" || place == "env")
        }
        _ => false,
    }
}

/// User information and queries of URLs hold passwords and keys.
pub(super) fn mask_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let (rest, query) = match rest.split_once(['?', '#']) {
        Some((rest, _)) => (rest, "?***"),
        None => (rest, ""),
    };
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let authority = match authority.rsplit_once('@') {
        Some((_, host)) => format!("***@{host}"),
        None => authority.to_owned(),
    };
    format!("{scheme}://{authority}{path}{query}")
}

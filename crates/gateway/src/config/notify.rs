//! Who is told that a call waits for approval: `[approvals.notify.ID]`. The address itself lets one write there, so it is a secret too.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use lettre::message::Mailbox;
use secrecy::{ExposeSecret as _, SecretString};

use super::credentials::{Reader, is_loopback, problem};
use super::layers::Layers;
use super::reach::Reach;
use super::server::{ServerId, upstream_url};
use super::settings::Settings;
use super::{tls, value};

const MAX_CHANNELS: usize = 16;
const MAX_RECIPIENTS: usize = 16;
/// Bytes of a secret, as Standard Webhooks has it.
const SECRET: std::ops::RangeInclusive<usize> = 24..=64;

const KINDS: &str = "\"webhook\", \"slack\" or \"mail\"";

#[derive(Clone)]
pub struct Notify {
    /// The operator's name for it.
    pub id: Box<str>,
    pub channel: Channel,
    /// The admin whose key the link carries. None: whoever opens it signs in.
    pub approver: Option<Box<str>>,
    /// By `https` and `http` for mail too: how it is connected to.
    pub(crate) url: Uri,
    pub(crate) reach: Reach,
}

#[derive(Clone)]
pub enum Channel {
    Webhook { key: Box<hmac::Key>, arguments: bool },
    Slack,
    Mail(Box<Mail>),
}

#[derive(Clone)]
pub struct Mail {
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
    pub login: Option<(String, SecretString)>,
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify").field("id", &self.id).field("approver", &self.approver).finish_non_exhaustive()
    }
}

pub(super) fn read_all(settings: &mut Settings, layers: &Layers) -> Vec<Notify> {
    let path = ["approvals", "notify"];
    let (names, origin) = (settings.names(&path), settings.origin(&path));
    if names.len() > MAX_CHANNELS {
        problem(settings, &path, &format!("are more than {MAX_CHANNELS}"), origin);
    }
    names.iter().filter_map(|name| read(name, settings, layers)).collect()
}

fn read(name: &str, settings: &mut Settings, layers: &Layers) -> Option<Notify> {
    let at = ["approvals", "notify", name];
    let origin = settings.origin(&at);
    if name.parse::<ServerId>().is_err() {
        problem(settings, &at, "is not a name: use `a-z`, `0-9`, `_` and `-`", origin.clone());
    }
    let reader = Reader { at: at.to_vec(), layers };
    let kind = reader.required("kind", KINDS, settings).map(|(kind, _)| kind);
    let url = reader.secret("url", &origin, settings);
    let url = url.and_then(|url| match address(kind.as_deref(), url.expose_secret()) {
        Ok(url) => Some(url),
        Err(reason) => {
            problem(settings, &[&at[..], &["url"]].concat(), &reason, origin.clone());
            None
        }
    });
    let key = |last: &str| format!("approvals.notify.{name}.{last}");
    let channel = match kind.as_deref() {
        Some("webhook") => {
            let arguments = settings.read(&key("arguments"), false, "true or false", value::flag);
            let secret = reader.secret("secret", &origin, settings);
            let parsed = secret.and_then(|secret| {
                let parsed = signing_key(secret.expose_secret());
                if parsed.is_none() {
                    let reason = "must be 24 to 64 random bytes as base64, with or without `whsec_` before them";
                    problem(settings, &[&at[..], &["secret"]].concat(), reason, origin.clone());
                }
                parsed
            });
            parsed.map(|key| Channel::Webhook { key: key.into(), arguments })
        }
        Some("slack") => Some(Channel::Slack),
        Some("mail") => mail(name, &reader, settings).map(|mail| Channel::Mail(mail.into())),
        Some(_) => {
            problem(settings, &[&at[..], &["kind"]].concat(), &format!("must be {KINDS}"), origin);
            None
        }
        None => None,
    };
    let approver = reader.optional("approver", "the name of an admin", settings);
    let networks = settings.read(&key("networks"), Vec::new(), "a list such as [\"10.0.0.0/8\"]", value::networks);
    let tls = tls::authority(&["approvals", "notify", name, "ca"], settings);
    Some(Notify {
        id: name.into(),
        channel: channel?,
        approver: approver.map(Into::into),
        url: url?,
        reach: Reach { networks, tls, ..Reach::default() },
    })
}

/// In the clear only on this machine. The error does not repeat it.
fn address(kind: Option<&str>, text: &str) -> Result<Uri, String> {
    let (text, clear) = match kind {
        Some("mail") => (mail_server(text)?, "smtp"),
        Some(_) | None => (text.to_owned(), "http"),
    };
    let url = upstream_url(&text)?;
    match url.scheme_str() == Some("https") || is_loopback(&url) {
        true => Ok(url),
        false => Err(format!("must be {clear}s, or {clear} on this machine")),
    }
}

/// The same by names that connections are made by, with the port.
fn mail_server(text: &str) -> Result<String, String> {
    let (scheme, rest, port) = match text.split_once("://") {
        Some(("smtps", rest)) => ("https", rest, 465),
        Some(("smtp", rest)) => ("http", rest, 25),
        Some(_) | None => return Err("must be smtps://HOST or smtps://HOST:PORT".to_owned()),
    };
    let url = upstream_url(&format!("{scheme}://{}", rest.trim_end_matches('/')))?;
    match (url.authority(), url.path(), url.query()) {
        (Some(authority), "" | "/", None) if authority.port().is_some() => Ok(format!("{scheme}://{authority}")),
        (Some(authority), "" | "/", None) => Ok(format!("{scheme}://{authority}:{port}")),
        _ => Err("must be smtps://HOST or smtps://HOST:PORT".to_owned()),
    }
}

fn signing_key(text: &str) -> Option<hmac::Key> {
    let bytes = STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok()?;
    SECRET.contains(&bytes.len()).then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

fn mail(name: &str, reader: &Reader<'_>, settings: &mut Settings) -> Option<Mail> {
    let at = ["approvals", "notify", name];
    let origin = settings.origin(&at);
    let key = |last: &str| format!("approvals.notify.{name}.{last}");
    let expected = "an address such as \"toolgate@example.com\"";
    let from =
        settings.read(&key("from"), None, expected, |found| value::text(found)?.parse::<Mailbox>().ok().map(Some));
    let to = settings.read(&key("to"), Vec::new(), "a list such as [\"ops@example.com\"]", |found| {
        value::list(found, |text| text.parse().ok()).filter(|to| (1..=MAX_RECIPIENTS).contains(&to.len()))
    });
    for (key, missing) in [("from", from.is_none()), ("to", to.is_empty())] {
        if missing {
            problem(settings, &[&at[..], &[key]].concat(), &format!("is missing: {expected}"), origin.clone());
        }
    }
    let login = match reader.optional("username", "a name at the mail server", settings) {
        Some(username) => Some((username, reader.secret("password", &origin, settings)?)),
        None => None,
    };
    Some(Mail { from: from?, to, login })
}

//! Who listens to a session, and to what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp::{Object, ServerNotice, Writer, meta};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use super::super::flight::event;
use super::super::parking::Out;
use super::super::session::Session;
use super::{MAX_LOOKUPS, MAX_URIS};

pub(in crate::eras::to_legacy) struct Hub {
    pub(super) listeners: Mutex<BTreeMap<u64, Listener>>,
    /// How many listeners watch a resource. Held while telling the server.
    pub(super) uris: tokio::sync::Mutex<BTreeMap<Box<str>, usize>>,
    pub(super) ear: Mutex<Option<AbortHandle>>,
    pub(super) lookups: Arc<Semaphore>,
}

pub(super) struct Listener {
    pub(super) wants: Wants,
    pub(super) out: Out,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Wants {
    pub(super) tools: bool,
    pub(super) prompts: bool,
    pub(super) resources: bool,
    pub(super) uris: BTreeSet<Box<str>>,
    pub(super) tasks: BTreeSet<Box<str>>,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            listeners: Mutex::default(),
            uris: tokio::sync::Mutex::default(),
            ear: Mutex::default(),
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if let Some(ear) = self.ear().take() {
            ear.abort();
        }
    }
}

impl Hub {
    pub(super) fn listeners(&self) -> MutexGuard<'_, BTreeMap<u64, Listener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ear(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.ear.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_listened_to(&self) -> bool {
        !self.listeners().is_empty()
    }

    /// Whoever does not take what it is told is told nothing more: its stream ends, and it may begin anew.
    pub(super) fn tell(&self, notice: ServerNotice, params: Option<&str>, wanted: impl Fn(&Wants) -> bool) {
        self.listeners().retain(|ours, listener| {
            let message = || subscribed(*ours, notice, params);
            !wanted(&listener.wants) || listener.out.try_send(Ok(event(message()))).is_ok()
        });
    }
}

impl Wants {
    /// What of it the server can do.
    pub(super) fn granted(wanted: Option<&str>, session: &Session) -> Self {
        let wanted = wanted.and_then(Object::read).unwrap_or_default();
        let asks = |key: &str| wanted.get(key).is_some_and(|value| value.get() == "true");
        let names = |key: &str| {
            let names = wanted.get(key).and_then(|names| serde_json::from_str::<Vec<Box<str>>>(names.get()).ok());
            names.unwrap_or_default().into_iter().take(MAX_URIS).collect()
        };
        let can = |what: &str| session.can(&[what, "listChanged"]);
        Self {
            tools: asks("toolsListChanged") && can("tools"),
            prompts: asks("promptsListChanged") && can("prompts"),
            resources: asks("resourcesListChanged") && can("resources"),
            uris: if session.can(&["resources", "subscribe"]) {
                names("resourceSubscriptions")
            } else {
                BTreeSet::new()
            },
            tasks: if session.can(&["tasks"]) { names("taskIds") } else { BTreeSet::new() },
        }
    }

    pub(super) fn to_json(&self) -> String {
        let mut members = Vec::new();
        for (key, wanted) in [
            ("toolsListChanged", self.tools),
            ("promptsListChanged", self.prompts),
            ("resourcesListChanged", self.resources),
        ] {
            if wanted {
                members.push(format!("\"{key}\":true"));
            }
        }
        for (key, names) in [("resourceSubscriptions", &self.uris), ("taskIds", &self.tasks)] {
            if !names.is_empty() {
                let names: Vec<String> = names.iter().map(|name| mcp::string(name)).collect();
                members.push(format!("\"{key}\":[{}]", names.join(",")));
            }
        }
        format!("{{{}}}", members.join(","))
    }

    /// An update may be about a part of what is watched (2025-11-25, "Resource Updated").
    pub(super) fn watches(&self, uri: &str) -> bool {
        let is_part =
            |whole: &str| uri.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.uris.iter().any(|whole| is_part(whole.strip_suffix('/').unwrap_or(whole)))
    }
}

/// A notification for the one who listens as `ours`.
pub(super) fn subscribed(ours: u64, notice: ServerNotice, params: Option<&str>) -> Vec<u8> {
    let params = params.and_then(Object::read).unwrap_or_default();
    let ours = ours.to_string();
    let meta = params.object("_meta").unwrap_or_default().amended(&[], &[(meta::SUBSCRIPTION_ID, &ours)]);
    Writer::server_message(None, notice.as_str(), Some(&params.amended(&[], &[("_meta", &meta)])))
}

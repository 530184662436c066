//! The aggregate mount: whether there is one, of which servers, and how patient it is with them.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::error::Problem;
use super::server::ServerId;
use super::settings::Settings;
use super::{MILLISECOND, value};

#[derive(Clone, Debug)]
pub struct Aggregate {
    pub enabled: bool,
    /// Two tools that find and call others, in place of all tools.
    pub discovery: bool,
    /// Empty: all.
    pub servers: Vec<ServerId>,
    /// Items on a page of a merged list.
    pub page: NonZeroUsize,
    /// How long a server may take where the answers of several are merged.
    pub timeout: Duration,
}

impl Aggregate {
    pub(super) fn read<'s>(settings: &mut Settings, known: impl Iterator<Item = &'s ServerId> + Clone) -> Self {
        let origin = settings.origin(&["aggregate", "servers"]);
        let read = Self {
            enabled: flag(settings, "aggregate.enabled"),
            discovery: flag(settings, "aggregate.discovery"),
            servers: settings.read(
                "aggregate.servers",
                Vec::new(),
                "a list of server ids such as [\"github\"]; an empty one means all",
                |found| value::list(found, |id| id.parse().ok()),
            ),
            page: settings.count("aggregate.page", 100_000),
            timeout: settings.span("aggregate.timeout", MILLISECOND..=Duration::from_secs(300)),
        };
        for id in &read.servers {
            if !known.clone().any(|known| known == id) {
                let reason = format!("names `{id}`, and there is no such server");
                settings.problem(Problem::Unusable {
                    key: "aggregate.servers".to_owned(),
                    reason,
                    origin: origin.clone(),
                });
            }
        }
        read
    }
}

fn flag(settings: &mut Settings, key: &str) -> bool {
    settings.read(key, false, "true or false", value::flag)
}

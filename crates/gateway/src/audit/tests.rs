//! Every way to be refused is in the journal, once. Where each comes from, the integration tests say.

use std::time::Duration;

use http::Method as Verb;
use http::header::ACCEPT;
use mcp::{Fault, Kind};
use serde_json::Value;

use super::*;
use crate::config::Audit as Settings;
use crate::duplex::Trouble;
use crate::eras::to_legacy::BadState;
use crate::identity::Unauthorized;
use crate::refusal::{Refusal, Unbound};
use crate::upstream::UpstreamError;

/// INVARIANT: a new way to be refused does not compile before it is below.
fn number(why: &Refusal) -> usize {
    match why {
        Refusal::NoRoute => 0,
        Refusal::NoServer => 1,
        Refusal::NotBound(_) => 2,
        Refusal::Unauthorized(_) => 3,
        Refusal::Host => 4,
        Refusal::Origin => 5,
        Refusal::Verb => 6,
        Refusal::OtherVerb(_) => 7,
        Refusal::MediaType => 8,
        Refusal::Coding => 9,
        Refusal::Upgrade => 10,
        Refusal::NotAcceptable => 11,
        Refusal::HeaderTwice(_) => 12,
        Refusal::TooLarge(_) => 13,
        Refusal::Slow(_) => 14,
        Refusal::CutOff => 15,
        Refusal::Fault(_) => 16,
        Refusal::Batch => 17,
        Refusal::BatchTooLong(_) => 18,
        Refusal::BatchedInitialize => 19,
        Refusal::Header(_) => 20,
        Refusal::Version { .. } => 21,
        Refusal::Meta(_) => 22,
        Refusal::Unknown(_) => 23,
        Refusal::NoStream => 24,
        Refusal::NoSession => 25,
        Refusal::SessionGone => 26,
        Refusal::SessionChosen => 27,
        Refusal::SessionsFull => 28,
        Refusal::TooManyOpen => 29,
        Refusal::NoRandomness => 30,
        Refusal::UnaskedAnswer => 31,
        Refusal::Era(_) => 32,
        Refusal::Ruled(_) => 33,
        Refusal::NoTasks => 34,
        Refusal::NotOurs(_) => 35,
        Refusal::ForeignTask => 36,
        Refusal::ForbiddenInput => 37,
        Refusal::NoRecord(_) => 38,
        Refusal::Input(_) => 39,
        Refusal::TaskCancelled => 40,
        Refusal::TooManySubscriptions => 41,
        Refusal::State(_) => 42,
        Refusal::Upstream(_) => 43,
        Refusal::Front(_) => 44,
        Refusal::Stale => 45,
        Refusal::NoMetadata => 46,
        Refusal::NoSessions => 47,
    }
}

fn all() -> Vec<Refusal> {
    vec![
        Refusal::NoRoute,
        Refusal::NoServer,
        Refusal::NotBound(Unbound),
        Refusal::Unauthorized(Unauthorized::Missing),
        Refusal::Host,
        Refusal::Origin,
        Refusal::Verb,
        Refusal::OtherVerb(Verb::GET),
        Refusal::MediaType,
        Refusal::Coding,
        Refusal::Upgrade,
        Refusal::NotAcceptable,
        Refusal::HeaderTwice(ACCEPT),
        Refusal::TooLarge(1),
        Refusal::Slow(Duration::ZERO),
        Refusal::CutOff,
        Refusal::Fault(Fault { kind: Kind::Params("wrong"), id: None }),
        Refusal::Batch,
        Refusal::BatchTooLong(1),
        Refusal::BatchedInitialize,
        Refusal::Header("`Mcp-Name`".into()),
        Refusal::Version { requested: "1".into() },
        Refusal::Meta("wrong"),
        Refusal::Unknown("no/such".into()),
        Refusal::NoStream,
        Refusal::NoSession,
        Refusal::SessionGone,
        Refusal::SessionChosen,
        Refusal::SessionsFull,
        Refusal::TooManyOpen,
        Refusal::NoRandomness,
        Refusal::UnaskedAnswer,
        Refusal::Era("no".into()),
        Refusal::Ruled(Ruling::hidden()),
        Refusal::NoTasks,
        Refusal::NotOurs("cursor"),
        Refusal::ForeignTask,
        Refusal::ForbiddenInput,
        Refusal::NoRecord(NotWritten::Full(1)),
        Refusal::Input("twice"),
        Refusal::TaskCancelled,
        Refusal::TooManySubscriptions,
        Refusal::State(BadState::Forged),
        Refusal::Upstream(UpstreamError::LatelyFailed),
        Refusal::Front(Trouble::Timeout),
        Refusal::Stale,
        Refusal::NoMetadata,
        Refusal::NoSessions,
    ]
}

pub(super) fn settings(folder: &Path) -> Settings {
    Settings {
        dir: Some(folder.join("audit")),
        node: "n".into(),
        sync: journal::Sync::Every(Duration::from_millis(5)),
        segment: 64 << 10,
        queue: 1000.try_into().unwrap(),
        patience: Duration::from_secs(20),
        keep: journal::Keep::default(),
        index: true,
        keep_index: None,
    }
}

/// What a journal says, without what it says of itself.
fn decisions(folder: &Path) -> Vec<Value> {
    let mut reader = journal::Reader::from_start(&folder.join("audit"));
    let lines = std::iter::from_fn(|| reader.next_line().unwrap());
    let records = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    records.filter(|record| record["kind"] == "decision").collect()
}

#[test]
fn every_refusal_is_on_record_once() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::open(&settings(folder.path())).unwrap();
    let agent = Agent::peer(std::net::Ipv4Addr::LOCALHOST.into());
    let all = all();
    assert!(all.iter().map(number).eq(0..all.len()), "one of each");
    let mut expected = Vec::new();
    for why in all {
        let is_upstream = matches!(why, Refusal::Upstream(_));
        let refused = Refused::from(why);
        audit.turned_away("s", &agent, &refused);
        // What failed upstream is how an allowed call ended, and was recorded as that.
        expected.extend((!is_upstream).then(|| refused.to.request.to_string()));
        // And what is there is not told again.
        audit.turned_away("s", &agent, &refused.on_record());
    }
    audit.close();
    let found: Vec<_> =
        decisions(folder.path()).iter().map(|record| record["request"].as_str().unwrap().to_owned()).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_journal_has_a_name_of_its_own_and_keeps_it() {
    let [one, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let name = node("gateway", one.path()).unwrap();
    assert!(name.starts_with("gateway.") && name.len() == "gateway.".len() + 12, "{name}");
    assert_eq!(node("gateway", one.path()).unwrap(), name);
    assert_ne!(node("gateway", other.path()).unwrap(), name);
    std::fs::write(other.path().join("instance"), "nonsense").unwrap();
    assert!(node("gateway", other.path()).is_err());
}

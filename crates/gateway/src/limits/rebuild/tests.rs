//! Limits rebuilt from journals that the tests write.

use std::path::Path;

use policy::{Call, Context, Decision, Subject};
use ratelimit::ManualClock;
use tempfile::TempDir;

use super::*;
use crate::agent::Agent;
use crate::limits::Place;
use crate::policies;

const POLICY: &str = r#"{ "version": "1", "tools": { "t": { "limits": [
    { "counter": "c", "max": 10, "window": "1h" }, { "counter": "s", "max": 10, "window": "1h", "per": "server" }] } } }"#;

const NOON: &str = "2026-11-27T12:00:00.000Z";

/// A journal of hand-written records, one segment for each text.
fn journal(segments: &[(u64, String)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (first, text) in segments {
        std::fs::write(folder.path().join(format!("journal-{first:020}.jsonl")), text).unwrap();
    }
    folder
}

fn decision(seq: u64, time: &str, agent: &str, more: &str) -> String {
    let charged = format!(r#""charged":{{"policy":"p","of":[["c","agent",1000000],["s","server",1000000]]{more}}}"#);
    format!(
        r#"{{"seq":{seq},"kind":"decision","time":"2026-11-27T{time}Z","agent":"{agent}","server":"v","outcome":"allowed",{charged}}}"#
    ) + "\n"
}

fn outcome(seq: u64, of: u64, time: &str, rest: &str) -> String {
    format!(r#"{{"seq":{seq},"kind":"outcome","time":"2026-11-27T{time}Z","of":{of},"outcome":{rest}}}"#) + "\n"
}

struct World {
    counts: Counts<ManualClock>,
    clock: ManualClock,
    policies: Policies,
}

impl World {
    fn after(folder: &Path) -> (Self, Rebuilt) {
        let clock = ManualClock::default();
        clock.set(Duration::from_secs(1_000_000));
        let bound = policies::bind(Path::new("p"), POLICY, None).unwrap();
        let world =
            Self { counts: Counts::by(100, clock.clone()), clock, policies: [("p".into(), Arc::new(bound))].into() };
        let rebuilt = world.counts.rebuild(folder, &world.policies, crate::replay::time(NOON).unwrap()).unwrap();
        (world, rebuilt)
    }

    /// How many more calls of an agent pass.
    fn left(&self, agent: &str) -> usize {
        let (name, server, agent) = (
            "p".into(),
            "v".into(),
            Agent { key: agent.into(), session: None, identity: None, proof: Default::default() },
        );
        let place = Place { policy: &name, server: &server, agent: &agent };
        let bound = &self.policies["p"];
        let context = Context { agent: None, labels: &[], server: "v", time: SystemTime::UNIX_EPOCH };
        let Decision::Permit(permitted) =
            bound.policy.decide(Call { subject: Subject::Tool("t"), arguments: None, context })
        else {
            panic!()
        };
        let held: Vec<_> = std::iter::from_fn(|| self.counts.reserve(bound, &permitted, &place).ok()).collect();
        held.len()
    }
}

#[test]
fn a_call_counts_from_its_end_and_one_without_an_end_from_now() {
    let folder = journal(&[(
        1,
        decision(1, "10:59:00.000", "a", "")
            + &outcome(2, 1, "11:30:00.000", r#""result""#)
            + &decision(3, "11:10:00.000", "a", "")
            + &decision(4, "11:20:00.000", "b", "")
            + &outcome(5, 4, "11:20:00.001", r#""round""#),
    )]);
    let (world, rebuilt) = World::after(folder.path());
    assert_eq!(rebuilt, Rebuilt { calls: 3, open: 2, lost: 0 });
    assert_eq!((world.left("a"), world.left("b"), world.left("x")), (7, 7, 7), "the server's count is shared");
    world.clock.advance(Duration::from_secs(1_801)); // half past eleven is more than an hour ago
    assert_eq!(world.left("a"), 8);
    world.clock.advance(Duration::from_secs(1_800));
    assert_eq!((world.left("a"), world.left("b")), (10, 10));
}

#[test]
fn what_never_left_and_what_nobody_counts_is_not_counted() {
    let folder = journal(&[(
        1,
        decision(1, "11:59:00.000", "a", "")
            + &outcome(2, 1, "11:59:01.000", r#""failed","sent":false"#)
            + &decision(3, "11:59:00.000", "a", r#","uncounted":true"#)
            + &outcome(4, 3, "11:59:01.000", r#""result""#)
            + &decision(5, "11:59:00.000", "a", "").replace("\"p\"", "\"another policy\"")
            + "{\"seq\":6,\"kind\":\"decision\",\"time\":\"garbage\n"
            + &outcome(7, 99, "11:59:01.000", r#""result""#),
    )]);
    let (world, _) = World::after(folder.path());
    assert_eq!(world.left("a"), 10);
}

/// Sessions are numbered anew after a restart: their counts would be somebody else's.
#[test]
fn sessions_of_the_last_process_are_nobody() {
    let folder = journal(&[(1, decision(1, "11:59:00.000", "anonymous#1", ""))]);
    let (world, _) = World::after(folder.path());
    let left = world.left("anonymous#1");
    assert_eq!(left, 9, "the server's count, and not the session's");
}

#[test]
fn only_the_segments_that_matter_are_read() {
    let head = |seq, time: &str| format!("{{\"seq\":{seq},\"kind\":\"segment\",\"time\":\"2026-11-27T{time}Z\"}}\n");
    let early = head(1, "05:00:00.000") + &decision(2, "11:59:00.000", "a", ""); // would count, if it were read
    let late = head(3, "10:59:59.000") + &decision(4, "11:58:00.000", "a", "");
    let folder = journal(&[(1, early.clone()), (3, late.clone())]);
    assert_eq!(World::after(folder.path()).0.left("a"), 9);
    let folder = journal(&[(1, early), (3, late.replace("10:59:59", "11:00:01"))]);
    assert_eq!(World::after(folder.path()).0.left("a"), 8, "the one before may have calls of the last hour");
}

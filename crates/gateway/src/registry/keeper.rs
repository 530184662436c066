//! Keeps the registry as the store says: looks, builds, swaps. One at a time, all or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use serde_json::Value;
use store::{Snapshot, Store};
use tokio::sync::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::credentials::{Dress, troubles};
use super::draft::{Bind, Draft, Frame, Memory};
use super::files::Member;
use super::{About, Registry};
use crate::audit::Change;
use crate::clients::Clients;
use crate::config::{Adjusted, Live, NotAdjustable};
use crate::control::{AgentView, ApplyError, Fault};
use crate::health;
use crate::identity::Directory;
use crate::pipeline::{Pipeline, Shared};
use crate::policies::chain;
use crate::server::Server;

/// How often the store is asked whether it says something else, whatever it tells by itself.
const LOOK: Duration = Duration::from_millis(500);

/// How long it may take to answer that; then it counts as lost.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct Keeper {
    frame: Frame,
    store: Option<Store>,
    in_force: Mutex<InForce>,
    /// Whom snapshots are for; gone when the gateway has ended.
    shared: OnceLock<Weak<Shared>>,
}

/// What is in force at the start.
pub(crate) struct First {
    pub(crate) registry: Registry,
    pub(crate) agents: Directory,
    pub(crate) live: Live,
}

struct InForce {
    revision: i64,
    memory: Memory,
}

impl Keeper {
    /// With the first snapshot, which nobody uses yet.
    pub(crate) fn new(frame: Frame, read: Option<(Store, Snapshot)>) -> Result<(Self, First), Vec<Fault>> {
        let (store, snapshot) = read.unzip();
        let draft = frame.draft(snapshot.as_ref(), &Memory::default())?;
        let Draft { registry, agents, live, binds, dresses, memory } = draft;
        for (server, policy) in binds {
            server.policy.rebind(policy);
        }
        dresses.into_iter().for_each(put_on);
        told(&memory, &Memory::default());
        let in_force = InForce { revision: snapshot.map_or(0, |snapshot| snapshot.revision), memory };
        let keeper = Self { frame, store, in_force: Mutex::new(in_force), shared: OnceLock::new() };
        Ok((keeper, First { registry, agents, live }))
    }

    /// From here on it keeps that.
    pub(crate) fn keeps(&self, shared: &Arc<Shared>) {
        if self.shared.set(Arc::downgrade(shared)).is_ok() {
            // Nobody else has it yet.
            if let Ok(in_force) = self.in_force.try_lock() {
                shared.standing.unusable(troubles(&in_force.memory.worn));
            }
            let registry = shared.registry.load();
            registry.members().for_each(|(server, about)| self.probe(shared, server, about));
        }
    }

    pub(crate) fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    pub(crate) async fn check_server(&self, id: &str, said: &store::Server) -> Result<(), Fault> {
        let member = self.frame.check_server(id, said)?;
        self.frame.check_worn(&member, &self.in_force.lock().await.memory.worn)
    }

    /// None where there is no key to seal by.
    pub(crate) async fn seal_credential(
        &self,
        whose: (&str, Option<&str>, &str),
        value: &Value,
    ) -> Result<Option<store::Credential>, Fault> {
        let in_force = self.in_force.lock().await;
        if let Some(member) = self.frame.in_force(whose.0, &in_force.memory) {
            return self.frame.seal(Some(member), whose, value);
        }
        drop(in_force);
        self.frame.seal(self.switched_off(whose.0).await.as_ref(), whose, value)
    }

    /// A server that the store has, though nobody can call it now.
    async fn switched_off(&self, id: &str) -> Option<Member> {
        let kept = self.store.as_ref()?.get::<store::Server>(id).await.ok()?;
        self.frame.check_server(id, &kept.value).ok()
    }

    /// Is there a credential, and none that opens here? Then none is sealed here either: others could not open that.
    pub(crate) async fn has_another_key(&self) -> bool {
        self.in_force.lock().await.memory.strange
    }

    pub(crate) fn check_policy(&self, name: &str, text: &str, catalogue: Option<&str>) -> Result<(), Fault> {
        self.frame.check_policy(name, text, catalogue).map(drop)
    }

    pub(crate) fn check_agent(&self, id: &str, said: &store::Agent) -> Result<(), Fault> {
        self.frame.check_agent(id, said).map(drop)
    }

    /// What settings are without the store.
    pub(crate) fn settings(&self) -> Vec<Adjusted> {
        self.frame.adjustable.told()
    }

    pub(crate) fn check_setting(&self, key: &str, value: &Value) -> Result<(), NotAdjustable> {
        self.frame.adjustable.check(key, value)
    }

    pub(crate) fn agents(&self) -> Vec<AgentView> {
        self.shared().map(|shared| self.frame.agent_views(&shared.doorman.directory())).unwrap_or_default()
    }

    pub(crate) fn shared(&self) -> Option<Arc<Shared>> {
        self.shared.get()?.upgrade()
    }

    /// Reads the store, and puts in force what it says. When this returns, calls are judged by that; or if it fails, by what was in force.
    pub(crate) async fn refresh(&self) -> Result<i64, ApplyError> {
        let (store, shared) =
            (self.store.as_ref().ok_or(ApplyError::NoStore)?, self.shared().ok_or(ApplyError::Ended)?);
        // INVARIANT: read while it is held: no older snapshot ever takes the place of a newer one
        let mut in_force = self.in_force.lock().await;
        let asked = Instant::now();
        let snapshot = store.snapshot().await.map_err(|error| {
            shared.standing.lost(&chain(&error));
            ApplyError::Unavailable(error)
        })?;
        if snapshot.revision != in_force.revision || shared.standing.told().is_some() {
            let draft = self.frame.draft(Some(&snapshot), &in_force.memory).map_err(|faults| {
                self.narrow(&shared, &snapshot);
                let error = ApplyError::Refused(faults);
                shared.standing.refused(asked, &error.to_string());
                error
            })?;
            in_force.memory = self.apply(&shared, draft, &in_force.memory, snapshot.revision);
            in_force.revision = snapshot.revision;
        }
        shared.standing.confirmed(asked);
        Ok(in_force.revision)
    }

    /// INVARIANT: a right that was taken away is gone, even if nothing else that the store says can be put in force
    fn narrow(&self, shared: &Shared, snapshot: &Snapshot) {
        if let Some(agents) = self.frame.narrowed(&shared.doorman.directory(), snapshot) {
            shared.doorman.replace(agents);
            tracing::warn!(
                snapshot.revision,
                "what the store takes away from agents is in force, and nothing else that it says"
            );
        }
    }

    /// Nothing here can fail.
    fn apply(&self, shared: &Arc<Shared>, draft: Draft, said: &Memory, revision: i64) -> Memory {
        let Draft { registry, agents, live, binds, dresses, memory } = draft;
        let before = shared.registry.load();
        told(&memory, said);
        record(shared, &before, &registry, &binds, revision);
        record_owned(shared, said, &memory, revision);
        // INVARIANT: whoever asks a server anything shows what the store says, the first question of all included
        dresses.into_iter().for_each(put_on);
        shared.standing.unusable(troubles(&memory.worn));
        let born = registry.members().filter(|(server, _)| !before.has(server));
        born.for_each(|(server, about)| self.probe(shared, server, about));
        // INVARIANT: a server that is new has its policy before anybody can find it, and one that leaves keeps the one it had
        for (server, policy) in binds {
            server.policy.rebind(policy);
        }
        // First: a right that was taken away is gone before anything else changes.
        shared.doorman.replace(agents);
        shared.registry.swap(registry);
        shared.live.send_if_modified(|now| std::mem::replace(now, live.clone()) != live);
        tracing::info!(revision, servers = shared.registry.load().servers().count(), "what the store says is in force");
        memory
    }

    fn probe(&self, shared: &Arc<Shared>, server: &Arc<Server>, about: &About) {
        if let Some(every) = about.probe {
            let pipeline = Pipeline { client: Clients::default(), shared: Arc::clone(shared) };
            self.frame.here.runtime.spawn(health::probe(pipeline, Arc::clone(server), every));
        }
    }

    /// Follows what the store says, for ever.
    pub(crate) async fn follow(&self) {
        let Some(store) = &self.store else { return };
        let mut changes = store.changed(self.in_force.lock().await.revision);
        let mut rounds = interval(LOOK);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = changes.next() => {}
                _ = rounds.tick() => {}
            }
            self.look(store).await;
        }
    }

    async fn look(&self, store: &Store) {
        let Some(shared) = self.shared() else { return };
        let asked = Instant::now();
        let known = self.in_force.lock().await.revision;
        let amiss = shared.standing.told().is_some();
        match timeout(PATIENCE, store.revision()).await {
            Ok(Ok(revision)) if revision == known && !amiss => shared.standing.confirmed(asked),
            // What is wrong with it is known by then, and told.
            Ok(Ok(_)) => _ = self.refresh().await,
            Ok(Err(error)) => shared.standing.lost(&chain(&error)),
            Err(_) => shared.standing.lost(&format!("no answer within {PATIENCE:?}")),
        }
    }
}

/// What the store says of settings that it did not say before; and what of it the gateway does not take.
fn told(now: &Memory, before: &Memory) {
    for (setting, value) in now.settings.iter().filter(|(key, value)| before.settings.get(*key) != Some(value)) {
        tracing::warn!(setting, value, "the store says this of a setting");
    }
    for setting in before.settings.keys().filter(|key| !now.settings.contains_key(*key)) {
        tracing::warn!(setting, "the store says nothing of this setting any more");
    }
    for (setting, why) in now.left_out.iter().filter(|left_out| !before.left_out.contains(left_out)) {
        tracing::warn!(setting, %why, "what the store says of this setting is not in force here");
    }
}

fn put_on((server, credentials): Dress) {
    if let Some(endpoint) = server.way.endpoint() {
        endpoint.change(credentials);
    }
}

/// One record for each server, policy and binding that is not as it was.
fn record(shared: &Shared, before: &Registry, now: &Registry, binds: &[Bind], revision: i64) {
    let who = format!("store, revision {revision}");
    let say = |what, id: &str, from: Option<&str>, to: Option<&str>| {
        let change = Change { who: &who, what, id, from, to };
        shared.audit.changed(&change);
        shared.events.changed(&change);
    };
    // Two descriptions may differ in a secret only, and then look alike: it is the servers that are compared.
    let other = |a: &Registry, b: &Registry, id: &str| a.server(id).is_some_and(|server| !b.has(server));
    let (old, new) = (before.hashes(), now.hashes());
    for id in union(&old, &new).filter(|id| other(before, now, id) || other(now, before, id)) {
        say("server", id, old.get(id).map(String::as_str), new.get(id).map(String::as_str));
    }
    let (old, new) = (before.policy_hashes(), now.policy_hashes());
    for name in union(&old, &new).filter(|name| old.get(*name) != new.get(*name)) {
        say("policy", name, old.get(name).map(|hash| &**hash), new.get(name).map(|hash| &**hash));
    }
    for (server, policy) in binds.iter().filter(|(server, _)| before.has(server)) {
        let bound = server.policy.document();
        if bound.name != policy.name {
            say("binding", &server.id, Some(&bound.name), Some(&policy.name));
        }
    }
}

/// The same for each agent, credential and setting: what they are is the store's alone.
fn record_owned(shared: &Shared, before: &Memory, now: &Memory, revision: i64) {
    let who = format!("store, revision {revision}");
    let all = [
        ("agent", &before.agents, &now.agents),
        ("credential", &before.credentials, &now.credentials),
        ("setting", &before.settings, &now.settings),
    ];
    for (what, before, now) in all {
        for id in before.keys().chain(now.keys().filter(|id| !before.contains_key(*id))) {
            let (from, to) = (before.get(id).map(String::as_str), now.get(id).map(String::as_str));
            if from != to {
                let change = Change { who: &who, what, id, from, to };
                shared.audit.changed(&change);
                shared.events.changed(&change);
            }
        }
    }
}

fn union<'a, T>(old: &BTreeMap<&'a str, T>, new: &BTreeMap<&'a str, T>) -> impl Iterator<Item = &'a str> {
    old.keys().chain(new.keys()).copied().collect::<BTreeSet<_>>().into_iter()
}

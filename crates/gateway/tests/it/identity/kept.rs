//! Agents of the store: what is changed there holds from the next request on, and for what is under way.

use std::collections::BTreeMap;

use gateway::{ApplyError, Control, Managed, NewToken};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use store::{Agent, Draft, Kept, Store};
use testkit::{Recorder, Reply, patiently};

use super::Known;
use crate::gate::{Gate, OPEN, Plan, STRICT, called, next_call, tool};

const NOW: i64 = 1_800_000_000_000;

struct World {
    gate: Gate,
    control: Control,
    store: Store,
}

fn nothing() -> Agent {
    Agent { labels: BTreeMap::new(), servers: None, policies: BTreeMap::new(), enabled: true }
}

impl World {
    fn before(upstream: &Recorder, more: &[&Known]) -> Self {
        let plan = Plan::default().server("s", upstream.url("/mcp"), "policy.json").policy("policy.json", OPEN);
        let gate = super::known(plan.with_store(), more).start();
        let control = gate.control();
        let store = control.store().unwrap().clone();
        Self { gate, control, store }
    }

    async fn put(&self, id: &str, agent: Agent) {
        match self.store.get::<Agent>(id).await {
            Ok(_) => self.store.replace(id, agent, None).await.unwrap(),
            Err(_) => self.store.create(id, agent).await.unwrap(),
        };
    }

    /// Under its label, which is its id as well.
    async fn token(&self, label: &str, known: &Known, expires_ms: Option<i64>) {
        self.keep(label, known.id, &known.token, expires_ms).await;
    }

    async fn keep(&self, label: &str, agent: &str, token: &NewToken, expires_ms: Option<i64>) {
        let token = store::Token {
            agent: agent.to_owned(),
            prefix: token.prefix().to_owned(),
            sha256: token.sha256(),
            label: label.to_owned(),
            expires_ms,
            revoked_ms: None,
            replaced_by: None,
        };
        self.store.create(label, token).await.unwrap();
    }

    async fn policy(&self, name: &str, text: &str) -> Kept<store::Policy> {
        let draft = Draft {
            hash: text.len().to_string(),
            text: text.to_owned(),
            catalogue: None,
            note: String::new(),
            author: "test".to_owned(),
        };
        self.store.add_policy_version(name, &draft, true, None).await.unwrap()
    }

    async fn refresh(&self) {
        self.control.refresh().await.unwrap();
    }

    async fn status(&self, known: &Known) -> u16 {
        known.http(&self.gate).post(&json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })).await.status
    }
}

const LET_IN: u16 = 400; // there is no session for that ping
const TURNED_AWAY: u16 = 401;

#[tokio::test]
async fn whatever_takes_a_token_away_holds_from_the_next_request_on() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let world = World::before(&upstream, &[]);
    let (old, new, other) = (Known::new("ci"), Known::new("ci"), Known::new("other"));
    for known in [&old, &other] {
        world.put(known.id, nothing()).await;
    }
    world.token("old", &old, None).await;
    world.token("other", &other, None).await;
    world.refresh().await;
    assert_eq!((world.status(&old).await, world.status(&new).await), (LET_IN, TURNED_AWAY));
    world.token("new", &new, None).await;
    world.refresh().await;
    assert_eq!((world.status(&old).await, world.status(&new).await), (LET_IN, LET_IN), "both, while they rotate");
    world.store.revoke_token("old", NOW, None).await.unwrap();
    world.refresh().await;
    assert_eq!((world.status(&old).await, world.status(&new).await), (TURNED_AWAY, LET_IN));
    world.put("ci", Agent { enabled: false, ..nothing() }).await;
    world.refresh().await;
    assert_eq!(world.status(&new).await, TURNED_AWAY);
    world.put("ci", nothing()).await;
    world.refresh().await;
    assert_eq!(world.status(&new).await, LET_IN);
    world.store.delete::<Agent>("ci", None).await.unwrap();
    world.refresh().await;
    assert_eq!((world.status(&new).await, world.status(&other).await), (TURNED_AWAY, LET_IN));
    world.token("gone", &Known::new("other"), Some(1)).await;
    world.refresh().await;
    assert_eq!(world.status(&other).await, LET_IN);
}

#[tokio::test]
async fn a_token_of_the_store_expires() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let world = World::before(&upstream, &[]);
    let (past, never) = (Known::new("a"), Known::new("a"));
    world.put("a", nothing()).await;
    world.token("past", &past, Some(1)).await;
    world.token("negative", &Known::new("a"), Some(-1)).await;
    world.token("never", &never, None).await;
    world.refresh().await;
    assert_eq!((world.status(&past).await, world.status(&never).await), (TURNED_AWAY, LET_IN));
}

/// What is under way: a call that waits, a stream of each kind. Those of others go on.
#[tokio::test]
async fn what_is_under_way_ends_with_the_revocation() {
    let upstream = Recorder::by_hand().await;
    let world = World::before(&upstream, &[]);
    let (gone, stays) = (Known::new("gone"), Known::new("stays"));
    for known in [&gone, &stays] {
        world.put(known.id, nothing()).await;
        world.token(known.id, known, None).await;
    }
    world.refresh().await;
    let waits = async |known: &Known| {
        let client = known.modern(&world.gate);
        client.start(1, "tools/call", json!({ "name": "a", "arguments": { "who": known.id } })).await.whole().await
    };
    let sse = |known: &Known| known.shows(testkit::HttpClient::new(format!("http://{}/sse/s", world.gate.data)));
    let (mut lost, mut kept): (Reply, Reply) = (sse(&gone).get().await, sse(&stays).get().await);
    assert!(lost.next_event().await.is_some() && kept.next_event().await.is_some());
    let (refused, answered, ()) = tokio::join!(waits(&gone), waits(&stays), async {
        let mut calls = [next_call(&upstream).await, next_call(&upstream).await];
        calls.sort_by_key(|call| call.request.json()["params"]["arguments"]["who"].to_string());
        let [of_gone, of_stays] = calls;
        world.store.revoke_token("gone", NOW, None).await.unwrap();
        world.refresh().await;
        of_gone.hung_up().await;
        of_stays.answer_with_result(&json!({ "resultType": "complete", "content": [] }));
    });
    assert_eq!((refused.status, answered.status), (401, 200));
    assert!(patiently("the stream to end", lost.next_event()).await.is_none());
    drop(kept);
}

/// A call keeps to what it was judged by; a stream is opened again under what is true now.
#[tokio::test]
async fn other_rights_end_a_stream_and_no_call() {
    let upstream = Recorder::by_hand().await;
    let world = World::before(&upstream, &[]);
    let ci = Known::new("ci");
    world.put("ci", nothing()).await;
    world.token("ci", &ci, None).await;
    world.refresh().await;
    let http = ci.shows(testkit::HttpClient::new(format!("http://{}/sse/s", world.gate.data)));
    let mut stream = http.get().await;
    assert!(stream.next_event().await.is_some());
    let client = ci.modern(&world.gate);
    let (answer, ()) = tokio::join!(client.call("a", json!({})), async {
        let call = next_call(&upstream).await;
        let labels = BTreeMap::from([("team".to_owned(), "ops".to_owned())]);
        world.put("ci", Agent { labels, ..nothing() }).await;
        world.refresh().await;
        assert!(patiently("the stream to end", stream.next_event()).await.is_none());
        call.answer_with_result(&json!({ "resultType": "complete", "content": [] }));
    });
    assert!(answer["result"].is_object(), "{answer}");
}

#[tokio::test]
async fn a_policy_of_the_store_may_be_an_agents_own() {
    let upstream = Recorder::mcp(["allowed_tool", "other"].map(tool)).await;
    let world = World::before(&upstream, &[]);
    let ci = Known::new("ci");
    let own = |name: &str| Agent { policies: BTreeMap::from([("s".to_owned(), name.to_owned())]), ..nothing() };
    world.policy("strict", STRICT).await;
    world.put("ci", own("strict")).await;
    world.token("ci", &ci, None).await;
    world.refresh().await;
    let client = ci.modern(&world.gate);
    let tools = async || client.list_tools().await;
    assert_eq!(tools().await, ["allowed_tool"]);
    world.policy("strict", OPEN).await;
    world.refresh().await;
    assert_eq!(tools().await.len(), 2, "another version, from the next request on");
    world.put("ci", own("missing")).await;
    world.refresh().await;
    let answer = client.call("allowed_tool", json!({})).await;
    assert_eq!(answer["result"]["isError"], true, "what is not there allows nothing: {answer}");
    assert_eq!(called(&upstream).len(), 0);
}

#[tokio::test]
async fn an_agent_is_described_once() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let (filed, kept) = (Known::new("ci"), Known::new("kept"));
    let world = World::before(&upstream, &[&filed]);
    let refused = async || match world.control.refresh().await {
        Err(ApplyError::Refused(faults)) => faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        other => panic!("taken, or not read: {other:?}"),
    };
    world.put("ci", nothing()).await;
    let why = refused().await;
    assert!(
        why.starts_with("agent `ci` is described twice: in file ") && why.ends_with("toolgate.toml, and in the store"),
        "{why}"
    );
    assert!(world.control.check_agent("ci", &nothing()).is_err());
    assert_eq!(world.status(&filed).await, LET_IN, "what was in force stays in force");
    world.store.delete::<Agent>("ci", None).await.unwrap();

    world.put("kept", nothing()).await;
    world.keep("twice", "kept", &filed.token, None).await;
    let why = refused().await;
    assert_eq!(why, "agent `kept` the token `twice` of agent `kept` is also the token `t` of agent `ci`");
    assert_eq!((world.status(&filed).await, world.status(&kept).await), (LET_IN, TURNED_AWAY));

    let views = world.control.agents();
    // The other may have been seen before its token was given.
    let told: Vec<_> =
        views.iter().map(|view| (view.id.as_str(), view.managed == Managed::Api, view.enabled)).collect();
    assert_eq!(told[0], ("ci", false, true));
    for (id, agent) in [
        ("Ci", nothing()),
        ("anonymous@x", nothing()),
        ("x", Agent { servers: Some(["nowhere".to_owned()].into()), ..nothing() }),
        ("x", Agent { policies: BTreeMap::from([("s".to_owned(), "none".to_owned())]), ..nothing() }),
        ("x", Agent { labels: BTreeMap::from([("Team".to_owned(), Value::Null.to_string())]), ..nothing() }),
    ] {
        assert!(world.control.check_agent(id, &agent).is_err(), "{id} {agent:?}");
    }
    assert!(world.control.check_agent("x", &nothing()).is_ok());
}

/// A record that a newer version wrote, or somebody by hand.
async fn strange(world: &World, kind: &str, id: &str) {
    let file = world.gate.store_file();
    let mut connection = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    let insert = "INSERT INTO tg_documents (kind, id, version, created_ms, updated_ms, body) VALUES ($1, $2, 9999, 1, 1, '{\"shiny\":1}')";
    sqlx::query(insert).bind(kind).bind(id).execute(&mut connection).await.unwrap();
    sqlx::query("UPDATE tg_meta SET revision = revision + 1").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn what_is_taken_away_is_gone_though_nothing_else_can_be_put_in_force() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let filed = Known::new("filed");
    let world = World::before(&upstream, &[&filed]);
    let ids = ["revoked", "off", "removed", "kept", "elsewhere"];
    let known = ids.map(Known::new);
    for known in &known {
        world.put(known.id, nothing()).await;
        world.token(known.id, known, None).await;
    }
    world.refresh().await;
    let statuses = async || {
        let mut all = Vec::new();
        for known in &known {
            all.push(world.status(known).await);
        }
        all
    };
    assert_eq!(statuses().await, [LET_IN; 5]);
    strange(&world, "agent", "newer").await;
    let bad = store::Server { document: json!({ "url": "ftp://x" }), policy: None, enabled: true };
    world.store.create("bad", bad).await.unwrap();
    world.store.revoke_token("revoked", NOW, None).await.unwrap();
    world.put("off", Agent { enabled: false, ..nothing() }).await;
    world.store.delete::<Agent>("removed", None).await.unwrap();
    world.put("elsewhere", Agent { servers: Some(["t".to_owned()].into()), ..nothing() }).await;
    let newcomer = Known::new("newcomer");
    world.put("newcomer", nothing()).await;
    world.token("newcomer", &newcomer, None).await;
    let refused = match world.control.refresh().await {
        Err(ApplyError::Refused(faults)) => faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
        other => panic!("taken, or not read: {other:?}"),
    };
    assert!(refused.iter().any(|why| why.starts_with("agent `newer` cannot be read: not what")), "{refused:?}");
    assert!(refused.iter().any(|why| why.starts_with("server `bad`")), "{refused:?}");
    // Not to find the server is not to be let in there.
    let elsewhere = world.status(&known[4]).await;
    assert!(elsewhere != LET_IN, "{elsewhere}");
    assert_eq!(statuses().await[..4], [TURNED_AWAY, TURNED_AWAY, TURNED_AWAY, LET_IN]);
    assert_eq!((world.status(&filed).await, world.status(&newcomer).await), (LET_IN, TURNED_AWAY));
    // What cannot be read is removed like anything else.
    world.store.delete::<Agent>("newer", None).await.unwrap();
    world.store.delete::<store::Server>("bad", None).await.unwrap();
    world.refresh().await;
    assert_eq!(world.status(&newcomer).await, LET_IN);
}

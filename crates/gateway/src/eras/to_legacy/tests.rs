//! Two agents, whom only the addresses they come from tell apart: here, since a test has but one address.

use std::sync::Arc;

use testkit::Recorder;

use super::*;
use crate::agent::Agent;
use crate::era::tests::upstream_of;

fn agent(address: &str) -> Agent {
    Agent::peer(address.parse().unwrap())
}

fn bridge() -> ToLegacy {
    ToLegacy::new(Arc::new(Vault::fresh().unwrap()))
}

fn params(json: &str) -> Params<'_> {
    Params::of(Method::ToolsCall, mcp::Revision::MODERN, &Object::read(json).unwrap()).unwrap()
}

const CALL: &str = r#"{"name":"t","arguments":{},"_meta":{"io.modelcontextprotocol/clientCapabilities":{"roots":{}}}}"#;

#[tokio::test]
async fn nobody_is_ever_in_the_session_of_another() {
    let recorder = Recorder::legacy_mcp([""; 0]).await;
    let (bridge, upstream) = (bridge(), upstream_of(&recorder));
    let (ann, bob) = (agent("10.0.0.7"), agent("10.0.0.8"));
    let params = params(CALL);
    let enter = async |agent| bridge.enter(&upstream, agent, Method::ToolsCall, &params).await.unwrap().session;
    let (anns, bobs) = (enter(&ann).await, enter(&bob).await);
    assert!(!Arc::ptr_eq(&anns, &bobs));
    assert!(Arc::ptr_eq(&anns, &enter(&ann).await));
    assert!(Arc::ptr_eq(&bobs, &enter(&bob).await));
    let opened = recorder.requests().iter().filter(|request| request.text().contains("\"initialize\"")).count();
    assert_eq!(opened, 2);
}

#[tokio::test]
async fn a_task_is_looked_for_in_ones_own_session_only() {
    let recorder = Recorder::legacy_mcp([""; 0]).await;
    let (bridge, upstream) = (bridge(), upstream_of(&recorder));
    let (ann, bob) = (agent("10.0.0.7"), agent("10.0.0.8"));
    let anns = bridge.enter(&upstream, &ann, Method::ToolsCall, &params(CALL)).await.unwrap();
    bridge.tasks.settle("t1", &anns.slot);
    let get = Object::read(r#"{"taskId":"t1"}"#).unwrap();
    let get = Params::of(Method::TasksGet, mcp::Revision::MODERN, &get).unwrap();
    let again = bridge.enter(&upstream, &ann, Method::TasksGet, &get).await.unwrap();
    assert!(Arc::ptr_eq(&anns.session, &again.session), "whatever it declares now");
    let other = bridge.enter(&upstream, &bob, Method::TasksGet, &get).await.unwrap();
    assert!(!Arc::ptr_eq(&anns.session, &other.session));
}

#[tokio::test]
async fn a_state_of_another_agent_is_refused() {
    let recorder = Recorder::legacy_mcp([""; 0]).await;
    let (bridge, upstream) = (bridge(), upstream_of(&recorder));
    let (ann, bob) = (agent("10.0.0.7"), agent("10.0.0.8"));
    let call = params(CALL);
    let crossing = bridge.enter(&upstream, &ann, Method::ToolsCall, &call).await.unwrap();
    let (go_on, _resumed) = tokio::sync::oneshot::channel();
    let expires = tokio::time::Instant::now() + Duration::from_secs(60);
    let place = parking::Place {
        agent: Arc::clone(&ann.key),
        slot: Arc::clone(&crossing.slot),
        session: Arc::clone(&crossing.session),
        asks: Vec::new(),
        go_on: Some(go_on),
        expires,
    };
    let id = bridge.parking.park(place).unwrap();
    let until = SystemTime::now() + Duration::from_secs(60);
    let state = bridge.seal.seal(id, &crossing.binding.unwrap(), until).unwrap();
    let json = CALL.replacen('{', &format!("{{\"requestState\":\"{state}\","), 1);
    let retry = params(&json);
    let before = recorder.requests().len();
    let refused = bridge.enter(&upstream, &bob, Method::ToolsCall, &retry).await.err().unwrap();
    assert!(matches!(refused, Refusal::State(BadState::Foreign)), "{refused}");
    assert_eq!(recorder.requests().len(), before, "nothing is sent");
    assert!(bridge.enter(&upstream, &ann, Method::ToolsCall, &retry).await.unwrap().retry.is_some());
}

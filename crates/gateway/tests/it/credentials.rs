//! What a server is shown: static headers, tokens that the gateway fetches, an agent's own; and nothing of the client's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::{Answer, McpClient, Recorder};

use crate::canary;
use crate::gate::{Gate, OPEN, Plan};

const OURS: &str = "anonymous@127.0.0.1";

/// A token endpoint that gives out `t1`, `t2`, …, each for that many seconds.
async fn issuer(life: u64) -> Recorder {
    let given = Arc::new(AtomicUsize::new(0));
    Recorder::start(move |_| {
        let n = given.fetch_add(1, Ordering::Relaxed) + 1;
        Answer::json(200, &json!({ "access_token": format!("t{n}"), "token_type": "Bearer", "expires_in": life }))
    })
    .await
}

/// A server that answers every call by what it was shown, and takes no token that is on the list.
async fn server(refused: &'static [&'static str]) -> Recorder {
    Recorder::start(move |request| {
        let shown = request.header("authorization").unwrap_or("nothing").to_owned();
        if refused.contains(&shown.as_str()) {
            return Answer::status(401).header("WWW-Authenticate", "Bearer");
        }
        let shown = format!("{shown} {}", request.header("x-key").unwrap_or("-"));
        let result = json!({ "resultType": "complete", "content": [{ "type": "text", "text": shown }] });
        Answer::json(200, &json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": result }))
    })
    .await
}

fn oauth(issuer: &Recorder, more: &str) -> String {
    let url = issuer.url("/token");
    format!(
        "[servers.s.oauth]\ntoken_url = \"{url}\"\nclient_id = \"tool gate\"\nclient_secret = \"CANARY-secret\"\n{more}\n"
    )
}

fn gate(server: &Recorder, more: &str) -> Gate {
    Plan::default().server("s", server.url("/mcp"), "p").toml(more).policy("p", OPEN).start()
}

async fn shown(gate: &Gate) -> Value {
    let answer = gate.modern().call("a", json!({})).await;
    match answer["error"].is_null() {
        true => answer["result"]["content"][0]["text"].clone(),
        false => answer["error"].clone(),
    }
}

#[tokio::test]
async fn a_token_is_fetched_once_for_all_who_wait() {
    let (issuer, server) = (issuer(3600).await, server(&[]).await);
    let gate = gate(&server, &oauth(&issuer, "scope = \"read write\"\nresource = \"https://s.example/mcp\""));
    for said in join_all((0..20).map(|_| shown(&gate))).await {
        assert_eq!(said, "Bearer t1 -");
    }
    let [asked] = &issuer.requests()[..] else { panic!("one fetch") };
    // "tool+gate:CANARY-secret"
    assert_eq!(asked.header("authorization"), Some("Basic dG9vbCtnYXRlOkNBTkFSWS1zZWNyZXQ="));
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    let form = "grant_type=client_credentials&scope=read+write&resource=https%3A%2F%2Fs.example%2Fmcp";
    assert_eq!(asked.text(), form);
}

#[tokio::test]
async fn a_secret_may_go_into_the_body() {
    let (issuer, server) = (issuer(3600).await, server(&[]).await);
    let gate = gate(&server, &oauth(&issuer, "secret_in = \"body\"\naudience = \"s\""));
    assert_eq!(shown(&gate).await, "Bearer t1 -");
    let asked = &issuer.requests()[0];
    assert_eq!(asked.header("authorization"), None);
    let form = "grant_type=client_credentials&audience=s&client_id=tool+gate&client_secret=CANARY-secret";
    assert_eq!(asked.text(), form);
}

#[tokio::test]
async fn a_token_that_has_ended_or_is_refused_is_replaced() {
    let (issuer, ended) = (issuer(0).await, server(&[]).await);
    let gate_of = gate(&ended, &oauth(&issuer, ""));
    let (first, second) = (shown(&gate_of).await, shown(&gate_of).await);
    assert_ne!(first, second, "it lives for no time at all");
    assert_eq!(second, format!("Bearer t{} -", issuer.requests().len()), "the newest");

    let (issuer, revoking) = (self::issuer(3600).await, server(&["Bearer t1"]).await);
    let gate_of = gate(&revoking, &oauth(&issuer, ""));
    assert_eq!(shown(&gate_of).await["code"], -32603, "what was sent once is not sent again");
    assert_eq!(shown(&gate_of).await, "Bearer t2 -");
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    canary::capture();
    let server = server(&[]).await;
    for answer in [
        || Answer::json(401, &json!({ "error": "invalid_client", "error_description": "CANARY-said" })),
        || Answer::json(200, &json!({ "access_token": "CANARY token", "token_type": "Bearer" })),
        || Answer::status(302).header("Location", "/elsewhere"),
        || Answer::text(200, "application/json", vec![b'x'; 100_000]),
        || Answer::cut(),
    ] {
        let issuer = Recorder::start(move |_| answer()).await;
        let gate = gate(&server, &oauth(&issuer, ""));
        let said = shown(&gate).await;
        assert_eq!(said, json!({ "code": -32603, "message": "upstream failed" }));
        assert_eq!(shown(&gate).await["code"], -32603);
        assert_eq!(issuer.requests().len(), 1, "a failure is remembered for a second, and no redirect followed");
    }
    assert_eq!(server.requests().len(), 0);
    let log = canary::log();
    assert!(log.contains("invalid_client") && !log.contains("CANARY-s") && !log.contains("CANARY t"), "{log}");
}

#[tokio::test]
async fn an_agent_has_its_own() {
    let (issuer, server) = (issuer(3600).await, server(&[]).await);
    let all = oauth(&issuer, "");
    let key = format!("[servers.s.agents.\"{OURS}\".headers]\nX-Key = \"own\"");
    assert_eq!(shown(&gate(&server, &format!("{all}{key}"))).await, "Bearer t1 own", "beside what all have");
    let authorization = format!("[servers.s.agents.\"{OURS}\".headers]\nAuthorization = \"Bearer own\"");
    assert_eq!(shown(&gate(&server, &format!("{all}{authorization}"))).await, "Bearer own -", "in its place");
    let own = oauth(&issuer, "").replace("[servers.s.oauth]", &format!("[servers.s.agents.\"{OURS}\".oauth]"));
    let all = "headers = { Authorization = \"Bearer all\", X-Key = \"all\" }\n";
    assert_eq!(shown(&gate(&server, &format!("{all}{own}"))).await, "Bearer t2 all");
    let others = own.replace(OURS, "somebody else");
    assert_eq!(shown(&gate(&server, &format!("{all}{others}"))).await, "Bearer all all");
}

#[tokio::test]
async fn what_the_client_shows_stays_here() {
    let (issuer, server) = (issuer(3600).await, server(&[]).await);
    let gate = gate(&server, &oauth(&issuer, ""));
    let http = gate.http().header("Authorization", "Bearer CANARY-client").header("X-Key", "CANARY-client");
    let answer = McpClient::modern(http).call("a", json!({})).await;
    assert_eq!(answer["result"]["content"][0]["text"], "Bearer t1 -");
    let all: Vec<_> = server.requests().into_iter().chain(issuer.requests()).collect();
    assert!(!format!("{all:?}").contains("CANARY-client"));
}

//! The store is away: what it said last counts for a while, and not for ever.

use tokio::time::Instant;

use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};
use testkit::Recorder;

use super::managed::{Managed, denied, started};
use crate::gate::{OPEN, Plan, called, introduced, next_call, tool};

/// Takes away what every reading needs, or gives it back.
async fn rename(managed: &Managed, from: &str, to: &str) {
    let file = managed.gate.store_file();
    let mut connection = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("ALTER TABLE {from} RENAME TO {to}")))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn the_last_word_counts_until_it_is_stale_and_the_next_one_at_once() {
    let upstream = Recorder::mcp(["a"].map(tool)).await;
    let managed = started(Plan::default().set("store.stale", "2s"));
    managed.policy("p", OPEN).await;
    managed.put_before("x", &upstream, "p").await;
    managed.refresh().await;
    let client = managed.legacy("x").await;
    rename(&managed, "tg_meta", "tg_away").await;
    managed.gate.until(|ready| ready.starts_with("the store cannot be read")).await;
    assert_eq!(managed.gate.admin("/readyz").await.status, 503);
    assert_eq!(denied(&client.call("a", json!({})).await), None, "its last word counts");
    assert!(managed.control.refresh().await.is_err());
    let refused = testkit::patiently("calls to be refused", async {
        loop {
            let answer = client.call("a", json!({})).await;
            if !answer["error"].is_null() {
                return answer;
            }
        }
    })
    .await;
    assert_eq!(refused["error"]["code"], 1503, "{refused}");
    let record = testkit::patiently("the record", async {
        loop {
            let found = managed.gate.journal().into_iter().find(|record| record["code"] == "unavailable.store");
            match found {
                Some(record) => return record,
                None => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    assert_eq!((&record["outcome"], &record["server"]), (&json!("refused"), &json!("x")));
    let aggregate = testkit::McpClient::modern(testkit::HttpClient::new(format!("http://{}/mcp", managed.gate.data)));
    assert_eq!(aggregate.request("tools/list", json!({})).await["error"]["code"], 1503);
    let calls = called(&upstream).len();
    rename(&managed, "tg_away", "tg_meta").await;
    let back = Instant::now();
    testkit::patiently("calls to go on", async { while !client.call("a", json!({})).await["error"].is_null() {} })
        .await;
    assert!(back.elapsed().as_secs() < 5, "it took {:?}", back.elapsed());
    assert_eq!(called(&upstream).len(), calls + 1, "no refused call went anywhere");
    assert_eq!(managed.gate.admin("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_call_under_way_ends_though_the_store_s_word_is_stale() {
    let upstream = Recorder::by_hand().await;
    let managed = started(Plan::default().set("store.stale", "1s"));
    let other = Recorder::mcp(["a"].map(tool)).await;
    managed.policy("p", OPEN).await;
    managed.put_before("other", &other, "p").await;
    managed.put_before("s", &upstream, "p").await;
    managed.refresh().await;
    let client = introduced(&managed.gate, &upstream).await;
    let (answer, ()) = tokio::join!(client.call("t", json!({})), async {
        let call = next_call(&upstream).await;
        rename(&managed, "tg_meta", "tg_away").await;
        testkit::patiently("calls to be refused", async {
            while managed.modern("other").call("a", json!({})).await["error"]["code"] != 1503 {}
        })
        .await;
        call.answer_with_result(&json!({ "content": [] }));
    });
    assert_eq!(denied(&answer), None);
}

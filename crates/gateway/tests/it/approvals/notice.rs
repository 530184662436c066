//! Who decides is told that a call waits, and where.

use serde_json::json;
use testkit::{Answer, Recorder, patiently};

use super::{Office, WAIT, plan, upstream};
use crate::gate::called;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_is_told_of_a_call_that_waits_and_where_it_is_decided() {
    let upstream = upstream().await;
    let receiver = Recorder::start(|_| Answer::status(204)).await;
    let channel = format!(
        "[approvals.notify.ops]\nkind = \"webhook\"\nurl = \"{}\"\nsecret = \"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n",
        receiver.url("/hook")
    );
    let office = Office::of(plan(&upstream, WAIT).toml(&channel));
    let (_, told) = tokio::join!(office.pay(json!({ "n": 1 })), async {
        let told = patiently("a message", receiver.next_request()).await.json();
        assert_eq!(called(&upstream), [""; 0], "it waits");
        office.approve(told["data"]["id"].as_str().unwrap()).await;
        told
    });
    assert_eq!(called(&upstream), ["pay"]);
    let data = &told["data"];
    assert_eq!(
        (&told["type"], &data["server"], &data["subject"]),
        (&"approval.requested".into(), &"s".into(), &"pay".into())
    );
    assert_eq!(data["reason"], "Money.");
    let page = format!("http://{}/approvals/{}", office.gate.admin, data["id"].as_str().unwrap());
    assert_eq!(data["url"], page);
}

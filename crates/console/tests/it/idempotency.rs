//! A POST under a key is carried out once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::stack::{Stack, agent, problem, text};

const PATH: &str = "/api/v1/agents/a/tokens";

#[tokio::test]
async fn the_same_request_under_the_same_key_is_answered_alike() {
    let stack = Stack::start().await;
    stack.api().make("/api/v1/agents/a", &agent()).await;
    let api = stack.api().with("idempotency-key", "k1");
    let (first, again) = (api.post(PATH, &json!({})).await, api.post(PATH, &json!({})).await);
    assert_eq!(first.status, 201, "{}", text(&first));
    assert_eq!((again.status, text(&again)), (201, text(&first)), "also what is given out once");
    for name in ["etag", "location", "content-type"] {
        assert_eq!(first.header(name), again.header(name), "{name}");
    }
    let tokens = stack.api().get(PATH).await.json();
    assert_eq!(tokens["items"].as_array().unwrap().len(), 1, "{tokens}");
    problem(&api.post(PATH, &json!({ "label": "other" })).await, 422, "key_reused");
    problem(&api.post(&format!("/api/v1/admins/{}/links", "root"), &json!({})).await, 422, "key_reused");
}

#[tokio::test]
async fn many_at_once_under_one_key_make_one() {
    let stack = Stack::start().await;
    stack.api().make("/api/v1/agents/a", &agent()).await;
    let racers = (0..6).map(|_| {
        let api = stack.api().with("idempotency-key", "k");
        tokio::spawn(async move { api.post(PATH, &json!({})).await.status })
    });
    for racer in racers.collect::<Vec<_>>() {
        let status = racer.await.unwrap();
        assert!(matches!(status, 201 | 409), "{status}");
    }
    assert_eq!(stack.api().get(PATH).await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_did_not_happen_may_be_tried_again() {
    let stack = Stack::start().await;
    let api = stack.api().with("idempotency-key", "k");
    problem(&api.post(PATH, &json!({})).await, 404, "not_found");
    stack.api().make("/api/v1/agents/a", &agent()).await;
    assert_eq!(api.post(PATH, &json!({})).await.status, 201);
}

#[tokio::test]
async fn what_is_done_and_not_in_force_is_not_done_again() {
    let stack = Stack::start().await;
    stack.api().make("/api/v1/agents/a", &agent()).await;
    let bad = store::Server { document: json!({ "url": "ftp://x" }), policy: None, enabled: true };
    stack.store.create("bad", bad).await.unwrap();
    let api = stack.api().with("idempotency-key", "k");
    let (first, again) = (api.post(PATH, &json!({})).await, api.post(PATH, &json!({})).await);
    problem(&first, 503, "not_applied");
    assert_eq!((again.status, text(&again)), (503, text(&first)));
    assert_eq!(stack.api().get(PATH).await.json()["items"].as_array().unwrap().len(), 1);
}

/// Who had claimed it was killed.
#[tokio::test]
async fn a_key_whose_request_ended_unheard_says_so() {
    let stack = Stack::start().await;
    stack.api().make("/api/v1/agents/a", &agent()).await;
    let request = [b"POST".as_slice(), PATH.as_bytes(), &[0], b"{}"].concat();
    let digest = STANDARD_NO_PAD.encode(Sha256::digest(request));
    stack.store.claim("root", "k", &digest, console::system_clock()()).await.unwrap();
    let api = stack.api().with("idempotency-key", "k");
    let busy = problem(&api.post(PATH, &json!({})).await, 409, "in_progress");
    assert!(busy["detail"].as_str().unwrap().contains("wait for its answer"), "{busy}");
    stack.later(60_001);
    let lost = problem(&api.post(PATH, &json!({})).await, 409, "in_progress");
    assert!(lost["detail"].as_str().unwrap().contains("look whether it was carried out"), "{lost}");
}

#[tokio::test]
async fn what_is_kept_of_an_answer_opens_nothing() {
    let stack = Stack::start().await;
    stack.api().make("/api/v1/agents/a", &agent()).await;
    let made = stack.api().with("idempotency-key", "k").post(PATH, &json!({})).await.json();
    let token = made["token"].as_str().unwrap();
    for file in
        std::fs::read_dir(stack.folder.path()).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file())
    {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(token.len()).any(|window| window == token.as_bytes());
        assert!(!found, "the token is in {}", file.display());
    }
}

#[tokio::test]
async fn keys_have_bounds() {
    let stack = Stack::start().await;
    let api = stack.api().with("idempotency-key", &"k".repeat(129));
    problem(&api.post(PATH, &json!({})).await, 422, "invalid");
}

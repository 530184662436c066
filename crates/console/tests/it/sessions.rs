//! Sessions in cookies: whose they are, how long, and what a page of another site can do with them.

use serde_json::{Value, json};
use testkit::RawResponse;

use crate::stack::{Api, Stack, problem, text};

pub(crate) struct Session {
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

impl Session {
    pub(crate) async fn of(stack: &Stack, name: &str) -> Self {
        let login = json!({ "token": stack.link(name).await });
        Self::read(&stack.nobody().post("/api/v1/login", &login).await)
    }

    fn read(signed: &RawResponse) -> Self {
        assert_eq!(signed.status, 200, "{}", text(signed));
        let cookie = signed.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        Self { cookie, csrf: signed.json()["csrf"].as_str().unwrap().to_owned() }
    }

    /// As a page of somebody's would send it.
    pub(crate) fn bare(&self, stack: &Stack) -> Api {
        stack.nobody().with("cookie", &self.cookie)
    }

    /// As our own page does.
    fn own(&self, stack: &Stack) -> Api {
        self.bare(stack).with("x-csrf-token", &self.csrf).with("origin", &format!("http://{}", stack.admin))
    }
}

const PATH: &str = "/api/v1/settings/approvals.rounds";

fn value() -> Value {
    json!({ "value": 1 })
}

#[tokio::test]
async fn a_change_needs_the_sessions_own_token_and_our_own_page() {
    let stack = Stack::start().await;
    let session = Session::of(&stack, "root").await;
    let other = Session::of(&stack, "root").await;
    let own = format!("http://{}", stack.admin);
    assert_eq!(session.bare(&stack).get("/api/v1/me").await.json()["csrf"], session.csrf.as_str());
    let bare = session.bare(&stack).creating();
    problem(&bare.with("origin", &own).put(PATH, &value()).await, 403, "csrf");
    problem(&bare.with("x-csrf-token", &session.csrf).put(PATH, &value()).await, 403, "csrf");
    problem(&bare.with("origin", &own).with("x-csrf-token", &other.csrf).put(PATH, &value()).await, 403, "csrf");
    let elsewhere = bare.with("origin", "http://localhost:1").with("x-csrf-token", &session.csrf);
    problem(&elsewhere.put(PATH, &value()).await, 403, "csrf");
    assert_eq!(stack.api().get(PATH).await.json()["managed"]["by"], "default", "nothing of that was done");
    assert_eq!(session.own(&stack).creating().put(PATH, &value()).await.status, 201);
}

#[tokio::test]
async fn a_login_never_takes_over_a_session_that_was_there() {
    let stack = Stack::start().await;
    let slipped = Session::of(&stack, "root").await;
    let login = json!({ "token": stack.link("root").await });
    let signed = stack.nobody().with("cookie", &slipped.cookie).post("/api/v1/login", &login).await;
    let fresh = Session::read(&signed);
    assert_ne!(fresh.cookie, slipped.cookie);
    assert_eq!(slipped.bare(&stack).get("/api/v1/me").await.status, 401, "what was slipped in is over");
    assert_eq!(fresh.bare(&stack).get("/api/v1/me").await.status, 200);
    // One that we never gave out is not one, also after a login.
    let made_up = format!("toolgate_session={}", "A".repeat(43));
    let login = json!({ "token": stack.link("root").await });
    let signed = stack.nobody().with("cookie", &made_up).post("/api/v1/login", &login).await;
    assert!(!signed.header("set-cookie").unwrap().starts_with(&made_up));
    assert_eq!(stack.nobody().with("cookie", &made_up).get("/api/v1/me").await.status, 401);
}

#[tokio::test]
async fn two_session_cookies_are_none() {
    let stack = Stack::start().await;
    let session = Session::of(&stack, "root").await;
    let two = stack.nobody().with("cookie", &format!("{}; {}", session.cookie, session.cookie));
    problem(&two.get("/api/v1/me").await, 400, "malformed");
}

#[tokio::test]
async fn a_session_ends_by_signing_out() {
    let stack = Stack::start().await;
    let session = Session::of(&stack, "root").await;
    problem(&session.bare(&stack).post("/api/v1/logout", &json!({})).await, 403, "csrf");
    let out = session.own(&stack).post("/api/v1/logout", &json!({})).await;
    assert_eq!(out.status, 204, "{}", text(&out));
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(session.bare(&stack).get("/api/v1/me").await.status, 401);
}

#[tokio::test]
async fn a_session_ends_when_nobody_uses_it_and_after_half_a_day_anyway() {
    const MINUTE: i64 = 60_000;
    let stack = Stack::start().await;
    let (idle, busy) = (Session::of(&stack, "root").await, Session::of(&stack, "root").await);
    for _ in 0..28 {
        stack.later(25 * MINUTE);
        assert_eq!(busy.bare(&stack).get("/api/v1/me").await.status, 200);
    }
    assert_eq!(idle.bare(&stack).get("/api/v1/me").await.status, 401);
    stack.later(20 * MINUTE + 1);
    assert_eq!(busy.bare(&stack).get("/api/v1/me").await.status, 401, "twelve hours are over");
}

#[tokio::test]
async fn a_role_that_is_taken_away_is_away_at_once() {
    let stack = Stack::start().await;
    stack.api().make("/api/v1/admins/ann", &json!({ "role": "admin" })).await;
    let session = Session::of(&stack, "ann").await;
    assert_eq!(session.bare(&stack).get("/api/v1/admins").await.status, 200);
    let viewer = stack.api().seen("*").put("/api/v1/admins/ann", &json!({ "role": "viewer" })).await;
    assert_eq!(viewer.status, 200);
    problem(&session.bare(&stack).get("/api/v1/admins").await, 403, "forbidden");
    let off = json!({ "role": "viewer", "enabled": false });
    assert_eq!(stack.api().seen("*").put("/api/v1/admins/ann", &off).await.status, 200);
    assert_eq!(session.bare(&stack).get("/api/v1/me").await.status, 401);
}

#[tokio::test]
async fn somebody_is_always_left_to_manage() {
    let stack = Stack::start().await;
    let api = stack.api().seen("*");
    problem(&api.delete("/api/v1/admins/root").await, 409, "last_admin");
    problem(&api.put("/api/v1/admins/root", &json!({ "role": "viewer" })).await, 409, "last_admin");
    problem(&api.put("/api/v1/admins/root", &json!({ "role": "admin", "enabled": false })).await, 409, "last_admin");
    stack.api().make("/api/v1/admins/ann", &json!({ "role": "admin" })).await;
    assert_eq!(api.delete("/api/v1/admins/root").await.status, 204);
    assert_eq!(stack.api().get("/api/v1/me").await.status, 401, "and the tokens of who is gone are gone");
}

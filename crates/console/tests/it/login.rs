//! One-time links: the first admin, and anybody after.

use console::Role;
use serde_json::json;
use testkit::RawResponse;

use crate::stack::{Stack, problem, text};

fn secret(path: Option<String>) -> String {
    path.unwrap().strip_prefix("/login#").unwrap().to_owned()
}

fn cookie(response: &RawResponse) -> &str {
    response.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {}", text(response)))
}

#[tokio::test]
async fn the_first_link_makes_the_first_admin_once() {
    let stack = Stack::without_admins("").await;
    let link = secret(stack.console.first_login().await.unwrap());
    // Opening it uses up nothing.
    let page = stack.nobody().get("/login").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    let login = json!({ "token": link });
    let signed = stack.nobody().post("/api/v1/login", &login).await;
    assert_eq!(signed.status, 200, "{}", text(&signed));
    assert_eq!((&signed.json()["name"], &signed.json()["role"]), (&json!("admin"), &json!("admin")));
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie(&signed).contains(attribute), "{}", cookie(&signed));
    }
    problem(&stack.nobody().post("/api/v1/login", &login).await, 401, "unauthenticated");
    assert_eq!(stack.console.first_login().await.unwrap(), None, "there is an admin now");
}

#[tokio::test]
async fn of_many_who_use_a_link_at_once_one_gets_in() {
    let stack = Stack::start().await;
    let login = json!({ "token": stack.link("root").await });
    let racers = (0..8).map(|_| {
        let (nobody, login) = (stack.nobody(), login.clone());
        tokio::spawn(async move { nobody.post("/api/v1/login", &login).await.status })
    });
    let mut got = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        got.push(racer.await.unwrap());
    }
    got.sort_unstable();
    assert_eq!(got, [200, 401, 401, 401, 401, 401, 401, 401]);
}

#[tokio::test]
async fn a_link_is_good_for_a_quarter_of_an_hour() {
    let stack = Stack::start().await;
    let (early, late) = (stack.link("root").await, stack.link("root").await);
    stack.later(14 * 60 * 1_000);
    assert_eq!(stack.nobody().post("/api/v1/login", &json!({ "token": early })).await.status, 200);
    stack.later(60 * 1_000 + 1);
    problem(&stack.nobody().post("/api/v1/login", &json!({ "token": late })).await, 401, "unauthenticated");
}

#[tokio::test]
async fn a_first_link_lets_nobody_in_when_there_is_an_admin() {
    let stack = Stack::without_admins("").await;
    let link = secret(stack.console.first_login().await.unwrap());
    stack.token("other", Role::Admin).await;
    problem(&stack.nobody().post("/api/v1/login", &json!({ "token": link })).await, 401, "unauthenticated");
}

#[tokio::test]
async fn who_fails_too_often_waits() {
    let stack = Stack::start().await;
    let wrong = json!({ "token": "tgl_0123456789012345678901234567890123456789012" });
    for _ in 0..10 {
        problem(&stack.nobody().post("/api/v1/login", &wrong).await, 401, "unauthenticated");
    }
    let refused = stack.nobody().post("/api/v1/login", &wrong).await;
    problem(&refused, 429, "too_many_failures");
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() <= 60);
    // Who has a good token is not kept out by others' failures.
    assert_eq!(stack.api().get("/api/v1/me").await.status, 200);
    let bad = stack.as_token("tga_0123456789012345678901234567890123456789012");
    problem(&bad.get("/api/v1/me").await, 401, "unauthenticated");
    stack.later(60_001);
    problem(&stack.nobody().post("/api/v1/login", &wrong).await, 401, "unauthenticated");
}

#[tokio::test]
async fn a_login_from_another_site_is_refused() {
    let stack = Stack::start().await;
    let login = json!({ "token": stack.link("root").await });
    // Another port of this machine passes the listener's door, and is another site all the same.
    let other = stack.nobody().with("origin", "http://127.0.0.1:1");
    problem(&other.post("/api/v1/login", &login).await, 403, "csrf");
    let own = stack.nobody().with("origin", &format!("http://{}", stack.admin));
    assert_eq!(own.post("/api/v1/login", &login).await.status, 200);
}

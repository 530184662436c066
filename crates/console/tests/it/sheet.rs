//! The page on which a person decides.

use console::Role;
use sha2::{Digest as _, Sha256};
use store::{Admin, ApprovalState, Asked};
use testkit::RawResponse;

use crate::asking::{MINUTES, approval, asked, waits};
use crate::sessions::Session;
use crate::stack::{Api, Stack, agent, text};

const KEY: &str = "tgk_0123456789012345678901234567890123456789012";

/// The server that the calls are for.
const SERVER: &str = "[servers.s]\nurl = \"http://127.0.0.1:9/mcp\"\npolicy = \"policy.json\"\n";

/// A call that may pass once it is approved: the policy in force is the one that it was asked under.
async fn passable(stack: &Stack, arguments: &str) -> Asked {
    stack.api().make("/api/v1/agents/bot", &agent()).await;
    let policies = stack.api().get("/api/v1/policies").await.json();
    let policy = policies["items"][0]["hash"].as_str().unwrap().to_owned();
    Asked { policy, ..asked(arguments) }
}

/// A browser at one of our own pages.
fn browser(stack: &Stack) -> Api {
    stack.nobody().with("origin", &format!("http://{}", stack.admin))
}

async fn sends(api: &Api, path: &str, form: &[(&str, &str)]) -> RawResponse {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let api = api.with("content-type", "application/x-www-form-urlencoded");
    api.reply("POST", path, Some(&body)).await.whole().await
}

/// A link's key, for that call and that admin.
async fn key(stack: &Stack, id: &str, admin: &str) -> String {
    let key = format!("tgk_{:0>43}", format!("{admin}{id}"));
    let expires = console::system_clock()() + 15 * MINUTES;
    stack.store.create_approval_link(&Sha256::digest(&key).into(), id, admin, expires).await.unwrap();
    key
}

async fn state(stack: &Stack, id: &str) -> ApprovalState {
    approval(stack, id).await.state
}

/// It is a page, and browsers keep to what it says.
#[track_caller]
fn page(response: &RawResponse, status: u16) -> String {
    let page = text(response);
    assert_eq!(response.status, status, "{page}");
    assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"), "{page}");
    let policy = response.header("content-security-policy").unwrap();
    for part in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(response.header(name), Some(value), "{name}");
    }
    page
}

#[tokio::test]
async fn who_is_not_signed_in_is_told_how_and_nothing_of_the_call() {
    let stack = Stack::start().await;
    let id = waits(&stack, asked(r#"{"a":"canary"}"#)).await;
    let (there, not) =
        (stack.nobody().get(&format!("/approvals/{id}")).await, stack.nobody().get("/approvals/0a0b").await);
    let shown = page(&there, 200);
    assert!(
        !shown.contains("canary") && !shown.contains("bot") && shown.contains("toolgate approvals show"),
        "{shown}"
    );
    assert_eq!(shown.replace(&id, "ID"), page(&not, 200).replace("0a0b", "ID"), "not even whether it is there");
    assert!(there.header("content-security-policy").unwrap().contains("script-src 'self'"));
    page(&stack.nobody().get("/approvals/%3Cscript%3E").await, 404);
    let stale = stack.nobody().with("cookie", &format!("toolgate_session={}", "A".repeat(43)));
    page(&stale.get(&format!("/approvals/{id}")).await, 200);
    for asset in ["/approval.js", "/approval.css"] {
        assert_eq!(stack.nobody().get(asset).await.status, 200);
    }
}

#[tokio::test]
async fn who_is_signed_in_sees_the_call_and_decides() {
    let stack = Stack::start().await;
    let hostile = "<script>alert(1)</script><img src=x onerror=alert(1)>\u{202e}\u{200b}";
    let arguments = format!("{{\"text\":\"{hostile}\",\"q\":\"\\\"' onload='x\"}}");
    let call = Asked { subject: "send<b>\u{2066}".into(), reason: Some("</main><b>".into()), ..asked(&arguments) };
    let id = waits(&stack, call).await;
    let session = Session::of(&stack, "root").await;
    let path = format!("/approvals/{id}");
    let seen = session.bare(&stack).get(&path).await;
    let shown = page(&seen, 200);
    // The only script is for whoever comes with a link that is somebody else's, and has the form's `hidden` key to fill.
    assert_eq!(shown.matches("<script").count(), 1, "{shown}");
    assert!(shown.contains(r#"<form id="look" method="post""#) && shown.contains(r#"src="../approval.js""#), "{shown}");
    assert!(seen.header("content-security-policy").unwrap().contains("script-src 'self'"));
    for markup in ["<script>", "<img", "<b>\\", "</main><b>", "\u{202e}", "\u{200b}", "\u{2066}", "onload='x"] {
        assert!(!shown.contains(markup), "{markup}: {shown}");
    }
    for written in ["&#60;script&#62;alert(1)", "\\u{202e}\\u{200b}", "\\u{2066}", "invisible or direction-changing"] {
        assert!(shown.contains(written), "{written}: {shown}");
    }
    assert!(shown.contains(&session.csrf) && !shown.contains(&session.cookie), "{shown}");
    let own = session.bare(&stack).with("origin", &format!("http://{}", stack.admin));
    let form = [("csrf", session.csrf.as_str()), ("reason", "fine & good"), ("verdict", "approve")];
    let done = page(&sends(&own, &path, &form).await, 200);
    assert!(done.contains("Approved"), "{done}");
    let kept = approval(&stack, &id).await;
    assert_eq!((kept.state, kept.votes[0].reason.as_deref()), (ApprovalState::Approved, Some("fine & good")));
    let twice = page(&sends(&own, &path, &form).await, 409);
    assert!(twice.contains("it is decided already"), "{twice}");
    let after = page(&session.bare(&stack).get(&path).await, 200);
    assert!(!after.contains("verdict") && after.contains("fine &#38; good"), "{after}");
}

#[tokio::test]
async fn no_get_decides_and_no_form_of_another_site() {
    let stack = Stack::start().await;
    let id = waits(&stack, asked("[1]")).await;
    let session = Session::of(&stack, "root").await;
    let (path, signed) = (format!("/approvals/{id}"), session.bare(&stack));
    let own = format!("http://{}", stack.admin);
    let form = [("csrf", session.csrf.as_str()), ("verdict", "approve")];
    for method in ["GET", "HEAD"] {
        let query = format!("{path}?csrf={}&verdict=approve", session.csrf);
        let seen = signed.with("purpose", "prefetch").with("origin", &own).reply(method, &query, None).await;
        assert_eq!(seen.status, 200);
    }
    for api in [signed.clone(), signed.with("origin", "http://localhost:1"), signed.with("origin", "null")] {
        assert_eq!(sends(&api, &path, &form).await.status, 403);
    }
    let other = Session::of(&stack, "root").await;
    let own = signed.with("origin", &own);
    for (form, status) in [
        (&[("csrf", other.csrf.as_str()), ("verdict", "approve")][..], 403),
        (&[("verdict", "approve")], 422),
        (&[("csrf", session.csrf.as_str())], 422),
        (&[("csrf", session.csrf.as_str()), ("verdict", "maybe")], 422),
        (&[("csrf", session.csrf.as_str()), ("verdict", "deny"), ("verdict", "approve")], 422),
        (&[("csrf", session.csrf.as_str()), ("verdict", "approve"), ("more", "")], 422),
        (&[("csrf", session.csrf.as_str()), ("key", KEY), ("verdict", "approve")], 422),
        (&[("csrf", session.csrf.as_str()), ("verdict", "approve"), ("reason", &"x".repeat(20_000))], 413),
    ] {
        page(&sends(&own, &path, form).await, status);
    }
    let json = own.with("content-type", "application/json").reply("POST", &path, Some("{}")).await.whole().await;
    assert!(!page(&json, 415).contains("JSON"), "a form is wanted");
    page(&sends(&browser(&stack), &path, &form).await, 401);
    assert_eq!(state(&stack, &id).await, ApprovalState::Pending);
}

#[tokio::test]
async fn a_key_shows_the_call_as_often_as_one_likes_and_decides_once() {
    let stack = Stack::with(SERVER).await;
    stack.token("ann", Role::Approver).await;
    let id = waits(&stack, Asked { quorum: 2, ..passable(&stack, r#"{"a":"canary"}"#).await }).await;
    let (path, look, key) =
        (format!("/approvals/{id}"), format!("/approvals/{id}/look"), key(&stack, &id, "ann").await);
    for _ in 0..3 {
        let shown = page(&sends(&browser(&stack), &look, &[("key", &key)]).await, 200);
        assert!(shown.contains("canary") && shown.contains("<b>ann</b>, by a link"), "{shown}");
    }
    let whole = format!("  https://toolgate.example{path}#{key}\n");
    page(&sends(&browser(&stack), &look, &[("key", &whole)]).await, 200);
    let by_hand = stack.nobody().get(&format!("{look}?key={key}")).await;
    assert_eq!((by_hand.status, by_hand.header("location")), (303, Some(&*format!("../{id}"))));
    assert_eq!(approval(&stack, &id).await.votes, [], "a look decides nothing");
    assert_eq!(sends(&stack.nobody(), &path, &[("key", &key), ("verdict", "approve")]).await.status, 403, "no origin");
    let done = page(&sends(&browser(&stack), &path, &[("key", &key), ("verdict", "approve")]).await, 200);
    assert!(done.contains("1 of 2 approve") && !done.contains("<a "), "{done}");
    assert_eq!(approval(&stack, &id).await.votes[0].by, "ann");
    // As often as somebody opens it who had it, nobody is kept out for it.
    for (path, form) in
        [(&look, &[("key", key.as_str())][..]), (&path, &[("key", &key), ("verdict", "deny")])].repeat(10)
    {
        let spent = page(&sends(&browser(&stack), path, form).await, 410);
        assert!(
            spent.contains("this link was used") && spent.contains("what was decided by it, if anything was, counts"),
            "{spent}"
        );
    }
    let elsewhere = waits(&stack, asked("[2]")).await;
    page(&sends(&browser(&stack), &format!("/approvals/{elsewhere}/look"), &[("key", &key)]).await, 401);
    let acts = crate::audit::acts(&stack);
    let done: Vec<_> = acts.iter().filter(|act| act["action"] == "approval.approve").collect();
    assert_eq!((done.len(), &done[0]["admin"], &done[0]["via"]), (2, &"ann".into(), &"link".into()));
    assert!(acts.iter().all(|act| !act.to_string().contains("tgk_")), "no key is on record");
}

#[tokio::test]
async fn of_many_who_use_a_key_at_once_one_decides() {
    let stack = Stack::start().await;
    stack.token("ann", Role::Approver).await;
    let id = waits(&stack, Asked { quorum: 2, ..asked("[1]") }).await;
    let (path, key) = (format!("/approvals/{id}"), key(&stack, &id, "ann").await);
    let racers = (0..8).map(|n| {
        let (browser, path, key) = (browser(&stack), path.clone(), key.clone());
        let verdict = if n % 2 == 0 { "approve" } else { "deny" };
        tokio::spawn(async move { sends(&browser, &path, &[("key", &key), ("verdict", verdict)]).await.status })
    });
    let mut got = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        got.push(racer.await.unwrap());
    }
    assert_eq!(got.iter().filter(|status| **status == 200).count(), 1, "{got:?}");
    assert_eq!(approval(&stack, &id).await.votes.len(), 1);
}

#[tokio::test]
async fn a_key_is_for_one_call_and_for_somebody_who_still_may() {
    let stack = Stack::start().await;
    for (name, role) in [("ann", Role::Approver), ("bob", Role::Approver), ("vic", Role::Viewer), ("olga", Role::Admin)]
    {
        stack.token(name, role).await;
    }
    let (id, other) = (waits(&stack, asked("[1]")).await, waits(&stack, asked("[2]")).await);
    let decides = async |id: &str, key: &str| {
        let done = sends(&browser(&stack), &format!("/approvals/{id}"), &[("key", key), ("verdict", "approve")]).await;
        page(&done, done.status);
        done.status
    };
    let of_other = key(&stack, &other, "ann").await;
    assert_eq!(decides(&id, &of_other).await, 401, "another call");
    let of_bob = key(&stack, &id, "bob").await;
    let bob = Admin { role: store::Role::Approver, enabled: true, groups: Vec::new() };
    for (changed, why) in
        [(Admin { enabled: false, ..bob.clone() }, "switched off"), (bob.clone(), "that he was switched off meanwhile")]
    {
        stack.store.put("bob", changed, None).await.unwrap();
        assert_eq!(decides(&id, &of_bob).await, 401, "{why}");
    }
    stack.store.put("bob", Admin { enabled: false, ..bob }, None).await.unwrap();
    let looks = async |key: &str| sends(&browser(&stack), &format!("/approvals/{id}/look"), &[("key", key)]).await;
    for name in ["vic", "bob"] {
        let theirs = key(&stack, &id, name).await;
        page(&looks(&theirs).await, 401);
        assert_eq!(decides(&id, &theirs).await, 401, "{name} may decide nothing");
    }
    let of_olga = key(&stack, &id, "olga").await;
    assert!(!page(&looks(&of_olga).await, 200).contains("<form"), "it is her own agent's");
    assert_eq!(decides(&id, &of_olga).await, 403);
    assert_eq!(decides(&id, KEY).await, 401, "made up");
    assert_eq!(decides(&id, &"x".repeat(200)).await, 401, "made up");
    assert_eq!(
        (state(&stack, &id).await, state(&stack, &other).await),
        (ApprovalState::Pending, ApprovalState::Pending)
    );
    // Of what was refused, nothing was used up.
    assert_eq!(decides(&other, &of_other).await, 200);
}

#[tokio::test]
async fn who_shows_wrong_keys_too_often_waits() {
    let stack = Stack::start().await;
    stack.token("ann", Role::Approver).await;
    let id = waits(&stack, asked("[1]")).await;
    let (look, good) = (format!("/approvals/{id}/look"), key(&stack, &id, "ann").await);
    let session = Session::of(&stack, "root").await;
    for _ in 0..10 {
        page(&sends(&browser(&stack), &look, &[("key", KEY)]).await, 401);
    }
    let refused = sends(&browser(&stack), &look, &[("key", &good)]).await;
    page(&refused, 429);
    assert!(refused.header("retry-after").is_some());
    page(&session.bare(&stack).get(&format!("/approvals/{id}")).await, 200);
    stack.later(60_001);
    page(&sends(&browser(&stack), &look, &[("key", &good)]).await, 200);
}

#[tokio::test]
async fn a_link_to_what_expired_says_so() {
    let stack = Stack::start().await;
    stack.token("ann", Role::Approver).await;
    let id = waits(&stack, asked("[1]")).await;
    let key = key(&stack, &id, "ann").await;
    stack.later(15 * MINUTES);
    let over = page(&sends(&browser(&stack), &format!("/approvals/{id}/look"), &[("key", &key)]).await, 409);
    assert!(over.contains("nobody decided in time") && !over.contains("[1]"), "{over}");
}

#[tokio::test]
async fn who_said_yes_is_told_so_and_may_still_say_no() {
    let stack = Stack::start().await;
    let id = waits(&stack, Asked { quorum: 2, ..asked("[1]") }).await;
    let session = Session::of(&stack, "root").await;
    let path = format!("/approvals/{id}");
    let own = session.bare(&stack).with("origin", &format!("http://{}", stack.admin));
    let lines = "Not \u{202e} this week.\r\nAsk again.";
    let form = [("csrf", session.csrf.as_str()), ("reason", lines), ("verdict", "approve")];
    page(&sends(&own, &path, &form).await, 200);
    let kept = approval(&stack, &id).await;
    assert_eq!(kept.votes[0].reason.as_deref(), Some("Not \u{202e} this week.\nAsk again."));
    let shown = page(&own.get(&path).await, 200);
    assert!(shown.contains("You approve already") && !shown.contains("value=\"approve\""), "{shown}");
    assert!(shown.contains("Not \\u{202e} this week.\nAsk again."), "{shown}");
    // As a browser counts it, this is as long as it may be.
    let full = format!("{}{}", "a\r\n".repeat(499), "ab");
    let form = [("csrf", session.csrf.as_str()), ("reason", &*full), ("verdict", "deny")];
    page(&sends(&own, &path, &form).await, 200);
    assert_eq!(state(&stack, &id).await, ApprovalState::Denied);
}

#[tokio::test]
async fn arguments_hide_nothing_by_blanks_or_by_the_direction_of_writing() {
    let stack = Stack::start().await;
    let arguments = format!(r#"{{"to":"a{}.","delete_all":true,"שם":"א"}}"#, "\u{a0}".repeat(20));
    let id = waits(&stack, asked(&arguments)).await;
    let session = Session::of(&stack, "root").await;
    let shown = page(&session.bare(&stack).get(&format!("/approvals/{id}")).await, 200);
    let written = format!("a\u{a0}{}.", "\\u{a0}".repeat(19));
    assert!(shown.contains(&written) && shown.contains("long runs of blanks"), "{shown}");
    assert!(shown.contains("<bdi>&#34;שם&#34;</bdi>: <bdi>&#34;א&#34;</bdi>"), "{shown}");
    assert!(shown.contains("from right to left"), "{shown}");
}

#[tokio::test]
async fn a_yes_that_lets_nothing_pass_says_so() {
    let stack = Stack::with(SERVER).await;
    let session = Session::of(&stack, "root").await;
    let own = session.bare(&stack).with("origin", &format!("http://{}", stack.admin));
    let form = [("csrf", session.csrf.as_str()), ("verdict", "approve")];
    let asked_now = passable(&stack, "[1]").await;
    let good = waits(&stack, asked_now.clone()).await;
    let done = page(&sends(&own, &format!("/approvals/{good}"), &form).await, 200);
    assert!(done.contains("The call may be made now, once."), "{done}");
    let other = Asked { policy: "0".repeat(64), ..asked("[2]") };
    let vain = waits(&stack, other).await;
    let done = page(&sends(&own, &format!("/approvals/{vain}"), &form).await, 200);
    assert!(done.contains("As things are, that lets nothing pass: another policy judges such calls now."), "{done}");
    let shown = page(&session.bare(&stack).get(&format!("/approvals/{vain}")).await, 200);
    assert!(
        shown.contains("As things are, an approval lets nothing pass") && !shown.contains("may be made once"),
        "{shown}"
    );
    let no = [("csrf", session.csrf.as_str()), ("verdict", "deny")];
    for (asked, expected) in [
        (Asked { binding: asked("[3]").binding, ..asked_now }, "The agent is told so.</"),
        (
            Asked { policy: "0".repeat(64), ..asked("[4]") },
            "The agent is told so if it waits. As things are, a further call is another one",
        ),
    ] {
        let denied = waits(&stack, asked).await;
        let done = page(&sends(&own, &format!("/approvals/{denied}"), &no).await, 200);
        assert!(done.contains(expected), "{done}");
    }
}

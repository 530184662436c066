//! The page on which a person sees one call and decides. No GET decides: what decides is a form, sent with what only its reader has.
//!
//! Whoever is signed in reads it with the session, and the form sends the session's token. Whoever has a one-time key reads it with the
//! key, which stands behind the `#` of a link and so is never part of a GET; a look uses up nothing, the decision does.

use askama::Template;
use axum::extract::Request;
use axum::response::{Html, IntoResponse, Redirect, Response};
use gateway::visible;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_FRAME_OPTIONS};
use http::{HeaderMap, StatusCode};
use store::{Admin, Approval, ApprovalState};

use crate::decide::{self, Verdict, Word};
use crate::extract::{Path, read_up_to};
use crate::guard::{By, Caller, Peer, same_origin};
use crate::here::{Here, State};
use crate::legible::{self, Piece};
use crate::problem::{Code, Problem};
use crate::reply::{found, time};
use crate::secret;

/// Bytes of a form: a reason, and a key.
const MAX_FORM: usize = 16 << 10;

/// Characters of a key; what has more is none of ours.
const MAX_KEY: usize = 128;

/// Nothing of anybody else's, nothing inline, in nobody's frame.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// The same, and the script that reads the key.
const WITH_SCRIPT: &str = "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

type Headers = [(HeaderName, &'static str); 3];

const fn headers(policy: &'static str) -> Headers {
    // Not `no-referrer`: of such a page browsers send forms with `Origin: null`, and then nobody can tell that they are ours.
    [(CONTENT_SECURITY_POLICY, policy), (REFERRER_POLICY, "same-origin"), (X_FRAME_OPTIONS, "DENY")]
}

#[derive(Template)]
#[template(path = "sheet.html")]
struct Sheet {
    base: &'static str,
    id: String,
    agent: String,
    subject: String,
    state: String,
    in_vain: &'static str,
    anew: &'static str,
    warnings: Vec<&'static str>,
    /// Is something written out that could not be seen?
    is_spelt: bool,
    facts: Vec<(&'static str, String)>,
    arguments: Vec<Piece>,
    votes: Vec<String>,
    form: Option<Form>,
    why_not: String,
    /// May somebody come to this very page with a key of theirs?
    takes_keys: bool,
}

/// What follows where the same call would be another one now.
const ANEW: &str =
    "If the agent still wants the call, it is judged as things are then, and you may be asked about it anew.";

/// From a page to where all pages are: a proxy may have them below a path of its own.
const UP: &str = "..";
/// The same, from what a look shows.
const UP_FROM_LOOK: &str = "../..";

/// What decides.
struct Form {
    /// `csrf` or `key`.
    name: &'static str,
    secret: String,
    who: String,
    via: &'static str,
    /// Said so already: what is left is to take it back.
    approves: bool,
}

/// For those of whom nothing is known yet.
#[derive(Template)]
#[template(path = "door.html")]
struct Door<'a> {
    base: &'a str,
    id: &'a str,
}

#[derive(Template)]
#[template(path = "said.html")]
struct Said<'a> {
    base: &'a str,
    title: &'a str,
    detail: &'a str,
    id: &'a str,
}

/// What a form sends. Nothing else, and nothing twice.
#[derive(Default)]
struct Fields {
    csrf: Option<String>,
    key: Option<String>,
    verdict: Option<String>,
    reason: Option<String>,
}

pub(super) async fn style() -> Response {
    (headers(POLICY), [(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../approval.css")).into_response()
}

pub(super) async fn script() -> Response {
    (headers(POLICY), [(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("../approval.js"))
        .into_response()
}

/// Shows the call to who is signed in; to others, how to get to see it, and not even whether it is there.
pub(super) async fn page(here: State, peer: Peer, sent: HeaderMap, Path(id): Path<String>) -> Response {
    told(show(&here, peer, &sent, &id).await, UP)
}

/// Shows the call to who has a key.
pub(super) async fn look(here: State, peer: Peer, Path(id): Path<String>, request: Request) -> Response {
    told(look_with_key(&here, peer, &id, request).await, UP_FROM_LOOK)
}

/// Who comes to that address by hand has sent nothing, and begins anew.
pub(super) async fn look_by_hand(Path(id): Path<String>) -> Response {
    match decide::is_id(&id) {
        true => (headers(POLICY), Redirect::to(&format!("../{id}"))).into_response(),
        false => told(Err(Problem::not_found(decide::WHAT, &id)), UP_FROM_LOOK),
    }
}

/// Decides.
pub(super) async fn say(here: State, peer: Peer, Path(id): Path<String>, request: Request) -> Response {
    told(said(&here, peer, &id, request).await, UP)
}

async fn show(here: &Here, peer: Peer, sent: &HeaderMap, id: &str) -> Result<Response, Problem> {
    let unknown = || Problem::not_found(decide::WHAT, id);
    if !decide::is_id(id) {
        return Err(unknown());
    }
    let Some(caller) = here.signed_in(sent, peer).await? else {
        return page_of(&Door { base: UP, id }, StatusCode::OK, WITH_SCRIPT);
    };
    let approval = here.store.approval(id).await?.ok_or_else(unknown)?;
    let secret = match &caller.by {
        By::Session(csrf) => Some(("csrf", csrf.to_string())),
        By::Token | By::Link => None,
    };
    page_of(&sheet(here, &caller, secret, &approval, UP), StatusCode::OK, WITH_SCRIPT)
}

async fn look_with_key(here: &Here, peer: Peer, id: &str, request: Request) -> Result<Response, Problem> {
    let fields = fields(request).await?;
    let key = fields.key.ok_or_else(|| Problem::invalid("key", "is missing"))?;
    // What people have at hand may be the whole link.
    let key = key.rsplit('#').next().unwrap_or_default().trim().to_owned();
    let caller = by_key(here, peer, id, &key).await?;
    let approval = decide::approval(here, id).await?;
    page_of(&sheet(here, &caller, Some(("key", key)), &approval, UP_FROM_LOOK), StatusCode::OK, POLICY)
}

async fn said(here: &Here, peer: Peer, id: &str, request: Request) -> Result<Response, Problem> {
    let sent = request.headers().clone();
    let Fields { csrf, key, verdict, reason } = fields(request).await?;
    let verdict = match verdict.as_deref() {
        Some("approve") => Verdict::Approve,
        Some("deny") => Verdict::Deny,
        Some(_) | None => return Err(Problem::invalid("verdict", "must be `approve` or `deny`")),
    };
    let (caller, key) = match (key, csrf) {
        (Some(key), None) => (by_key(here, peer, id, &key).await?, Some(secret::hash(&key))),
        (None, Some(csrf)) => (by_session(here, peer, &sent, &csrf).await?, None),
        (Some(_), Some(_)) | (None, None) => return Err(Problem::invalid("csrf", "goes alone, or a `key` does")),
    };
    let word = Word { verdict, reason: decide::reason(reason)?, key };
    let approval = decide::decide(here, &caller, id, word).await?;
    let state = approval.state_at(here.approvals_now());
    let said = match (state, decide::otherwise_now(here, &approval.asked)) {
        (ApprovalState::Pending | ApprovalState::Approved, Some(why)) => {
            ("Approved, in vain", format!("As things are, that lets nothing pass: {why}. {ANEW}"))
        }
        (ApprovalState::Pending, None) => {
            let (has, quorum) = (decide::approvals(&approval), decide::quorum(&approval.asked));
            ("Approved", format!("{has} of {quorum} approve: the call waits for the others."))
        }
        (ApprovalState::Approved, None) => ("Approved", "The call may be made now, once.".to_owned()),
        (ApprovalState::Used, _) => ("Approved", "The call was made.".to_owned()),
        (ApprovalState::Denied, None) => ("Denied", "The agent is told so.".to_owned()),
        (ApprovalState::Denied, Some(why)) => (
            "Denied",
            format!("The agent is told so if it waits. As things are, a further call is another one: {why}."),
        ),
        (ApprovalState::Expired, _) => ("Too late", "It expired meanwhile.".to_owned()),
    };
    // The link that somebody came by is used up: it leads nowhere any more.
    let id = if matches!(caller.by, By::Link) { "" } else { id };
    page_of(&Said { base: UP, title: said.0, detail: &said.1, id }, StatusCode::OK, POLICY)
}

/// Who is signed in and sends this from our own page.
async fn by_session(here: &Here, peer: Peer, sent: &HeaderMap, shown: &str) -> Result<Caller, Problem> {
    let caller = here.signed_in(sent, peer).await?;
    let caller = caller.ok_or_else(|| Problem::unauthenticated("your session is over: sign in again"))?;
    match &caller.by {
        By::Session(csrf) if secret::same(shown, csrf) => Ok(caller),
        By::Session(_) | By::Token | By::Link => Err(Problem::new(Code::Csrf, "this form is not of your session")),
    }
}

/// Whose key it is, for this call and no other, and who may decide at all. Wrong ones count as logins that fail; those that were good
/// do not.
async fn by_key(here: &Here, peer: Peer, id: &str, key: &str) -> Result<Caller, Problem> {
    if let Some(seconds) = here.throttle.wait(peer.0, here.now()) {
        return Err(Problem::too_many_failures(seconds));
    }
    let (hash, now) = (secret::hash(key), here.approvals_now());
    let known = match key.len() <= MAX_KEY {
        true => here.store.approval_link(&hash, now).await?,
        false => None,
    };
    if known.is_none() && here.store.spent_approval_link(&hash, now).await?.is_some_and(|approval| approval == id) {
        return Err(decide::no_longer(&decide::approval(here, id).await?, now));
    }
    let name = known.filter(|(approval, _)| approval == id).map(|(_, admin)| admin);
    let admin = match name {
        Some(name) => found(here.store.get::<Admin>(&name).await)?.filter(|admin| admin.value.may_approve()),
        None => None,
    };
    match admin {
        Some(admin) => Ok(Caller::new(admin, By::Link, peer, key)),
        None => Err(here.refused(peer, "approval.link").await),
    }
}

async fn fields(request: Request) -> Result<Fields, Problem> {
    let (parts, body) = request.into_parts();
    same_origin(&parts.headers, true)?;
    let kind = crate::etag::one(&parts.headers, &CONTENT_TYPE)?.unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let wanted = "send a form: `Content-Type: application/x-www-form-urlencoded`";
        return Err(Problem::new(Code::MediaType, wanted));
    }
    let body = read_up_to(MAX_FORM, body).await?;
    let mut fields = Fields::default();
    for (name, value) in url::form_urlencoded::parse(&body) {
        let field = match &*name {
            "csrf" => &mut fields.csrf,
            "key" => &mut fields.key,
            "verdict" => &mut fields.verdict,
            "reason" => &mut fields.reason,
            _ => return Err(Problem::invalid("form", "has a field that is not known")),
        };
        if field.replace(value.into_owned()).is_some() {
            return Err(Problem::invalid("form", "has a field twice"));
        }
    }
    Ok(fields)
}

/// All that there is to see before one decides. `secret`: what the form is to send, if there is to be one.
fn sheet(
    here: &Here,
    caller: &Caller,
    secret: Option<(&'static str, String)>,
    approval: &Approval,
    base: &'static str,
) -> Sheet {
    let (asked, state) = (&approval.asked, approval.state_at(here.approvals_now()));
    let waits = state == ApprovalState::Pending;
    let refused = decide::may(caller, asked).err().map(|refused| refused.told().1.to_owned());
    // Where somebody is signed in, a link may still stand for somebody else.
    let takes_keys = matches!(caller.by, By::Session(_));
    let is_open = waits || state == ApprovalState::Approved;
    let in_vain = if is_open { decide::otherwise_now(here, asked).unwrap_or_default() } else { "" };
    let warnings = legible::warnings(&asked.arguments);
    let form = secret.filter(|_| waits && refused.is_none()).map(|(name, secret)| Form {
        name,
        secret,
        who: visible(&caller.name),
        via: decide::via(caller),
        approves: approval.votes.iter().any(|vote| *vote.by == *caller.name),
    });
    Sheet {
        base,
        id: approval.id.clone(),
        agent: visible(&asked.agent),
        subject: visible(&asked.subject),
        state: told_state(approval, state, !in_vain.is_empty()),
        in_vain,
        anew: ANEW,
        is_spelt: legible::is_spelt(&warnings),
        warnings,
        facts: facts(approval),
        arguments: legible::pieces(&asked.arguments),
        votes: approval.votes.iter().map(told_vote).collect(),
        why_not: refused.filter(|_| waits).unwrap_or_default(),
        form,
        takes_keys,
    }
}

fn told_state(approval: &Approval, state: ApprovalState, in_vain: bool) -> String {
    match state {
        ApprovalState::Pending => {
            let (has, quorum) = (decide::approvals(approval), decide::quorum(&approval.asked));
            format!("waits until {}: {has} of {quorum} approve", time(approval.expires_ms))
        }
        ApprovalState::Approved if in_vain => format!("approved, until {}", time(approval.expires_ms)),
        ApprovalState::Approved => format!("approved; it may be made once, until {}", time(approval.expires_ms)),
        ApprovalState::Denied => "denied".to_owned(),
        ApprovalState::Expired => "expired".to_owned(),
        ApprovalState::Used => {
            format!("approved; the call was made at {}", approval.used_ms.map(time).unwrap_or_default())
        }
    }
}

fn told_vote(vote: &store::Vote) -> String {
    let word = if vote.approve { "approves" } else { "denies" };
    let lines = |reason: &str| reason.lines().map(visible).collect::<Vec<_>>().join("\n");
    let why = vote.reason.as_deref().map(|reason| format!(": {}", lines(reason))).unwrap_or_default();
    format!("{} {word} at {}{why}", visible(&vote.by), time(vote.at_ms))
}

fn facts(approval: &Approval) -> Vec<(&'static str, String)> {
    let asked = &approval.asked;
    let mut facts = vec![("Agent", visible(&asked.agent))];
    facts.extend(asked.owner.as_ref().map(|owner| ("Its owner", visible(owner))));
    facts.push(("Server", visible(&asked.server)));
    facts.push(("Call", format!("{} {}", visible(&asked.method), visible(&asked.subject))));
    facts.extend(asked.reason.as_ref().map(|reason| ("Why it is asked", visible(reason))));
    facts.push(("Rule", visible(&asked.rule)));
    let named = asked.approvers.iter().map(|name| visible(name)).collect::<Vec<_>>().join(", ");
    facts.push(("Who may approve", if named.is_empty() { "any approver".to_owned() } else { named }));
    facts.push(("Asked", format!("{}, {} times", time(approval.created_ms), approval.asks)));
    facts.push(("SHA-256 of the arguments", visible(&asked.digest)));
    facts.push(("Policy", visible(&asked.policy)));
    facts.extend(asked.definition.as_ref().map(|definition| ("Definition of the tool", visible(definition))));
    facts
}

fn page_of(template: &impl Template, status: StatusCode, policy: &'static str) -> Result<Response, Problem> {
    let page = template.render().map_err(|error| Problem::internal(&error))?;
    Ok((status, headers(policy), Html(page)).into_response())
}

/// A page, also of what went wrong.
fn told(page: Result<Response, Problem>, base: &str) -> Response {
    let problem = match page {
        Ok(page) => return page,
        Err(problem) => problem,
    };
    let (title, detail) = problem.told();
    match page_of(&Said { base, title, detail: &visible(detail), id: "" }, problem.code.status(), POLICY) {
        Ok(mut page) => {
            problem.put_headers(page.headers_mut());
            page
        }
        Err(problem) => problem.into_response(),
    }
}

//! Calls that wait for somebody's word, and those that have had it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{Approval, ApprovalFilter, ApprovalState, Vote};
use utoipa::{IntoParams, ToSchema};

use super::grants::{self, GrantView, NewGrant};
use crate::decide::{self, Verdict, Word};
use crate::extract::{Json, Path, Query};
use crate::guard::Caller;
use crate::here::{Here, State};
use crate::legible;
use crate::page::{Page, Paging, seal};
use crate::problem::Problem;
use crate::reply::{Body, time};

/// Rows that are read at a time: each can have arguments of hundreds of kilobytes.
const STEP: usize = 16;

/// What has become of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StateName {
    /// It waits for somebody's word
    Pending,
    /// It may be made, once
    Approved,
    Denied,
    /// Nobody decided in time, or it was not made in time
    Expired,
    /// It was made
    Used,
}

/// What may be asked for.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WantedState {
    All,
    Pending,
    Approved,
    Denied,
    Expired,
    Used,
}

impl WantedState {
    fn name(self) -> Option<StateName> {
        match self {
            Self::All => None,
            Self::Pending => Some(StateName::Pending),
            Self::Approved => Some(StateName::Approved),
            Self::Denied => Some(StateName::Denied),
            Self::Expired => Some(StateName::Expired),
            Self::Used => Some(StateName::Used),
        }
    }
}

/// Which are wanted: all that is given must be so.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// What has become of them. `all`, or nothing said: whatever it is
    #[param(inline)]
    state: Option<WantedState>,
    /// Who asks
    agent: Option<String>,
    server: Option<String>,
    /// How many at most
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before
    cursor: Option<String>,
}

/// A call that needs somebody's word.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalView {
    id: String,
    state: StateName,
    /// Who asks
    agent: String,
    /// The label `owner` of that agent
    owner: Option<String>,
    server: String,
    /// Such as `tools/call`
    method: String,
    /// The tool, prompt or resource
    subject: String,
    /// Why it is asked, in the operator's words
    reason: Option<String>,
    /// SHA-256 of the arguments, in their canonical form
    digest: String,
    /// Bytes of the arguments
    bytes: usize,
    /// The beginning of the arguments, for people: what is not seen is written out
    preview: String,
    /// So many have to approve
    quorum: u32,
    /// So many do
    approvals: usize,
    /// How often it was asked for
    asks: i64,
    created: String,
    /// Then it can neither be decided nor made any more
    expires: String,
    decided: Option<String>,
    used: Option<String>,
}

/// All that there is to know of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalDetail {
    #[serde(flatten)]
    view: ApprovalView,
    /// JSON, as the agent sent it; empty, where there is none
    arguments: String,
    /// The same for people, a member a line: control characters, and what is invisible or turns the direction of writing, written out
    arguments_shown: String,
    /// What to look out for
    warnings: Vec<&'static str>,
    /// The rule that wants this
    rule: String,
    /// The hash of the policy that judged
    policy: String,
    /// The hash of the tool's definition, where it is known
    definition: Option<String>,
    /// Whom the rule names, people and groups; empty: anybody who may approve at all
    approvers: Vec<String>,
    /// May who asks be among them?
    self_approval: bool,
    votes: Vec<VoteView>,
    /// Would a yes still let the call pass? It is open; server, agent, policy and definition are what they were
    redeemable: bool,
    /// Why not
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not_redeemable: Option<&'static str>,
    /// May who reads this decide it?
    may_decide: bool,
    /// Why not
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
}

/// What somebody said.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VoteView {
    by: String,
    approve: bool,
    reason: Option<String>,
    at: String,
}

/// What there is to say to a call.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    /// Why. Of a denial, the agent is told
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

/// What to allow beyond this one call.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantPost {
    /// What holds of the arguments of the calls that are meant, as a policy's `require` says it. `[]` is any arguments at all, and
    /// must be said
    #[schema(value_type = Vec<Object>, max_items = 64)]
    require: Vec<Box<RawValue>>,
    /// How many calls, beside the one that waits
    #[schema(minimum = 1, maximum = 10000)]
    uses: i64,
    /// How long, such as `1h`; at most 30 days
    #[serde(rename = "for")]
    #[schema(example = "1h")]
    lasting: String,
    /// Why
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

impl From<ApprovalState> for StateName {
    fn from(state: ApprovalState) -> Self {
        match state {
            ApprovalState::Pending => Self::Pending,
            ApprovalState::Approved => Self::Approved,
            ApprovalState::Denied => Self::Denied,
            ApprovalState::Expired => Self::Expired,
            ApprovalState::Used => Self::Used,
        }
    }
}

impl From<StateName> for ApprovalState {
    fn from(state: StateName) -> Self {
        match state {
            StateName::Pending => Self::Pending,
            StateName::Approved => Self::Approved,
            StateName::Denied => Self::Denied,
            StateName::Expired => Self::Expired,
            StateName::Used => Self::Used,
        }
    }
}

impl From<Vote> for VoteView {
    fn from(Vote { by, approve, reason, at_ms }: Vote) -> Self {
        Self { by, approve, reason, at: time(at_ms) }
    }
}

impl ApprovalView {
    fn new(approval: &Approval, now_ms: i64) -> Self {
        let asked = &approval.asked;
        Self {
            id: approval.id.clone(),
            state: approval.state_at(now_ms).into(),
            agent: asked.agent.clone(),
            owner: asked.owner.clone(),
            server: asked.server.clone(),
            method: asked.method.clone(),
            subject: asked.subject.clone(),
            reason: asked.reason.clone(),
            digest: asked.digest.clone(),
            bytes: asked.arguments.len(),
            preview: legible::preview(&asked.arguments),
            quorum: decide::quorum(asked),
            approvals: decide::approvals(approval),
            asks: approval.asks,
            created: time(approval.created_ms),
            expires: time(approval.expires_ms),
            decided: approval.decided_ms.map(time),
            used: approval.used_ms.map(time),
        }
    }
}

fn detail(here: &Here, caller: &Caller, approval: Approval) -> ApprovalDetail {
    let view = ApprovalView::new(&approval, here.approvals_now());
    let in_vain = decide::in_vain(here, &approval);
    let refused = decide::may(caller, &approval.asked).err();
    let asked = approval.asked;
    ApprovalDetail {
        arguments_shown: legible::laid_out(&asked.arguments),
        warnings: legible::warnings(&asked.arguments),
        arguments: asked.arguments,
        rule: asked.rule,
        policy: asked.policy,
        definition: asked.definition,
        approvers: asked.approvers,
        self_approval: asked.self_approval,
        votes: approval.votes.into_iter().map(VoteView::from).collect(),
        redeemable: in_vain.is_none(),
        why_not_redeemable: in_vain,
        may_decide: refused.is_none() && view.state == StateName::Pending,
        why_not: refused.map(|refused| refused.told().1.to_owned()),
        view,
    }
}

/// A filter's text is a name, and no name has these.
pub(super) fn plain(name: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match text.as_ref().is_some_and(|text| text.contains(char::is_control)) {
        true => Err(Problem::invalid(name, "has a control character")),
        false => Ok(text),
    }
}

/// Calls that wait for somebody's word, and those that have had it, the newest first
#[utoipa::path(get, path = "/api/v1/approvals", tag = "approvals", operation_id = "list_approvals", params(Wanted),
    responses((status = 200, body = Page<ApprovalView>)))]
pub(super) async fn list(here: State, Query(wanted): Query<Wanted>) -> Result<Body<Page<ApprovalView>>, Problem> {
    let paging = Paging::new(wanted.limit, wanted.cursor);
    let (limit, mut after) = (paging.limit()?, paging.after()?);
    let (agent, server) = (plain("agent", wanted.agent)?, plain("server", wanted.server)?);
    let state = wanted.state.and_then(WantedState::name);
    let filter = ApprovalFilter { state: state.map(ApprovalState::from), agent, server };
    let mut items = Vec::new();
    loop {
        let step = u32::try_from(STEP.min(limit - items.len())).unwrap_or(u32::MAX);
        let page = here.store.approvals(&filter, after.as_deref(), step).await?;
        let views = page.items.iter().map(|approval| ApprovalView::new(approval, here.approvals_now()));
        // What is over and not marked so yet is not what it was.
        items.extend(views.filter(|view| state.is_none_or(|state| state == view.state)));
        after = page.next;
        if after.is_none() || items.len() >= limit {
            return Ok(Body(Page { items, next: after.as_deref().map(seal) }));
        }
    }
}

/// One call, with its arguments, who has said what, and whether you may decide
#[utoipa::path(get, path = "/api/v1/approvals/{id}", tag = "approvals", operation_id = "get_approval", params(("id" = String, Path)),
    responses((status = 200, body = ApprovalDetail)))]
pub(super) async fn get(here: State, caller: Caller, Path(id): Path<String>) -> Result<Body<ApprovalDetail>, Problem> {
    let approval = decide::approval(&here, &id).await?;
    Ok(Body(detail(&here, &caller, approval)))
}

/// Approve a call: with the last yes that it needs, it is made at once if the agent waits, and else when it is asked for again
#[utoipa::path(post, path = "/api/v1/approvals/{id}/approve", tag = "approvals", operation_id = "approve", params(("id" = String, Path)),
    request_body = Decision, responses((status = 200, body = ApprovalView)))]
pub(super) async fn approve(
    here: State,
    caller: Caller,
    Path(id): Path<String>,
    Json(decision): Json<Decision>,
) -> Result<Body<ApprovalView>, Problem> {
    say(&here, &caller, &id, Verdict::Approve, decision).await
}

/// Deny a call: one no is enough. The agent is told the reason
#[utoipa::path(post, path = "/api/v1/approvals/{id}/deny", tag = "approvals", operation_id = "deny", params(("id" = String, Path)),
    request_body = Decision, responses((status = 200, body = ApprovalView)))]
pub(super) async fn deny(
    here: State,
    caller: Caller,
    Path(id): Path<String>,
    Json(decision): Json<Decision>,
) -> Result<Body<ApprovalView>, Problem> {
    say(&here, &caller, &id, Verdict::Deny, decision).await
}

async fn say(
    here: &Here,
    caller: &Caller,
    id: &str,
    verdict: Verdict,
    decision: Decision,
) -> Result<Body<ApprovalView>, Problem> {
    let word = Word { verdict, reason: decide::reason(decision.reason)?, key: None };
    let approval = decide::decide(here, caller, id, word).await?;
    // Without its arguments: the answer is kept under an idempotency key, and those may be large.
    Ok(Body(ApprovalView::new(&approval, here.approvals_now())))
}

/// Approve a call, and allow more like it: for a time, so many, where the arguments are as you say
#[utoipa::path(post, path = "/api/v1/approvals/{id}/grant", tag = "approvals", operation_id = "create_grant", params(("id" = String, Path)),
    request_body = GrantPost, responses((status = 201, body = GrantView)))]
pub(super) async fn grant(
    here: State,
    caller: Caller,
    Path(id): Path<String>,
    Json(post): Json<GrantPost>,
) -> Result<grants::Made, Problem> {
    let GrantPost { require, uses, lasting, reason } = post;
    let new = NewGrant { require, uses, lasting, reason: decide::reason(reason)? };
    grants::create(&here, &caller, &id, new).await
}

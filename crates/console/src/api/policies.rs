//! Policies: a name, and which of its versions is in force. Those that are files are shown, and changed where they are.

use policy::{Catalogue, Policy, PolicyErrors};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Draft, Kept, PolicyVersion};
use utoipa::{IntoParams, ToSchema};

use crate::etag::{Change, Seen};
use crate::extract::{Json, Path, Query};
use crate::guard::Caller;
use crate::here::{Deed, Here, State};
use crate::listed;
use crate::page::{Page, Paging};
use crate::problem::{Code, Problem};
use crate::reply::{Body, Managed, Tagged, found, part, time};

pub(super) const WHAT: &str = "policy";

/// Bytes of a name.
const MAX_NAME: usize = 128;

/// A policy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyView {
    name: String,
    managed: Managed,
    /// The number of the version that judges calls
    active: Option<i64>,
    /// The number of the last version
    latest: Option<i64>,
    /// Of what judges calls at this gateway
    hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated: Option<String>,
}

/// A version to be, which is active at once.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyPut {
    /// The policy document
    text: String,
    /// The catalogue that it is read with
    catalogue: Option<String>,
    /// Why
    #[serde(default)]
    note: String,
}

/// What to look at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Check {
    /// The policy document
    text: String,
    /// The catalogue that it is read with
    catalogue: Option<String>,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Checked {
    hash: String,
    /// What is odd, but no error
    warnings: Vec<Diagnostic>,
}

/// Something in a document, with its place.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Diagnostic {
    code: String,
    message: String,
    help: Option<String>,
    /// In bytes of the text
    offset: usize,
    length: usize,
    /// From 1
    line: usize,
    /// From 1, in characters
    column: usize,
    end_line: usize,
    end_column: usize,
}

/// Two versions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Between {
    #[param(minimum = 1)]
    from: i64,
    #[param(minimum = 1)]
    to: i64,
}

/// What changes from one version to another, by what they mean.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DiffView {
    from: i64,
    to: i64,
    /// Is any call permitted that was not before?
    widens: bool,
    /// As `toolgate diff --format json` says it
    #[schema(value_type = Object)]
    diff: Value,
    /// For people
    text: String,
}

impl From<&policy::Finding> for Diagnostic {
    fn from(finding: &policy::Finding) -> Self {
        let (span, (line, column), (end_line, end_column)) = (finding.span(), finding.position(), finding.end());
        Self {
            code: finding.code().as_str().to_owned(),
            message: finding.message().to_owned(),
            help: finding.help().map(str::to_owned),
            offset: span.start,
            length: span.len(),
            line,
            column,
            end_line,
            end_column,
        }
    }
}

/// The errors of a document that is `member` of the body.
fn invalid(member: &str, errors: &PolicyErrors) -> Problem {
    let mut all: Vec<Value> = Vec::new();
    for finding in errors.iter() {
        let mut error = json!(Diagnostic::from(finding));
        if let Some(error) = error.as_object_mut() {
            error.insert("path".to_owned(), member.into());
        }
        all.push(error);
    }
    Problem::new(Code::InvalidPolicy, errors.to_string()).with("errors", all)
}

/// A policy that is valid by itself.
pub(super) fn compiled(name: &str, text: &str, catalogue: Option<&str>) -> Result<Policy, Problem> {
    let catalogue = catalogue.map(|text| Catalogue::parse("catalogue", text)).transpose();
    let policy = match catalogue.map_err(|errors| invalid("/catalogue", &errors))? {
        Some(catalogue) => Policy::parse_with(name, text, &catalogue),
        None => Policy::parse(name, text),
    };
    policy.map_err(|errors| invalid("/text", &errors))
}

/// A policy that the gateway would judge by: the same code that builds what is in force has looked at it.
pub(super) fn usable(here: &Here, name: &str, text: &str, catalogue: Option<&str>) -> Result<Policy, Problem> {
    let policy = compiled(name, text, catalogue)?;
    here.control.check_policy(name, text, catalogue)?;
    Ok(policy)
}

/// Names are parts of paths and of log lines.
pub(super) fn named(name: &str) -> Result<(), Problem> {
    let lawful = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    match first && name.len() <= MAX_NAME && name.bytes().all(lawful) {
        true => Ok(()),
        false => Err(Problem::invalid(
            "name",
            format!("must be 1 to {MAX_NAME} of letters, digits, `.`, `_` and `-`, and begin with a letter or digit"),
        )),
    }
}

pub(super) fn view(here: &Here, kept: Kept<store::Policy>) -> PolicyView {
    let in_force = here.control.policies().into_iter().find(|view| view.name == kept.id);
    PolicyView {
        name: kept.id,
        managed: Managed::Api,
        active: kept.value.active,
        latest: Some(kept.value.latest),
        hash: in_force.map(|view| view.hash),
        created: Some(time(kept.created_ms)),
        updated: Some(time(kept.updated_ms)),
    }
}

fn of_files(here: &Here) -> Vec<PolicyView> {
    let views = here.control.policies().into_iter().filter_map(|view| {
        let managed = Managed::by_file(view.managed.path()?);
        let (name, hash) = (view.name, Some(view.hash));
        Some(PolicyView { name, managed, active: None, latest: None, hash, created: None, updated: None })
    });
    listed::sorted(views, |view: &PolicyView| view.name.clone())
}

fn of_file(here: &Here, name: &str) -> Option<PolicyView> {
    of_files(here).into_iter().find(|view| view.name == name)
}

pub(super) fn not_of_file(here: &Here, name: &str) -> Result<(), Problem> {
    match of_file(here, name).map(|view| view.managed) {
        Some(Managed::File { path }) => Err(Problem::managed_by_file(WHAT, name, &path)),
        Some(Managed::Api) | None => Ok(()),
    }
}

/// Who is judged by it.
async fn used_by(here: &Here, name: &str) -> Result<Vec<String>, Problem> {
    let snapshot = here.store.snapshot().await?;
    let servers = snapshot.servers.iter().filter(|server| server.value.policy.as_deref() == Some(name));
    let servers = servers.map(|server| format!("servers/{}", server.id));
    let agents = snapshot.agents.iter().filter(|agent| agent.value.policies.values().any(|policy| policy == name));
    Ok(servers.chain(agents.map(|agent| format!("agents/{}", agent.id))).collect())
}

/// All policies
#[utoipa::path(get, path = "/api/v1/policies", tag = "policies", operation_id = "list_policies", params(Paging),
    responses((status = 200, body = Page<PolicyView>)))]
pub(super) async fn list(here: State, Query(paging): Query<Paging>) -> Result<Body<Page<PolicyView>>, Problem> {
    let limit = paging.limit()?;
    let kept = here.store.policies(paging.after()?.as_deref(), listed::one_more(limit)).await?;
    let kept = kept.items.into_iter().map(|kept| view(&here, kept));
    listed::merge(&paging, of_files(&here), kept, |view| view.name.clone()).map(Body)
}

/// One policy
#[utoipa::path(get, path = "/api/v1/policies/{name}", tag = "policies", operation_id = "get_policy", params(("name" = String, Path)),
    responses((status = 200, body = PolicyView)))]
pub(super) async fn get(here: State, Path(name): Path<String>) -> Result<Tagged<PolicyView>, Problem> {
    if let Some(view) = of_file(&here, &name) {
        return Ok(Tagged::of_file(view));
    }
    let kept = found(here.store.policy(&name).await)?.ok_or_else(|| Problem::not_found(WHAT, &name))?;
    Ok(Tagged::ok(kept.version, view(&here, kept)))
}

/// Make a policy, or give it a new version; it judges calls at once
#[utoipa::path(put, path = "/api/v1/policies/{name}", tag = "policies", operation_id = "put_policy", params(("name" = String, Path)),
    request_body = PolicyPut, responses((status = 200, body = PolicyView), (status = 201, body = PolicyView)))]
pub(super) async fn put(
    here: State,
    caller: Caller,
    Path(name): Path<String>,
    seen: Result<Seen, Problem>,
    Json(put): Json<PolicyPut>,
) -> Result<Tagged<PolicyView>, Problem> {
    named(&name)?;
    not_of_file(&here, &name)?;
    let changing = here.changing().await;
    let there = found(here.store.policy(&name).await)?;
    let change = seen?.against(WHAT, &name, there.map(|kept| kept.version))?;
    let policy = usable(&here, &name, &put.text, put.catalogue.as_deref())?;
    let draft = draft(&caller, &policy, put.text, put.catalogue, put.note);
    let (action, from) = match change {
        Change::Create => ("policy.create", None),
        Change::Update(version) => ("policy.put", Some(version)),
    };
    let work = here.store.add_policy_version(&name, &draft, true, Some(from.unwrap_or(0)));
    let kept = changing.carry_out(&caller, Deed { action, id: &name, from }, work, |kept| Some(kept.version)).await?;
    Ok(Tagged::put(change, kept.version, format!("/api/v1/policies/{}", part(&name)), view(&here, kept)))
}

pub(super) fn draft(caller: &Caller, policy: &Policy, text: String, catalogue: Option<String>, note: String) -> Draft {
    Draft { hash: policy.hash().to_string(), text, catalogue, note, author: caller.name.to_string() }
}

/// Remove a policy with all its versions; not while anything is judged by it
#[utoipa::path(delete, path = "/api/v1/policies/{name}", tag = "policies", operation_id = "delete_policy", params(("name" = String, Path)),
    responses((status = 204)))]
pub(super) async fn delete(
    here: State,
    caller: Caller,
    Path(name): Path<String>,
    seen: Result<Seen, Problem>,
) -> Result<http::StatusCode, Problem> {
    not_of_file(&here, &name)?;
    let changing = here.changing().await;
    let there = found(here.store.policy(&name).await)?;
    let Change::Update(version) = seen?.against(WHAT, &name, there.map(|kept| kept.version))? else {
        return Err(Problem::invalid("If-None-Match", "what is removed must be there"));
    };
    let users = used_by(&here, &name).await?;
    if !users.is_empty() {
        return Err(Problem::new(Code::InUse, format!("`{name}` judges {}", users.join(", "))).with("used_by", users));
    }
    let deed = Deed { action: "policy.delete", id: &name, from: Some(version) };
    changing.carry_out(&caller, deed, here.store.delete_policy(&name, Some(version)), |_| None).await?;
    Ok(http::StatusCode::NO_CONTENT)
}

/// Look at a document without keeping it
#[utoipa::path(post, path = "/api/v1/check", tag = "policies", operation_id = "check_policy", request_body = Check,
    responses((status = 200, body = Checked)))]
pub(super) async fn check(here: State, Json(check): Json<Check>) -> Result<Body<Checked>, Problem> {
    let policy = usable(&here, "policy.json", &check.text, check.catalogue.as_deref())?;
    let warnings = policy.warnings().iter().map(Diagnostic::from).collect();
    Ok(Body(Checked { hash: policy.hash().to_string(), warnings }))
}

/// What changes from one version to another, by what they mean
#[utoipa::path(get, path = "/api/v1/policies/{name}/diff", tag = "policies", operation_id = "diff_policy",
    params(("name" = String, Path), Between), responses((status = 200, body = DiffView)))]
pub(super) async fn diff(
    here: State,
    Path(name): Path<String>,
    Query(between): Query<Between>,
) -> Result<Body<DiffView>, Problem> {
    let Between { from, to } = between;
    let read = async |number| {
        let PolicyVersion { text, catalogue, .. } = here.store.policy_version(&name, number).await?;
        // It was valid when it was written; a newer gateway may have learnt to refuse it.
        compiled(&name, &text, catalogue.as_deref())
    };
    let diff = policy::diff(&read(from).await?, &read(to).await?);
    Ok(Body(DiffView { from, to, widens: diff.may_widen(), text: diff.to_string(), diff: diff.to_json() }))
}

//! The routes of jobs, their events and checkpoints.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::timeline::Status;
use super::view::{self, View};
use super::{Command, Copy, create};
use crate::clock::Millis;
use crate::problem::Problem;
use crate::surface::Surface;
use crate::world::{Shared, World};

pub(crate) type Found = Result<Json<Value>, Problem>;
type Query_ = Query<HashMap<String, String>>;

const COPYING: Millis = 20_000;
const MOST_COPIES: usize = 100;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/fine_tuning/jobs", get(list).post(create::create))
        .route("/fine_tuning/jobs/{job}", get(one).delete(delete))
        .route("/fine_tuning/jobs/{job}/cancel", post(cancel))
        .route("/fine_tuning/jobs/{job}/pause", post(pause))
        .route("/fine_tuning/jobs/{job}/resume", post(resume))
        .route("/fine_tuning/jobs/{job}/events", get(events))
        .route("/fine_tuning/jobs/{job}/checkpoints", get(checkpoints))
        .route("/fine_tuning/jobs/{job}/checkpoints/{checkpoint}/copy", get(copies).post(copy))
}

/// A page of a list: `after` and `limit` as the service takes them.
pub(crate) fn page(items: Vec<Value>, query: &HashMap<String, String>, limit: usize, most: usize) -> Found {
    let limit = match query.get("limit") {
        Some(text) => text.parse().ok().filter(|limit| (1..=most).contains(limit)),
        None => Some(limit),
    };
    let limit = limit.ok_or_else(|| Problem::invalid(format!("limit must be 1 to {most}.")))?;
    let id = |item: &Value| item.get("id").and_then(Value::as_str).map(str::to_owned);
    let skipped = match query.get("after") {
        Some(after) => items.iter().position(|item| id(item).as_ref() == Some(after)).map(|at| at + 1),
        None => Some(0),
    };
    let skipped = skipped.ok_or_else(|| Problem::invalid("after names no item of this list."))?;
    let has_more = items.len() > skipped.saturating_add(limit);
    let data: Vec<Value> = items.into_iter().skip(skipped).take(limit).collect();
    let (first, last) = (data.first().and_then(id), data.last().and_then(id));
    Ok(Json(json!({ "object": "list", "data": data, "first_id": first, "last_id": last, "has_more": has_more })))
}

async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(surface): Extension<Surface>,
    Query(query): Query_,
) -> Found {
    let world = shared.world();
    let jobs = view::all(&world, shared.clock.now());
    page(jobs.iter().rev().map(|job| job.json(&surface)).collect(), &query, 20, 100)
}

/// Does something with one job as it is now.
fn with<T>(shared: &Shared, id: &str, then: impl FnOnce(&View<'_>) -> T) -> Result<T, Problem> {
    let world = shared.world();
    let views = view::all(&world, shared.clock.now());
    views.iter().find(|view| view.job.id == id).map(then).ok_or_else(Problem::not_found)
}

async fn one(
    State(shared): State<Arc<Shared>>,
    Extension(surface): Extension<Surface>,
    Path(id): Path<String>,
) -> Found {
    with(&shared, &id, |job| job.json(&surface)).map(Json)
}

async fn events(State(shared): State<Arc<Shared>>, Path(id): Path<String>, Query(query): Query_) -> Found {
    page(with(&shared, &id, |job| job.events())?, &query, 20, 1_000)
}

async fn checkpoints(State(shared): State<Arc<Shared>>, Path(id): Path<String>, Query(query): Query_) -> Found {
    page(with(&shared, &id, |job| job.checkpoints())?, &query, 10, 1_000)
}

async fn cancel(
    State(shared): State<Arc<Shared>>,
    Extension(surface): Extension<Surface>,
    Path(id): Path<String>,
) -> Found {
    command(&shared, &surface, &id, Command::Cancel)
}

async fn pause(
    State(shared): State<Arc<Shared>>,
    Extension(surface): Extension<Surface>,
    Path(id): Path<String>,
) -> Found {
    if surface.can_pause() { command(&shared, &surface, &id, Command::Pause) } else { Err(Problem::no_operation()) }
}

async fn resume(
    State(shared): State<Arc<Shared>>,
    Extension(surface): Extension<Surface>,
    Path(id): Path<String>,
) -> Found {
    if surface.can_pause() { command(&shared, &surface, &id, Command::Resume) } else { Err(Problem::no_operation()) }
}

/// Takes a command that is lawful in the job's state, and answers the job as it is then.
fn command(shared: &Shared, surface: &Surface, id: &str, command: Command) -> Found {
    let now = shared.clock.now();
    let mut world = shared.world();
    let found = |world: &World| {
        let views = view::all(world, now);
        let found = views.iter().enumerate().find(|(_, view)| view.job.id == id);
        found.map(|(at, view)| (at, view.timeline.status(), view.timeline.steps(), view.json(surface)))
    };
    let (at, status, steps, _) = found(&world).ok_or_else(Problem::not_found)?;
    let lawful = match command {
        Command::Pause => status == Status::Running && steps > 0,
        Command::Resume => status == Status::Paused,
        Command::Cancel => matches!(status, Status::Pending | Status::Running | Status::Paused),
    };
    if !lawful {
        let ended = matches!(status, Status::Succeeded | Status::Failed | Status::Cancelled);
        return Err(Problem::state(match command {
            _ if ended => "The job is already in a terminal state.".to_owned(),
            Command::Pause => format!("A job that is {} cannot be paused, nor one without a step.", status.as_str()),
            Command::Resume => format!("A job that is {} cannot be resumed.", status.as_str()),
            Command::Cancel => format!("A job that is {} cannot be cancelled yet.", status.as_str()),
        }));
    }
    if let Some(job) = world.jobs.get_mut(at) {
        job.commands.push((now, command));
    }
    found(&world).map(|(.., job)| Json(job)).ok_or_else(Problem::not_found)
}

async fn delete(
    State(shared): State<Arc<Shared>>,
    Extension(surface): Extension<Surface>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    if surface.is_v1() {
        return Err(Problem::no_operation());
    }
    let mut world = shared.world();
    let views = view::all(&world, shared.clock.now());
    let (at, view) = views.iter().enumerate().find(|(_, view)| view.job.id == id).ok_or_else(Problem::not_found)?;
    if view.timeline.ended().is_none() {
        return Err(Problem::state("The job has not ended: cancel it first."));
    }
    let released = view.timeline.released().unwrap_or(Millis::MIN);
    world.jobs.remove(at);
    // The past stays as it was: those that waited for it have not begun any sooner.
    for job in world.jobs.iter_mut().skip(at) {
        job.not_before = job.not_before.max(released);
    }
    Ok(StatusCode::NO_CONTENT)
}

fn wants_preview(surface: &Surface, headers: &HeaderMap) -> Result<(), Problem> {
    if !surface.is_v1() {
        return Err(Problem::no_operation());
    }
    match headers.get("aoai-copy-ft-checkpoints") {
        Some(value) if value == "preview" => Ok(()),
        _ => Err(Problem::invalid("The header aoai-copy-ft-checkpoints: preview is needed.")),
    }
}

async fn copy(
    State(shared): State<Arc<Shared>>,
    Extension(surface): Extension<Surface>,
    Path((job, checkpoint)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Found {
    wants_preview(&surface, &headers)?;
    let body: Value = serde_json::from_slice(&body).map_err(|error| Problem::invalid(error.to_string()))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let (Some(destination), Some(region)) = (text("destinationResourceId"), text("region")) else {
        return Err(Problem::invalid("destinationResourceId and region are needed."));
    };
    with(&shared, &job, |view| has(view, &checkpoint))?.then_some(()).ok_or_else(Problem::not_found)?;
    let mut world = shared.world();
    if world.copies.len() >= MOST_COPIES {
        return Err(Problem::quota("There are too many copies."));
    }
    let began = shared.clock.now();
    world.copies.push(Copy { job: job.clone(), checkpoint: checkpoint.clone(), destination, region, began });
    drop(world);
    status(&shared, &job, &checkpoint)
}

async fn copies(
    State(shared): State<Arc<Shared>>,
    Extension(surface): Extension<Surface>,
    Path((job, checkpoint)): Path<(String, String)>,
    headers: HeaderMap,
) -> Found {
    wants_preview(&surface, &headers)?;
    status(&shared, &job, &checkpoint)
}

fn has(view: &View<'_>, checkpoint: &str) -> bool {
    view.checkpoints().iter().any(|found| found.get("id").and_then(Value::as_str) == Some(checkpoint))
}

fn status(shared: &Shared, job: &str, checkpoint: &str) -> Found {
    let name = with(shared, job, |view| {
        let found =
            view.checkpoints().into_iter().find(|found| found.get("id").and_then(Value::as_str) == Some(checkpoint));
        found.and_then(|found| found.get("fine_tuned_model_checkpoint").cloned())
    })?;
    let name = name.ok_or_else(Problem::not_found)?;
    let now = shared.clock.now();
    let world = shared.world();
    let of_this = world.copies.iter().filter(|copy| copy.job == job && copy.checkpoint == checkpoint);
    let details: Vec<Value> = of_this
        .map(|copy| {
            let status = if now - copy.began >= COPYING { "Completed" } else { "InProgress" };
            json!({ "destinationResourceId": copy.destination, "region": copy.region, "status": status })
        })
        .collect();
    Ok(Json(json!({ "checkpointedModelName": name, "fineTuningJobId": job, "copiedAccountDetails": details })))
}

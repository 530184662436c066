//! A new job: what is asked for is checked now, the training data when the job starts.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use http::{HeaderValue, header};
use serde_json::{Map, Value};

use super::timeline::Status;
use super::{Job, Method, view};
use crate::clock::Millis;
use crate::files::BASE_MODELS;
use crate::id;
use crate::problem::Problem;
use crate::surface::Surface;
use crate::training::Checked;
use crate::world::{MOST_JOBS, Shared, World};

const MOST_QUEUED: usize = 20;

pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(surface): Extension<Surface>,
    body: Bytes,
) -> Result<Response, Problem> {
    let request: Map<String, Value> =
        serde_json::from_slice(&body).map_err(|error| Problem::invalid(format!("The body is not valid: {error}")))?;
    let now = shared.clock.now();
    let mut world = shared.world();
    let views = view::all(&world, now);
    let waiting = views.iter().filter(|view| view.timeline.status() == Status::Pending).count();
    if waiting >= MOST_QUEUED {
        return Err(Problem::quota(format!("There are {waiting} jobs waiting; {MOST_QUEUED} may.")));
    }
    if world.jobs.len() >= MOST_JOBS {
        return Err(Problem::quota(format!("There are {MOST_JOBS} jobs: delete some.")));
    }
    let tuned: Vec<String> = views.iter().filter_map(view::View::tuned_model).collect();
    let mut job = read(request, &world, &tuned, now)?;
    job.id = world.id("ftjob");
    let id = job.id.clone();
    world.jobs.push(job);
    let shown = view::all(&world, now).pop().map(|view| view.json(&surface)).unwrap_or_default();
    drop(world);
    let mut response = (surface.created(), Json(shown)).into_response();
    if !surface.is_v1()
        && let Ok(location) = HeaderValue::from_str(&format!("{}/openai/fine_tuning/jobs/{id}", shared.url))
    {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

fn read(mut request: Map<String, Value>, world: &World, tuned: &[String], now: i64) -> Result<Job, Problem> {
    let text = |request: &Map<String, Value>, name: &str| request.get(name).and_then(Value::as_str).map(str::to_owned);
    let needed = |name: &str| text(&request, name).ok_or_else(|| Problem::invalid(format!("{name} is needed.")));
    let (model, training) = (needed("model")?, needed("training_file")?);
    if !BASE_MODELS.contains(&model.as_str()) && !tuned.contains(&model) {
        return Err(Problem::invalid("The specified base model does not support fine-tuning."));
    }
    let checked = data(world, &training, "training_file")?;
    let validation = text(&request, "validation_file");
    let validated = validation.as_deref().map(|file| data(world, file, "validation_file")).transpose()?;
    let suffix = text(&request, "suffix");
    let lawful = |suffix: &String| {
        suffix.len() <= 40 && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    if suffix.as_ref().is_some_and(|suffix| !lawful(suffix)) {
        return Err(Problem::invalid("suffix must be at most 40 letters, digits, _ and -."));
    }
    let method = match request.get("method").and_then(|method| method.get("type")).and_then(Value::as_str) {
        None | Some("supervised") => Method::Supervised,
        Some("dpo") => Method::Dpo,
        Some("reinforcement") => Method::Reinforcement,
        Some(other) => return Err(Problem::invalid(format!("The method {other} is not known."))),
    };
    let of_method = |pointer: &str| {
        let name = request.get("method")?.get("type")?.as_str()?;
        request.get("method")?.get(name)?.pointer(pointer).cloned()
    };
    if method == Method::Reinforcement && (validation.is_none() || of_method("/grader").is_none()) {
        return Err(Problem::invalid("Reinforcement needs a validation_file and a grader."));
    }
    let old_form = |name: &str| request.get("hyperparameters")?.get(name).cloned();
    let number = |name: &str| of_method(&format!("/hyperparameters/{name}")).or_else(|| old_form(name))?.as_u64();
    let (epochs, batch) = (number("n_epochs").unwrap_or(3), number("batch_size"));
    if !(1..=50).contains(&epochs) || batch == Some(0) {
        return Err(Problem::invalid("n_epochs must be 1 to 50, batch_size at least 1."));
    }
    let of = |checked: &Checked| match method {
        Method::Supervised => checked.supervised.clone(),
        Method::Dpo => checked.dpo.clone(),
        Method::Reinforcement => checked.reinforcement.clone(),
    };
    let wrong = of(&checked).map(|why| (why, "training_file"));
    // Ten examples are only asked of training data.
    let wrong = wrong.or_else(|| Some((of(&validated?).filter(|why| why.starts_with("Line"))?, "validation_file")));
    let seed = request.get("seed").and_then(Value::as_u64);
    for own in ["model", "suffix", "seed", "hyperparameters"] {
        request.remove(own);
    }
    Ok(Job {
        id: String::new(),
        seed: seed.unwrap_or_else(|| id::hash(&training, 7) % 2_147_483_647),
        request,
        model,
        suffix,
        method,
        epochs,
        batch: batch.unwrap_or((checked.lines / 500).max(1)),
        lines: checked.lines,
        created: now,
        not_before: Millis::MIN,
        trouble: wrong.map(|(why, param)| ("jsonlValidationFailed".to_owned(), why, param.to_owned())),
        commands: Vec::new(),
        result_bytes: std::sync::OnceLock::new(),
    })
}

fn data(world: &World, id: &str, parameter: &str) -> Result<Checked, Problem> {
    let file = world.files.iter().find(|file| file.id == id);
    let file = file.ok_or_else(|| Problem::invalid(format!("{parameter}: there is no file {id}.")))?;
    match (&file.checked, file.purpose.as_str()) {
        (Some(checked), "fine-tune") => Ok(checked.clone()),
        _ => Err(Problem::invalid(format!("{parameter}: the purpose of {id} is {}, not fine-tune.", file.purpose))),
    }
}

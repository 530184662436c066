//! The routes of files and models.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Multipart, Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::upload::Form;
use super::{BASE_MODELS, Content, File, shown};
use crate::clock::Millis;
use crate::jobs::{self, page};
use crate::problem::Problem;
use crate::surface::Surface;
use crate::world::{MOST_FILES, Shared, World};

const PURPOSES: [&str; 4] = ["fine-tune", "assistants", "batch", "evals"];
const EXPIRY: std::ops::RangeInclusive<i64> = 1_209_600..=2_592_000;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/files", get(list).post(upload).layer(DefaultBodyLimit::disable()))
        .route("/files/import", post(import))
        .route("/files/{file}", get(one).delete(delete))
        .route("/files/{file}/content", get(content))
        .route("/models", get(models))
        .route("/models/{model}", get(model))
}

/// All files by now, oldest first: what was sent, and what jobs have written.
fn all(world: &World, now: Millis) -> Vec<Value> {
    let sent = world.files.iter().filter(|file| file.expires.is_none_or(|at| at > now)).map(|file| file.json(now));
    let names = ("results.csv", "fine-tune-results");
    let written = jobs::results(world, now).into_iter();
    let written = written.map(|result| shown(now, &result.id, names, result.bytes(), (result.created, None)));
    sent.chain(written).collect()
}

async fn list(State(shared): State<Arc<Shared>>, Query(query): Query<HashMap<String, String>>) -> jobs::Found {
    let mut files = all(&shared.world(), shared.clock.now());
    if let Some(purpose) = query.get("purpose") {
        files.retain(|file| file.get("purpose").and_then(Value::as_str) == Some(purpose));
    }
    if query.get("order").map(String::as_str) != Some("asc") {
        files.reverse();
    }
    page(files, &query, 10_000, 10_000)
}

async fn one(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> jobs::Found {
    let files = all(&shared.world(), shared.clock.now());
    let found = files.into_iter().find(|file| file.get("id").and_then(Value::as_str) == Some(&id));
    found.map(Json).ok_or_else(Problem::not_found)
}

async fn upload(
    State(shared): State<Arc<Shared>>,
    Extension(surface): Extension<Surface>,
    multipart: Multipart,
) -> Result<Response, Problem> {
    let mut form = Form::read(&shared, multipart, "file").await?;
    let (filename, content) = form.file.take().ok_or_else(|| Problem::invalid("The part file is missing."))?;
    let purpose = form.field("purpose").ok_or_else(|| Problem::invalid("The part purpose is missing."))?.to_owned();
    let seconds = ["expires_after.seconds", "expires_after[seconds]"].iter().find_map(|name| form.field(name));
    let expires = match seconds.map(str::parse::<i64>) {
        None => None,
        Some(Ok(seconds)) if EXPIRY.contains(&seconds) => Some(shared.clock.now().saturating_add(seconds * 1000)),
        Some(_) => return Err(Problem::invalid("expires_after must be 1209600 to 2592000 seconds.")),
    };
    let file = add(&shared, filename, purpose, expires, content).await?;
    Ok((surface.created(), Json(file)).into_response())
}

/// A new file, if there may be one more.
pub(crate) async fn add(
    shared: &Shared,
    filename: String,
    purpose: String,
    expires: Option<Millis>,
    content: Content,
) -> Result<Value, Problem> {
    if !PURPOSES.contains(&purpose.as_str()) {
        return Err(Problem::invalid(format!("The purpose {purpose} is not known.")));
    }
    if filename.is_empty() || filename.len() > 255 {
        return Err(Problem::invalid("The file needs a name of at most 255 bytes."));
    }
    let checked = match purpose.as_str() {
        "fine-tune" => Some(content.check().await?),
        _ => None,
    };
    let now = shared.clock.now();
    let mut world = shared.world();
    world.files.retain(|file| file.expires.is_none_or(|at| at > now));
    if world.files.len() >= MOST_FILES {
        return Err(Problem::quota(format!("There are {MOST_FILES} files: delete some.")));
    }
    let id = world.id("file");
    let file = File { id, filename, purpose, created: now, expires, content, checked };
    let shown = file.json(now);
    world.files.push(file);
    Ok(shown)
}

/// Never fetches anything: what is at the URL is made up, always the same.
async fn import(
    State(shared): State<Arc<Shared>>,
    Extension(surface): Extension<Surface>,
    body: Bytes,
) -> Result<Response, Problem> {
    if surface.is_v1() {
        return Err(Problem::no_operation());
    }
    let body: Value = serde_json::from_slice(&body).map_err(|error| Problem::invalid(error.to_string()))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let (Some(purpose), Some(filename), Some(url)) = (text("purpose"), text("filename"), text("content_url")) else {
        return Err(Problem::invalid("purpose, filename and content_url are needed."));
    };
    if !url.starts_with("https://") {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "fileImportFailed", "content_url must be an https URL."));
    }
    let content = Content::Memory(crate::demo::training_data(12).into());
    let file = add(&shared, filename, purpose, None, content).await?;
    Ok((StatusCode::CREATED, Json(file)).into_response())
}

async fn content(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let found = {
        let world = shared.world();
        let now = shared.clock.now();
        let sent = world.files.iter().find(|file| file.id == id && file.expires.is_none_or(|at| at > now));
        let sent = sent.map(|file| file.content.clone());
        sent.or_else(|| {
            let written = jobs::results(&world, now).into_iter().find(|result| result.id == id);
            written.map(|result| Content::Memory(result.content().into()))
        })
    };
    let content = found.ok_or_else(Problem::not_found)?;
    let length = HeaderValue::from(content.len());
    let body = match content {
        Content::Memory(bytes) => Body::from(bytes),
        Content::Disk { path, .. } => {
            let file = tokio::fs::File::open(&**path).await.map_err(Problem::internal)?;
            Body::from_stream(tokio_util::io::ReaderStream::with_capacity(file, 64 << 10))
        }
    };
    let kind = HeaderValue::from_static("application/octet-stream");
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_LENGTH, length)], body).into_response())
}

async fn delete(
    State(shared): State<Arc<Shared>>,
    Extension(surface): Extension<Surface>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let now = shared.clock.now();
    let mut world = shared.world();
    let before = world.files.len();
    world.files.retain(|file| file.id != id);
    if world.files.len() == before {
        let is_result = jobs::results(&world, now).iter().any(|result| result.id == id);
        is_result.then_some(()).ok_or_else(Problem::not_found)?;
        world.deleted_results.insert(id.clone());
    }
    // Versions before 2024-10-21 answer nothing.
    Ok(match surface {
        Surface::Dated(version) if version.as_str() < "2024-10-21" => StatusCode::NO_CONTENT.into_response(),
        Surface::Dated(_) | Surface::V1 => Json(json!({ "id": id, "object": "file", "deleted": true })).into_response(),
    })
}

fn model_list(shared: &Shared, surface: &Surface) -> Vec<Value> {
    let now = shared.clock.now();
    let world = shared.world();
    let shown = |id: &str, created: Millis, owner: &str| match surface {
        Surface::V1 => json!({ "id": id, "object": "model", "created": created / 1000, "owned_by": owner }),
        Surface::Dated(_) => json!({
            "id": id, "object": "model", "created_at": created / 1000, "status": "succeeded",
            "capabilities": { "fine_tune": true, "inference": true, "completion": false, "chat_completion": true, "embeddings": false },
            "lifecycle_status": "generally-available", "deprecation": { "inference": now / 1000 + 31_536_000 },
        }),
    };
    let base = BASE_MODELS.iter().map(|id| shown(id, 1_744_588_800_000, "system"));
    let tuned = jobs::tuned(&world, now).into_iter().map(|(id, created)| shown(&id, created, "user"));
    base.chain(tuned).collect()
}

async fn models(
    State(shared): State<Arc<Shared>>,
    Extension(surface): Extension<Surface>,
    Query(query): Query<HashMap<String, String>>,
) -> jobs::Found {
    page(model_list(&shared, &surface), &query, 10_000, 10_000)
}

async fn model(
    State(shared): State<Arc<Shared>>,
    Extension(surface): Extension<Surface>,
    Path(id): Path<String>,
) -> jobs::Found {
    let found = model_list(&shared, &surface).into_iter();
    let found = found.into_iter().find(|model| model.get("id").and_then(Value::as_str) == Some(&id));
    found.map(Json).ok_or_else(Problem::not_found)
}

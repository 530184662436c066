//! Uploads in parts: begun, fed, completed into a file or given up.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Multipart, Path, State};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::clock::Millis;
use crate::files::{self, Content, Form, Sink};
use crate::jobs::Found;
use crate::problem::Problem;
use crate::world::{MOST_UPLOADS, Shared};

const LIFETIME: Millis = 2 * 60 * 60 * 1000;
/// Between `pending` and `completed`; nobody is shown it.
const COMPLETING: &str = "completing";
const MOST_PARTS: usize = 10_000;

#[derive(Clone, Debug)]
pub(crate) struct Upload {
    id: String,
    filename: String,
    purpose: String,
    bytes: u64,
    created: Millis,
    status: &'static str,
    file: Option<Value>,
    pub(crate) parts: Vec<Part>,
}

#[derive(Clone, Debug)]
pub(crate) struct Part {
    id: String,
    pub(crate) content: Content,
}

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/uploads", post(create))
        .route("/uploads/{upload}/parts", post(part).layer(DefaultBodyLimit::disable()))
        .route("/uploads/{upload}/complete", post(complete))
        .route("/uploads/{upload}/cancel", post(cancel))
}

impl Upload {
    fn ends(&self) -> Millis {
        self.created.saturating_add(LIFETIME)
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id, "object": "upload", "bytes": self.bytes, "created_at": self.created / 1000,
            "filename": self.filename, "purpose": self.purpose, "status": self.status,
            "expires_at": self.ends() / 1000, "file": self.file,
        })
    }
}

async fn create(State(shared): State<Arc<Shared>>, body: Bytes) -> Found {
    let body: Value = serde_json::from_slice(&body).map_err(|error| Problem::invalid(error.to_string()))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let bytes = body.get("bytes").and_then(Value::as_u64);
    let (Some(filename), Some(purpose), Some(bytes), Some(_)) =
        (text("filename"), text("purpose"), bytes, text("mime_type"))
    else {
        return Err(Problem::invalid("filename, purpose, bytes and mime_type are needed."));
    };
    let created = shared.clock.now();
    let mut world = shared.world();
    world.uploads.retain(|upload| upload.ends() > created);
    if world.uploads.len() >= MOST_UPLOADS {
        return Err(Problem::quota("There are too many uploads."));
    }
    let id = world.id("upload");
    let upload = Upload { id, filename, purpose, bytes, created, status: "pending", file: None, parts: Vec::new() };
    let shown = upload.json();
    world.uploads.push(upload);
    Ok(Json(shown))
}

/// Does something with an upload that still takes parts.
fn pending<T>(shared: &Shared, id: &str, then: impl FnOnce(&mut Upload) -> T) -> Result<T, Problem> {
    let now = shared.clock.now();
    let mut world = shared.world();
    let upload = world.uploads.iter_mut().find(|upload| upload.id == id).ok_or_else(Problem::not_found)?;
    if upload.status != "pending" || upload.ends() <= now {
        return Err(Problem::state("The upload is completed, being completed, cancelled or expired."));
    }
    Ok(then(upload))
}

async fn part(State(shared): State<Arc<Shared>>, Path(id): Path<String>, multipart: Multipart) -> Found {
    pending(&shared, &id, |_| ())?;
    let form = Form::read(&shared, multipart, "data").await?;
    let (_, content) = form.file.ok_or_else(|| Problem::invalid("The part data is missing."))?;
    let part = shared.world().id("part");
    let shown = json!({
        "id": part, "object": "upload.part", "created_at": shared.clock.now() / 1000, "upload_id": id,
    });
    let taken = pending(&shared, &id, |upload| {
        let room = upload.parts.len() < MOST_PARTS;
        if room {
            upload.parts.push(Part { id: part, content });
        }
        room
    })?;
    if taken { Ok(Json(shown)) } else { Err(Problem::quota("The upload has too many parts.")) }
}

async fn complete(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> Found {
    let body: Value = serde_json::from_slice(&body).map_err(|error| Problem::invalid(error.to_string()))?;
    let named =
        body.get("part_ids").and_then(Value::as_array).ok_or_else(|| Problem::invalid("part_ids is needed."))?;
    let completion = Completion::begin(&shared, &id)?;
    let upload = &completion.upload;
    let mut sink = Sink::new(&shared).await?;
    for name in named {
        let part = upload.parts.iter().find(|part| name.as_str() == Some(&part.id));
        let part = part.ok_or_else(|| Problem::invalid(format!("The upload has no part {name}.")))?;
        sink.add(&part.content).await?;
    }
    let content = sink.done().await?;
    if content.len() != upload.bytes {
        return Err(Problem::invalid(format!("The parts hold {} bytes, not {}.", content.len(), upload.bytes)));
    }
    let file = files::add(&shared, upload.filename.clone(), upload.purpose.clone(), None, content).await?;
    Ok(Json(completion.end(file)?))
}

/// An upload that is being put together, by one request alone. It takes parts again if that comes to nothing.
struct Completion<'s> {
    shared: &'s Shared,
    /// As it was at the beginning.
    upload: Upload,
}

impl<'s> Completion<'s> {
    fn begin(shared: &'s Shared, id: &str) -> Result<Self, Problem> {
        let upload = pending(shared, id, |upload| {
            upload.status = COMPLETING;
            upload.clone()
        })?;
        Ok(Self { shared, upload })
    }

    fn end(self, file: Value) -> Result<Value, Problem> {
        self.change(|upload| {
            (upload.status, upload.file) = ("completed", Some(file));
            upload.parts.clear();
            upload.json()
        })
        .ok_or_else(Problem::not_found)
    }

    fn change<T>(&self, then: impl FnOnce(&mut Upload) -> T) -> Option<T> {
        let mut world = self.shared.world();
        let is_this = |upload: &&mut Upload| upload.id == self.upload.id && upload.status == COMPLETING;
        world.uploads.iter_mut().find(is_this).map(then)
    }
}

impl Drop for Completion<'_> {
    fn drop(&mut self) {
        self.change(|upload| upload.status = "pending");
    }
}

async fn cancel(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Found {
    let shown = pending(&shared, &id, |upload| {
        upload.status = "cancelled";
        upload.parts.clear();
        upload.json()
    })?;
    Ok(Json(shown))
}

//! Files: content in pieces, uploads, imports, deletion.

use std::io::BufReader;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use azure_finetuning::{Client, DataProblem, File, FileId, FilePurpose, Files, MethodKind, validate_jsonl};
use futures_util::StreamExt as _;
use serde_json::json;

use super::{Answer, Definition};
use crate::Settings;
use crate::args::Args;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::schema::{id, input, list_of, nullable, one_of, output, plain, text, whole};

const PIECE: u64 = 32 << 10;
const LARGEST_PIECE: u64 = 256 << 10;
/// How often a long upload is told of.
const TELL: Duration = Duration::from_secs(2);
/// What is read of a file to get to a piece of it.
const FARTHEST: u64 = 512 << 20;

pub(super) fn definitions() -> Vec<Definition> {
    let file = ("file_id", id("the file's id, such as file-0a1b2c3d"));
    let purpose = ("purpose?", text("what it is for; fine-tune if absent"));
    let filename = (
        "filename",
        json!({ "type": "string", "minLength": 1, "maxLength": 255, "description": "the file's name at the service, such as train.jsonl" }),
    );
    let whole_file = || output(&[("id", plain("string"))]);
    vec![
        Definition {
            name: "get_finetuning_file",
            description: "What the service knows of one file: name, size, purpose, state.",
            input: input(std::slice::from_ref(&file)),
            output: whole_file(),
            is_idempotent: true,
        },
        Definition {
            name: "get_file_content",
            description: "A piece of a file's content as text. `next_offset` is where to go on; null at the end.",
            input: input(&[
                file.clone(),
                ("offset?", whole("the first byte; 0 if absent", 0, FARTHEST)),
                ("max_bytes?", whole("the size of the piece; 32768 if absent", 1, LARGEST_PIECE)),
            ]),
            output: output(&[
                ("file_id", plain("string")),
                ("content", plain("string")),
                ("offset", plain("integer")),
                ("bytes", plain("integer")),
                ("total_bytes", nullable("integer")),
                ("next_offset", nullable("integer")),
            ]),
            is_idempotent: true,
        },
        Definition {
            name: "upload_finetuning_file",
            description: "Stores a file at the service: `content` as it is, or a local file by `path` where the operator has named a folder for that.",
            input: input(&[
                ("filename?", filename.1.clone()),
                ("content?", text("the content: one JSON object a line for training data")),
                ("path?", text("a file in the operator's upload folder, relative to it")),
                purpose.clone(),
            ]),
            output: whole_file(),
            is_idempotent: false,
        },
        Definition {
            name: "validate_training_data",
            description: "What is wrong with training data, line by line, before it is uploaded. Nothing is sent to the service.",
            input: input(&[
                ("content?", text("the lines: one JSON object each")),
                ("path?", text("a file in the operator's upload folder, relative to it")),
                ("method?", one_of(&["supervised", "dpo", "reinforcement"], "what it is for; supervised if absent")),
            ]),
            output: output(&[
                ("ok", plain("boolean")),
                ("examples", plain("integer")),
                ("bytes", plain("integer")),
                ("has_bom", plain("boolean")),
                ("problems", list_of(&plain("object"))),
                ("more_problems", plain("integer")),
            ]),
            is_idempotent: true,
        },
        Definition {
            name: "import_finetuning_file",
            description: "Lets the service fetch a file from an https URL, such as a blob's with a signature. Only dated API versions have this.",
            input: input(&[
                filename,
                (
                    "content_url",
                    json!({ "type": "string", "pattern": "^https://", "description": "where the content is" }),
                ),
                purpose,
            ]),
            output: whole_file(),
            is_idempotent: false,
        },
        Definition {
            name: "delete_file",
            description: "Deletes a file at the service. There is no undo.",
            input: input(&[file]),
            output: output(&[("file_id", plain("string")), ("deleted", plain("boolean"))]),
            is_idempotent: true,
        },
    ]
}

fn purpose(args: &Args) -> FilePurpose {
    FilePurpose::from(args.text("purpose").unwrap_or("fine-tune"))
}

pub(super) async fn content(client: &Client, args: &Args) -> Answer {
    let id: FileId = args.parse("file_id")?;
    let offset = args.whole("offset").unwrap_or(0);
    let wanted = args.whole("max_bytes").unwrap_or(PIECE);
    let content = client.files().content(&id).await?;
    let total = content.length();
    let mut stream = content.into_stream();
    let (mut passed, mut piece, mut has_more) = (0_u64, Vec::new(), false);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        let skip = usize::try_from(offset.saturating_sub(passed)).unwrap_or(usize::MAX).min(chunk.len());
        passed += chunk.len() as u64;
        let room = usize::try_from(wanted).unwrap_or(usize::MAX).saturating_sub(piece.len());
        let fresh = chunk.get(skip..).unwrap_or_default();
        piece.extend(fresh.iter().take(room));
        if fresh.len() > room {
            has_more = true;
            break;
        }
    }
    // Never half a character: what is cut off comes with the next piece.
    if let Err(error) = std::str::from_utf8(&piece)
        && error.error_len().is_none()
        && error.valid_up_to() > 0
    {
        has_more |= error.valid_up_to() < piece.len();
        piece.truncate(error.valid_up_to());
    }
    let end = offset + piece.len() as u64;
    Ok(json!({
        "file_id": id, "content": String::from_utf8_lossy(&piece), "offset": offset, "bytes": piece.len(),
        "total_bytes": total, "next_offset": has_more.then_some(end),
    }))
}

pub(super) async fn upload(settings: &Settings, args: &Args, progress: &Progress) -> Answer {
    let files = settings.client.files();
    let file = match (args.text("content"), args.text("path")) {
        (Some(content), None) => {
            let filename = args.needed("filename")?.to_owned();
            files.upload_bytes(filename, content.to_owned().into_bytes(), purpose(args)).await?
        }
        (None, Some(path)) => told(&files, local(settings, path).await?, purpose(args), progress).await?,
        (Some(_), Some(_)) => return Err(Failure::argument("path", "give either `content` or `path`")),
        (None, None) => return Err(Failure::argument("content", "give either `content` or `path`")),
    };
    Ok(json!(file))
}

/// Uploads a file, and says every now and then how much of it is sent.
async fn told(files: &Files, path: PathBuf, purpose: FilePurpose, progress: &Progress) -> Result<File, Failure> {
    let total = tokio::fs::metadata(&path).await.map_or(0, |found| found.len());
    let sent = Arc::new(AtomicU64::new(0));
    let tell = || progress.say(format!("{} of {total} bytes are sent", sent.load(Ordering::Relaxed)));
    tell().await;
    let upload = files.upload_counted(path, purpose, Arc::clone(&sent));
    tokio::pin!(upload);
    let uploaded = loop {
        match tokio::time::timeout(TELL, &mut upload).await {
            Ok(uploaded) => break uploaded?,
            Err(_) => tell().await,
        }
    };
    tell().await;
    Ok(uploaded)
}

pub(super) async fn validate(settings: &Settings, args: &Args) -> Answer {
    let method = MethodKind::from(args.text("method").unwrap_or("supervised"));
    let (content, path) = match (args.text("content"), args.text("path")) {
        (Some(content), None) => (content.to_owned(), None),
        (None, Some(path)) => (String::new(), Some(local(settings, path).await?)),
        _ => return Err(Failure::argument("content", "give either `content` or `path`")),
    };
    // A file may be large: it is read away from the threads that serve.
    let read = move || match path {
        None => validate_jsonl(content.as_bytes(), &method),
        Some(path) => validate_jsonl(BufReader::new(std::fs::File::open(path)?), &method),
    };
    let report = tokio::task::spawn_blocking(read).await.map_err(std::io::Error::other).flatten();
    let report = report.map_err(|error| Failure::argument("path", format!("it cannot be read: {error}")))?;
    let problem = |problem: &DataProblem| json!({ "line": problem.line, "problem": problem.fault.to_string() });
    Ok(json!({
        "ok": report.is_ok(), "examples": report.examples, "bytes": report.bytes, "has_bom": report.has_bom,
        "problems": report.problems.iter().map(problem).collect::<Vec<_>>(), "more_problems": report.more_problems,
    }))
}

/// A file inside the operator's folder, also after all links are followed.
async fn local(settings: &Settings, path: &str) -> Result<PathBuf, Failure> {
    let unusable = |why: &str| Failure::argument("path", why);
    let folder = settings.upload_folder.clone();
    let folder =
        folder.ok_or_else(|| unusable("no folder is set up for uploads (FINETUNING_UPLOAD_DIR); give `content`"))?;
    let relative = Path::new(path);
    if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(unusable("it must be relative to the upload folder, without `..`"));
    }
    let wanted = folder.join(relative);
    let found = tokio::task::spawn_blocking(move || {
        let found = wanted.canonicalize().ok()?;
        (found.starts_with(&folder) && found.is_file()).then_some(found)
    });
    // One answer for what is missing and what is elsewhere: it says nothing of other folders.
    found.await.ok().flatten().ok_or_else(|| unusable("there is no such file in the upload folder"))
}

pub(super) async fn import(client: &Client, args: &Args) -> Answer {
    let (filename, url) = (args.needed("filename")?, args.needed("content_url")?);
    Ok(json!(client.files().import(filename, url, purpose(args)).await?))
}

pub(super) async fn delete(client: &Client, args: &Args) -> Answer {
    let id: FileId = args.parse("file_id")?;
    client.files().delete(&id).await?;
    Ok(json!({ "file_id": id, "deleted": true }))
}

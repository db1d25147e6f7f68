//! Log files: lines of the application log, and records of single requests.

use std::io;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::io::AsyncReadExt as _;

use super::answer::{Json, Outcome, Raw, Refusal};
use super::route::Parameter;
use super::{Ask, Endpoint, endpoint};
use crate::logs::{self, Asked, Listed, listed};

/// How much of a file is read at a time.
const PIECE: usize = 64 << 10;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        endpoint(
            Method::GET,
            "/logs",
            "Lines of the log file: `after` a time, behind a `cursor`, at most `limit`",
            lines,
        )
        .asks([
            Parameter::number("after", "Unix seconds"),
            Parameter::number("limit", "lines"),
            Parameter::text("cursor", "`next-cursor` of an answer before"),
        ]),
        endpoint(Method::DELETE, "/logs", "Empties the log file and removes its rotations", clear),
        endpoint(Method::GET, "/request-error-logs", "Records of requests that were refused", errors),
        endpoint(
            Method::GET,
            "/request-error-logs/{name}",
            "One record of a request that was refused",
            by_name,
        )
        .gives_text(&["text/plain"]),
        endpoint(Method::GET, "/request-log-by-id/{id}", "The record of one request", by_id)
            .gives_text(&["text/plain"]),
    ]
}

/// Does work on files away from the threads that serve.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other).and_then(|done| done);
    done.map_err(|error| {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("log files cannot be read: {error}"))
    })
}

fn to_file(ask: &Ask) -> Result<(), Refusal> {
    if ask.app.logs.is_to_file() { Ok(()) } else { Err(Refusal::bad("logging to file disabled")) }
}

/// Lines of the log.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct Shown {
    lines: Vec<String>,
    /// Lines that were looked at.
    line_count: u64,
    /// The latest time that was seen, in Unix seconds.
    latest_timestamp: u64,
    /// Goes on exactly here.
    next_cursor: String,
    /// The file of the cursor is gone, and everything is shown again.
    cursor_reset: bool,
}

async fn lines(ask: Ask) -> Outcome<Json<Shown>> {
    to_file(&ask)?;
    let limit = match ask.query("limit") {
        None => None,
        Some(text) => match text.parse::<usize>() {
            Ok(limit) if limit > 0 => Some(limit),
            _ => return Err(Refusal::bad("invalid limit: must be a positive integer")),
        },
    };
    let after = ask.query("after").and_then(|text| text.parse().ok()).unwrap_or_default();
    let asked = Asked { after, limit, cursor: ask.query("cursor").map(str::to_owned) };
    let logs = ask.app.logs.clone();
    let lines = blocking(move || logs::read(&logs.directory()?, &asked, |_every| true)).await?;
    Ok(Json(Shown {
        lines: lines.texts.into(),
        line_count: lines.scanned,
        latest_timestamp: lines.latest,
        next_cursor: lines.cursor,
        cursor_reset: lines.is_reset,
    }))
}

/// The log is empty.
#[derive(Serialize, JsonSchema)]
struct Cleared {
    success: bool,
    message: &'static str,
    /// Files that were removed.
    removed: usize,
}

async fn clear(ask: Ask) -> Outcome<Json<Cleared>> {
    to_file(&ask)?;
    let logs = ask.app.logs.clone();
    let removed = blocking(move || logs.clear()).await?;
    Ok(Json(Cleared { success: true, message: "Logs cleared successfully", removed }))
}

/// Records of requests, newest first.
#[derive(Serialize, JsonSchema)]
struct LogFiles {
    files: Vec<LogFile>,
}

#[derive(Serialize, JsonSchema)]
struct LogFile {
    name: String,
    /// In bytes.
    size: u64,
    /// In Unix seconds.
    modified: u64,
}

async fn errors(ask: Ask) -> Outcome<Json<LogFiles>> {
    // With records of everything there are none of errors alone.
    if ask.app.engine.snapshot().settings.logging.requests {
        return Ok(Json(LogFiles { files: Vec::new() }));
    }
    let logs = ask.app.logs.clone();
    let mut files = blocking(move || match logs.directory() {
        Ok(directory) => listed(&directory, logs::is_error),
        Err(_no_place) => Ok(Vec::new()),
    })
    .await?;
    files.reverse();
    let shown = |file: Listed| LogFile {
        modified: file.modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        name: file.name,
        size: file.size,
    };
    Ok(Json(LogFiles { files: files.into_iter().map(shown).collect() }))
}

async fn by_name(ask: Ask) -> Outcome<Raw> {
    let name = ask.parameter("name").to_owned();
    if name.is_empty() || name.contains(['/', '\\']) || name.contains("..") {
        return Err(Refusal::bad("invalid log file name"));
    }
    let missing = || Refusal::missing("log file not found");
    if !logs::is_error(&name) {
        return Err(missing());
    }
    let directory = ask.app.logs.directory().map_err(|_no_place| missing())?;
    attached(directory.join(&name), &name).await.map(Raw).ok_or_else(missing)
}

async fn by_id(ask: Ask) -> Outcome<Raw> {
    let id = ask.parameter("id").trim();
    if id.is_empty() {
        return Err(Refusal::bad("missing request ID"));
    }
    if id.contains(['/', '\\']) || id.contains("..") {
        return Err(Refusal::bad("invalid request ID"));
    }
    let missing = || Refusal::missing("log file not found for the given request ID");
    let directory = ask.app.logs.directory().map_err(|_no_place| missing())?;
    let (suffix, place) = (format!("-{}.log", logs::short_id(id)), directory.clone());
    let found = blocking(move || listed(&place, |name| name.ends_with(&suffix))).await?;
    let name = found.last().map(|file| file.name.clone()).ok_or_else(missing)?;
    attached(directory.join(&name), &name).await.map(Raw).ok_or_else(missing)
}

/// A file, read as far as the client takes it; `None` when it is gone.
async fn attached(path: PathBuf, name: &str) -> Option<Response> {
    let file = tokio::fs::File::open(path).await.ok()?;
    let pieces = stream::unfold(Some(file), |file| async move {
        let mut file = file?;
        let mut piece = Vec::with_capacity(PIECE);
        match (&mut file).take(PIECE as u64).read_to_end(&mut piece).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(Bytes::from(piece)), Some(file))),
            Err(error) => Some((Err(error), None)),
        }
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    let shown: String =
        name.chars().filter(|character| character.is_ascii_graphic() && *character != '"').collect();
    if let Ok(disposition) = HeaderValue::try_from(format!("attachment; filename=\"{shown}\"")) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    Some(response)
}

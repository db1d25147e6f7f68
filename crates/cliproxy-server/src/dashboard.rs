//! The dashboard: its files for browsers, compressed as they were built, under headers that let nothing else in.
//!
//! The page itself holds nothing of anybody: everything it shows it asks of the management interface, with the key of
//! whoever sits before it. So it is served to everybody who may connect. A panel that its owner supplies takes its place;
//! what such a file loads is its own matter, and nothing is ever fetched from elsewhere here.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path as Parts, Request, State};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use cliproxy_dashboard::{File, PLAIN};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::api::not_found;
use crate::{App, health};

/// Scripts, styles and calls of this address alone; pictures also out of style sheets.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The panel of another program that configurations name by default. It is not what a person chose.
const USUAL: &str = "https://github.com/router-for-me/Cli-Proxy-API-Management-Center";

/// Where panels lie that are not the built-in one.
const PANEL: &str = "management.html";

/// Largest supplied panel.
const LARGEST: u64 = 32 << 20;

/// The page at its own address, and what it loads.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/management.html", get(page)).route("/dashboard/{*path}", get(part))
}

/// The root: the page for browsers, the list of routes for programs.
pub(crate) async fn root(State(app): State<App>, request: Request) -> Response {
    let is_off = app.engine.snapshot().settings.management.disable_control_panel;
    let mut response = if is_off || !wants_page(request.headers()) {
        health::root(&app)
    } else {
        served(&app, request.headers()).await
    };
    response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
    response
}

async fn page(State(app): State<App>, request: Request) -> Response {
    if app.engine.snapshot().settings.management.disable_control_panel {
        return not_found(request).await;
    }
    served(&app, request.headers()).await
}

async fn part(State(app): State<App>, Parts(path): Parts<String>, request: Request) -> Response {
    let is_off = app.engine.snapshot().settings.management.disable_control_panel;
    match cliproxy_dashboard::file(&format!("dashboard/{path}")).filter(|_| !is_off) {
        // Its name changes with its content.
        Some(file) => answer(file, request.headers(), "public, max-age=31536000, immutable").await,
        None => not_found(request).await,
    }
}

/// Browsers name HTML among what they take; programs take anything or JSON.
fn wants_page(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| {
        let kind = range.split(';').next().unwrap_or_default();
        kind.trim().eq_ignore_ascii_case("text/html")
    })
}

/// The page: a supplied one, the built one, or what is there instead of it.
async fn served(app: &App, headers: &HeaderMap) -> Response {
    if let Some(path) = supplied(app) {
        match read(&path).await {
            Ok(content) => return of_the_owner(content),
            Err(error) => {
                tracing::warn!(
                    "the panel {} cannot be read, the built-in one is served: {error}",
                    path.display()
                );
            }
        }
    }
    let Some(page) = cliproxy_dashboard::page() else {
        let mut response = Response::new(Body::from(PLAIN));
        secure(response.headers_mut(), "text/html; charset=utf-8", "no-cache");
        return response;
    };
    answer(page, headers, "no-cache").await
}

/// The panel that its owner chose instead, by a variable or by the name of its repository. What older programs left in
/// that folder by themselves does not count.
fn supplied(app: &App) -> Option<PathBuf> {
    let snapshot = app.engine.snapshot();
    let management = &snapshot.settings.management;
    if let Some(path) = &management.panel_path {
        let is_file = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("html"));
        return Some(if is_file { path.clone() } else { path.join(PANEL) });
    }
    let repository = management.panel_repository.as_deref()?.trim_end_matches('/');
    if repository.eq_ignore_ascii_case(USUAL) {
        return None;
    }
    let beside = || app.console.as_ref().and_then(|console| console.keeper().directory()).map(Path::to_owned);
    let folder = snapshot.settings.writable.clone().or_else(beside)?;
    Some(folder.join("static").join(PANEL))
}

async fn read(path: &Path) -> std::io::Result<Bytes> {
    let metadata = tokio::fs::metadata(path).await?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err(std::io::Error::other("it is no file, or larger than 32 MiB"));
    }
    Ok(tokio::fs::read(path).await?.into())
}

/// Such panels are one file with their scripts in it, and choose themselves whom they ask.
fn of_the_owner(content: Bytes) -> Response {
    let mut response = Response::new(Body::from(content));
    secure(response.headers_mut(), "text/html; charset=utf-8", "no-cache");
    response.headers_mut().remove(CONTENT_SECURITY_POLICY);
    response
}

/// A built file, in the best encoding that the client takes.
async fn answer(file: &'static File, asked: &HeaderMap, caching: &'static str) -> Response {
    let tag = format!("\"{}\"", file.tag);
    let known = asked.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known =
        known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
    let encoding = ["br", "gzip"].into_iter().find(|encoding| !is_known && takes(asked, encoding));
    let content = match encoding {
        _ if is_known => Ok(Bytes::new()),
        Some("br") => Ok(Bytes::from_static(file.brotli)),
        other => unpacked(file, other.is_some()).await,
    };
    let body = content.unwrap_or_else(|error| {
        tracing::error!("the built file {} is damaged: {error}", file.path);
        Bytes::new()
    });
    let mut response = Response::new(Body::from(body));
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    secure(headers, file.content_type, caching);
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    if let Some(encoding) = encoding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

fn takes(headers: &HeaderMap, encoding: &str) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_it = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let refuses =
            |weight: &str| weight.trim_start_matches('0').trim_matches('.').trim_matches('0').is_empty();
        is_it && !parts.any(|part| part.strip_prefix("q=").is_some_and(refuses))
    })
}

/// The content for clients that take no Brotli: browsers that come without TLS from another machine take gzip. The
/// program holds one form of it; they ask once and keep it.
async fn unpacked(file: &'static File, as_gzip: bool) -> std::io::Result<Bytes> {
    let working = tokio::task::spawn_blocking(move || {
        let mut plain = Vec::new();
        brotli::Decompressor::new(file.brotli, 4096).read_to_end(&mut plain)?;
        if !as_gzip {
            return Ok(plain.into());
        }
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(&plain)?;
        packed.finish().map(Bytes::from)
    });
    working.await.map_err(std::io::Error::other).flatten()
}

fn secure(headers: &mut HeaderMap, content_type: &'static str, caching: &'static str) {
    let pairs: [(HeaderName, &'static str); 7] = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, caching),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in pairs {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn browsers_want_the_page_and_programs_the_list() {
        for (accept, expected) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("Text/HTML;q=0.5", true),
            ("*/*", false),
            ("application/json", false),
            ("text/htmlx", false),
        ] {
            assert_eq!(wants_page(&headers(ACCEPT, accept)), expected, "{accept}");
        }
        assert!(!wants_page(&HeaderMap::new()));
    }

    #[test]
    fn an_encoding_is_taken_unless_it_is_refused() {
        for (accepted, expected) in [
            ("gzip, deflate, br", true),
            ("gzip;q=1.0, BR;q=0.1", true),
            ("br;q=0", false),
            ("br; q=0.000", false),
            ("gzip", false),
            ("brotli", false),
        ] {
            assert_eq!(takes(&headers(ACCEPT_ENCODING, accepted), "br"), expected, "{accepted}");
        }
    }
}

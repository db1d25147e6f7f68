//! The configuration as a whole: as JSON for panels, as the file's own text for editors.

use axum::body::Body;
use axum::response::Response;
use cliproxy_core::config::keeper::{Kept, Unkept};
use cliproxy_core::config::{shape, view};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;

use super::answer::{Json, Outcome, Raw, Refusal, Remark, remarks};
use super::{Ask, Endpoint, endpoint};

/// Largest text that is taken.
const LARGEST: usize = 8 << 20;

/// Its content type. Any other one is read, too.
const YAML: &str = "application/yaml";

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        endpoint(Method::GET, "/config", "The configuration as JSON, with the keys of the file", whole)
            .gives(shape::whole),
        endpoint(Method::GET, "/config.yaml", "The configuration file as it is", text).gives_text(&[YAML]),
        endpoint(
            Method::PUT,
            "/config.yaml",
            "Replaces the configuration file; `If-Match` with the `ETag` of the read text refuses a stale one",
            replace,
        )
        .takes(LARGEST)
        .or_reads(YAML, any_text)
        .edits(),
        endpoint(Method::POST, "/config/check", "Says what is wrong with a text, and writes nothing", check)
            .takes(LARGEST)
            .or_reads(YAML, any_text)
            .validates(),
        endpoint(Method::GET, "/config/versions", "The versions before the present one", versions),
        endpoint(Method::GET, "/config/versions/{number}", "The text of a version", version)
            .gives_text(&[YAML]),
        endpoint(
            Method::POST,
            "/config/versions/{number}/restore",
            "Replaces the configuration file by a version before",
            restore,
        )
        .edits(),
    ]
}

fn any_text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "examples": ["port: 8317\ndebug: false\n"]})
}

async fn whole(ask: Ask) -> Outcome<Json<Value>> {
    let document = ask.console.keeper.document().await?;
    Ok(Json(view::whole(&document, &ask.app.engine.snapshot().settings)))
}

async fn text(ask: Ask) -> Outcome<Raw> {
    let (text, version) = match ask.console.keeper.text().await {
        Ok(read) => read,
        Err(error @ Unkept::Missing) => {
            return Err(Refusal::coded(StatusCode::NOT_FOUND, "not_found", error.to_string()));
        }
        Err(error) => {
            return Err(Refusal::coded(StatusCode::INTERNAL_SERVER_ERROR, "read_failed", error.to_string()));
        }
    };
    let mut response = yaml(text);
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(format!("\"{version}\"")) {
        headers.insert(ETAG, tag);
    }
    Ok(Raw(response))
}

fn yaml(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/yaml; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What is noticed of a text that is right.
#[derive(Serialize, JsonSchema)]
struct Checked {
    ok: bool,
    warnings: Vec<Remark>,
    /// Keys that need a restart to apply.
    needs_restart: Vec<&'static str>,
}

async fn check(ask: Ask) -> Outcome<Json<Checked>> {
    let text = std::str::from_utf8(&ask.body).map_err(|_not_text| {
        Refusal::coded(StatusCode::BAD_REQUEST, "invalid_yaml", "the text is not UTF-8")
    })?;
    match ask.console.keeper.check(text) {
        Ok((loaded, needs_restart)) => {
            Ok(Json(Checked { ok: true, warnings: remarks(&loaded.warnings), needs_restart }))
        }
        Err(problems) => Err(Unkept::Invalid(problems).into()),
    }
}

/// Versions before the present one, newest first.
#[derive(Serialize, JsonSchema)]
struct Versions {
    versions: Vec<Kept>,
}

async fn versions(ask: Ask) -> Outcome<Json<Versions>> {
    Ok(Json(Versions { versions: ask.console.keeper.versions().await }))
}

async fn kept(ask: &Ask) -> Result<String, Refusal> {
    let number = ask.parameter("number").parse().unwrap_or_default();
    let text = ask.console.keeper.version(number).await;
    text.ok_or_else(|| Refusal::missing("version not found"))
}

async fn version(ask: Ask) -> Outcome<Raw> {
    Ok(Raw(yaml(kept(&ask).await?)))
}

async fn restore(ask: Ask) -> Outcome<Json<Written>> {
    let text = kept(&ask).await?;
    written(&ask, &text).await
}

/// The file is another one now.
#[derive(Serialize, JsonSchema)]
struct Written {
    ok: bool,
    changed: [&'static str; 1],
}

async fn written(ask: &Ask, text: &str) -> Outcome<Json<Written>> {
    match ask.console.keeper.replace(text, ask.expected()).await {
        Ok(()) => Ok(Json(Written { ok: true, changed: ["config"] })),
        Err(error @ (Unkept::Invalid(_) | Unkept::Stale)) => Err(error.into()),
        Err(error) => {
            Err(Refusal::coded(StatusCode::INTERNAL_SERVER_ERROR, "write_failed", error.to_string()))
        }
    }
}

async fn replace(ask: Ask) -> Outcome<Json<Written>> {
    let invalid = |message: String| Refusal::coded(StatusCode::BAD_REQUEST, "invalid_yaml", message);
    let text =
        std::str::from_utf8(&ask.body).map_err(|_not_text| invalid("the text is not UTF-8".to_owned()))?;
    if text.trim().is_empty() {
        return Err(invalid("the text is empty".to_owned()));
    }
    cliproxy_core::config::document::Document::parse(text).map_err(|_broken| {
        invalid("the text is not a YAML mapping; check the indentation and the quotes".to_owned())
    })?;
    written(&ask, text).await
}

//! What the management interface answers: values of types that say how they look, and refusals as `{"error": text}`,
//! which panels show word for word.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::body::Body;
use axum::response::Response;
use cliproxy_core::access::gate::Denied;
use cliproxy_core::config::diagnostic::{Code, Diagnostic};
use cliproxy_core::config::document::NotEditable;
use cliproxy_core::config::keeper::Unkept;
use cliproxy_core::desk::{Failed, FailureCode};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;

/// What a handler gives.
pub(super) type Outcome<R = Response> = Result<R, Refusal>;

/// The content type of most answers.
pub(super) const JSON: &str = "application/json";

/// One way in which a route may answer.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) status: u16,
    pub(super) media: &'static str,
    pub(super) schema: Schema,
}

impl Content {
    /// 200 with JSON.
    pub(super) fn json(schema: Schema) -> Self {
        Self { status: 200, media: JSON, schema }
    }

    /// 200 with a text of this content type.
    pub(super) fn text(media: &'static str) -> Self {
        Self { status: 200, media, schema: json_schema!({"type": "string"}) }
    }
}

/// An answer that can be described without being there.
pub(super) trait Reply: Send {
    fn render(self) -> Response;

    fn described(generator: &mut SchemaGenerator) -> Vec<Content>;
}

/// 200 with JSON.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize + JsonSchema + Send> Reply for Json<T> {
    fn render(self) -> Response {
        with_status(StatusCode::OK, &self.0)
    }

    fn described(generator: &mut SchemaGenerator) -> Vec<Content> {
        vec![Content::json(generator.subschema_for::<T>())]
    }
}

/// 200 with `{name: value}`; the row says what the value looks like.
#[derive(Debug)]
pub(super) struct Member(pub(super) &'static str, pub(super) Value);

impl Reply for Member {
    fn render(self) -> Response {
        let mut members = serde_json::Map::new();
        members.insert(self.0.to_owned(), self.1);
        with_status(StatusCode::OK, &members)
    }

    fn described(_: &mut SchemaGenerator) -> Vec<Content> {
        vec![Content::json(json_schema!({"type": "object"}))]
    }
}

/// JSON, with 207 when only a part of what was asked for was done.
#[derive(Debug)]
pub(super) struct Several<T> {
    pub(super) is_partial: bool,
    pub(super) body: T,
}

impl<T: Serialize + JsonSchema + Send> Reply for Several<T> {
    fn render(self) -> Response {
        let status = if self.is_partial { StatusCode::MULTI_STATUS } else { StatusCode::OK };
        with_status(status, &self.body)
    }

    fn described(generator: &mut SchemaGenerator) -> Vec<Content> {
        let mut content = || Content::json(generator.subschema_for::<T>());
        vec![content(), Content { status: 207, ..content() }]
    }
}

/// A response whose body is no JSON of ours: a text, a file, a stream. The row says which.
#[derive(Debug)]
pub(super) struct Raw(pub(super) Response);

impl Reply for Raw {
    fn render(self) -> Response {
        self.0
    }

    fn described(_: &mut SchemaGenerator) -> Vec<Content> {
        Vec::new()
    }
}

/// A word that means that all is well.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Okay {
    Ok,
}

/// What every successful change answers.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(super) struct Done {
    status: Okay,
}

/// Why a request is not served.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    body: Option<Box<Refused>>,
}

/// A refusal as it is written.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Refused {
    /// Of logins: `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    /// The text, or a word for programs where there is a `message`.
    error: Cow<'static, str>,
    /// The text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The kind of a failure of a login: interfaces translate by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<FailureCode>,
    /// The auth file that has it already.
    #[serde(skip_serializing_if = "Option::is_none")]
    existing_file: Option<String>,
    /// The channel that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    /// What is wrong with a configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    problems: Option<Vec<Remark>>,
    /// What else was noticed in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<Vec<Remark>>,
}

/// A problem or a warning of a configuration, for editors that mark its place.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Remark {
    /// Path in the file, empty for the file as a whole.
    path: String,
    /// What it is about: interfaces translate by it.
    code: Code,
    /// The values that its text has places for, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    values: BTreeMap<&'static str, String>,
    /// What is wrong.
    message: String,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// From 1, in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<String>,
}

impl Refusal {
    fn with(status: StatusCode, body: Refused) -> Self {
        Self { status, body: Some(Box::new(body)) }
    }

    /// With a text.
    pub(super) fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self::with(status, Refused { error: message.into(), ..Refused::default() })
    }

    /// With a word for programs and a text for people.
    pub(super) fn coded(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let message = Some(message.into());
        Self::with(status, Refused { error: code.into(), message, ..Refused::default() })
    }

    /// Of a login: with `status` in its body, too.
    pub(super) fn of_login(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        let word = Some("error");
        Self::with(status, Refused { status: word, error: message.into(), ..Refused::default() })
    }

    /// A login that failed; `status` is in the bodies of some routes.
    pub(super) fn failed_login(status: StatusCode, word: Option<&'static str>, why: Failed) -> Self {
        let (code, error) = (Some(why.code), why.message.into());
        Self::with(status, Refused { status: word, error, code, ..Refused::default() })
    }

    /// A channel that is not known.
    pub(super) fn channel(channel: String) -> Self {
        let body = Refused { error: "unknown channel".into(), channel: Some(channel), ..Refused::default() };
        Self::with(StatusCode::BAD_REQUEST, body)
    }

    /// The text.
    pub(super) fn message(&self) -> &str {
        self.body.as_ref().map(|body| &*body.error).unwrap_or_default()
    }

    /// The request is wrong.
    pub(super) fn bad(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// There is no such thing.
    pub(super) fn missing(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// There is no management interface.
    pub(super) fn absent() -> Self {
        Self { status: StatusCode::NOT_FOUND, body: None }
    }

    /// The same of an account that is there already, in this file.
    pub(super) fn of_known_login(message: &'static str, file: String) -> Self {
        let refused = Refused { existing_file: Some(file), ..Refused::default() };
        let (status, error) = (Some("error"), message.into());
        Self::with(StatusCode::CONFLICT, Refused { status, error, ..refused })
    }

    pub(super) fn into_response(self) -> Response {
        let Some(body) = self.body else {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = self.status;
            return response;
        };
        with_status(self.status, &body)
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        let status = match denied {
            Denied::Banned(_) | Denied::Remote | Denied::Unset => StatusCode::FORBIDDEN,
            Denied::Missing | Denied::Invalid => StatusCode::UNAUTHORIZED,
        };
        Self::new(status, denied.to_string())
    }
}

impl From<Unkept> for Refusal {
    fn from(unkept: Unkept) -> Self {
        match unkept {
            Unkept::Invalid(problems) => Self::with(
                StatusCode::UNPROCESSABLE_ENTITY,
                Refused {
                    error: "invalid_config".into(),
                    message: Some(problems.to_string()),
                    problems: Some(remarks(&problems.list)),
                    warnings: Some(remarks(&problems.warnings)),
                    ..Refused::default()
                },
            ),
            Unkept::Stale => Self::coded(StatusCode::CONFLICT, "conflict", unkept.to_string()),
            other => Self::new(StatusCode::INTERNAL_SERVER_ERROR, format!("failed to save config: {other}")),
        }
    }
}

impl From<NotEditable> for Refusal {
    fn from(error: NotEditable) -> Self {
        Unkept::from(error).into()
    }
}

/// Problems or warnings of a configuration.
pub(super) fn remarks(list: &[Diagnostic]) -> Vec<Remark> {
    let one = |diagnostic: &Diagnostic| Remark {
        path: diagnostic.path.clone(),
        code: diagnostic.code,
        values: diagnostic.values.clone(),
        message: diagnostic.message.clone(),
        line: diagnostic.position.map(|position| position.line),
        column: diagnostic.position.map(|position| position.column),
        suggestion: diagnostic.suggestion.clone(),
    };
    list.iter().map(one).collect()
}

/// What every successful change answers.
pub(super) fn done() -> Json<Done> {
    Json(Done { status: Okay::Ok })
}

/// JSON with a status.
fn with_status(status: StatusCode, body: &impl Serialize) -> Response {
    // Nothing here fails to be written: maps have texts as keys, and numbers are finite or become `null`.
    let text = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// Whether this is the answer of an interface that does not exist.
pub(super) fn is_absent(response: &Response) -> bool {
    !response.headers().contains_key(CONTENT_TYPE)
}

/// Says which program answers. Panels show it, and switch features by it.
pub(super) fn identify(headers: &mut HeaderMap, version: &'static str) {
    let pairs = [
        ("x-cpa-version", version),
        ("x-cpa-commit", "none"),
        ("x-cpa-build-date", "unknown"),
        ("x-cpa-support-plugin", "false"),
    ];
    for (name, value) in pairs {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}

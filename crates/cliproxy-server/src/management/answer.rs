//! What the management interface answers: JSON, and refusals as `{"error": text}`, which panels show word for word.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::Response;
use cliproxy_core::access::gate::Denied;
use cliproxy_core::config::diagnostic::Diagnostic;
use cliproxy_core::config::document::NotEditable;
use cliproxy_core::config::keeper::Unkept;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

/// What a handler gives.
pub(super) type Outcome = Result<Response, Refusal>;

/// Why a request is not served.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    body: Option<Value>,
}

impl Refusal {
    /// With a text.
    pub(super) fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, body: Some(json!({"error": message.into()})) }
    }

    /// With a word for programs and a text for people.
    pub(super) fn coded(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, body: Some(json!({"error": code, "message": message.into()})) }
    }

    /// With a body of its own.
    pub(super) fn with(status: StatusCode, body: Value) -> Self {
        Self { status, body: Some(body) }
    }

    /// The text.
    pub(super) fn message(&self) -> &str {
        self.body.as_ref().and_then(|body| body.get("error")?.as_str()).unwrap_or_default()
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
                json!({
                    "error": "invalid_config", "message": problems.to_string(),
                    "problems": shown(&problems.list), "warnings": shown(&problems.warnings),
                }),
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

/// Problems or warnings of a configuration, for editors that mark them.
pub(super) fn shown(list: &[Diagnostic]) -> Vec<Value> {
    let one = |diagnostic: &Diagnostic| {
        let mut one = json!({"path": diagnostic.path, "message": diagnostic.message});
        if let (Some(position), Value::Object(one)) = (diagnostic.position, &mut one) {
            one.insert("line".to_owned(), position.line.into());
            one.insert("column".to_owned(), position.column.into());
        }
        if let (Some(suggestion), Value::Object(one)) = (&diagnostic.suggestion, &mut one) {
            one.insert("suggestion".to_owned(), suggestion.as_str().into());
        }
        one
    };
    list.iter().map(one).collect()
}

/// 200 with JSON.
pub(super) fn ok(body: &Value) -> Response {
    with_status(StatusCode::OK, body)
}

/// What every successful change answers.
pub(super) fn done() -> Response {
    ok(&json!({"status": "ok"}))
}

/// JSON with a status.
pub(super) fn with_status(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
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

//! Turning faults into responses of the client's format, the one place that sets status and headers of errors; and what
//! is said in plain JSON.

use axum::body::Body;
use axum::response::Response;
use cliproxy_core::Failure;
use cliproxy_wire::fault::{self, Fault};
use cliproxy_wire::{Format, json};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper::ext::ReasonPhrase;

const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

pub(crate) fn set_request_id(headers: &mut HeaderMap, format: Format, request_id: &str) {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(format.request_id_header(), value);
    }
}

/// A response with this status. Where HTTP has no words for it, hyper would write `<none>`.
fn with_status(status: u16, otherwise: StatusCode, body: impl Into<Body>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(otherwise);
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    if status.canonical_reason().is_none() {
        let words: &'static [u8] = if status.as_u16() == 529 { b"Overloaded" } else { b"Error" };
        response.extensions_mut().insert(ReasonPhrase::from_static(words));
    }
    response
}

/// A response with a JSON object.
pub(crate) fn json_response(status: StatusCode, build: impl FnOnce(&mut json::Object<'_>)) -> Response {
    let mut body = Vec::new();
    json::object(&mut body, build);
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A response with an error body.
pub(crate) fn fault(format: Format, fault: &Fault, request_id: &str, was_retried: bool) -> Response {
    let (status, body) = fault::encode(format, fault, request_id);
    let mut response = with_status(status, StatusCode::INTERNAL_SERVER_ERROR, body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = fault.retry_after_seconds() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(should) = fault.should_retry(was_retried) {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static(if should { "true" } else { "false" }));
    }
    set_request_id(headers, format, request_id);
    response
}

/// The response to a call that got no answer.
pub(crate) fn failure(format: Format, failure: &Failure, request_id: &str) -> Response {
    let Some(relay) = failure.relay() else {
        return fault(format, failure.fault(), request_id, failure.was_retried());
    };
    // Same format: the upstream's own words, status and all.
    let mut response = with_status(relay.status, StatusCode::BAD_GATEWAY, relay.body.clone());
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(CONTENT_TYPE, relay.content_type.clone().unwrap_or(json));
    if let Some(seconds) = failure.fault().retry_after_seconds() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(should) = failure.fault().should_retry(failure.was_retried()) {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static(if should { "true" } else { "false" }));
    }
    set_request_id(headers, format, request_id);
    response
}

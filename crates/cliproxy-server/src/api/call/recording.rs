//! Calls that leave a record: all of them, or those that are refused.
//!
//! Of a refused call the failure brings back what was asked, so that nothing is kept of those that go well. Requests
//! without a valid key leave no record: strangers could push out those that somebody needs.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use cliproxy_core::access::Caller;
use cliproxy_wire::Format;
use cliproxy_wire::fault::{self, Fault};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, Uri};

use super::{Refusal, Route, answered};
use crate::App;
use crate::logs::{Logs, Recorded, error_file};
use crate::reply;
use crate::stream::Egress;

/// Which records are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Nothing,
    /// Of refused calls, so many; 0 without limit.
    Errors(u32),
    Everything,
}

pub(super) fn wanted(app: &App) -> Wanted {
    let logging = &app.engine.glance().settings.logging;
    match (logging.commercial_mode, logging.requests) {
        (true, _) => Wanted::Nothing,
        (false, true) => Wanted::Everything,
        (false, false) => Wanted::Errors(logging.error_files),
    }
}

/// Answers a call and records everything about it.
pub(super) async fn answer(
    app: &App,
    route: Route,
    head: Box<Parts>,
    body: Bytes,
    caller: Caller,
    id: &Arc<str>,
) -> Result<Response<Egress>, Refusal> {
    let format = route.format;
    let record = begin(app, id, (&head.method, &head.uri), &head.headers, body.clone()).await;
    let tape = record.as_ref().map(Recorded::tape);
    let result = answered(app, route, head, body, caller, (id, tape)).await;
    let Some(record) = record else { return result };
    match result {
        Ok(response) => Ok(record.follow(response.map(Body::new)).map(Egress::from)),
        Err(refusal) => {
            let ((status, said), told) = (refusal.said(format, id), told(format, id));
            let writing = tokio::task::spawn_blocking(move || {
                record.refused(status, &told, &said);
                Ok(())
            });
            report(writing.await);
            Err(refusal)
        }
    }
}

/// Records a call that was refused, and keeps `most` of such records.
pub(super) async fn refused(
    logs: Logs,
    most: u32,
    (method, uri): (Method, Uri),
    refusal: &Refusal,
    (format, id): (Format, &Arc<str>),
) {
    let Some((headers, body)) = refusal.request().cloned() else { return };
    let ((status, said), told, id) = (refusal.said(format, id), told(format, id), Arc::clone(id));
    let writing = tokio::task::spawn_blocking(move || {
        let asked = (&method, &uri, &headers, &*body);
        error_file(&logs.directory()?, most, &id, asked, (status, &told, &said))
    });
    report(writing.await);
}

/// Records a call of which the head alone was read.
pub(super) async fn unread(app: &App, head: &Parts, fault: &Fault, (format, id): (Format, &Arc<str>)) {
    let wanted = wanted(app);
    if wanted == Wanted::Nothing {
        return;
    }
    let (status, said) = fault::encode(format, fault, id);
    let (logs, told, id) = (app.logs.clone(), told(format, id), Arc::clone(id));
    let (method, uri, headers) = (head.method.clone(), head.uri.clone(), head.headers.clone());
    let writing = tokio::task::spawn_blocking(move || {
        let directory = logs.directory()?;
        if let Wanted::Errors(most) = wanted {
            let asked = (&method, &uri, &headers, &b""[..]);
            return error_file(&directory, most, &id, asked, (status, &told, &said));
        }
        let record = Recorded::begin(&directory, &id, (&method, &uri), &headers, b"")?;
        record.refused(status, &told, &said);
        Ok(())
    });
    report(writing.await);
}

/// The headers of what the client is told.
fn told(format: Format, id: &str) -> HeaderMap {
    let mut told = HeaderMap::new();
    told.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply::set_request_id(&mut told, format, id);
    told
}

async fn begin(
    app: &App,
    id: &Arc<str>,
    (method, uri): (&Method, &Uri),
    headers: &HeaderMap,
    body: Bytes,
) -> Option<Recorded> {
    let (logs, id, method, uri, headers) =
        (app.logs.clone(), Arc::clone(id), method.clone(), uri.clone(), headers.clone());
    let beginning = tokio::task::spawn_blocking(move || {
        Recorded::begin(&logs.directory()?, &id, (&method, &uri), &headers, &body)
    });
    report(beginning.await)
}

/// What cannot be written down is told, and holds nobody up.
fn report<T>(result: Result<io::Result<T>, tokio::task::JoinError>) -> Option<T> {
    match result.map_err(io::Error::other).and_then(|result| result) {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::warn!("the request log cannot be written: {error}");
            None
        }
    }
}

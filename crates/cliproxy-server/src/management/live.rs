//! Requests as they happen, as an event stream that goes on until the watcher leaves.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use cliproxy_core::usage::{Frame, Watcher};
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use tokio_util::sync::CancellationToken;

use super::answer::{Outcome, Raw, Refusal};
use super::{Ask, Endpoint, endpoint};

/// How often a watcher hears something at least.
const BEAT: Duration = Duration::from_secs(15);

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        endpoint(
            Method::GET,
            "/live",
            "Requests as they start, stream and end: events `start`, `attempt`, `stream`, `progress`, `end`, `lost`",
            watch,
        )
        .gives_text(&["text/event-stream"]),
    ]
}

async fn watch(ask: Ask) -> Outcome<Raw> {
    let watcher = ask.console.records.live.watch();
    let watcher = watcher.ok_or_else(|| {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "as many watch as may; close another page")
    })?;
    // The head alone would be held back by some proxies until something follows.
    let first = Bytes::from_static(b": watching\n\n");
    let state = (Some(first), watcher, ask.console.ending.clone());
    let frames = stream::unfold(state, |(first, mut watcher, ending)| async move {
        let frame = match first {
            Some(first) => first,
            None => next(&mut watcher, &ending).await?,
        };
        Some((Ok::<_, std::convert::Infallible>(frame), (None, watcher, ending)))
    });
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(Raw(response))
}

/// The next thing to write; `None` when the gateway ends.
async fn next(watcher: &mut Watcher, ending: &CancellationToken) -> Option<Bytes> {
    tokio::select! {
        frame = watcher.next() => Some(match frame {
            Frame::Event(frame) => frame,
            Frame::Lost(count) => format!("event: lost\ndata: {{\"count\":{count}}}\n\n").into(),
        }),
        () = tokio::time::sleep(BEAT) => Some(Bytes::from_static(b": keep-alive\n\n")),
        () = ending.cancelled() => None,
    }
}

//! The reverse proxy to the control plane: what of a request goes out, and what of the answer comes back.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use bytes::Bytes;
use cliproxy_core::access::{Access, Caller};
use cliproxy_core::secret::Secret;
use cliproxy_core::snapshot::Snapshot;
use cliproxy_core::upstream::{Outgoing, Reply, UpstreamBody, read_all};
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use http_body::Frame;

use crate::{App, reply};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const GOOGLE_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
/// Whose connections requests go over.
const PURPOSE: &str = "amp";
/// The first bytes of gzip.
const GZIP: [u8; 2] = [0x1F, 0x8B];
/// Longest compressed answer that is unpacked, and what it may become.
const LONGEST: usize = 64 << 20;

/// On whose behalf a request goes out.
pub(super) struct Sender<'a> {
    /// The client.
    pub(super) caller: &'a Caller,
    /// Whether the control plane's key goes with it.
    pub(super) may_use_key: bool,
}

/// Passes a request on as it came, apart from the client's key, and its answer back.
pub(super) async fn forward(
    app: &App,
    snapshot: &Arc<Snapshot>,
    head: &Parts,
    body: Bytes,
    sender: Sender<'_>,
) -> Response {
    let key = if sender.may_use_key { app.secrets.of(snapshot, sender.caller).await } else { None };
    let upstream = snapshot.settings.amp.upstream.as_ref();
    let uri = upstream.and_then(|upstream| target(upstream.as_str(), &head.uri, &snapshot.access));
    let Some(uri) = uri else { return unreachable() };
    let (method, headers) = (head.method.clone(), outbound(head, key.as_ref()));
    let answered = if method.is_idempotent() {
        let outgoing = || Outgoing::Http {
            method: method.clone(),
            uri: uri.clone(),
            headers: headers.clone(),
            body: body.clone().into(),
        };
        app.engine.forward_again(PURPOSE, outgoing).await
    } else {
        app.engine.forward(PURPOSE, Outgoing::Http { method, uri, headers, body: body.into() }).await
    };
    match answered {
        Ok(reply) => answer(reply, snapshot).await,
        Err(failure) => {
            tracing::warn!(detail = failure.detail(), "cannot reach the Amp control plane: {failure}");
            unreachable()
        }
    }
}

fn unreachable() -> Response {
    reply::json_response(StatusCode::BAD_GATEWAY, |root| {
        root.str("error", "amp_upstream_proxy_error");
        root.str("message", "Failed to reach Amp upstream");
    })
}

/// The address there, without the client's key in the query.
fn target(upstream: &str, asked: &Uri, access: &Access) -> Option<Uri> {
    let query = access.without_keys(asked.query().unwrap_or_default());
    let separator = if query.is_empty() { "" } else { "?" };
    Uri::try_from(format!("{upstream}{}{separator}{query}", asked.path())).ok()
}

/// Headers that belong to one connection and not to the message.
fn is_hop(name: &HeaderName) -> bool {
    matches!(
        *name,
        CONNECTION | PROXY_AUTHENTICATE | PROXY_AUTHORIZATION | TE | TRAILER | TRANSFER_ENCODING | UPGRADE
    ) || name == "keep-alive"
        || name == "proxy-connection"
}

/// Copies what is no hop's, named so by the protocol or by the message itself.
fn copied(headers: &HeaderMap, mut keeps: impl FnMut(&HeaderName) -> bool) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut copy = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if !is_hop(name) && !named.iter().any(|named| named == name.as_str()) && keeps(name) {
            copy.append(name, value.clone());
        }
    }
    copy
}

fn outbound(head: &Parts, key: Option<&Secret>) -> HeaderMap {
    let mut headers = copied(&head.headers, |name| {
        // Where it goes and how long it is says the request that is made of it.
        ![HOST, CONTENT_LENGTH, EXPECT, AUTHORIZATION, API_KEY, GOOGLE_KEY].contains(name)
    });
    if let Some(ConnectInfo(peer)) = head.extensions.get::<ConnectInfo<SocketAddr>>() {
        let mut chain: Vec<String> = headers
            .get_all(FORWARDED_FOR)
            .into_iter()
            .filter_map(|value| value.to_str().ok().map(str::to_owned))
            .collect();
        chain.push(peer.ip().to_canonical().to_string());
        if let Ok(value) = HeaderValue::try_from(chain.join(", ")) {
            headers.insert(FORWARDED_FOR, value);
        }
    }
    let Some(key) = key else { return headers };
    for (name, text) in
        [(API_KEY, key.expose().to_owned()), (AUTHORIZATION, format!("Bearer {}", key.expose()))]
    {
        let Ok(mut value) = HeaderValue::try_from(text) else {
            tracing::error!(
                "the key towards the Amp control plane holds characters that no header may carry"
            );
            continue;
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    headers
}

async fn answer(reply: Reply, snapshot: &Snapshot) -> Response {
    let status = reply.status;
    // Who may read the answer is this gateway's to say, not the control plane's.
    let headers = copied(&reply.headers, |name| !name.as_str().starts_with("access-control-"));
    let is_events = headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"text/event-stream"));
    let mut body = reply.body;
    let mut held = None;
    if !is_events && !headers.contains_key(CONTENT_ENCODING) {
        match body.next(snapshot.limits.idle).await {
            Ok(Some(first)) if first.starts_with(&GZIP) => {
                return unpacked(status, headers, first, body, snapshot).await;
            }
            Ok(first) => held = first,
            Err(_nothing_came) => return unreachable(),
        }
    }
    response(status, headers, Body::new(Passing { held, rest: body }))
}

fn response(status: StatusCode, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Some of the control plane's answers are compressed without saying so. Such an answer is read whole; what cannot be
/// unpacked passes as it is.
async fn unpacked(
    status: StatusCode,
    mut headers: HeaderMap,
    first: Bytes,
    rest: UpstreamBody,
    snapshot: &Snapshot,
) -> Response {
    let Ok(rest) = read_all(rest, snapshot.limits.idle, LONGEST).await else { return unreachable() };
    let packed = Bytes::from([first, rest].concat());
    let copy = packed.clone();
    let plain = tokio::task::spawn_blocking(move || crate::encoding::gunzip(&copy, LONGEST)).await;
    headers.remove(CONTENT_LENGTH);
    let body = plain.ok().and_then(Result::ok).unwrap_or(packed);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    response(status, headers, Body::from(body))
}

/// An answer's body on its way.
struct Passing {
    held: Option<Bytes>,
    rest: UpstreamBody,
}

impl http_body::Body for Passing {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let next = match self.held.take() {
            Some(held) => Some(Ok(held)),
            None => std::task::ready!(self.rest.poll_chunk(context)),
        };
        Poll::Ready(next.map(|chunk| chunk.map(Frame::data).map_err(std::io::Error::other)))
    }
}

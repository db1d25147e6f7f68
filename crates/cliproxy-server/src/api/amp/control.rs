//! What is the control plane's alone: accounts, threads, telemetry, and the pages that a browser opens.
//!
//! These routes carry the owner's key outwards, so who may use it is decided here: a client with a key of its own, or,
//! for pages, a browser on this machine that no other site has sent. Everybody else gets the page as a stranger.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{any, get};
use cliproxy_core::access::{Caller, Refused};
use http::StatusCode;
use http::header::ORIGIN;

use super::forward::{self, Sender};
use crate::api::call;
use crate::clock::now;
use crate::peer::Origin;
use crate::{App, browser, encoding, reply};

/// Pages, and all below them. No key is asked for, because a browser has none to send.
const PAGES: [&str; 3] = ["/threads", "/docs", "/settings"];
/// The pages of a login, which are also posted to.
const LOGIN: &str = "/auth";
/// What programs read and write, and all below it.
const SERVICES: [&str; 9] = [
    "/api/internal",
    "/api/user",
    "/api/auth",
    "/api/meta",
    "/api/telemetry",
    "/api/threads",
    "/api/otel",
    "/api/tab",
    "/api/thread-actors",
];
/// Single addresses.
const ADVERTISEMENTS: &str = "/api/ads";
const FEEDS: [&str; 2] = ["/threads.rss", "/news.rss"];

pub(super) fn routes() -> Router<App> {
    let mut router = Router::new().route(ADVERTISEMENTS, any(serve));
    for root in SERVICES.into_iter().chain([LOGIN]) {
        router = router.route(root, any(serve)).route(&format!("{root}/{{*rest}}"), any(serve));
    }
    for page in PAGES {
        router = router.route(page, get(serve)).route(&format!("{page}/{{*rest}}"), get(serve));
    }
    for feed in FEEDS {
        router = router.route(feed, get(serve));
    }
    router
}

fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_page(path: &str) -> bool {
    PAGES.iter().chain([&LOGIN]).any(|root| is_below(path, root))
}

/// Whether a path is the control plane's: no page of another site may read what comes from there.
pub(crate) fn is_control(path: &str) -> bool {
    is_page(path)
        || SERVICES.iter().any(|root| is_below(path, root))
        || path == ADVERTISEMENTS
        || FEEDS.contains(&path)
}

async fn serve(State(app): State<App>, request: Request) -> Response {
    pass(app, request).await
}

/// Passes a request on, if its sender may.
pub(super) async fn pass(app: App, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let snapshot = app.engine.snapshot();
    let sender = match admit(&app, &head) {
        Ok(sender) => sender,
        Err((status, message)) => {
            encoding::drain(&head.headers, body).await;
            return reply::json_response(status, |root| root.str("error", message));
        }
    };
    let limit = usize::try_from(snapshot.settings.max_request_body_bytes).unwrap_or(usize::MAX);
    let body = match encoding::read_packed(&head.headers, body, limit).await {
        Ok(body) => body,
        Err(fault) => {
            return reply::fault(crate::api::format_of(head.uri.path()), &fault, &call::request_id(), false);
        }
    };
    let (caller, may_use_key) = &sender;
    forward::forward(&app, &snapshot, &head, body, Sender { caller, may_use_key: *may_use_key }).await
}

/// Who sends, and whether the control plane's key may be used for it.
fn admit(app: &App, head: &http::request::Parts) -> Result<(Caller, bool), (StatusCode, &'static str)> {
    let snapshot = app.engine.snapshot();
    let amp = &snapshot.settings.amp;
    if amp.upstream.is_none() {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "amp upstream proxy not available"));
    }
    let is_here = Origin::of(head, &snapshot.settings.management.trusted_proxies).is_here();
    if amp.restrict_management_to_localhost && !is_here {
        let message = "Access denied: management routes restricted to localhost";
        return Err((StatusCode::FORBIDDEN, message));
    }
    match snapshot.access.admit(&head.headers, head.uri.query(), now()) {
        Ok(caller) => Ok((caller, true)),
        Err(_) if is_page(head.uri.path()) => {
            let is_sent_by_another = head.headers.get(ORIGIN).is_some_and(browser::is_foreign_site);
            Ok((Caller::default(), is_here && !is_sent_by_another))
        }
        Err(Refused::Missing) => Err((StatusCode::UNAUTHORIZED, "Missing API key")),
        Err(Refused::Expired) => Err((StatusCode::FORBIDDEN, "API key has expired")),
        Err(Refused::Malformed | Refused::Invalid) => Err((StatusCode::UNAUTHORIZED, "Invalid API key")),
    }
}

//! All routes together: those of clients, of the management interface and of the dashboard, and signs of life, behind
//! what holds for every request.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{any, get};
use cliproxy_wire::fault::{Fault, Kind};
use futures_util::FutureExt as _;
use http::header::ORIGIN;
use http::{Method, StatusCode};

use crate::{App, api, browser, dashboard, health, logs, management, telemetry};

/// The gateway's routes, ready to be served or mounted into another program.
pub fn router(app: App) -> Router {
    routes()
        .layer(middleware::from_fn_with_state(app.clone(), guard))
        .layer(middleware::from_fn(unbroken))
        .with_state(app)
}

/// The routes alone.
fn routes() -> Router<App> {
    Router::new()
        .route("/", get(dashboard::root))
        .route("/health", get(health::health))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(telemetry::scrape))
        .route("/keep-alive", get(management::alive))
        .merge(api::routes())
        .merge(management::routes())
        .merge(dashboard::routes())
        .fallback(any(unknown))
        .method_not_allowed_fallback(api::wrong_method)
}

async fn unknown(State(app): State<App>, mut request: Request) -> Response {
    // A slash too many is forgiven instead of redirected: clients drop the body of redirected posts.
    let path = request.uri().path();
    let collapsed = collapse(path);
    if collapsed.is_empty() || collapsed == path {
        return api::missed(&app, request).await;
    }
    let query = request.uri().query().map_or_else(String::new, |query| format!("?{query}"));
    let Ok(target) = format!("{collapsed}{query}").parse() else { return api::missed(&app, request).await };
    *request.uri_mut() = target;
    // What the first routing left there is of the path as it was. Who sent it stays true.
    let peer = request.extensions_mut().remove::<ConnectInfo<SocketAddr>>();
    request.extensions_mut().clear();
    if let Some(peer) = peer {
        request.extensions_mut().insert(peer);
    }
    let routes = routes().with_state(app);
    tower::ServiceExt::oneshot(routes, request).await.unwrap_or_else(|never| match never {})
}

/// Clients whose base address ends in a slash send doubled ones; some append `/v1` to a base that has it.
fn collapse(path: &str) -> String {
    let mut clean = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        clean.push('/');
        clean.push_str(segment);
    }
    clean.strip_prefix("/v1/v1/").map(|rest| format!("/v1/{rest}")).unwrap_or(clean)
}

/// A handler that panics costs its own request, which hears so in the format of its path.
async fn unbroken(request: Request, next: Next) -> Response {
    let format = api::format_of(request.uri().path());
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    answer.unwrap_or_else(|_panic| api::panicked(format))
}

/// Adds cross-origin headers, answers preflights, refuses foreign pages where no key protects.
async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    if app.logs.is_to_file() {
        return Box::pin(logs::follow(request, |request| guarded(app, request, next))).await;
    }
    guarded(app, request, next).await
}

async fn guarded(app: App, request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let is_open = !app.engine.snapshot().access.is_required();
    let is_foreign = is_open && origin.as_ref().is_some_and(browser::is_foreign_site);
    let is_for_this_machine = !app.engine.snapshot().settings.access.allow_unauthenticated_remote;
    let is_elsewhere = browser::host(request.uri(), request.headers()).is_some_and(browser::is_foreign_name);
    if is_open && is_for_this_machine && is_elsewhere {
        return refusal(
            &app,
            request,
            "without client keys the gateway serves this machine only, by the names localhost and 127.0.0.1; add api-keys to config.yaml to use another name",
        )
        .await;
    }
    // Nothing of what the owner has with others is for the pages of a third.
    let path = request.uri().path();
    let is_private = api::amp::is_control(path) || api::amp::is_control(&collapse(path));
    if request.method() == Method::OPTIONS && is_private {
        return refusal(&app, request, "web pages of other sites may not use this address").await;
    }
    if request.method() == Method::OPTIONS {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        if !is_foreign {
            browser::allow(response.headers_mut(), origin, is_open);
        }
        return response;
    }
    if is_foreign {
        return refusal(
            &app,
            request,
            "web pages may not use a gateway without client keys; add api-keys to config.yaml and send one of them",
        )
        .await;
    }
    let mut response = next.run(request).await;
    if !is_private && (origin.is_some() || !is_open) {
        browser::allow(response.headers_mut(), origin, is_open);
    }
    response
}

async fn refusal(app: &App, request: Request, message: &str) -> Response {
    api::count_missed(app, request.uri().path(), Kind::Permission);
    api::refuse(request, &Fault::new(Kind::Permission, message)).await
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_defect_outside_of_calls_is_told_in_the_format_of_the_path() {
        let broken = || std::future::poll_fn(|_| -> Poll<()> { panic!("a test panics here") });
        let app = Router::new().route("/{*path}", get(broken)).layer(middleware::from_fn(unbroken));
        for (path, expected) in [
            ("/v1/messages/batches", r#"{"type":"error","error":{"type":"api_error","#),
            ("/v1beta/files", r#"{"error":{"code":500,"#),
            ("/v1/files", r#"{"error":{"message":"internal error of the gateway","#),
            ("/v0/management/usage", r#"{"error":{"message":"internal error of the gateway","#),
        ] {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR, "{path}");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert!(body.starts_with(expected.as_bytes()), "{path}: {body:?}");
        }
    }
}

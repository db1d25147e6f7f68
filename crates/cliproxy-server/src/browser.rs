//! What browsers may do: cross-origin headers, and protection of a gateway without keys.
//!
//! With client keys any page may call, because it must know a key. Without keys a gateway on loopback would be open to
//! every page its owner visits, so calls that carry the origin of a foreign web site are refused.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use cliproxy_wire::fault::{Fault, Kind};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ORIGIN, VARY,
};
use http::{HeaderValue, Method, StatusCode};

use crate::App;
use crate::api::format_of;

/// Adds cross-origin headers, answers preflights, refuses foreign pages where no key protects.
pub(crate) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let is_open = !app.engine.snapshot().access.is_required();
    let is_foreign = is_open && origin.as_ref().is_some_and(is_foreign_site);
    if request.method() == Method::OPTIONS {
        let mut response = Response::new(axum::body::Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        if !is_foreign {
            allow(&mut response, origin, is_open);
        }
        return response;
    }
    if is_foreign {
        let format = format_of(request.uri().path());
        let fault = Fault::new(
            Kind::Permission,
            "web pages may not use a gateway without client keys; add api-keys to config.yaml and send one of them",
        );
        return crate::reply::fault(format, &fault, "", false);
    }
    let mut response = next.run(request).await;
    if origin.is_some() || !is_open {
        allow(&mut response, origin, is_open);
    }
    response
}

fn allow(response: &mut Response, origin: Option<HeaderValue>, is_open: bool) {
    let headers = response.headers_mut();
    let allowed =
        if is_open { origin.unwrap_or(HeaderValue::from_static("*")) } else { HeaderValue::from_static("*") };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    if is_open {
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE, OPTIONS"),
    );
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "Location, Retry-After, X-Request-Id, Request-Id, X-Gateway-Dropped, X-Gateway-Estimated",
        ),
    );
}

/// A web site that is not on this machine. Extensions and desktop shells have schemes of their own and count as local.
fn is_foreign_site(origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else { return true };
    let Some(host) = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) else {
        return false;
    };
    let host = host.strip_prefix('[').map_or_else(|| host.split(':').next(), |rest| rest.split(']').next());
    let host = host.unwrap_or_default();
    let is_loopback = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    !(is_loopback || host == "localhost" || host.ends_with(".localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_elsewhere_are_foreign_and_local_ones_are_not() {
        for (origin, expected) in [
            ("https://evil.example", true),
            ("http://localhost.evil.example", true),
            ("http://10.0.0.7:3000", true),
            ("http://localhost:5173", false),
            ("http://127.0.0.1:8317", false),
            ("http://[::1]:8317", false),
            ("chrome-extension://abcdef", false),
            ("app://obsidian.md", false),
            ("null", false),
        ] {
            assert_eq!(is_foreign_site(&HeaderValue::from_static(origin)), expected, "{origin}");
        }
    }
}

//! What browsers may do: cross-origin headers, and protection of a gateway without keys.
//!
//! With client keys any page may call, because it must know a key. Without keys a gateway on loopback would be open to
//! every page its owner visits. So calls that carry the origin of a foreign web site are refused, and calls to a name
//! that is not this machine's: a site can make its own name resolve to this machine, and then its pages are "same origin".
//! Here are the rules; the router holds them, and what takes the short way past it has a [`Passage`].

use std::net::IpAddr;

use cliproxy_core::snapshot::Snapshot;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, HOST, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri};

/// What a call that no browser has to do with passes with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passage {
    is_open: bool,
}

impl Passage {
    /// The passage of a request that the router would let through; `None` where it has to look.
    pub(crate) fn of<B>(snapshot: &Snapshot, request: &http::Request<B>) -> Option<Self> {
        let is_open = !snapshot.access.is_required();
        let is_for_this_machine = !snapshot.settings.access.allow_unauthenticated_remote;
        let has_origin = request.headers().contains_key(ORIGIN);
        let is_elsewhere = || host(request.uri(), request.headers()).is_some_and(is_foreign_name);
        let is_to_be_judged = has_origin || (is_open && is_for_this_machine && is_elsewhere());
        (!is_to_be_judged).then_some(Self { is_open })
    }

    /// Says in the answer what the router would say.
    pub(crate) fn mark(self, headers: &mut HeaderMap) {
        if !self.is_open {
            allow(headers, None, false);
        }
    }
}

/// The name by which the gateway is called, without the port.
pub(crate) fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let header = || headers.get(HOST).map(|host| host.to_str().unwrap_or("?"));
    uri.host().or_else(header).map(without_port)
}

fn without_port(host: &str) -> &str {
    let end = match host.strip_prefix('[') {
        Some(rest) => return rest.split(']').next().unwrap_or_default(),
        None => host.find(':').unwrap_or(host.len()),
    };
    host.get(..end).unwrap_or_default()
}

/// What pages may read of an answer's headers.
const EXPOSED: &str = "Location, Retry-After, Retry-After-Ms, ETag, X-Request-Id, Request-Id, X-Upstream-Request-Id, X-Should-Retry, X-Gateway-Dropped, X-Gateway-Estimated, X-Gateway-Model, X-CPA-VERSION, X-CPA-COMMIT, X-CPA-BUILD-DATE, X-CPA-SUPPORT-PLUGIN";

/// Says to whom the answer may be shown. Values are checked when this is compiled, and not with every answer.
pub(crate) fn allow(headers: &mut HeaderMap, origin: Option<HeaderValue>, is_open: bool) {
    let everybody = const { HeaderValue::from_static("*") };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.filter(|_| is_open).unwrap_or(everybody));
    if is_open {
        headers.append(VARY, const { HeaderValue::from_static("origin") });
    }
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        const { HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE, OPTIONS") },
    );
    // The star does not stand for `Authorization`.
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, const { HeaderValue::from_static("*, Authorization") });
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, const { HeaderValue::from_static(EXPOSED) });
}

/// Whether a page of a site that is not on this machine may have sent a request: it says so, or it calls this machine by
/// a name of its own.
pub(crate) fn is_foreign_page(head: &Parts) -> bool {
    head.headers.get(ORIGIN).is_some_and(is_foreign_site)
        || host(&head.uri, &head.headers).is_some_and(is_foreign_name)
}

/// A web site that is not on this machine. Extensions and desktop shells have schemes of their own and count as local.
/// `null` does not: that is how any site's sandboxed frames call.
pub(crate) fn is_foreign_site(origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else { return true };
    match origin.split_once("://") {
        Some(("http" | "https", host)) => {
            let host = without_port(host);
            is_foreign_name(host) || host.parse::<IpAddr>().is_ok_and(|address| !address.is_loopback())
        }
        Some(_) => false,
        None => true,
    }
}

/// A name that somebody else may have made resolve to this machine. An address is no name.
pub(crate) fn is_foreign_name(host: &str) -> bool {
    // As nearly all programs write it.
    if matches!(host, "127.0.0.1" | "localhost") {
        return false;
    }
    let host = host.trim_end_matches('.');
    let last = host.rsplit('.').next().unwrap_or_default();
    host.parse::<IpAddr>().is_err() && !last.eq_ignore_ascii_case("localhost")
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
            ("null", true),
        ] {
            assert_eq!(is_foreign_site(&HeaderValue::from_static(origin)), expected, "{origin}");
        }
    }

    #[test]
    fn names_elsewhere_are_foreign_and_addresses_are_no_names() {
        for (host, expected) in [
            ("evil.example:8317", true),
            ("localhost.evil.example", true),
            ("?", true),
            ("", true),
            ("LocalHost:8317", false),
            ("api.localhost", false),
            ("localhost.", false),
            ("127.0.0.1:8317", false),
            ("[::1]:8317", false),
            ("192.168.0.7", false),
        ] {
            assert_eq!(is_foreign_name(without_port(host)), expected, "{host}");
        }
    }
}

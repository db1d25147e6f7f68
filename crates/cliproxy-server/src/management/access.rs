//! Reads from a request's head what decides whether it is let in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use cliproxy_core::access::gate::Visitor;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use ipnet::IpNet;

use super::Console;
use super::answer::Refusal;
use crate::{App, peer};

/// Whether there is an interface: without any key there is none.
pub(super) fn exists(app: &App, console: &Console) -> bool {
    app.engine.snapshot().settings.management.is_enabled() || console.password.is_some()
}

/// Lets a request in, or says why not. Without any key there is no interface.
pub(super) async fn check(app: &App, console: &Console, head: &Parts) -> Result<(), Refusal> {
    let snapshot = app.engine.snapshot();
    let management = &snapshot.settings.management;
    if !exists(app, console) {
        return Err(Refusal::absent());
    }
    // A router that is mounted into another program may not know who asks; then it is nobody of this machine.
    let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let peer = peer::address(head).unwrap_or(unknown);
    let is_forwarded = peer::is_forwarded(head);
    // Who is trusted says who asks; of others the word only takes rights away.
    let told = if is_forwarded { told(&head.headers, peer, &management.trusted_proxies) } else { None };
    let visitor = Visitor {
        address: told.unwrap_or(peer),
        is_forwarded: is_forwarded && told.is_none(),
        key: key(head),
    };
    Ok(console.gate.admit(management, console.password.as_ref(), visitor).await?)
}

/// Who asks, by the word of trusted proxies: from the last of them backwards, the first address that is none of theirs.
/// `None` when the peer is not trusted or names no address.
fn told(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> Option<IpAddr> {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(&peer) {
        return None;
    }
    let mut chain = Vec::new();
    for value in headers.get_all("x-forwarded-for") {
        for part in value.to_str().ok()?.split(',') {
            chain.push(address(part)?);
        }
    }
    if chain.is_empty() {
        // A proxy that speaks in another way than this one is not understood, and so not believed.
        chain.push(address(headers.get("x-real-ip")?.to_str().ok()?)?);
    }
    chain.iter().rev().find(|address| !is_trusted(address)).or_else(|| chain.first()).copied()
}

/// An address as proxies write it, a port included.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = || text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let address = bare().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))?;
    Some(address.to_canonical())
}

/// `Authorization`, with or without `Bearer`, before `X-Management-Key`.
fn key(head: &Parts) -> Option<&[u8]> {
    let authorization = head.headers.get(AUTHORIZATION).map(|value| {
        let value = value.as_bytes().trim_ascii();
        match value.split_at_checked(7) {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"bearer ") => key.trim_ascii(),
            _ => value,
        }
    });
    let own = || head.headers.get("x-management-key").map(|value| value.as_bytes().trim_ascii());
    authorization.filter(|key| !key.is_empty()).or_else(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_of(name: &'static str, value: &'static str, peer: &str, trusted: &[&str]) -> Option<String> {
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static(name),
            http::HeaderValue::from_static(value),
        )]);
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        told(&headers, peer.parse().unwrap(), &trusted).map(|address| address.to_string())
    }

    #[test]
    fn trusted_proxies_say_who_asks_and_nobody_else_does() {
        let name = "x-forwarded-for";
        let trusted = ["127.0.0.1/32", "10.0.0.0/8"];
        for (value, peer, expected) in [
            ("192.0.2.7", "127.0.0.1", Some("192.0.2.7")),
            ("192.0.2.7", "192.0.2.1", None),
            // What a client adds in front is not believed.
            ("127.0.0.1, 192.0.2.7", "127.0.0.1", Some("192.0.2.7")),
            ("127.0.0.1, 192.0.2.7, 10.1.1.1", "10.2.2.2", Some("192.0.2.7")),
            ("192.0.2.7:4711", "127.0.0.1", Some("192.0.2.7")),
            ("[2001:db8::1]:80, 10.0.0.1", "127.0.0.1", Some("2001:db8::1")),
            ("127.0.0.1", "127.0.0.1", Some("127.0.0.1")),
            ("unknown", "127.0.0.1", None),
            ("", "127.0.0.1", None),
        ] {
            assert_eq!(told_of(name, value, peer, &trusted).as_deref(), expected, "{value} from {peer}");
        }
        assert_eq!(told_of("x-real-ip", "192.0.2.7", "10.0.0.1", &trusted).as_deref(), Some("192.0.2.7"));
        assert_eq!(told_of("forwarded", "for=192.0.2.7", "10.0.0.1", &trusted), None);
        assert_eq!(told_of(name, "192.0.2.7", "127.0.0.1", &[]), None);
    }
}

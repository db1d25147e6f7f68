//! Where a request comes from, as far as that gives rights: by its socket, for a header can say anything. Only of proxies
//! that the owner trusts the word counts.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::HeaderMap;
use http::request::Parts;
use ipnet::IpNet;

/// Headers by which something between says that it speaks for somebody else.
const FORWARDED: [&str; 10] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fly-client-ip",
    "via",
];

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// By the word of trusted proxies, else by the socket; `None` where the router is mounted into a program that does
    /// not say it.
    pub(crate) address: Option<IpAddr>,
    /// Something between speaks for somebody else, and its word is not trusted. That takes rights away and never gives
    /// any.
    pub(crate) is_forwarded: bool,
}

impl Origin {
    /// Who asks, with these proxies trusted.
    pub(crate) fn of(head: &Parts, trusted: &[IpNet]) -> Self {
        let peer = address(head);
        if !is_forwarded(&head.headers) {
            return Self { address: peer, is_forwarded: false };
        }
        let told = peer.and_then(|peer| told(&head.headers, peer, trusted));
        Self { address: told.or(peer), is_forwarded: told.is_none() }
    }

    /// Whether it is somebody on this machine.
    pub(crate) fn is_here(self) -> bool {
        !self.is_forwarded && self.address.is_some_and(|address| address.is_loopback())
    }
}

/// The address of the socket.
fn address(head: &Parts) -> Option<IpAddr> {
    head.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_canonical())
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    FORWARDED.iter().any(|name| headers.contains_key(*name))
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
            chain.push(written(part)?);
        }
    }
    if chain.is_empty() {
        // A proxy that speaks in another way than this one is not understood, and so not believed.
        chain.push(written(headers.get("x-real-ip")?.to_str().ok()?)?);
    }
    chain.iter().rev().find(|address| !is_trusted(address)).or_else(|| chain.first()).copied()
}

/// An address as proxies write it, a port included.
fn written(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = || text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let address = bare().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUSTED: [&str; 2] = ["127.0.0.1/32", "10.0.0.0/8"];

    fn origin(peer: Option<&str>, header: Option<(&'static str, &'static str)>, trusted: &[&str]) -> Origin {
        let (mut head, ()) = http::Request::new(()).into_parts();
        if let Some(peer) = peer {
            head.extensions.insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        }
        if let Some((name, value)) = header {
            head.headers.insert(name, http::HeaderValue::from_static(value));
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        Origin::of(&head, &trusted)
    }

    #[test]
    fn loopback_is_of_both_families_and_of_one_inside_the_other() {
        for (peer, expected) in [
            ("127.0.0.1:9", true),
            ("127.8.7.6:9", true),
            ("[::1]:9", true),
            ("[::ffff:127.0.0.1]:9", true),
            ("192.0.2.1:9", false),
            ("[2001:db8::1]:9", false),
            ("[::ffff:192.0.2.1]:9", false),
        ] {
            assert_eq!(origin(Some(peer), None, &[]).is_here(), expected, "{peer}");
            // Whoever speaks for another has none of the rights of this machine.
            for name in FORWARDED {
                assert!(!origin(Some(peer), Some((name, "127.0.0.1")), &[]).is_here(), "{peer} {name}");
            }
        }
        assert!(!origin(None, None, &TRUSTED).is_here());
    }

    #[test]
    fn trusted_proxies_say_who_asks_and_nobody_else_does() {
        let name = "x-forwarded-for";
        for (value, peer, expected) in [
            ("192.0.2.7", "127.0.0.1:9", Some("192.0.2.7")),
            ("192.0.2.7", "192.0.2.1:9", None),
            // What a client adds in front is not believed.
            ("127.0.0.1, 192.0.2.7", "127.0.0.1:9", Some("192.0.2.7")),
            ("127.0.0.1, 192.0.2.7, 10.1.1.1", "10.2.2.2:9", Some("192.0.2.7")),
            ("192.0.2.7:4711", "127.0.0.1:9", Some("192.0.2.7")),
            ("[2001:db8::1]:80, 10.0.0.1", "127.0.0.1:9", Some("2001:db8::1")),
            ("127.0.0.1", "127.0.0.1:9", Some("127.0.0.1")),
            ("unknown", "127.0.0.1:9", None),
            ("", "127.0.0.1:9", None),
        ] {
            let origin = origin(Some(peer), Some((name, value)), &TRUSTED);
            assert_eq!(origin.is_forwarded, expected.is_none(), "{value} from {peer}");
            let address = expected.unwrap_or_else(|| peer.trim_end_matches(":9"));
            assert_eq!(origin.address, Some(address.parse().unwrap()), "{value} from {peer}");
            assert_eq!(origin.is_here(), expected == Some("127.0.0.1"), "{value} from {peer}");
        }
        let real = origin(Some("10.0.0.1:9"), Some(("x-real-ip", "192.0.2.7")), &TRUSTED);
        assert_eq!(real.address, Some("192.0.2.7".parse().unwrap()));
        assert!(origin(Some("10.0.0.1:9"), Some(("forwarded", "for=192.0.2.7")), &TRUSTED).is_forwarded);
        assert!(origin(Some("127.0.0.1:9"), Some((name, "192.0.2.7")), &[]).is_forwarded);
    }
}

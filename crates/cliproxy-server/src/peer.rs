//! Where a request comes from, as far as that gives rights: by its socket alone, for a header can say anything.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::request::Parts;

/// Headers by which something between says that it speaks for somebody else.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "cf-connecting-ip"];

/// The address of the socket; `None` where the router is mounted into a program that does not say it.
pub(crate) fn address(head: &Parts) -> Option<IpAddr> {
    head.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_canonical())
}

/// Whether the socket is this machine's.
pub(crate) fn is_loopback(head: &Parts) -> bool {
    address(head).is_some_and(|address| address.is_loopback())
}

/// Whether something between says that it speaks for somebody else. It takes rights away and never gives any.
pub(crate) fn is_forwarded(head: &Parts) -> bool {
    FORWARDED.iter().any(|name| head.headers.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(peer: Option<&str>, header: Option<&'static str>) -> Parts {
        let (mut head, ()) = http::Request::new(()).into_parts();
        if let Some(peer) = peer {
            head.extensions.insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        }
        if let Some(name) = header {
            head.headers.insert(name, http::HeaderValue::from_static("127.0.0.1"));
        }
        head
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
            for header in [None, Some("x-forwarded-for")] {
                assert_eq!(is_loopback(&head(Some(peer), header)), expected, "{peer}");
            }
        }
        assert!(!is_loopback(&head(None, Some("x-real-ip"))));
    }

    #[test]
    fn whoever_speaks_for_another_says_so() {
        for name in FORWARDED {
            assert!(is_forwarded(&head(None, Some(name))), "{name}");
        }
        assert!(!is_forwarded(&head(None, Some("host"))));
    }
}

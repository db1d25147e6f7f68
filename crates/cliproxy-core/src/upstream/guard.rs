//! Which addresses may be connected to on behalf of somebody else.
//!
//! A client may name an address that the gateway is to read. From inside of the owner's network that would reach what no
//! client could reach itself: other services of the machine, devices of the house, the metadata of a cloud machine. So a
//! name is resolved here, what it resolves to is judged, and the connection goes to exactly the address that was judged:
//! a name that resolves to something else a moment later changes nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use http::Uri;

use super::connect::with_port;

/// Hosts beyond the open web that may be connected to.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    /// As configured: `host` or `host:port`, lower case.
    allowed: Arc<[String]>,
}

/// Who connects to the address in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// This machine, which knows which of its networks lead anywhere.
    Own,
    /// A proxy. It may have no way for IPv6 addresses, and is given one address only.
    Proxy,
}

impl Guard {
    pub(super) fn new(allowed: Arc<[String]>) -> Self {
        Self { allowed }
    }

    /// The same address with a number for a host that may be connected to; `None` when there is none.
    pub(super) async fn checked(&self, uri: &Uri, reach: Reach) -> std::io::Result<Option<Uri>> {
        let uri = with_port(uri);
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(80);
        let is_allowed =
            self.allowed.iter().any(|known| *known == host || *known == format!("{host}:{port}"));
        let found = tokio::net::lookup_host((host.as_str(), port)).await?;
        let mut open = found.filter(|address| is_allowed || is_public(address.ip()));
        let address = match reach {
            Reach::Own => open.next(),
            Reach::Proxy => open.min_by_key(SocketAddr::is_ipv6),
        };
        address.map(|address| numbered(uri, address)).transpose()
    }
}

fn numbered(uri: Uri, address: SocketAddr) -> std::io::Result<Uri> {
    let mut parts = uri.into_parts();
    parts.authority = Some(address.to_string().parse().map_err(std::io::Error::other)?);
    Uri::from_parts(parts).map_err(std::io::Error::other)
}

/// Whether an address is one of the open web. What is not known to be is none.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    // Sources: the IANA registry of special addresses, and the one under which Azure's machines find their host.
    const AZURE_HOST: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
    let [a, b, c, _] = address.octets();
    let is_special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !is_special && address != AZURE_HOST
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let [first, second, third, fourth, fifth, sixth, high, low] = segments;
    let embedded =
        |high: u16, low: u16| is_public_v4(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)));
    match (first, second) {
        // Addresses that stand for one of the older kind.
        (0x64, 0xFF9B) => [third, fourth, fifth, sixth] == [0; 4] && embedded(high, low),
        (0x2002, _) => embedded(second, third),
        // Tunnels, benchmarks, documentation.
        (0x2001, 0..=0x1FF | 0xDB8) | (0x3FFF, 0..=0xFFF) => false,
        // Of all others only the space that is given to the open web.
        _ => (0x2000..=0x3FFF).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_of_the_open_web_is_refused_in_every_spelling() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.9.9.9",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn addresses_of_the_open_web_are_let_through() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[tokio::test]
    async fn a_connection_goes_to_the_number_that_was_judged() {
        let uri = Uri::from_static("http://LOCALHOST:8080/a?b=c");
        assert_eq!(Guard::new(Arc::new([])).checked(&uri, Reach::Own).await.unwrap(), None);
        for allowed in ["localhost", "localhost:8080"] {
            let checked =
                Guard::new(Arc::new([allowed.to_owned()])).checked(&uri, Reach::Own).await.unwrap().unwrap();
            assert!(
                checked.host().unwrap().trim_matches(['[', ']']).parse::<IpAddr>().unwrap().is_loopback()
            );
            assert_eq!((checked.port_u16(), checked.path()), (Some(8080), "/a"));
        }
        assert_eq!(
            Guard::new(Arc::new(["localhost:80".to_owned()])).checked(&uri, Reach::Own).await.unwrap(),
            None
        );
    }
}

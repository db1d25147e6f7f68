//! Outbound proxies, as the configuration, an auth file or the environment names them.
//!
//! An address may carry a password, so it lives in a type that hides it. A proxy that cannot be understood is an error:
//! quietly going direct would show the user's address to the upstream. Opening connections through one is the business
//! of [`crate::upstream`].

use std::fmt;

use url::Url;

use crate::secret::Secret;

/// Which way requests leave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Proxy {
    /// As the next wider setting says: entry, then global, then environment.
    #[default]
    Inherit,
    /// No proxy, not even the environment's.
    Direct,
    /// Through this one.
    Url(ProxyUrl),
}

/// Why a text is no proxy. It does not repeat the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAProxy {
    /// Not an address at all.
    #[error("not an address of a proxy")]
    NoAddress,
    /// A scheme that no proxy here speaks.
    #[error("the proxy's scheme is not supported")]
    Scheme,
    /// No host.
    #[error("the proxy's address has no host")]
    NoHost,
}

/// Address of a proxy; user name and password never show.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProxyUrl(Url);

impl ProxyUrl {
    /// Reads an address with one of the schemes `http`, `https`, `socks5`, `socks5h`.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn parse(text: &str) -> Result<Self, NotAProxy> {
        let Ok(url) = Url::parse(text.trim()) else {
            return Err(NotAProxy::NoAddress);
        };
        if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") {
            return Err(NotAProxy::Scheme);
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(NotAProxy::NoHost);
        }
        Ok(Self(url))
    }

    /// The whole address with its password. Only for setting up the client.
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }

    /// The address without user name and password.
    pub fn redacted(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        let user = if self.has_credentials() { "****@" } else { "" };
        match self.0.port() {
            Some(port) => format!("{}://{user}{host}:{port}", self.0.scheme()),
            None => format!("{}://{user}{host}", self.0.scheme()),
        }
    }

    /// Host and port where it listens.
    pub fn place(&self) -> Option<(&str, u16)> {
        let usual =
            if self.0.scheme().starts_with("socks5") { Some(1080) } else { self.0.port_or_known_default() };
        Some((self.0.host_str()?, self.0.port().or(usual)?))
    }

    /// Whether it is given addresses, so that names are resolved on this machine.
    pub fn wants_addresses(&self) -> bool {
        self.0.scheme() == "socks5"
    }

    /// User name and password, as they are written.
    pub fn credentials(&self) -> impl Iterator<Item = Secret> {
        let written = [self.0.username(), self.0.password().unwrap_or_default()];
        written.into_iter().filter(|text| !text.is_empty()).map(Secret::new)
    }

    fn has_credentials(&self) -> bool {
        !self.0.username().is_empty() || self.0.password().is_some()
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.redacted())
    }
}

impl Proxy {
    /// Reads a word or an address; empty means inherit.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn parse(text: &str) -> Result<Self, NotAProxy> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::Inherit);
        }
        if text.eq_ignore_ascii_case("direct") || text.eq_ignore_ascii_case("none") {
            return Ok(Self::Direct);
        }
        ProxyUrl::parse(text).map(Self::Url)
    }

    /// A way that leads nowhere, for a proxy that was named and cannot be used.
    pub(crate) fn unusable() -> Self {
        Url::parse("http://proxy.invalid:1").map_or(Self::Direct, |url| Self::Url(ProxyUrl(url)))
    }

    /// Takes the wider setting where this one inherits.
    #[must_use]
    pub fn or(&self, wider: &Self) -> Self {
        if *self == Self::Inherit { wider.clone() } else { self.clone() }
    }

    /// A name that tells ways apart and shows nothing of them.
    pub fn key(&self) -> String {
        match self {
            Self::Inherit => "inherit".to_owned(),
            Self::Direct => "direct".to_owned(),
            Self::Url(url) => cliproxy_wire::id::hex("proxy-", 16, &[url.expose()]),
        }
    }

    /// A form that people may see.
    pub fn redacted(&self) -> String {
        match self {
            Self::Inherit => "inherit".to_owned(),
            Self::Direct => "direct".to_owned(),
            Self::Url(url) => url.redacted(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_and_words_are_known() {
        for text in ["http://h:1", "https://h", "socks5://u:p@h:1080", "socks5h://h:1080", " http://h:1 "] {
            assert!(matches!(Proxy::parse(text), Ok(Proxy::Url(_))), "{text}");
        }
        assert_eq!(Proxy::parse(""), Ok(Proxy::Inherit));
        assert_eq!(Proxy::parse("Direct"), Ok(Proxy::Direct));
        assert_eq!(Proxy::parse("none"), Ok(Proxy::Direct));
    }

    #[test]
    fn an_unknown_scheme_is_an_error_and_never_direct() {
        for text in ["ftp://h", "socks4://h:1", "h:1080", "http://", "nonsense"] {
            assert!(Proxy::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn user_name_and_password_never_show() {
        let proxy = Proxy::parse("socks5://alice:hunter2@proxy.example:1080").unwrap();
        assert_eq!(proxy.redacted(), "socks5://****@proxy.example:1080");
        let shown = format!("{proxy:?}");
        assert!(!shown.contains("alice") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_proxy_without_a_port_has_the_usual_one() {
        for (address, port) in [
            ("socks5://h", 1080),
            ("http://h", 80),
            ("https://u:p@h", 443),
            ("socks5h://h", 1080),
            ("http://h:9", 9),
        ] {
            assert_eq!(ProxyUrl::parse(address).unwrap().place(), Some(("h", port)), "{address}");
        }
    }

    #[test]
    fn the_narrower_setting_wins() {
        let wide = Proxy::parse("http://h:1").unwrap();
        assert_eq!(Proxy::Inherit.or(&wide), wide);
        assert_eq!(Proxy::Direct.or(&wide), Proxy::Direct);
    }
}

//! Ways out of the machine: direct, through a configured proxy, or as the environment says.
//!
//! A module of its own because it is about addresses and passwords of proxies alone. Opening connections along a way is
//! the connector's business.

use std::sync::Arc;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

use crate::env::{self, Env};
use crate::proxy::{Proxy, ProxyUrl};

/// A way out of the machine.
#[derive(Clone, Debug)]
pub(super) enum Way {
    Direct,
    Environment(Arc<Environment>),
    Proxy(Arc<Hop>),
}

/// What the environment says about proxies, read once.
#[derive(Debug)]
pub(super) struct Environment {
    /// Knows the list of exceptions. Its own idea of the proxies is not used: it keeps no password of an http proxy.
    exceptions: Matcher,
    http: Option<Arc<Hop>>,
    https: Option<Arc<Hop>>,
}

impl Environment {
    pub(super) fn new(env: &dyn Env) -> Self {
        let no = env.get(env::NO_PROXY).unwrap_or_default();
        // The matcher takes the star for names only.
        let is_off = no.split(',').any(|exception| exception.trim() == "*");
        let address = |name: &str| env.get(name).filter(|_| !is_off);
        let hop = |name: &str| address(name).map(|address| Arc::new(Hop::named(&address)));
        let every = hop(env::ALL_PROXY);
        Self {
            exceptions: Matcher::builder().all("http://proxy.invalid").no(no).build(),
            http: hop(env::HTTP_PROXY).or_else(|| every.clone()),
            https: hop(env::HTTPS_PROXY).or(every),
        }
    }

    fn hop(&self, destination: &Uri) -> Option<Arc<Hop>> {
        let hop = if destination.scheme_str() == Some("https") { &self.https } else { &self.http };
        let hop = hop.as_ref()?;
        self.exceptions.intercept(destination)?;
        Some(Arc::clone(hop))
    }
}

/// One proxy, taken apart.
#[derive(Clone)]
pub(super) struct Hop {
    /// Where it listens.
    pub(super) uri: Uri,
    /// The address without user name and password.
    pub(super) shown: String,
    /// What it speaks.
    pub(super) scheme: HopScheme,
    /// User name and password.
    pub(super) credentials: Option<(String, String)>,
}

impl std::fmt::Debug for Hop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HopScheme {
    Http,
    /// The same behind TLS.
    Https,
    Socks5 {
        /// The proxy is given addresses; else names.
        resolves_here: bool,
    },
}

impl Hop {
    fn new(proxy: &ProxyUrl) -> Option<Self> {
        let url = url::Url::parse(proxy.expose()).ok()?;
        let decode = |text: &str| percent_decode(text);
        let credentials = (!url.username().is_empty() || url.password().is_some())
            .then(|| (decode(url.username()), decode(url.password().unwrap_or_default())));
        let (host, port) = proxy.place()?;
        let (scheme, uri_scheme) = match url.scheme() {
            "http" => (HopScheme::Http, "http"),
            "https" => (HopScheme::Https, "https"),
            "socks5" | "socks5h" => (HopScheme::Socks5 { resolves_here: proxy.wants_addresses() }, "http"),
            _ => return None,
        };
        let uri = Uri::builder()
            .scheme(uri_scheme)
            .authority(format!("{host}:{port}"))
            .path_and_query("/")
            .build()
            .ok()?;
        Some(Self { uri, shown: proxy.redacted(), scheme, credentials })
    }

    /// A proxy as variables name it, where the scheme may be missing.
    fn named(address: &str) -> Self {
        let address = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let hop = ProxyUrl::parse(&address).ok().and_then(|url| Self::new(&url));
        hop.unwrap_or_else(|| Self::unusable("of the environment".to_owned()))
    }

    /// A proxy that leads nowhere, for one that cannot be understood: going direct would be the one wrong answer.
    fn unusable(shown: String) -> Self {
        let uri = Uri::from_static("http://0.0.0.0:1");
        Self { uri, shown, scheme: HopScheme::Http, credentials: None }
    }

    /// Whether the owner wants names to be resolved there and nowhere else.
    pub(super) fn resolves_names(&self) -> bool {
        self.scheme == HopScheme::Socks5 { resolves_here: false }
    }

    /// The `proxy-authorization` header.
    pub(super) fn basic_auth(&self) -> Option<http::HeaderValue> {
        use base64::Engine as _;
        let (user, password) = self.credentials.as_ref()?;
        let token = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        let mut value = http::HeaderValue::from_str(&format!("Basic {token}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = rest.next().and_then(|digit| char::from(digit).to_digit(16));
            let low = rest.next().and_then(|digit| char::from(digit).to_digit(16));
            if let (Some(high), Some(low)) = (high, low) {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
            }
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Way {
    pub(super) fn new(proxy: &Proxy, environment: &Arc<Environment>) -> Self {
        match proxy {
            Proxy::Direct => Self::Direct,
            Proxy::Inherit => Self::Environment(Arc::clone(environment)),
            // Validated when the configuration was read.
            Proxy::Url(url) => {
                Self::Proxy(Arc::new(Hop::new(url).unwrap_or_else(|| Hop::unusable(url.redacted()))))
            }
        }
    }

    /// The proxy to go through.
    pub(super) fn hop(&self, destination: &Uri) -> Option<Arc<Hop>> {
        match self {
            Self::Direct => None,
            Self::Proxy(hop) => Some(Arc::clone(hop)),
            Self::Environment(environment) => environment.hop(destination),
        }
    }

    /// The proxy that a request is sent to itself: plain http through an http proxy.
    pub(super) fn forwarder(&self, destination: &Uri) -> Option<Arc<Hop>> {
        if destination.scheme_str() != Some("http") {
            return None;
        }
        self.hop(destination).filter(|hop| matches!(hop.scheme, HopScheme::Http | HopScheme::Https))
    }
}

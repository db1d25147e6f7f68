//! Pictures and documents that a client names by address, read within limits of size, kind, time, redirects and
//! addresses.
//!
//! An answer is believed by its bytes, not by what it says that they are. Nothing of the gateway or of a credential goes
//! out with the request, and nothing of an answer that is not what was wanted comes back. A proxy is asked to connect to
//! the number that was judged, never to a name.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioTimer;
use url::Url;

use super::body::{ReadError, UpstreamBody, read_all};
use super::client::Clients;
use super::connect::{ConnectError, Connector};
use super::guard::Guard;
use super::kept::Travelling;
use super::{Limits, Reply};
use crate::proxy::Proxy;

/// Most redirects that are followed.
const REDIRECTS: usize = 3;

/// What an address is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A jpeg, png, gif or webp image.
    Image,
    /// A PDF or a text.
    Document,
}

/// Limits of one reading.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// What is to be there.
    pub wanted: Wanted,
    /// Largest file, in bytes.
    pub bytes: usize,
    /// Longest time for everything.
    pub time: Duration,
    /// Hosts that may be read although they are not of the open web: `host` or `host:port`.
    pub private_hosts: Arc<[String]>,
}

/// A picture or document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// MIME type.
    pub mime: &'static str,
    /// The file.
    pub bytes: Bytes,
}

/// Why there is none. The words are for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfetched {
    /// Not an address of the web, or one with user name and password.
    #[error("is not an http or https address without user name")]
    Address,
    /// On the machine, in its network, or another special place.
    #[error("is not on the open web; image-urls.private-hosts in config.yaml names hosts that may be read")]
    Private,
    /// The proxy is configured to resolve names, and nobody here would know to what.
    #[error("cannot be read, because the configured proxy resolves names itself (socks5h); send the content")]
    Proxied,
    /// Too many redirects.
    #[error("is redirected too often")]
    Redirects,
    /// Too large.
    #[error("is larger than image-urls.max-mb in config.yaml allows")]
    TooLarge,
    /// Too slow.
    #[error("did not come in time")]
    TooSlow,
    /// Not jpeg, png, gif or webp.
    #[error("is no jpeg, png, gif or webp image")]
    NoImage,
    /// Neither PDF nor text.
    #[error("is neither a PDF nor a text")]
    NoDocument,
    /// Another status than success.
    #[error("answers with status {0}")]
    Status(u16),
    /// No answer, or one that broke.
    #[error("cannot be read")]
    Unreachable,
}

impl Clients {
    /// Reads what is at an address.
    ///
    /// # Errors
    /// See [`Unfetched`].
    pub async fn fetch(&self, address: &str, fetch: &Fetch, proxy: &Proxy) -> Result<Fetched, Unfetched> {
        let reading = self.follow(address, fetch, proxy);
        tokio::time::timeout(fetch.time, reading).await.map_err(|_elapsed| Unfetched::TooSlow)?
    }

    async fn follow(&self, address: &str, fetch: &Fetch, proxy: &Proxy) -> Result<Fetched, Unfetched> {
        let mut url = Url::parse(address.trim()).map_err(|_no_url| Unfetched::Address)?;
        for _ in 0..=REDIRECTS {
            let reply = self.ask(&url, fetch, proxy).await?;
            if !reply.status.is_redirection() {
                return file(reply, fetch).await;
            }
            let target = reply.headers.get(LOCATION).and_then(|target| target.to_str().ok());
            // A redirect is judged like any address: it may lead anywhere.
            url = target.and_then(|target| url.join(target).ok()).ok_or(Unfetched::Unreachable)?;
        }
        Err(Unfetched::Redirects)
    }

    async fn ask(&self, url: &Url, fetch: &Fetch, proxy: &Proxy) -> Result<Reply, Unfetched> {
        let is_plain = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !is_plain {
            return Err(Unfetched::Address);
        }
        let mut bare = url.clone();
        bare.set_fragment(None);
        let uri = Uri::try_from(bare.as_str()).map_err(|_no_uri| Unfetched::Address)?;
        let way = self.way(proxy);
        if way.hop(&uri).is_some_and(|hop| hop.resolves_names()) {
            return Err(Unfetched::Proxied);
        }
        let guard = Guard::new(Arc::clone(&fetch.private_hosts));
        let limits = Limits { connect: Some(fetch.time), tls: Some(fetch.time), ..Limits::default() };
        let connector = Connector::new(way, self.tls(), limits).guarded(guard);
        // A connection that is kept would outlive the judgement of its address.
        let client: Client<_, Full<Bytes>> = Client::builder(self.background())
            .timer(TokioTimer::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.uri_mut() = uri;
        *request.headers_mut() = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static(fetch.wanted.accept())),
            (ACCEPT_ENCODING, HeaderValue::from_static("identity")),
            (USER_AGENT, HeaderValue::from_static(crate::PRODUCT)),
        ]);
        let answer = client.request(request).await.map_err(|error| refused(&error))?;
        let (head, body) = answer.into_parts();
        Ok(Reply {
            status: head.status,
            headers: head.headers,
            body: UpstreamBody::Http(Travelling::driven(body)),
        })
    }
}

fn refused(error: &hyper_util::client::legacy::Error) -> Unfetched {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if matches!(cause.downcast_ref::<ConnectError>(), Some(ConnectError::Private { .. })) {
            return Unfetched::Private;
        }
        source = cause.source();
    }
    Unfetched::Unreachable
}

async fn file(reply: Reply, fetch: &Fetch) -> Result<Fetched, Unfetched> {
    if reply.status != StatusCode::OK {
        return Err(Unfetched::Status(reply.status.as_u16()));
    }
    let length =
        reply.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > fetch.bytes) {
        return Err(Unfetched::TooLarge);
    }
    if reply.headers.get(CONTENT_ENCODING).is_some_and(|value| value != "identity") {
        return Err(fetch.wanted.missing());
    }
    let told = reply.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let bytes = read_all(reply.body, None, fetch.bytes).await.map_err(|error| match error {
        ReadError::TooLarge => Unfetched::TooLarge,
        ReadError::Broken(_) | ReadError::Idle(_) => Unfetched::Unreachable,
    })?;
    let mime = match fetch.wanted {
        Wanted::Image => image(&bytes),
        Wanted::Document => document(&bytes, told.as_deref().unwrap_or_default()),
    };
    mime.map(|mime| Fetched { mime, bytes }).ok_or_else(|| fetch.wanted.missing())
}

impl Wanted {
    fn accept(self) -> &'static str {
        match self {
            Self::Image => "image/jpeg, image/png, image/gif, image/webp",
            Self::Document => "application/pdf, text/*",
        }
    }

    fn missing(self) -> Unfetched {
        match self {
            Self::Image => Unfetched::NoImage,
            Self::Document => Unfetched::NoDocument,
        }
    }
}

/// Which image a file is by its first bytes.
fn image(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xFF, 0xD8, 0xFF, ..] => Some("image/jpeg"),
        [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => Some("image/png"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// Which document a file is: a PDF by its first bytes, or a text, which shows nothing but that it can be read. Which of
/// the texts is for the answer to tell.
fn document(bytes: &[u8], told: &str) -> Option<&'static str> {
    const TEXTS: [&str; 5] = ["text/html", "text/csv", "text/markdown", "text/xml", "application/json"];
    if bytes.starts_with(b"%PDF-") {
        return Some("application/pdf");
    }
    if bytes.is_empty() || bytes.contains(&0) || std::str::from_utf8(bytes).is_err() {
        return None;
    }
    let told = told.split(';').next().unwrap_or_default().trim();
    Some(TEXTS.into_iter().find(|text| told.eq_ignore_ascii_case(text)).unwrap_or("text/plain"))
}

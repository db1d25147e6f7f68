//! Errands for control panels: one request to a provider with a stored credential, whatever the provider answers.
//!
//! Panels ask for quotas and model lists this way. It would be an open relay for whoever holds the management key, so an
//! errand goes only where the gateway itself goes: to the services of the providers and to configured addresses.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::Engine;
use crate::credential::{Credential, CredentialId, auth_index};
use crate::oauth::{Answer, Line, Request, Unanswered};
use crate::provider;
use crate::secret::Secret;
use crate::store::Version;
use crate::upstream::Egress;

/// What stands for the token in a header.
const TOKEN: &str = "$TOKEN$";

/// Services of providers beyond the addresses of their models and logins.
const SERVICES: [&str; 9] = [
    "api.anthropic.com",
    "api.kimi.com",
    "api.openai.com",
    "api.x.ai",
    "chatgpt.com",
    "cloudcode-pa.googleapis.com",
    "daily-cloudcode-pa.googleapis.com",
    "daily-cloudcode-pa.sandbox.googleapis.com",
    "generativelanguage.googleapis.com",
];

/// A request to make.
#[derive(Debug)]
pub struct Errand {
    /// Whose token is used, by short id; nobody's when there is no such credential.
    pub index: Option<String>,
    /// Method.
    pub method: Method,
    /// Absolute address.
    pub uri: Uri,
    /// Headers, with `$TOKEN$` for the token.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Bytes,
}

/// Why an errand came back with nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRun {
    /// It leads elsewhere.
    #[error("host not allowed: only services of providers and configured addresses are asked")]
    Elsewhere,
    /// The credential has no token, and nothing to get one with.
    #[error("auth token not found")]
    NoToken,
    /// Its token has ended and could not be renewed.
    #[error("auth token refresh failed")]
    NotRenewed,
    /// A header is none.
    #[error("failed to build request")]
    Unbuildable,
    /// No answer came.
    #[error("request failed")]
    NoAnswer,
    /// The answer ended too early.
    #[error("failed to read response")]
    Broken,
}

impl Engine {
    /// Runs an errand. `now` is the clock in Unix seconds.
    ///
    /// # Errors
    /// See [`NotRun`]; whatever the provider answers is no error.
    pub fn run_errand(&self, errand: Errand, now: fn() -> u64) -> BoxFuture<'_, Result<Answer, NotRun>> {
        Box::pin(self.sent(errand, now))
    }

    async fn sent(&self, errand: Errand, now: fn() -> u64) -> Result<Answer, NotRun> {
        let snapshot = self.snapshot();
        if !self.is_known_place(&errand.uri) {
            return Err(NotRun::Elsewhere);
        }
        let found = errand.index.as_deref().and_then(|index| self.credential_of(index));
        let is_wanted = errand.headers.iter().any(|(_, value)| value.contains(TOKEN));
        let mut token = None;
        if let (Some(credential), true) = (&found, is_wanted) {
            if !self.may_get_token(credential, now) {
                return Err(NotRun::NoToken);
            }
            self.freshen(credential, now).await.map_err(|_said_on_the_account| NotRun::NotRenewed)?;
            token = Some(credential.token().filter(|token| !token.is_empty()).ok_or(NotRun::NoToken)?);
        }
        let headers = headers(&errand.headers, token.as_ref()).ok_or(NotRun::Unbuildable)?;
        let egress = if let Some(credential) = &found {
            Egress { credential: credential.id.clone(), proxy: credential.proxy.clone() }
        } else {
            let credential = CredentialId::new("management");
            Egress { credential, proxy: snapshot.settings.proxy.clone() }
        };
        let line = Line::new(snapshot.limits, self.clients(), egress);
        let request = Request { method: errand.method, uri: errand.uri, headers, body: errand.body };
        line.ask(request).await.map_err(|why| {
            tracing::info!("a request for the management interface got no answer: {why}");
            match why {
                Unanswered::Silent(_) => NotRun::NoAnswer,
                Unanswered::Broken(_) => NotRun::Broken,
            }
        })
    }

    fn credential_of(&self, index: &str) -> Option<Arc<Credential>> {
        let snapshot = self.snapshot();
        let is_its = |credential: &&Arc<Credential>| match (&credential.account, &credential.key) {
            (Some(account), _) => auth_index(account.id().as_str()) == index,
            (None, Some(key)) => key_index(key) == index,
            (None, None) => false,
        };
        snapshot.routes.credentials().iter().find(is_its).cloned()
    }

    /// Whether the gateway goes there itself.
    fn is_known_place(&self, uri: &Uri) -> bool {
        let snapshot = self.snapshot();
        let Some(wanted) = origin(&uri.to_string()) else { return false };
        let is_service = SERVICES.iter().any(|host| wanted == ("https".to_owned(), (*host).to_owned(), 443));
        let is_login = |name: &&str| {
            let usual = provider::identity(name).unwrap_or_default();
            let identity = snapshot.settings.oauth.identity(name, usual);
            [&identity.base_url, &identity.user_url, &identity.setup_url, &identity.check_url]
                .into_iter()
                .any(|url| origin(url).as_ref() == Some(&wanted))
        };
        is_service
            || provider::WITH_LOGINS.iter().any(is_login)
            || snapshot
                .routes
                .credentials()
                .iter()
                .any(|credential| origin(&credential.base_url).as_ref() == Some(&wanted))
    }
}

/// The short id of a key.
pub(super) fn key_index(key: &Secret) -> String {
    let version = Version::of(format!("api_key:{}", key.expose()).as_bytes()).to_string();
    version.chars().take(16).collect()
}

/// Scheme, host and port of an address without a password in it.
fn origin(url: &str) -> Option<(String, String, u16)> {
    let url = url::Url::parse(url).ok()?;
    if !url.username().is_empty() || url.password().is_some() || !["http", "https"].contains(&url.scheme()) {
        return None;
    }
    Some((url.scheme().to_owned(), url.host_str()?.to_owned(), url.port_or_known_default()?))
}

fn headers(written: &[(String, String)], token: Option<&Secret>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let name: HeaderName = name.trim().parse().ok()?;
        // Where the request goes has been checked; it does not go elsewhere by name.
        if [http::header::HOST, http::header::CONTENT_LENGTH, http::header::TRANSFER_ENCODING].contains(&name)
        {
            continue;
        }
        let mut text: HeaderValue = match token {
            Some(token) => value.replace(TOKEN, token.expose()).parse().ok()?,
            None => value.parse().ok()?,
        };
        text.set_sensitive(value.contains(TOKEN));
        headers.insert(name, text);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let of = |url: &str| origin(url).map(|(scheme, host, port)| format!("{scheme}://{host}:{port}"));
        assert_eq!(of("https://api.x.ai/v1"), Some("https://api.x.ai:443".to_owned()));
        assert_eq!(of("http://127.0.0.1:9/x"), Some("http://127.0.0.1:9".to_owned()));
        for url in ["https://user@api.x.ai/", "file:///etc/passwd", "api.x.ai", ""] {
            assert_eq!(of(url), None, "{url}");
        }
    }

    #[test]
    fn tokens_are_put_in_and_hosts_left_out() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let written = [pair("Authorization", "Bearer $TOKEN$"), pair("Host", "evil.example")];
        let headers = headers(&written, Some(&Secret::new("t-1"))).unwrap();
        assert_eq!(headers["authorization"], "Bearer t-1");
        assert!(headers["authorization"].is_sensitive());
        assert_eq!(headers.len(), 1);
        assert!(super::headers(&[pair("a b", "x")], None).is_none());
        assert!(super::headers(&[pair("a", "x\ny")], None).is_none());
    }
}

//! What the tests of the providers share: a job, a credential, and a request as text.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use cliproxy_wire::Format;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Job, Operation, Provider, demo};
use crate::PRODUCT;
use crate::credential::{Account, Credential, CredentialId, Header, Record};
use crate::failure::Failure;
use crate::secret::Secret;
use crate::upstream::{Addresses, Outgoing};

/// A credential with a key, and with headers that the entry configures.
pub(super) fn credential(base_url: &str) -> Credential {
    let name = HeaderName::from_static;
    Credential {
        base_url: base_url.into(),
        key: Some(Secret::new("upstream-key-0123456789")),
        headers: vec![
            (name("x-fixed"), Header::Fixed(HeaderValue::from_static("configured"))),
            (name("x-copied"), Header::FromClient(name("x-client-own"))),
        ],
        ..demo::credential()
    }
}

/// A job, and what of it a test changes.
pub(super) struct Trial {
    pub(super) operation: Operation,
    pub(super) model: &'static str,
    pub(super) client_format: Format,
    pub(super) client_headers: HeaderMap,
    pub(super) client_query: &'static str,
    pub(super) betas: Vec<String>,
    pub(super) is_sse: bool,
    pub(super) body: &'static str,
    addresses: Addresses,
}

impl Trial {
    /// A client of the format with headers of every kind: the format's own, credentials, and some of nobody.
    pub(super) fn new(operation: Operation, client_format: Format) -> Self {
        let client_headers = [
            ("authorization", "Bearer client-key"),
            ("x-api-key", "client-key"),
            ("x-goog-api-key", "client-key"),
            ("cookie", "session=client"),
            ("user-agent", "client/1.0"),
            ("x-client-own", "copied"),
            ("anthropic-version", "2024-01-01"),
            ("anthropic-beta", "client-beta, shared-beta"),
            ("openai-beta", "assistants=v2"),
            ("session_id", "session-1"),
            ("x-codex-turn-state", "state"),
            ("x-codex-installation-id", "machine"),
            ("x-goog-request-params", "model=m"),
            ("x-goog-user-project", "project"),
        ];
        let client_headers = client_headers
            .into_iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        Self {
            operation,
            model: "some-model",
            client_format,
            client_headers,
            client_query: "",
            betas: Vec::new(),
            is_sse: true,
            body: "{}",
            addresses: Addresses::default(),
        }
    }

    fn job(&self) -> Job<'_> {
        Job {
            operation: self.operation,
            model: self.model,
            body: Bytes::from_static(self.body.as_bytes()).into(),
            format: self.client_format,
            betas: &self.betas,
            client_format: self.client_format,
            client_headers: &self.client_headers,
            client_query: self.client_query,
            is_sse: self.is_sse,
            now: 1_700_000_000,
            addresses: &self.addresses,
            pays: false,
        }
    }

    pub(super) fn prepared(
        &self,
        provider: &dyn Provider,
        credential: &Credential,
    ) -> Result<Outgoing, Failure> {
        provider.prepare(self.job(), credential)
    }

    pub(super) fn refusal(&self, provider: &dyn Provider, credential: &Credential) -> Failure {
        provider.prepare(self.job(), credential).map(|_| ()).unwrap_err()
    }

    /// The body that is sent, for providers that add to it.
    pub(super) fn sent_body(&self, provider: &dyn Provider, credential: &Credential) -> String {
        let Outgoing::Http { body, .. } = provider.prepare(self.job(), credential).unwrap() else {
            panic!("answered in the process")
        };
        String::from_utf8(body.whole().to_vec()).unwrap()
    }

    /// The request as text: its line, and its headers in the order of their names.
    pub(super) fn sent(&self, provider: &dyn Provider, credential: &Credential) -> String {
        let Outgoing::Http { method, uri, headers, body } = provider.prepare(self.job(), credential).unwrap()
        else {
            panic!("answered in the process")
        };
        assert_eq!(body.whole(), self.body, "a provider leaves bodies alone");
        let mut names: Vec<&HeaderName> = headers.keys().collect();
        names.sort_by_key(|name| name.as_str());
        let mut text = format!("{method} {uri}");
        for name in names {
            for value in headers.get_all(name) {
                let value_text = value.to_str().unwrap().replace(PRODUCT, "[product]");
                let mark = if value.is_sensitive() { " (sensitive)" } else { "" };
                write!(text, "\n{name}: {value_text}{mark}").unwrap();
                assert_eq!(value_text.contains("upstream-key"), value.is_sensitive(), "{name}");
            }
        }
        text
    }
}

/// The same credential with another key.
pub(super) fn with_key(key: Option<&str>, credential: Credential) -> Credential {
    Credential { key: key.map(Secret::new), ..credential }
}

/// The same credential as an account, with this auth file.
pub(super) fn with_account(file: &serde_json::Value, credential: Credential) -> Credential {
    let record = Record::parse(file.to_string().as_bytes()).unwrap();
    let account = Arc::new(Account::new(CredentialId::new("account.json"), record));
    Credential { key: None, account: Some(account), ..credential }
}

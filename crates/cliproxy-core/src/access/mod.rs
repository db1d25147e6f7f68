//! Who may call: client keys, compared in constant time. Who may manage is decided by [`gate`].

pub mod allowance;
pub mod gate;
pub mod meter;

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

use self::allowance::Allowance;
use crate::secret::Secret;

/// Where clients of Google's and Anthropic's formats send a key.
const GOOGLE_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
const KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The client keys of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Access {
    keys: Vec<(Secret, Caller)>,
}

/// Who calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// A name for logs and statistics that does not give the key away; `None` when no keys are configured.
    pub key: Option<Arc<str>>,
    /// What it may do, where that is limited.
    pub allowance: Option<Arc<Allowance>>,
}

/// Why a caller is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No key came.
    #[error("missing API key: send it as `Authorization: Bearer`, `x-api-key`, `x-goog-api-key` or `?key=`")]
    Missing,
    /// An `Authorization` header came that names no scheme, and is no key either.
    #[error("invalid API key: write the header as `Authorization: Bearer <key>`")]
    Malformed,
    /// A key came that is not known.
    #[error("invalid API key")]
    Invalid,
    /// The key's time is over.
    #[error("this API key has expired")]
    Expired,
}

impl Refused {
    /// The word for programs. Source: the errors of Gemini-CLI-Proxy; OpenAI knows the last.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing_authorization",
            Self::Malformed => "invalid_authorization_format",
            Self::Invalid => "invalid_api_key",
            Self::Expired => "key_expired",
        }
    }
}

impl Access {
    /// The access that `keys` give; without any, everybody may call.
    pub fn new(keys: &[Secret], allowances: &[Arc<Allowance>]) -> Self {
        let caller = |key: &Secret| {
            let name = key.name();
            let allowance = allowances.iter().find(|allowance| allowance.client == name).cloned();
            (key.clone(), Caller { key: Some(name), allowance })
        };
        Self { keys: keys.iter().map(caller).collect() }
    }

    /// The keys, by their last characters, with what is known of them.
    pub fn callers(&self) -> impl Iterator<Item = (String, &Caller)> {
        self.keys.iter().map(|(key, caller)| (key.masked(), caller))
    }

    /// Whether what a client uses counts for a limit.
    pub fn is_metered(&self, client: Option<&Arc<str>>) -> bool {
        let is_it = |caller: &Caller| {
            caller.key.as_ref() == client
                && caller.allowance.as_ref().is_some_and(|allowance| !allowance.limits.is_empty())
        };
        client.is_some() && self.keys.iter().any(|(_, caller)| is_it(caller))
    }

    /// Finds out who calls and whether they may still. `now` is in Unix seconds.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn admit(&self, headers: &HeaderMap, query: Option<&str>, now: u64) -> Result<Caller, Refused> {
        let caller = self.check(headers, query)?;
        let has_expired = caller.allowance.as_ref().is_some_and(|allowance| allowance.has_expired(now));
        if has_expired { Err(Refused::Expired) } else { Ok(caller) }
    }

    /// Whether keys are required.
    pub fn is_required(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Finds out who calls. The places, in order: `Authorization`, `x-goog-api-key`, `x-api-key`, query `key`, query
    /// `auth_token`; the first value that is a known key wins.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn check(&self, headers: &HeaderMap, query: Option<&str>) -> Result<Caller, Refused> {
        if self.keys.is_empty() {
            return Ok(Caller::default());
        }
        let (mut was_presented, mut has_no_scheme) = (false, false);
        for name in [AUTHORIZATION, GOOGLE_KEY, KEY] {
            for value in headers.get_all(&name) {
                let value = value.as_bytes();
                let (value, is_clear) = if name == AUTHORIZATION { bearer(value) } else { (value, true) };
                let value = value.trim_ascii();
                if value.is_empty() {
                    continue;
                }
                was_presented |= is_clear;
                has_no_scheme |= !is_clear;
                if let Some(caller) = self.find(value) {
                    return Ok(caller.clone());
                }
            }
        }
        for wanted in ["key", "auth_token"] {
            for value in query_values(query, wanted) {
                was_presented = true;
                if let Some(caller) = self.find(value.as_bytes()) {
                    return Ok(caller.clone());
                }
            }
        }
        Err(match (was_presented, has_no_scheme) {
            (true, _) => Refused::Invalid,
            (false, true) => Refused::Malformed,
            (false, false) => Refused::Missing,
        })
    }

    /// A query without the values that are keys, for whom they do not concern; everything else stays as it is written.
    pub fn without_keys(&self, query: &str) -> String {
        let is_key = |pair: &&str| {
            ["key", "auth_token"].into_iter().any(|name| {
                query_values(Some(pair), name).iter().any(|value| self.find(value.as_bytes()).is_some())
            })
        };
        query.split('&').filter(|pair| !is_key(pair)).collect::<Vec<_>>().join("&")
    }

    /// Takes the client keys out of a request that was let in: nothing behind needs them, and a header that an entry
    /// copies from clients must not carry one to an upstream. Values that are no key of ours stay.
    pub fn conceal(&self, headers: &mut HeaderMap) {
        if self.keys.is_empty() {
            return;
        }
        for name in [AUTHORIZATION, GOOGLE_KEY, KEY] {
            let is_ours =
                |value: &http::HeaderValue| self.find(bearer(value.as_bytes()).0.trim_ascii()).is_some();
            if headers.get_all(&name).into_iter().any(is_ours) {
                headers.remove(&name);
            }
        }
    }

    fn find(&self, presented: &[u8]) -> Option<&Caller> {
        // All keys are compared, so that the time does not tell which one came close.
        let mut found = None;
        for (key, caller) in &self.keys {
            if key.matches(presented) && !key.is_empty() {
                found = Some(caller);
            }
        }
        found
    }
}

/// The value behind `Bearer`; a header without it is compared as a whole, and told apart.
fn bearer(value: &[u8]) -> (&[u8], bool) {
    match value.split_at_checked(7) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"bearer ") => (key, true),
        _ => (value, false),
    }
}

fn query_values(query: Option<&str>, wanted: &str) -> Vec<String> {
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs
        .filter(|(name, value)| name == wanted && !value.is_empty())
        .map(|(_, value)| value.into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), http::HeaderValue::from_static(value))])
    }

    #[test]
    fn a_key_is_found_in_every_place() {
        let access = Access::new(&[Secret::new("other-key-0000"), Secret::new("client-key-1234")], &[]);
        for headers in [
            headers("authorization", "Bearer client-key-1234"),
            headers("authorization", "bearer  client-key-1234"),
            headers("authorization", "client-key-1234"),
            headers("x-api-key", "client-key-1234"),
            headers("x-goog-api-key", "client-key-1234"),
        ] {
            assert!(access.check(&headers, None).is_ok(), "{headers:?}");
        }
        assert!(access.check(&HeaderMap::new(), Some("alt=sse&key=client-key-1234")).is_ok());
        assert!(access.check(&HeaderMap::new(), Some("auth_token=client%2Dkey-1234")).is_ok());
    }

    #[test]
    fn a_wrong_key_and_a_missing_key_are_told_apart() {
        let access = Access::new(&[Secret::new("client-key-1234")], &[]);
        assert_eq!(access.check(&HeaderMap::new(), None), Err(Refused::Missing));
        assert_eq!(access.check(&headers("x-api-key", "client-key-123"), None), Err(Refused::Invalid));
        assert_eq!(access.check(&headers("authorization", "Bearer wrong"), None), Err(Refused::Invalid));
        assert_eq!(access.check(&headers("authorization", "Basic wrong"), None), Err(Refused::Malformed));
    }

    #[test]
    fn without_keys_everybody_may_call_and_an_empty_key_opens_nothing() {
        assert!(Access::default().check(&HeaderMap::new(), None).is_ok());
        let access = Access::new(&[Secret::new("")], &[]);
        assert!(access.check(&HeaderMap::new(), Some("key=")).is_err());
        assert!(access.check(&headers("authorization", "Bearer "), None).is_err());
    }

    #[test]
    fn keys_are_taken_out_of_a_query_and_nothing_else_is() {
        let access = Access::new(&[Secret::new("client-key-1234")], &[]);
        for (query, expected) in [
            ("a=%2f&key=client-key-1234&b", "a=%2f&b"),
            ("auth_token=client%2Dkey-1234", ""),
            ("key=other&x=client-key-1234", "key=other&x=client-key-1234"),
            ("", ""),
        ] {
            assert_eq!(access.without_keys(query), expected);
        }
    }

    #[test]
    fn the_name_of_a_caller_is_not_its_key() {
        let access = Access::new(&[Secret::new("client-key-1234")], &[]);
        let caller = access.check(&headers("x-api-key", "client-key-1234"), None).unwrap();
        assert!(!caller.key.unwrap().contains("client"));
    }
}

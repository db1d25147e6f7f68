//! Renewing the token of a Gemini CLI account, on demand. Google gives access tokens for an hour and leaves the refresh
//! token as it is.

use serde_json::Value;

use super::login::{REMEDY, WHO};
use crate::credential::Record;
use crate::oauth::chain::Then as _;
use crate::oauth::exchange::Exchange;
use crate::oauth::{Identity, Refusal, Request, Tokens};
use crate::provider::Renewal;
use crate::secret::Secret;
use crate::store::Changes;

/// The least that a token is taken to live, in seconds: one that is said to end at once would be renewed all the time.
const SHORTEST_LIFE: u64 = 60;

/// The conversation; `None` without a refresh token.
pub(super) fn renew(record: &Record, identity: &Identity, now: u64) -> Option<Renewal> {
    let refresh = record.token("refresh_token")?;
    let known = || {
        let secret = identity.client_secret.as_ref().map(Secret::expose).unwrap_or_default();
        (&*identity.client_id, secret)
    };
    let (client_id, client_secret) = client(record).unwrap_or_else(known);
    let request = request(identity, &refresh, client_id, client_secret);
    let places = Places::of(record);
    Some(Box::new(Exchange::new(WHO, REMEDY, request).finish(move |tokens| Ok(places.changes(&tokens, now)))))
}

/// The request that exchanges a refresh token at Google.
pub(crate) fn request(
    identity: &Identity,
    refresh: &Secret,
    client_id: &str,
    client_secret: &str,
) -> Result<Request, Refusal> {
    Request::form(
        &identity.token_url,
        &[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh.expose()),
            ("client_id", client_id),
            ("client_secret", client_secret),
        ],
    )
}

/// The application that the file's login was made with: its refresh token is good for no other.
fn client(record: &Record) -> Option<(&str, &str)> {
    let text = |name| record.get(&["token", name]).and_then(Value::as_str).filter(|text| !text.is_empty());
    Some((text("client_id")?, text("client_secret")?))
}

/// Where a file keeps its tokens: inside `token`, with copies beside it that other programs have left.
#[derive(Debug)]
struct Places {
    is_inside: bool,
    copies: Vec<&'static str>,
}

impl Places {
    const NAMES: [&str; 3] = ["access_token", "refresh_token", "expiry"];

    fn of(record: &Record) -> Self {
        let is_inside = record.get(&["token"]).is_some_and(Value::is_object);
        let is_beside = |name: &&str| record.get(&[name]).is_some();
        Self { is_inside, copies: Self::NAMES.into_iter().filter(is_beside).collect() }
    }

    fn changes(&self, tokens: &Tokens, now: u64) -> Changes {
        let life = tokens.expires_in.map(|seconds| seconds.max(SHORTEST_LIFE));
        let end = life.and_then(|seconds| crate::time::rfc3339(now.saturating_add(seconds)));
        let values = [
            Some(tokens.access.expose().to_owned()),
            tokens.refresh.as_ref().map(|token| token.expose().to_owned()),
            end,
        ];
        let mut changes = Changes::default();
        for (name, value) in Self::NAMES.into_iter().zip(values) {
            let Some(value) = value else { continue };
            if self.is_inside {
                changes = changes.set_at(&["token", name], value.clone());
            }
            if !self.is_inside || self.copies.contains(&name) {
                changes = changes.set(name, value);
            }
        }
        changes.set_if_some("last_refresh", crate::time::rfc3339(now))
    }
}

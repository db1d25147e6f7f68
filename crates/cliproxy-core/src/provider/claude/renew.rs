//! Renewing the token of a Claude account. Refresh tokens rotate.

use serde_json::json;

use super::login::{REMEDY, WHO};
use crate::credential::Record;
use crate::oauth::chain::Then as _;
use crate::oauth::exchange::Exchange;
use crate::oauth::{Identity, Request};
use crate::provider::Renewal;

/// The conversation; `None` for setup tokens, which come without a refresh token and are valid until they end.
pub(super) fn renew(record: &Record, identity: &Identity, now: u64) -> Option<Renewal> {
    let refresh = record.token("refresh_token")?;
    let body = json!({
        "grant_type": "refresh_token",
        "refresh_token": refresh.expose(),
        "client_id": identity.client_id,
    });
    let request = Request::json(&identity.token_url, &body);
    Some(Box::new(Exchange::new(WHO, REMEDY, request).finish(move |tokens| Ok(tokens.renewed(now)))))
}

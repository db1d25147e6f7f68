//! Renewing the token of a ChatGPT account. Refresh tokens work once; an answer may leave out tokens that stay.

use super::login::{REMEDY, WHO};
use crate::credential::Record;
use crate::oauth::chain::Then as _;
use crate::oauth::exchange::Exchange;
use crate::oauth::{Identity, Request};
use crate::provider::Renewal;

/// The conversation; `None` for an access token that came alone.
pub(super) fn renew(record: &Record, identity: &Identity, now: u64) -> Option<Renewal> {
    let refresh = record.token("refresh_token")?;
    let request = Request::form(
        &identity.token_url,
        &[
            ("client_id", &identity.client_id),
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh.expose()),
            ("scope", "openid profile email"),
        ],
    );
    Some(Box::new(Exchange::new(WHO, REMEDY, request).finish(move |tokens| Ok(tokens.renewed(now)))))
}

//! Renewing the token of an xAI account, where its file says or, for files that do not, where discovery does.

use super::login::{REMEDY, WHO, is_trusted, token_endpoint};
use crate::credential::Record;
use crate::oauth::chain::{Fetch, Then as _};
use crate::oauth::exchange::Exchange;
use crate::oauth::{Answer, Identity, Refusal, Request, Tokens};
use crate::provider::Renewal;
use crate::secret::Secret;
use crate::store::Changes;

/// The conversation; `None` for an access token that came alone.
pub(super) fn renew(record: &Record, identity: &Identity, now: u64) -> Option<Renewal> {
    let refresh = record.token("refresh_token")?;
    let finish = move |tokens: Tokens| Ok(changes(&tokens, now));
    let configured = Some(&*identity.token_url).filter(|url| !url.is_empty());
    // A file may come from elsewhere: a token goes to nobody but xAI.
    let written = record.text("token_endpoint").filter(|url| is_trusted(url, &identity.setup_url));
    if let Some(url) = configured.or(written) {
        let request = form(url, identity, &refresh);
        return Some(Box::new(Exchange::new(WHO, REMEDY, request).finish(finish)));
    }
    let discovery = match Request::get(&identity.setup_url) {
        Ok(request) => Fetch::new(WHO, request),
        Err(refusal) => return Some(Box::new(Exchange::new(WHO, REMEDY, Err(refusal)).finish(finish))),
    };
    let identity = identity.clone();
    let flow = discovery.then(move |answer: Answer| {
        let url = token_endpoint(&answer, &identity)?;
        Ok(Exchange::new(WHO, REMEDY, form(&url, &identity, &refresh)))
    });
    Some(Box::new(flow.finish(finish)))
}

fn form(url: &str, identity: &Identity, refresh: &Secret) -> Result<Request, Refusal> {
    let pairs = [
        ("grant_type", "refresh_token"),
        ("client_id", &identity.client_id),
        ("refresh_token", refresh.expose()),
    ];
    Request::form(url, &pairs)
}

fn changes(tokens: &Tokens, now: u64) -> Changes {
    tokens.renewed(now).set_if_some("expires_in", tokens.expires_in)
}

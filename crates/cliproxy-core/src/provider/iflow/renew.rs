//! Renewing the API key of an iFlow account: by its refresh token, or by its cookie.

use super::login::{Key, REMEDY, WHO, renewal, token_request, user, user_request};
use crate::credential::Record;
use crate::oauth::chain::{Fetch, Then as _};
use crate::oauth::exchange::Exchange;
use crate::oauth::{Answer, Flow, Identity, Input, Refusal, Request, Step};
use crate::provider::Renewal;
use crate::reason::Code;
use crate::store::Changes;
use crate::time::rfc3339;

/// The conversation; `None` for a file with neither.
pub(super) fn renew(record: &Record, identity: &Identity, now: u64) -> Option<Renewal> {
    let Some(refresh) = record.token("refresh_token") else {
        let (cookie, name) = (record.token("cookie")?, record.text("email")?);
        let request = Some(renewal(identity, &cookie, name));
        return Some(Box::new(ByCookie { request }.finish(move |answer| renewed(&answer, now))));
    };
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", refresh.expose())];
    let exchange = Exchange::new(WHO, REMEDY, token_request(identity, &pairs));
    let identity = identity.clone();
    let flow = exchange.then(move |tokens| {
        let request = user_request(&identity, &tokens.access)?;
        Ok(Fetch::new(WHO, request).finish(move |answer| Ok((tokens, user(&answer)?.0))))
    });
    Some(Box::new(flow.finish(move |(tokens, key)| Ok(tokens.renewed(now).set("api_key", key.expose())))))
}

/// The one request that makes another key. It is not repeated: each makes the key before worthless.
#[derive(Debug)]
struct ByCookie {
    request: Option<Result<Request, Refusal>>,
}

impl Flow for ByCookie {
    type Output = Answer;

    fn step(&mut self, input: Input) -> Step<Answer> {
        Step::or_refused(match self.request.take() {
            Some(request) => request.map(Step::Redeem),
            None => input.answer(WHO).map(Step::Done),
        })
    }
}

fn renewed(answer: &Answer, now: u64) -> Result<Changes, Refusal> {
    let key = Key::read(answer)?;
    if key.text.is_empty() {
        return Err(super::login::no_key(Code::NoKeyShown.with("who", WHO)));
    }
    Ok(Changes::default()
        .set("api_key", key.text.expose())
        .set("expired", key.expires)
        .set_if_some("last_refresh", rfc3339(now)))
}

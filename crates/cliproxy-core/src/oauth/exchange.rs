//! The refresh token grant (RFC 6749, 6): a refresh token is redeemed for an access token and, with most providers, the
//! next refresh token.

use super::flow::{Flow, Input, Refusal, Request, Step};
use super::message::Tokens;
use crate::secret::Secret;
use crate::store::Changes;
use crate::time::rfc3339;

/// One redemption; yields tokens.
#[derive(Debug)]
pub(crate) struct Exchange {
    request: Option<Result<Request, Refusal>>,
    who: &'static str,
    remedy: &'static str,
}

impl Exchange {
    /// Redeems by `request`. `who` answers; `remedy` is what a person does when the grant is dead.
    pub(crate) fn new(who: &'static str, remedy: &'static str, request: Result<Request, Refusal>) -> Self {
        Self { request: Some(request), who, remedy }
    }
}

impl Flow for Exchange {
    type Output = Tokens;

    fn step(&mut self, input: Input) -> Step<Tokens> {
        Step::or_refused(match self.request.take() {
            Some(request) => request.map(Step::Redeem),
            None => input
                .answer(self.who)
                .and_then(|answer| Tokens::read(&answer, self.who, self.remedy))
                .map(Step::Done),
        })
    }
}

impl Tokens {
    /// What a renewal changes in an auth file: what the answer does not mention stays as it is. `now` is in Unix
    /// seconds.
    pub(crate) fn renewed(&self, now: u64) -> Changes {
        // An answer that gives a token no time to live would be renewed again at once.
        let end = self.expires_in.map(|seconds| now.saturating_add(seconds.max(SHORTEST_LIFE)));
        Changes::default()
            .set("access_token", self.access.expose())
            .set_if_some("refresh_token", self.refresh.as_ref().map(Secret::expose))
            .set_if_some("id_token", self.id.as_ref().map(Secret::expose))
            .set_if_some("last_refresh", rfc3339(now))
            .set_if_some("expired", end.and_then(rfc3339))
    }
}

/// The least that a token is taken to live, in seconds.
const SHORTEST_LIFE: u64 = 60;

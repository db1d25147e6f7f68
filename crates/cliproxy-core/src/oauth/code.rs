//! The authorization code flow (RFC 6749, 4.1): a person allows access in a browser, the browser brings a code back,
//! the code is redeemed for tokens.

use super::flow::{Flow, Input, Refusal, Request, Step};
use super::login::Setup;
use super::message::Tokens;
use crate::secret::Secret;

/// What differs between providers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodeLogin {
    /// The provider in messages.
    pub(crate) who: &'static str,
    /// What a person does when the code is refused.
    pub(crate) remedy: &'static str,
    /// Parameters of the address that the person visits.
    pub(crate) parameters: fn(&Setup) -> Vec<(&'static str, String)>,
    /// The request that redeems a code.
    pub(crate) redeem: fn(&Setup, &Secret) -> Result<Request, Refusal>,
}

impl CodeLogin {
    /// The conversation; yields tokens.
    pub(crate) fn begin(self, setup: Setup) -> CodeFlow {
        CodeFlow { login: self, setup }
    }
}

/// See [`CodeLogin::begin`].
#[derive(Debug)]
pub(crate) struct CodeFlow {
    login: CodeLogin,
    setup: Setup,
}

impl Flow for CodeFlow {
    type Output = Tokens;

    fn step(&mut self, input: Input) -> Step<Tokens> {
        Step::or_refused(match input {
            Input::Start => self.address().map(Step::Visit),
            Input::Returned(code) => (self.login.redeem)(&self.setup, &code).map(Step::Redeem),
            input => input
                .answer(self.login.who)
                .and_then(|answer| Tokens::read(&answer, self.login.who, self.login.remedy))
                .map(Step::Done),
        })
    }
}

impl CodeFlow {
    fn address(&self) -> Result<String, Refusal> {
        let mut url = url::Url::parse(&self.setup.identity.authorize_url)
            .map_err(|_not_an_address| Refusal::unusable_address())?;
        let parameters = (self.login.parameters)(&self.setup);
        url.query_pairs_mut().extend_pairs(parameters.iter().map(|(name, value)| (*name, value.as_str())));
        Ok(url.into())
    }
}

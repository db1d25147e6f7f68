//! What an owner asks to find out whether accounts work, without anything of them being shown.

use std::sync::Arc;

use super::Engine;
use crate::credential::Credential;
use crate::failure::Failure;
use cliproxy_wire::fault::{Fault, Kind};

/// The token of one account, without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenState {
    /// The provider.
    pub provider: String,
    /// A name for the account that does not give away whose it is.
    pub name: String,
    /// Whether there is a token.
    pub is_cached: bool,
    /// When it was renewed last, in Unix seconds.
    pub cached_at: Option<u64>,
    /// When it ends, in Unix seconds.
    pub expires_at: Option<u64>,
}

impl Engine {
    /// How the tokens of the accounts stand; the one that lasts longest first.
    pub fn token_states(&self) -> Vec<TokenState> {
        let mut states: Vec<TokenState> = self
            .accounts()
            .values()
            .filter(|account| !account.record().is_disabled())
            .map(|account| {
                let record = account.record();
                TokenState {
                    provider: record.provider().to_owned(),
                    name: cliproxy_wire::id::hex("account-", 8, &[account.id().as_str()]),
                    is_cached: record.token("access_token").is_some(),
                    cached_at: record.renewed_at(),
                    expires_at: record.expires_at(),
                }
            })
            .collect();
        states.sort_by_key(|state| std::cmp::Reverse((state.is_cached, state.expires_at)));
        states
    }

    /// Whether some account has a token that has not ended, renewing where needed; and whether one that does has a
    /// project.
    ///
    /// # Errors
    /// When there is no account, or none of them gets a token.
    pub async fn try_tokens(&self, now: fn() -> u64) -> Result<bool, Failure> {
        let snapshot = self.snapshot();
        let accounts = snapshot.routes.credentials().iter().filter(|credential| credential.account.is_some());
        let mut last = None;
        let mut fresh: Vec<Arc<Credential>> = Vec::new();
        for credential in accounts {
            match self.freshen(credential, now).await {
                Ok(()) => fresh.push(Arc::clone(credential)),
                Err(failure) => last = Some(failure),
            }
        }
        if fresh.is_empty() {
            return Err(last.unwrap_or_else(nobody));
        }
        Ok(fresh.iter().any(|credential| credential.project.is_some()))
    }
}

fn nobody() -> Failure {
    let message = "no account that serves is logged in; `cli-proxy-api --help` lists the logins";
    Failure::gateway(Fault::new(Kind::Unavailable, message))
}

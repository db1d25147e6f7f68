//! Logging in to a Claude account.

use std::borrow::Cow;

use crate::oauth::Identity;

/// Addresses and ids. Only the scopes that answering needs are asked for.
pub(crate) fn identity() -> Identity {
    Identity {
        authorize_url: Cow::Borrowed("https://claude.ai/oauth/authorize"),
        token_url: Cow::Borrowed("https://platform.claude.com/v1/oauth/token"),
        user_url: Cow::Borrowed("https://api.anthropic.com/api/oauth/profile"),
        base_url: Cow::Borrowed("https://api.anthropic.com"),
        client_id: Cow::Borrowed("9d1c250a-e61b-44d9-88ed-5944d1962f5e"),
        scope: Cow::Borrowed("user:profile user:inference"),
        redirect_url: Cow::Borrowed("http://localhost:54545/callback"),
        ..Identity::default()
    }
}

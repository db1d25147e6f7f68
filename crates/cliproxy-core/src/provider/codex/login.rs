//! Logging in to a ChatGPT account, with a browser or by a code that is typed elsewhere.

use std::borrow::Cow;

use crate::oauth::Identity;

/// Addresses and ids. The device login's other addresses are beside `device_url`.
pub(crate) fn identity() -> Identity {
    Identity {
        authorize_url: Cow::Borrowed("https://auth.openai.com/oauth/authorize"),
        token_url: Cow::Borrowed("https://auth.openai.com/oauth/token"),
        device_url: Cow::Borrowed("https://auth.openai.com/api/accounts/deviceauth/usercode"),
        base_url: Cow::Borrowed("https://chatgpt.com/backend-api/codex"),
        client_id: Cow::Borrowed("app_EMoamEEZ73f0CkXaXp7hrann"),
        scope: Cow::Borrowed("openid email profile offline_access"),
        redirect_url: Cow::Borrowed("http://localhost:1455/auth/callback"),
        ..Identity::default()
    }
}

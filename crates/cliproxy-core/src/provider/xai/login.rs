//! Logging in to xAI.

use std::borrow::Cow;

use crate::oauth::Identity;

/// Addresses and ids. Where device codes and tokens come from is discovered at `setup_url`, unless configured.
pub(crate) fn identity() -> Identity {
    Identity {
        setup_url: Cow::Borrowed("https://auth.x.ai/.well-known/openid-configuration"),
        base_url: Cow::Borrowed("https://cli-chat-proxy.grok.com/v1"),
        client_id: Cow::Borrowed("b1a00492-073a-47ea-816f-4c329264a828"),
        scope: Cow::Borrowed("openid profile email offline_access grok-cli:access api:access"),
        ..Identity::default()
    }
}

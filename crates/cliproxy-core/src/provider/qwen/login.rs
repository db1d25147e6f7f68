//! Logging in to Qwen Code.

use std::borrow::Cow;

use crate::oauth::Identity;

/// Addresses and ids.
pub(crate) fn identity() -> Identity {
    Identity {
        device_url: Cow::Borrowed("https://chat.qwen.ai/api/v1/oauth2/device/code"),
        token_url: Cow::Borrowed("https://chat.qwen.ai/api/v1/oauth2/token"),
        base_url: Cow::Borrowed("https://portal.qwen.ai/v1"),
        client_id: Cow::Borrowed("f0304373b74a44d2b584a3fb70ca9e56"),
        scope: Cow::Borrowed("openid profile email model.completion"),
        ..Identity::default()
    }
}

//! Logging in to Kimi Code.

use std::borrow::Cow;

use crate::oauth::Identity;

/// Addresses and ids.
pub(crate) fn identity() -> Identity {
    Identity {
        device_url: Cow::Borrowed("https://auth.kimi.com/api/oauth/device_authorization"),
        token_url: Cow::Borrowed("https://auth.kimi.com/api/oauth/token"),
        base_url: Cow::Borrowed("https://api.kimi.com/coding"),
        client_id: Cow::Borrowed("17e5f671-d194-4dfb-9706-5516cb48c098"),
        ..Identity::default()
    }
}

//! Logging in to Antigravity.

use std::borrow::Cow;

use crate::oauth::Identity;

/// Addresses and ids. Google publishes no secret for this application: it has to be configured.
pub(crate) fn identity() -> Identity {
    Identity {
        authorize_url: Cow::Borrowed("https://accounts.google.com/o/oauth2/v2/auth"),
        token_url: Cow::Borrowed("https://oauth2.googleapis.com/token"),
        user_url: Cow::Borrowed("https://www.googleapis.com/oauth2/v2/userinfo?alt=json"),
        setup_url: Cow::Borrowed("https://cloudcode-pa.googleapis.com"),
        base_url: Cow::Borrowed("https://daily-cloudcode-pa.googleapis.com"),
        client_id: Cow::Borrowed("1071006060591-tmhssin2h21lcre235vtolojh4g403ep.apps.googleusercontent.com"),
        scope: Cow::Borrowed(
            "https://www.googleapis.com/auth/cloud-platform https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/userinfo.profile https://www.googleapis.com/auth/cclog https://www.googleapis.com/auth/experimentsandconfigs",
        ),
        redirect_url: Cow::Borrowed("http://localhost:51121/oauth-callback"),
        ..Identity::default()
    }
}

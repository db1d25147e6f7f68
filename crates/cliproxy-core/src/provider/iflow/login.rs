//! Logging in to iFlow, with a browser or with a browser's cookie.

use std::borrow::Cow;

use crate::oauth::Identity;

/// Addresses and ids. The application's secret was never published: it has to be configured.
pub(crate) fn identity() -> Identity {
    Identity {
        authorize_url: Cow::Borrowed("https://iflow.cn/oauth"),
        token_url: Cow::Borrowed("https://iflow.cn/oauth/token"),
        user_url: Cow::Borrowed("https://iflow.cn/api/oauth/getUserInfo"),
        setup_url: Cow::Borrowed("https://platform.iflow.cn/api/openapi/apikey"),
        base_url: Cow::Borrowed("https://apis.iflow.cn/v1"),
        client_id: Cow::Borrowed("10009311001"),
        redirect_url: Cow::Borrowed("http://localhost:11451/oauth2callback"),
        ..Identity::default()
    }
}

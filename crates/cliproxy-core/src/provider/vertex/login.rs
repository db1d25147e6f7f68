//! Importing a Google service account for Vertex AI.

use std::borrow::Cow;

use crate::oauth::Identity;

/// Where a service account's signature becomes a token, unless its key file names another place.
pub(crate) fn identity() -> Identity {
    Identity {
        token_url: Cow::Borrowed("https://oauth2.googleapis.com/token"),
        scope: Cow::Borrowed("https://www.googleapis.com/auth/cloud-platform"),
        ..Identity::default()
    }
}

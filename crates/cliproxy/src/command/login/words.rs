//! A failure in words; the same for people and for programs.

use cliproxy_core::login::session::LoginError;

/// What happened, and what mends it.
pub(super) fn words(error: &LoginError) -> (String, String) {
    match error {
        LoginError::Refused(refusal) => (refusal.message.to_string(), refusal.remedy.to_string()),
        LoginError::Storage(why) => (
            why.clone(),
            "make the auth directory writable, or choose another one with `auth-dir`".to_owned(),
        ),
        LoginError::PortBusy(port) => (
            format!("port {port}, where the browser comes back to, is in use by another program"),
            "end that program, or listen elsewhere with --oauth-callback-port".to_owned(),
        ),
    }
}

//! Gemini CLI: Google's Code Assist by the login of its command line client.

pub(crate) mod login;
pub(crate) mod project;

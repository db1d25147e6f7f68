//! Antigravity: Google's Code Assist by an Antigravity login.

pub(crate) mod login;

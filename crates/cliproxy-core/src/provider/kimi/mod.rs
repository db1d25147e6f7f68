//! Kimi Code: Moonshot's coding service by its device login.

pub(crate) mod login;

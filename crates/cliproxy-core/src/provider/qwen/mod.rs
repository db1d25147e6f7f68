//! Qwen Code: a Chat upstream by its device login. The free tier has ended.

pub(crate) mod login;

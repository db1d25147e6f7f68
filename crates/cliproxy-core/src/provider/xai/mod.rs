//! xAI: a Responses upstream by the device login of Grok's command line client.

pub(crate) mod login;

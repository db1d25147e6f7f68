//! iFlow: a Chat upstream behind a login or a browser cookie. The service has closed.

pub(crate) mod login;

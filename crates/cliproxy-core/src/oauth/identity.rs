//! Addresses and client ids of an identity provider, as data.

use std::borrow::Cow;

use crate::secret::Secret;

/// What a login or renewal needs to know of an identity provider. Every member can be overridden by configuration;
/// an empty one does not exist at this provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Where a browser goes to log in.
    pub authorize_url: Cow<'static, str>,
    /// Where codes and refresh tokens are exchanged.
    pub token_url: Cow<'static, str>,
    /// Where a device code is asked for.
    pub device_url: Cow<'static, str>,
    /// Who logged in.
    pub user_url: Cow<'static, str>,
    /// Base of the calls that set an account up (projects, onboarding, API keys).
    pub setup_url: Cow<'static, str>,
    /// Base of the calls that switch on what a project needs for the upstream.
    pub check_url: Cow<'static, str>,
    /// Base of the model upstream of an account; an account's own `base_url` wins.
    pub base_url: Cow<'static, str>,
    /// The application's id.
    pub client_id: Cow<'static, str>,
    /// The application's secret, where the provider wants one.
    pub client_secret: Option<Secret>,
    /// Scopes, separated by spaces.
    pub scope: Cow<'static, str>,
    /// The registered redirect address; its port is where the callback listener waits by default.
    pub redirect_url: Cow<'static, str>,
}

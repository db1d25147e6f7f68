//! Where logins and renewals go, where that differs from what is built in.

use std::borrow::Cow;
use std::collections::BTreeMap;

use url::{Host, Url};

use super::BaseUrl;
use super::value::text;
use crate::config::diagnostic::{Code, Report};
use crate::config::file::{self, Placed};
use crate::oauth::Identity;
use crate::provider::WITH_LOGINS;
use crate::secret::Secret;

/// Members of an [`Identity`] that the configuration says; the others stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Addresses by the names of their keys.
    pub addresses: BTreeMap<&'static str, BaseUrl>,
    /// The application's id.
    pub client_id: Option<String>,
    /// The application's secret.
    pub client_secret: Option<Secret>,
    /// Scopes, separated by spaces.
    pub scope: Option<String>,
}

impl Endpoint {
    /// An identity with these members.
    pub fn applied(&self, mut identity: Identity) -> Identity {
        for (name, member) in [
            ("authorize-url", &mut identity.authorize_url),
            ("token-url", &mut identity.token_url),
            ("device-url", &mut identity.device_url),
            ("user-url", &mut identity.user_url),
            ("setup-url", &mut identity.setup_url),
            ("check-url", &mut identity.check_url),
            ("base-url", &mut identity.base_url),
            ("redirect-url", &mut identity.redirect_url),
        ] {
            if let Some(address) = self.addresses.get(name) {
                *member = Cow::Owned(address.as_str().to_owned());
            }
        }
        if let Some(client_id) = &self.client_id {
            identity.client_id = Cow::Owned(client_id.clone());
        }
        if let Some(client_secret) = &self.client_secret {
            identity.client_secret = Some(client_secret.clone());
        }
        if let Some(scope) = &self.scope {
            identity.scope = Cow::Owned(scope.clone());
        }
        identity
    }
}

/// Reads `oauth-endpoints`.
pub(super) fn endpoints(config: &file::Config, report: &mut Report) -> BTreeMap<String, Endpoint> {
    let mut endpoints = BTreeMap::new();
    for (name, member) in config.oauth_endpoints.iter().flat_map(|map| &map.value) {
        let provider = name.trim().to_lowercase();
        if !WITH_LOGINS.contains(&provider.as_str()) {
            let matter = Code::UnknownProvider.with("known", WITH_LOGINS.join(", "));
            report.warning(&member.origin, matter);
            continue;
        }
        endpoints.insert(provider, endpoint(&member.value, report));
    }
    endpoints
}

fn endpoint(member: &file::Endpoint, report: &mut Report) -> Endpoint {
    let mut endpoint = Endpoint {
        client_id: text(member.client_id.as_ref()).map(str::to_owned),
        client_secret: member.client_secret.as_ref().map(|secret| secret.value.clone()),
        scope: text(member.scope.as_ref()).map(str::to_owned),
        ..Endpoint::default()
    };
    endpoint.client_secret = endpoint.client_secret.filter(|secret| !secret.is_empty());
    for (name, address) in [
        ("authorize-url", &member.authorize_url),
        ("token-url", &member.token_url),
        ("device-url", &member.device_url),
        ("user-url", &member.user_url),
        ("setup-url", &member.setup_url),
        ("check-url", &member.check_url),
        ("base-url", &member.base_url),
        ("redirect-url", &member.redirect_url),
    ] {
        if let Some(address) = address.as_ref().and_then(|address| validate(address, report)) {
            endpoint.addresses.insert(name, address);
        }
    }
    endpoint
}

/// Tokens go there, so the way is encrypted or does not leave the machine.
fn validate(member: &Placed<Secret>, report: &mut Report) -> Option<BaseUrl> {
    if member.expose().trim().is_empty() {
        return None;
    }
    let address = BaseUrl::validate(member.expose(), &member.origin, report)?;
    let is_safe = Url::parse(address.as_str()).is_ok_and(|url| url.scheme() == "https" || is_loopback(&url));
    if !is_safe {
        report.problem(&member.origin, Code::Unencrypted);
        return None;
    }
    Some(address)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

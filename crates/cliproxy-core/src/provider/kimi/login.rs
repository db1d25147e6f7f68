//! Logging in to Kimi Code.

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::oauth::chain::Then as _;
use crate::oauth::device::DeviceLogin;
use crate::oauth::login::{Conversation, Redirect, Setup};
use crate::oauth::{Grant, Identity, Login, Refusal, Request, Tokens};
use crate::secret::Secret;
use crate::store::Changes;
use crate::time::rfc3339;

pub(super) const WHO: &str = "Kimi";
pub(super) const REMEDY: &str = "log in again: cli-proxy-api --kimi-login";
/// A code can be confirmed for this long.
const LIMIT: Duration = Duration::from_mins(15);

/// By a code.
pub(crate) const DEVICE: Login = Login {
    name: "kimi-login",
    provider: "kimi",
    title: "Kimi",
    about: "Log in to a Kimi account by confirming a code",
    notice: None,
    identity,
    redirect: Redirect::None,
    needs_secret: false,
    begin,
};

/// Addresses and ids.
pub(crate) fn identity() -> Identity {
    Identity {
        device_url: Cow::Borrowed("https://auth.kimi.com/api/oauth/device_authorization"),
        token_url: Cow::Borrowed("https://auth.kimi.com/api/oauth/token"),
        base_url: Cow::Borrowed("https://api.kimi.com/coding"),
        client_id: Cow::Borrowed("17e5f671-d194-4dfb-9706-5516cb48c098"),
        ..Identity::default()
    }
}

/// Headers that Kimi wants on every request of an installation: our own name, and the id that the login was made
/// with, where that is known.
pub(crate) fn installation(device_id: Option<&str>) -> HeaderMap {
    let model = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    let product = env!("CARGO_PKG_VERSION");
    let pairs = [
        ("x-msh-platform", "cli-proxy-api"),
        ("x-msh-version", product),
        ("x-msh-device-name", "cli-proxy-api"),
        ("x-msh-device-model", model.as_str()),
        ("x-msh-device-id", device_id.unwrap_or_default()),
    ];
    pairs
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?)))
        .collect()
}

fn begin(setup: Setup) -> Conversation {
    let Setup { identity, device_id, now, .. } = setup;
    match device(&identity, &device_id) {
        Ok(login) => Box::new(login.begin().finish(move |tokens| Ok(grant(&tokens, &device_id, now())))),
        Err(refusal) => Box::new(refusal),
    }
}

fn device(identity: &Identity, device_id: &str) -> Result<DeviceLogin, Refusal> {
    let headers = installation(Some(device_id));
    let mut ask = Request::form(&identity.device_url, &[("client_id", &identity.client_id)])?;
    ask.headers.extend(headers.clone());
    Ok(DeviceLogin {
        who: WHO,
        remedy: REMEDY,
        ask,
        token_url: identity.token_url.to_string(),
        poll: vec![("client_id", identity.client_id.to_string())],
        headers,
        limit: LIMIT,
    })
}

/// The service does not say whose account it is; the time names the file, and every login makes one of its own.
fn grant(tokens: &Tokens, device_id: &str, now: u64) -> Grant {
    let milliseconds = now.saturating_mul(1000);
    let text = |name: &str| tokens.body.get(name).and_then(Value::as_str);
    Grant {
        file: format!("kimi-{milliseconds}.json"),
        account: Vec::new(),
        label: format!("kimi-{milliseconds}"),
        defaults: Changes::default(),
        changes: Changes::default()
            .set("type", "kimi")
            .set("access_token", tokens.access.expose())
            .set_if_some("refresh_token", tokens.refresh.as_ref().map(Secret::expose))
            .set_if_some("token_type", text("token_type"))
            .set_if_some("scope", text("scope"))
            .set("timestamp", milliseconds)
            .set_if_some(
                "expired",
                tokens.expires_in.and_then(|seconds| rfc3339(now.saturating_add(seconds))),
            )
            .set("device_id", device_id),
    }
}

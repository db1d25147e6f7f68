//! Logging in to xAI.

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;

use crate::oauth::chain::{Fetch, Then as _};
use crate::oauth::device::DeviceLogin;
use crate::oauth::login::{Conversation, Redirect, Setup, file_part};
use crate::oauth::{Answer, Grant, Identity, Login, Refusal, RefusalKind, Request, Tokens, claims};
use crate::reason::Code;
use crate::secret::Secret;
use crate::store::Changes;
use crate::time::rfc3339;

pub(super) const WHO: &str = "xAI";
pub(super) const REMEDY: &str = "log in again: cli-proxy-api --xai-login";
const TOKEN_ENDPOINT: &str = "token_endpoint";
/// A code can be confirmed for this long.
const LIMIT: Duration = Duration::from_mins(30);

/// By a code.
pub(crate) const DEVICE: Login = Login {
    name: "xai-login",
    provider: "xai",
    title: "xAI",
    about: "Log in to an xAI account by confirming a code",
    notice: None,
    identity,
    redirect: Redirect::None,
    needs_secret: false,
    begin,
};

/// Addresses and ids. Where device codes and tokens come from is discovered at `setup_url`, unless configured.
pub(crate) fn identity() -> Identity {
    Identity {
        setup_url: Cow::Borrowed("https://auth.x.ai/.well-known/openid-configuration"),
        base_url: Cow::Borrowed("https://cli-chat-proxy.grok.com/v1"),
        client_id: Cow::Borrowed("b1a00492-073a-47ea-816f-4c329264a828"),
        scope: Cow::Borrowed("openid profile email offline_access grok-cli:access api:access"),
        ..Identity::default()
    }
}

fn begin(setup: Setup) -> Conversation {
    let now = setup.now;
    let identity = setup.identity;
    let discovery = match Request::get(&identity.setup_url) {
        Ok(request) => Fetch::new(WHO, request),
        Err(refusal) => return Box::new(refusal),
    };
    let flow = discovery.then(move |answer: Answer| {
        let endpoints = Endpoints::read(&answer, &identity)?;
        let token_url = endpoints.token.clone();
        Ok(device(&identity, &endpoints)?.begin().finish(move |tokens| Ok((tokens, token_url))))
    });
    Box::new(flow.finish(move |(tokens, token_url)| Ok(grant(&tokens, &token_url, now()))))
}

/// What discovery yields.
#[derive(Debug)]
struct Endpoints {
    device: String,
    token: String,
}

impl Endpoints {
    fn read(answer: &Answer, identity: &Identity) -> Result<Self, Refusal> {
        let body = answer.success(WHO, REMEDY)?;
        Ok(Self {
            device: endpoint(&body, "device_authorization_endpoint", &identity.device_url, identity)?,
            token: endpoint(&body, TOKEN_ENDPOINT, &identity.token_url, identity)?,
        })
    }
}

/// Where discovery says that tokens are given.
pub(super) fn token_endpoint(answer: &Answer, identity: &Identity) -> Result<String, Refusal> {
    endpoint(&answer.success(WHO, REMEDY)?, TOKEN_ENDPOINT, &identity.token_url, identity)
}

/// The configured address, else the one that discovery names.
fn endpoint(body: &Value, name: &str, configured: &str, identity: &Identity) -> Result<String, Refusal> {
    if !configured.is_empty() {
        return Ok(configured.to_owned());
    }
    let found = body.get(name).and_then(Value::as_str).unwrap_or_default();
    if is_trusted(found, &identity.setup_url) {
        return Ok(found.to_owned());
    }
    Err(Refusal {
        kind: RefusalKind::Dead,
        message: Code::AddressForeign.with("name", name),
        remedy: "set `oauth-endpoints` for xai in config.yaml, if you know better".into(),
    })
}

/// Whether tokens may be asked for at an address: an xAI host by https, or the host of the discovery document itself,
/// which a person may have configured.
pub(crate) fn is_trusted(address: &str, discovery: &str) -> bool {
    let (Ok(url), Ok(discovery)) = (url::Url::parse(address), url::Url::parse(discovery)) else {
        return false;
    };
    if url.origin() == discovery.origin() {
        return true;
    }
    let host = url.host_str().unwrap_or_default();
    url.scheme() == "https" && (host == "x.ai" || host.ends_with(".x.ai"))
}

fn device(identity: &Identity, endpoints: &Endpoints) -> Result<DeviceLogin, Refusal> {
    Ok(DeviceLogin {
        who: WHO,
        remedy: REMEDY,
        ask: Request::form(
            &endpoints.device,
            &[("client_id", &identity.client_id), ("scope", &identity.scope)],
        )?,
        token_url: endpoints.token.clone(),
        poll: vec![("client_id", identity.client_id.to_string())],
        headers: HeaderMap::new(),
        limit: LIMIT,
    })
}

fn grant(tokens: &Tokens, token_url: &str, now: u64) -> Grant {
    let claims = tokens.id.as_ref().and_then(|id| claims(id.expose())).unwrap_or_default();
    let claim = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
    let (email, subject) = (claim("email"), claim("sub"));
    let label = [&email, &subject].into_iter().find(|name| !name.is_empty());
    let label = label.cloned().unwrap_or_else(|| now.saturating_mul(1000).to_string());
    let is_known = !email.is_empty() || !subject.is_empty();
    Grant {
        file: format!("xai-{}.json", file_part(&label)),
        account: if is_known { vec![("email", email.clone()), ("sub", subject.clone())] } else { Vec::new() },
        label,
        defaults: Changes::default(),
        changes: Changes::default()
            .set("type", "xai")
            .set("access_token", tokens.access.expose())
            .set_if_some("refresh_token", tokens.refresh.as_ref().map(Secret::expose))
            .set_if_some("id_token", tokens.id.as_ref().map(Secret::expose))
            .set_if_some("token_type", tokens.body.get("token_type").and_then(Value::as_str))
            .set_if_some("expires_in", tokens.expires_in)
            .set_if_some(
                "expired",
                tokens.expires_in.and_then(|seconds| rfc3339(now.saturating_add(seconds))),
            )
            .set_if_some("last_refresh", rfc3339(now))
            .set("email", email)
            .set("sub", subject)
            .set("token_endpoint", token_url)
            .set("auth_kind", "oauth"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_asked_for_at_xai_only() {
        let discovery = "https://auth.x.ai/.well-known/openid-configuration";
        for good in ["https://auth.x.ai/oauth2/token", "https://x.ai/t", "https://a.b.x.ai/t"] {
            assert!(is_trusted(good, discovery), "{good}");
        }
        for bad in [
            "http://auth.x.ai/t",
            "https://evilx.ai/t",
            "https://x.ai.evil/t",
            "https://x.ai@evil/t",
            "",
            "x",
        ] {
            assert!(!is_trusted(bad, discovery), "{bad}");
        }
        assert!(is_trusted("http://127.0.0.1:9/t", "http://127.0.0.1:9/d"));
    }
}

//! Logging in to Qwen Code.

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderMap;

use crate::oauth::chain::Then as _;
use crate::oauth::device::DeviceLogin;
use crate::oauth::login::{Conversation, Redirect, Setup, file_part};
use crate::oauth::{Flow, Grant, Identity, Input, Login, Pkce, Question, Refusal, Request, Step, Tokens};
use crate::secret::Secret;
use crate::store::Changes;
use crate::time::rfc3339;

pub(super) const WHO: &str = "Qwen";
pub(super) const REMEDY: &str = "log in again: cli-proxy-api --qwen-login";
/// Sixty polls of five seconds.
const LIMIT: Duration = Duration::from_mins(5);

/// By a code.
pub(crate) const DEVICE: Login = Login {
    name: "qwen-login",
    provider: "qwen",
    title: "Qwen",
    about: "Log in to a Qwen account by confirming a code",
    notice: Some(
        "Qwen ended the free tier of this login on 2026-04-15, and existing logins get refusals; a key of Alibaba Cloud Model Studio works through `openai-compatibility` in config.yaml.",
    ),
    identity,
    redirect: Redirect::None,
    needs_secret: false,
    begin,
};

/// Addresses and ids.
pub(crate) fn identity() -> Identity {
    Identity {
        device_url: Cow::Borrowed("https://chat.qwen.ai/api/v1/oauth2/device/code"),
        token_url: Cow::Borrowed("https://chat.qwen.ai/api/v1/oauth2/token"),
        base_url: Cow::Borrowed("https://portal.qwen.ai/v1"),
        client_id: Cow::Borrowed("f0304373b74a44d2b584a3fb70ca9e56"),
        scope: Cow::Borrowed("openid profile email model.completion"),
        ..Identity::default()
    }
}

fn begin(setup: Setup) -> Conversation {
    let Setup { identity, pkce, now, .. } = setup;
    match device(&identity, &pkce) {
        Ok(login) => Box::new(login.begin().then(move |tokens| Ok(Naming { tokens: Some(tokens), now }))),
        Err(refusal) => Box::new(refusal),
    }
}

fn device(identity: &Identity, pkce: &Pkce) -> Result<DeviceLogin, Refusal> {
    let ask = Request::form(
        &identity.device_url,
        &[
            ("client_id", &identity.client_id),
            ("scope", &identity.scope),
            ("code_challenge", &pkce.challenge),
            ("code_challenge_method", Pkce::METHOD),
        ],
    )?;
    Ok(DeviceLogin {
        who: WHO,
        remedy: REMEDY,
        ask,
        token_url: identity.token_url.to_string(),
        poll: vec![
            ("client_id", identity.client_id.to_string()),
            ("code_verifier", pkce.verifier.expose().to_owned()),
        ],
        headers: HeaderMap::new(),
        limit: LIMIT,
    })
}

/// The service does not say whose account it is, so the person is asked for a name. Without one the time is it: a
/// missing name is no reason to lose the tokens.
#[derive(Debug)]
struct Naming {
    tokens: Option<Tokens>,
    now: fn() -> u64,
}

impl Flow for Naming {
    type Output = Grant;

    fn step(&mut self, input: Input) -> Step<Grant> {
        let now = (self.now)();
        match (input, self.tokens.take()) {
            (Input::Said(name), Some(tokens)) => Step::Done(grant(&tokens, name.trim(), now)),
            (_, Some(tokens)) => {
                self.tokens = Some(tokens);
                Step::Ask(Question {
                    name: "alias",
                    prompt: "Please input your email address or alias for Qwen:".to_owned(),
                    default: Some(now.saturating_mul(1000).to_string()),
                })
            }
            (_, None) => Step::Refused(Refusal::out_of_turn()),
        }
    }
}

fn grant(tokens: &Tokens, name: &str, now: u64) -> Grant {
    let resource = tokens.body.get("resource_url").and_then(serde_json::Value::as_str);
    Grant {
        file: format!("qwen-{}.json", file_part(name)),
        account: vec![("email", name.to_owned())],
        label: name.to_owned(),
        defaults: Changes::default(),
        changes: Changes::default()
            .set("type", "qwen")
            .set("access_token", tokens.access.expose())
            .set_if_some("refresh_token", tokens.refresh.as_ref().map(Secret::expose))
            .set_if_some("last_refresh", rfc3339(now))
            .set_if_some("resource_url", resource)
            .set("email", name)
            .set_if_some(
                "expired",
                tokens.expires_in.and_then(|seconds| rfc3339(now.saturating_add(seconds))),
            ),
    }
}

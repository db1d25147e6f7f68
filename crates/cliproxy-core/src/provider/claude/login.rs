//! Logging in to a Claude account.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::oauth::chain::Then as _;
use crate::oauth::code::CodeLogin;
use crate::oauth::login::{Conversation, Redirect, Setup, file_part};
use crate::oauth::{Flow, Grant, Identity, Input, Login, Pkce, Refusal, Request, Step, Tokens};
use crate::secret::Secret;
use crate::store::Changes;
use crate::time::rfc3339;

pub(super) const WHO: &str = "Anthropic";
pub(super) const REMEDY: &str = "log in again: cli-proxy-api --claude-login";

/// With a browser.
pub(crate) const BROWSER: Login = Login {
    name: "claude-login",
    provider: "claude",
    title: "Claude",
    about: "Log in to a Claude account, with a browser",
    notice: Some(
        "Anthropic's terms reserve the login of a Claude plan for Claude Code and Anthropic's own applications; for anything else use an API key (https://platform.claude.com/settings/keys, `claude-api-key` in config.yaml).",
    ),
    identity,
    redirect: Redirect::Registered,
    needs_secret: false,
    begin,
};

/// Addresses and ids. Only the scopes that answering needs are asked for.
pub(crate) fn identity() -> Identity {
    Identity {
        authorize_url: Cow::Borrowed("https://claude.ai/oauth/authorize"),
        token_url: Cow::Borrowed("https://platform.claude.com/v1/oauth/token"),
        user_url: Cow::Borrowed("https://api.anthropic.com/api/oauth/profile"),
        base_url: Cow::Borrowed("https://api.anthropic.com"),
        client_id: Cow::Borrowed("9d1c250a-e61b-44d9-88ed-5944d1962f5e"),
        scope: Cow::Borrowed("user:profile user:inference"),
        redirect_url: Cow::Borrowed("http://localhost:54545/callback"),
        ..Identity::default()
    }
}

fn begin(setup: Setup) -> Conversation {
    let (now, user_url) = (setup.now, setup.identity.user_url.clone());
    let login = CodeLogin {
        who: WHO,
        remedy: REMEDY,
        parameters: |setup| {
            vec![
                ("code", "true".to_owned()),
                ("client_id", setup.identity.client_id.to_string()),
                ("response_type", "code".to_owned()),
                ("redirect_uri", setup.identity.redirect_url.to_string()),
                ("scope", setup.identity.scope.to_string()),
                ("code_challenge", setup.pkce.challenge.clone()),
                ("code_challenge_method", Pkce::METHOD.to_owned()),
                ("state", setup.state.as_str().to_owned()),
            ]
        },
        redeem: |setup, code| {
            let body = json!({
                "grant_type": "authorization_code",
                "code": code.expose(),
                "state": setup.state.as_str(),
                "client_id": setup.identity.client_id,
                "redirect_uri": setup.identity.redirect_url,
                "code_verifier": setup.pkce.verifier.expose(),
            });
            Request::json(&setup.identity.token_url, &body)
        },
    };
    let asked = login.begin(setup).then(move |tokens| Ok(Asking { tokens: Some(tokens), user_url }));
    Box::new(asked.finish(move |(tokens, owner)| Ok(grant(&tokens, &owner, now()))))
}

/// Whose account it is. The token answer usually says so; when it does not, the profile is asked, and a profile that
/// does not answer is no reason to lose the tokens.
#[derive(Debug)]
struct Asking {
    tokens: Option<Tokens>,
    user_url: Cow<'static, str>,
}

impl Flow for Asking {
    type Output = (Tokens, Owner);

    fn step(&mut self, input: Input) -> Step<(Tokens, Owner)> {
        let owner = match &input {
            Input::Answer(answer) => {
                serde_json::from_slice(&answer.body).map(|body| Owner::of(&body)).unwrap_or_default()
            }
            _ => self.tokens.as_ref().map(|tokens| Owner::of(&tokens.body)).unwrap_or_default(),
        };
        let is_first = matches!(input, Input::Start);
        if let (true, true, Some(tokens)) = (is_first, owner.email.is_empty(), &self.tokens)
            && let Ok(request) = Request::get(&self.user_url)
        {
            return Step::Send(request.bearer(&tokens.access));
        }
        match self.tokens.take() {
            Some(tokens) => Step::Done((tokens, owner)),
            None => Step::Refused(Refusal::out_of_turn()),
        }
    }
}

#[derive(Debug, Default)]
struct Owner {
    email: String,
    account: String,
    organization: String,
    organization_name: String,
}

impl Owner {
    fn of(body: &Value) -> Self {
        let text =
            |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        let email = text("/account/email_address");
        Self {
            email: if email.is_empty() { text("/account/email") } else { email },
            account: text("/account/uuid"),
            organization: text("/organization/uuid"),
            organization_name: text("/organization/name"),
        }
    }
}

fn grant(tokens: &Tokens, owner: &Owner, now: u64) -> Grant {
    let label = [&owner.email, &owner.account].into_iter().find(|name| !name.is_empty());
    let label = label.cloned().unwrap_or_else(|| now.to_string());
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Grant {
        file: format!("claude-{}.json", file_part(&label)),
        account: vec![("email", owner.email.clone()), ("organization_uuid", owner.organization.clone())],
        label,
        defaults: Changes::default(),
        changes: Changes::default()
            .set("type", "claude")
            .set("id_token", "")
            .set("access_token", tokens.access.expose())
            .set_if_some("refresh_token", tokens.refresh.as_ref().map(Secret::expose))
            .set_if_some("last_refresh", rfc3339(now))
            .set("email", owner.email.as_str())
            .set_if_some(
                "expired",
                tokens.expires_in.and_then(|seconds| rfc3339(now.saturating_add(seconds))),
            )
            .set_if_some("account_uuid", filled(&owner.account))
            .set_if_some("organization_uuid", filled(&owner.organization))
            .set_if_some("organization_name", filled(&owner.organization_name)),
    }
}

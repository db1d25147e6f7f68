//! Logging in to a ChatGPT account, with a browser or by a code that is typed elsewhere.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Value, json};

use crate::credential::Record;
use crate::oauth::chain::Then as _;
use crate::oauth::code::CodeLogin;
use crate::oauth::device::{Poll, seconds};
use crate::oauth::login::{Conversation, Redirect, Setup, file_part};
use crate::oauth::{
    Flow, Grant, Identity, Input, Login, Notice, Pkce, Refusal, RefusalKind, Request, Step, Tokens, claims,
};
use crate::secret::Secret;
use crate::store::Changes;
use crate::time::rfc3339;

pub(super) const WHO: &str = "OpenAI";
pub(super) const REMEDY: &str = "log in again: cli-proxy-api --codex-login";
/// The id token's claim with what OpenAI knows of the account.
const AUTH_CLAIM: &str = "https://api.openai.com/auth";
/// A code can be typed for this long.
const DEVICE_LIMIT: Duration = Duration::from_mins(15);

/// With a browser on this machine.
pub(crate) const BROWSER: Login = Login {
    name: "codex-login",
    provider: "codex",
    title: "Codex",
    about: "Log in to a ChatGPT account for Codex, with a browser",
    notice: None,
    identity,
    redirect: Redirect::Registered,
    needs_secret: false,
    begin: begin_in_browser,
};

/// With a browser anywhere.
pub(crate) const DEVICE: Login = Login {
    name: "codex-device-login",
    about: "Log in to a ChatGPT account for Codex by typing a code on any device",
    redirect: Redirect::None,
    begin: begin_on_device,
    ..BROWSER
};

/// Addresses and ids. The device login's other addresses are beside `device_url`.
pub(crate) fn identity() -> Identity {
    Identity {
        authorize_url: Cow::Borrowed("https://auth.openai.com/oauth/authorize"),
        token_url: Cow::Borrowed("https://auth.openai.com/oauth/token"),
        device_url: Cow::Borrowed("https://auth.openai.com/api/accounts/deviceauth/usercode"),
        base_url: Cow::Borrowed("https://chatgpt.com/backend-api/codex"),
        client_id: Cow::Borrowed("app_EMoamEEZ73f0CkXaXp7hrann"),
        scope: Cow::Borrowed("openid email profile offline_access"),
        redirect_url: Cow::Borrowed("http://localhost:1455/auth/callback"),
        ..Identity::default()
    }
}

fn begin_in_browser(setup: Setup) -> Conversation {
    let now = setup.now;
    let login = CodeLogin {
        who: WHO,
        remedy: REMEDY,
        parameters: |setup| {
            vec![
                ("response_type", "code".to_owned()),
                ("client_id", setup.identity.client_id.to_string()),
                ("redirect_uri", setup.identity.redirect_url.to_string()),
                ("scope", setup.identity.scope.to_string()),
                ("state", setup.state.as_str().to_owned()),
                ("code_challenge", setup.pkce.challenge.clone()),
                ("code_challenge_method", Pkce::METHOD.to_owned()),
                ("prompt", "login".to_owned()),
                ("id_token_add_organizations", "true".to_owned()),
                ("codex_cli_simplified_flow", "true".to_owned()),
            ]
        },
        redeem: |setup, code| {
            redeem(&setup.identity, &setup.identity.redirect_url, code, &setup.pkce.verifier)
        },
    };
    Box::new(login.begin(setup).finish(move |tokens| grant(&tokens, now())))
}

fn redeem(identity: &Identity, redirect: &str, code: &Secret, verifier: &Secret) -> Result<Request, Refusal> {
    Request::form(
        &identity.token_url,
        &[
            ("grant_type", "authorization_code"),
            ("client_id", &identity.client_id),
            ("code", code.expose()),
            ("redirect_uri", redirect),
            ("code_verifier", verifier.expose()),
        ],
    )
}

fn begin_on_device(setup: Setup) -> Conversation {
    let now = setup.now;
    Box::new(
        DeviceFlow { identity: setup.identity, at: At::Beginning }
            .finish(move |tokens| grant(&tokens, now())),
    )
}

/// OpenAI's own device flow: once the code is confirmed, it hands out an authorization code together with the proof
/// that redeems it.
#[derive(Debug)]
struct DeviceFlow {
    identity: Identity,
    at: At,
}

#[derive(Debug)]
enum At {
    Beginning,
    Asked,
    Polling(Box<Poll>),
    Redeeming,
}

impl Flow for DeviceFlow {
    type Output = Tokens;

    fn step(&mut self, input: Input) -> Step<Tokens> {
        Step::or_refused(self.advance(input))
    }
}

impl DeviceFlow {
    fn advance(&mut self, input: Input) -> Result<Step<Tokens>, Refusal> {
        match &mut self.at {
            At::Beginning => {
                self.at = At::Asked;
                let body = json!({ "client_id": self.identity.client_id });
                Ok(Step::Send(Request::json(&self.identity.device_url, &body)?))
            }
            At::Asked => {
                let answer = input.answer(WHO)?;
                if answer.status.as_u16() == 404 {
                    return Err(Refusal {
                        kind: RefusalKind::Dead,
                        message: "OpenAI does not offer the device login to this account".into(),
                        remedy: "use cli-proxy-api --codex-login".into(),
                    });
                }
                let body = answer.success(WHO, REMEDY)?;
                let (notice, poll) = self.read(&body)?;
                self.at = At::Polling(Box::new(poll));
                Ok(Step::Show(notice))
            }
            At::Polling(poll) => match input {
                Input::Elapsed => Ok(Step::Redeem(poll.request())),
                Input::Shown | Input::Lost(_) => Ok(Step::Wait(poll.wait()?)),
                input => {
                    let answer = input.answer(WHO)?;
                    if matches!(answer.status.as_u16(), 403 | 404 | 429) || answer.status.is_server_error() {
                        return Ok(Step::Wait(poll.wait()?));
                    }
                    let body = answer.success(WHO, REMEDY)?;
                    let redirect = beside_origin(&self.identity.device_url, "/deviceauth/callback")?;
                    let part = |name: &str| {
                        body.get(name).and_then(Value::as_str).map(|text| Secret::new(text.to_owned()))
                    };
                    let (Some(code), Some(verifier)) = (part("authorization_code"), part("code_verifier"))
                    else {
                        return Err(incomplete());
                    };
                    self.at = At::Redeeming;
                    Ok(Step::Redeem(redeem(&self.identity, &redirect, &code, &verifier)?))
                }
            },
            At::Redeeming => Tokens::read(&input.answer(WHO)?, WHO, REMEDY).map(Step::Done),
        }
    }

    fn read(&self, body: &Value) -> Result<(Notice, Poll), Refusal> {
        let text =
            |names: [&str; 2]| names.into_iter().find_map(|name| body.get(name).and_then(Value::as_str));
        let id = text(["device_auth_id", "device_auth_id"]);
        let (Some(id), Some(code)) = (id, text(["user_code", "usercode"])) else { return Err(incomplete()) };
        let url = beside_origin(&self.identity.device_url, "/codex/device")?;
        let poll_url = self
            .identity
            .device_url
            .rsplit_once('/')
            .map_or_else(String::new, |(base, _)| format!("{base}/token"));
        let request = Request::json(&poll_url, &json!({ "device_auth_id": id, "user_code": code }))?;
        let pause = seconds(body, "interval").unwrap_or(Duration::from_secs(5));
        let notice = Notice::Code { url, code: code.to_owned() };
        Ok((notice, Poll::new(request, pause, DEVICE_LIMIT)))
    }
}

fn incomplete() -> Refusal {
    Refusal {
        kind: RefusalKind::Passing(None),
        message: "OpenAI's answer to the device login is incomplete".into(),
        remedy: "use cli-proxy-api --codex-login".into(),
    }
}

/// Another path of the host that `url` is at.
fn beside_origin(url: &str, path: &str) -> Result<String, Refusal> {
    let url = url::Url::parse(url).map_err(|_not_an_address| Refusal::unusable_address())?;
    Ok(format!("{}{path}", url.origin().ascii_serialization()))
}

/// What an id token says of an account.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) email: String,
    pub(crate) id: String,
    pub(crate) plan: String,
}

impl Account {
    /// Reads an id token; what it does not say is empty.
    pub(crate) fn of(id_token: &str) -> Self {
        let claims = claims(id_token).unwrap_or_default();
        let text =
            |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        let auth = claims.get(AUTH_CLAIM);
        Self {
            email: text(claims.get("email")),
            id: text(auth.and_then(|auth| auth.get("chatgpt_account_id"))),
            plan: text(auth.and_then(|auth| auth.get("chatgpt_plan_type"))),
        }
    }

    /// Reads an auth file: its id token, and what the file itself says of whose it is.
    pub(crate) fn of_record(record: &Record) -> Self {
        let told = record.token("id_token").map(|token| Self::of(token.expose())).unwrap_or_default();
        let own = |name: &str, told: String| record.text(name).map_or(told, str::to_owned);
        Self { email: own("email", told.email), id: own("account_id", told.id), plan: told.plan }
    }

    /// The name of the account's file, by which other programs know it too.
    pub(crate) fn file(&self) -> String {
        let name = if self.email.is_empty() { file_part(&self.id) } else { file_part(&self.email) };
        let plan = plan_part(&self.plan);
        match plan.as_str() {
            "" => format!("codex-{name}.json"),
            "team" => format!("codex-{}-{name}-team.json", hash8(&self.id)),
            plan => format!("codex-{name}-{plan}.json"),
        }
    }
}

/// A plan in a file name: lower case, everything but letters and digits as single dashes.
fn plan_part(plan: &str) -> String {
    let words: Vec<String> = plan
        .split(|character: char| !character.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    words.join("-")
}

fn hash8(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().take(4).fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"))
}

fn grant(tokens: &Tokens, now: u64) -> Result<Grant, Refusal> {
    let account = Account::of(tokens.id.as_ref().map(Secret::expose).unwrap_or_default());
    if account.email.is_empty() && account.id.is_empty() {
        return Err(Refusal {
            kind: RefusalKind::Passing(None),
            message: "OpenAI's answer does not say whose account this is".into(),
            remedy: REMEDY.into(),
        });
    }
    let expired = tokens.expires_in.and_then(|seconds| rfc3339(now.saturating_add(seconds)));
    Ok(Grant {
        file: account.file(),
        account: vec![("email", account.email.clone()), ("account_id", account.id.clone())],
        label: if account.email.is_empty() { account.id.clone() } else { account.email.clone() },
        defaults: Changes::default(),
        changes: Changes::default()
            .set("type", "codex")
            .set_if_some("id_token", tokens.id.as_ref().map(Secret::expose))
            .set("access_token", tokens.access.expose())
            .set_if_some("refresh_token", tokens.refresh.as_ref().map(Secret::expose))
            .set("account_id", account.id)
            .set("email", account.email)
            .set_if_some("expired", expired)
            .set_if_some("last_refresh", rfc3339(now)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_as_other_programs_name_them() {
        let account = |plan: &str| Account { email: "a@b.c".into(), id: "acc-1".into(), plan: plan.into() };
        assert_eq!(account("").file(), "codex-a@b.c.json");
        assert_eq!(account("plus").file(), "codex-a@b.c-plus.json");
        assert_eq!(account("Free_Workspace").file(), "codex-a@b.c-free-workspace.json");
        let hash = hash8("acc-1");
        assert_eq!(account("team").file(), format!("codex-{hash}-a@b.c-team.json"));
        assert!(hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}

//! Logging in to iFlow, with a browser or with a browser's cookie.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::{ACCEPT, AUTHORIZATION, COOKIE, USER_AGENT};
use serde_json::{Value, json};

use crate::oauth::chain::{Fetch, Then as _};
use crate::oauth::code::CodeLogin;
use crate::oauth::login::{Conversation, Redirect, Setup, file_part};
use crate::oauth::message::shown;
use crate::oauth::{
    Answer, Flow, Grant, Identity, Input, Login, Question, Refusal, RefusalKind, Request, Step, Tokens,
};
use crate::reason::{Code, Reason};
use crate::secret::Secret;
use crate::store::Changes;
use crate::time::rfc3339;

pub(super) const WHO: &str = "iFlow";
pub(super) const REMEDY: &str = "log in again: cli-proxy-api --iflow-login";
const CLOSED: &str = "iFlow closed this service on 2026-04-17 and points to Qoder; the login is kept for deployments that answer under the same addresses (`oauth-endpoints` in config.yaml).";

/// With a browser.
pub(crate) const BROWSER: Login = Login {
    name: "iflow-login",
    provider: "iflow",
    title: "iFlow",
    about: "Log in to an iFlow account, with a browser",
    notice: Some(CLOSED),
    identity,
    redirect: Redirect::Listening,
    needs_secret: true,
    begin,
};

/// With the cookie of a browser that is logged in.
pub(crate) const WITH_COOKIE: Login = Login {
    name: "iflow-cookie",
    about: "Log in to an iFlow account with the cookie of a browser",
    redirect: Redirect::None,
    needs_secret: false,
    begin: |setup| Box::new(WithCookie { identity: setup.identity, now: setup.now, at: At::Beginning }),
    ..BROWSER
};

/// Addresses and ids. The application's secret was never published: it has to be configured.
pub(crate) fn identity() -> Identity {
    Identity {
        authorize_url: Cow::Borrowed("https://iflow.cn/oauth"),
        token_url: Cow::Borrowed("https://iflow.cn/oauth/token"),
        user_url: Cow::Borrowed("https://iflow.cn/api/oauth/getUserInfo"),
        setup_url: Cow::Borrowed("https://platform.iflow.cn/api/openapi/apikey"),
        base_url: Cow::Borrowed("https://apis.iflow.cn/v1"),
        client_id: Cow::Borrowed("10009311001"),
        redirect_url: Cow::Borrowed("http://localhost:11451/oauth2callback"),
        ..Identity::default()
    }
}

/// A request of the token endpoint, which wants the application's secret twice.
pub(crate) fn token_request(identity: &Identity, pairs: &[(&str, &str)]) -> Result<Request, Refusal> {
    let secret = identity.client_secret.as_ref().map(Secret::expose).unwrap_or_default();
    let mut form = pairs.to_vec();
    form.extend([("client_id", &*identity.client_id), ("client_secret", secret)]);
    let basic = STANDARD.encode(format!("{}:{secret}", identity.client_id));
    Ok(Request::form(&identity.token_url, &form)?.secret_header(AUTHORIZATION, &format!("Basic {basic}")))
}

/// The request that says whose account a token is of, and gives the API key.
pub(crate) fn user_request(identity: &Identity, access: &Secret) -> Result<Request, Refusal> {
    let mut url =
        url::Url::parse(&identity.user_url).map_err(|_not_an_address| Refusal::unusable_address())?;
    url.query_pairs_mut().append_pair("accessToken", access.expose());
    Request::get(url.as_str())
}

/// The API key and the name in an answer to [`user_request`].
pub(crate) fn user(answer: &Answer) -> Result<(Secret, String), Refusal> {
    let body = answer.success(WHO, REMEDY)?;
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default().trim();
    let name = if text("/data/email").is_empty() { text("/data/phone") } else { text("/data/email") };
    let key = text("/data/apiKey");
    if body.get("success") != Some(&Value::Bool(true)) || key.is_empty() || name.is_empty() {
        return Err(Refusal {
            kind: RefusalKind::Dead,
            message: Code::NoKeyGiven.with("who", WHO),
            remedy: REMEDY.into(),
        });
    }
    Ok((Secret::new(key.to_owned()), name.to_owned()))
}

fn begin(setup: Setup) -> Conversation {
    let (now, identity) = (setup.now, setup.identity.clone());
    let login = CodeLogin {
        who: WHO,
        remedy: REMEDY,
        parameters: |setup| {
            vec![
                ("loginMethod", "phone".to_owned()),
                ("type", "phone".to_owned()),
                ("redirect", setup.identity.redirect_url.to_string()),
                ("state", setup.state.as_str().to_owned()),
                ("client_id", setup.identity.client_id.to_string()),
            ]
        },
        redeem: |setup, code| {
            let pairs = [
                ("grant_type", "authorization_code"),
                ("code", code.expose()),
                ("redirect_uri", &setup.identity.redirect_url),
            ];
            token_request(&setup.identity, &pairs)
        },
    };
    let flow = login.begin(setup).then(move |tokens| {
        let request = user_request(&identity, &tokens.access)?;
        Ok(Fetch::new(WHO, request).finish(move |answer| Ok((tokens, user(&answer)?))))
    });
    Box::new(flow.finish(move |(tokens, (key, name))| Ok(grant(&tokens, &key, &name, now()))))
}

fn grant(tokens: &Tokens, key: &Secret, name: &str, now: u64) -> Grant {
    let text = |member: &str| tokens.body.get(member).and_then(Value::as_str);
    Grant {
        file: format!("iflow-{}-{now}.json", file_part(name)),
        account: vec![("email", name.to_owned())],
        label: name.to_owned(),
        defaults: Changes::default(),
        changes: Changes::default()
            .set("type", "iflow")
            .set("api_key", key.expose())
            .set("access_token", tokens.access.expose())
            .set_if_some("refresh_token", tokens.refresh.as_ref().map(Secret::expose))
            .set_if_some("token_type", text("token_type"))
            .set_if_some("scope", text("scope"))
            .set("cookie", "")
            .set_if_some(
                "expired",
                tokens.expires_in.and_then(|seconds| rfc3339(now.saturating_add(seconds))),
            )
            .set_if_some("last_refresh", rfc3339(now))
            .set("email", name),
    }
}

/// The login by cookie: reads the account's key, then renews it, because only a fresh one is shown whole.
#[derive(Debug)]
struct WithCookie {
    identity: Identity,
    now: fn() -> u64,
    at: At,
}

#[derive(Debug)]
enum At {
    Beginning,
    Asked,
    Named(Secret),
    Renewing(Secret),
}

impl Flow for WithCookie {
    type Output = Grant;

    fn step(&mut self, input: Input) -> Step<Grant> {
        Step::or_refused(self.advance(input))
    }
}

impl WithCookie {
    fn advance(&mut self, input: Input) -> Result<Step<Grant>, Refusal> {
        match (&self.at, input) {
            (At::Beginning, _) => {
                self.at = At::Asked;
                Ok(Step::Ask(Question {
                    name: "cookie",
                    prompt: "Paste the cookie of platform.iflow.cn (it contains BXAuth=): ".to_owned(),
                    default: None,
                }))
            }
            (At::Asked, Input::Said(line)) => {
                let cookie = cookie(&line)?;
                let request = with_cookie(Request::get(&self.identity.setup_url)?, &cookie);
                self.at = At::Named(cookie);
                Ok(Step::Send(request))
            }
            (At::Named(cookie), input) => {
                let key = Key::read(&input.answer(WHO)?)?;
                let request = renewal(&self.identity, cookie, &key.name)?;
                self.at = At::Renewing(cookie.clone());
                Ok(Step::Redeem(request))
            }
            (At::Renewing(cookie), input) => {
                let key = Key::read(&input.answer(WHO)?)?;
                if key.text.is_empty() {
                    return Err(no_key(Code::NoKeyShown.with("who", WHO)));
                }
                Ok(Step::Done(key.grant(cookie, (self.now)())))
            }
            (At::Asked, _) => Err(Refusal::out_of_turn()),
        }
    }
}

/// The request that renews the key of an account.
pub(crate) fn renewal(identity: &Identity, cookie: &Secret, name: &str) -> Result<Request, Refusal> {
    Ok(with_cookie(Request::json(&identity.setup_url, &json!({ "name": name }))?, cookie))
}

/// The service refuses a client that does not look like a browser at all; the name stays our own.
fn with_cookie(mut request: Request, cookie: &Secret) -> Request {
    const NAME: &str = concat!("Mozilla/5.0 (compatible; cli-proxy-api/", env!("CARGO_PKG_VERSION"), ")");
    request.headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/plain, */*"));
    request.headers.insert(USER_AGENT, HeaderValue::from_static(NAME));
    request.secret_header(COOKIE, cookie.expose())
}

/// The part of a pasted cookie that logs in.
fn cookie(line: &str) -> Result<Secret, Refusal> {
    let line = line.trim().trim_start_matches("Cookie:").trim();
    let part = line
        .split(';')
        .map(str::trim)
        .find(|part| part.starts_with("BXAuth=") && part.len() > "BXAuth=".len());
    match part {
        Some(part) => Ok(Secret::new(format!("{part};"))),
        None => Err(Refusal {
            kind: RefusalKind::Dead,
            message: "the cookie has no BXAuth".into(),
            remedy: "copy the whole Cookie header of a page of platform.iflow.cn where you are logged in"
                .into(),
        }),
    }
}

/// Whether a pasted cookie logs in to the account that holds this one.
pub(crate) fn is_same_cookie(held: &Secret, pasted: &str) -> bool {
    match (cookie(held.expose()), cookie(pasted)) {
        (Ok(held), Ok(pasted)) => held.matches(pasted.expose().as_bytes()),
        _ => false,
    }
}

/// An API key as the service shows it.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) text: Secret,
    pub(crate) expires: String,
}

impl Key {
    pub(crate) fn read(answer: &Answer) -> Result<Self, Refusal> {
        let body = answer.success(WHO, REMEDY)?;
        let text = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default().trim();
        if body.get("success") != Some(&Value::Bool(true)) {
            let message = shown(text("/message"));
            return Err(no_key(format!("iFlow does not accept the cookie: {message}")));
        }
        Ok(Self {
            name: text("/data/name").to_owned(),
            text: Secret::new(text("/data/apiKey").to_owned()),
            expires: text("/data/expireTime").to_owned(),
        })
    }

    fn grant(self, cookie: &Secret, now: u64) -> Grant {
        let clean = file_part(&self.name.replace('*', "x"));
        Grant {
            file: format!("iflow-{clean}-{now}.json"),
            account: vec![("cookie", cookie.expose().to_owned())],
            defaults: Changes::default(),
            changes: Changes::default()
                .set("type", "iflow")
                .set("api_key", self.text.expose())
                .set("access_token", "")
                .set("refresh_token", "")
                .set("token_type", "")
                .set("scope", "")
                .set("cookie", cookie.expose())
                .set("expired", self.expires)
                .set_if_some("last_refresh", rfc3339(now))
                .set("email", self.name.as_str()),
            label: self.name,
        }
    }
}

pub(super) fn no_key(message: impl Into<Reason>) -> Refusal {
    Refusal {
        kind: RefusalKind::Dead,
        message: message.into(),
        remedy: "log in again: cli-proxy-api --iflow-cookie".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_cookie_only_the_part_that_logs_in_is_kept() {
        for line in ["BXAuth=abc", " a=1;  BXAuth=abc; b=2; ", "Cookie: a=1; BXAuth=abc"] {
            assert_eq!(cookie(line).unwrap().expose(), "BXAuth=abc;", "{line}");
        }
        for line in ["", "a=1", "BXAuth=", "xBXAuth=abc"] {
            assert!(cookie(line).is_err(), "{line}");
        }
    }
}

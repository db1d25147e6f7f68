//! Logging in to Antigravity.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Value, json};

use crate::oauth::chain::{Fetch, Then as _};
use crate::oauth::code::CodeLogin;
use crate::oauth::login::{Conversation, Redirect, Setup, file_part};
use crate::oauth::{Flow, Grant, Identity, Input, Login, Refusal, RefusalKind, Request, Step, Tokens};
use crate::provider::gemini_cli;
use crate::provider::gemini_cli::project::{default_tier, project_of};
use crate::secret::Secret;
use crate::store::Changes;
use crate::time::rfc3339;

pub(super) const WHO: &str = "Google";
pub(super) const REMEDY: &str = "log in again: cli-proxy-api --antigravity-login";
/// How often to look at an onboarding, and the pause between.
const MOST_LOOKS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(2);
/// Newest client version that is known; the service asks for one.
pub(super) const IDE_VERSION: &str = "2.9.0";

/// With a browser.
pub(crate) const BROWSER: Login = Login {
    name: "antigravity-login",
    provider: "antigravity",
    title: "Antigravity",
    about: "Log in to a Google account for Antigravity, with a browser",
    notice: Some(
        "Google's terms do not allow third-party software to use an Antigravity login, and accounts have been suspended for it; a Gemini API key (https://aistudio.google.com/apikey, `gemini-api-key` in config.yaml) or a Vertex service account is the supported way.",
    ),
    identity,
    redirect: Redirect::Listening,
    needs_secret: true,
    begin,
};

/// Addresses and ids. Google publishes no secret for this application: it has to be configured.
pub(crate) fn identity() -> Identity {
    Identity {
        authorize_url: Cow::Borrowed("https://accounts.google.com/o/oauth2/v2/auth"),
        token_url: Cow::Borrowed("https://oauth2.googleapis.com/token"),
        user_url: Cow::Borrowed("https://www.googleapis.com/oauth2/v2/userinfo?alt=json"),
        setup_url: Cow::Borrowed("https://cloudcode-pa.googleapis.com"),
        base_url: Cow::Borrowed("https://daily-cloudcode-pa.googleapis.com"),
        client_id: Cow::Borrowed("1071006060591-tmhssin2h21lcre235vtolojh4g403ep.apps.googleusercontent.com"),
        scope: Cow::Borrowed(
            "https://www.googleapis.com/auth/cloud-platform https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/userinfo.profile https://www.googleapis.com/auth/cclog https://www.googleapis.com/auth/experimentsandconfigs",
        ),
        redirect_url: Cow::Borrowed("http://localhost:51121/oauth-callback"),
        ..Identity::default()
    }
}

fn begin(setup: Setup) -> Conversation {
    let (now, identity) = (setup.now, setup.identity.clone());
    let login = CodeLogin {
        who: WHO,
        remedy: REMEDY,
        parameters: gemini_cli::login::parameters,
        redeem: gemini_cli::login::redeem,
    };
    let flow = login.begin(setup).then(move |tokens| {
        let whose = Fetch::new(WHO, Request::get(&identity.user_url)?.bearer(&tokens.access));
        Ok(whose.then(move |answer| {
            let body = answer.success(WHO, REMEDY)?;
            let email = body.get("email").and_then(Value::as_str).unwrap_or_default().to_owned();
            if email.is_empty() {
                return Err(unknown("Google does not say whose account this is"));
            }
            let onboarding = Onboarding::new(identity, tokens.access.clone());
            Ok(onboarding.finish(move |project| Ok((tokens, email, project))))
        }))
    });
    Box::new(flow.finish(move |(tokens, email, project)| Ok(grant(&tokens, &email, &project, now()))))
}

/// Finds the account's project. A file without one is completed by the same conversation.
#[derive(Debug)]
pub(crate) struct Onboarding {
    identity: Identity,
    access: Secret,
    tier: Option<String>,
    looks: u32,
}

impl Flow for Onboarding {
    type Output = String;

    fn step(&mut self, input: Input) -> Step<String> {
        Step::or_refused(self.advance(input))
    }
}

impl Onboarding {
    pub(super) fn new(identity: Identity, access: Secret) -> Self {
        Self { identity, access, tier: None, looks: 0 }
    }

    fn advance(&mut self, input: Input) -> Result<Step<String>, Refusal> {
        match (&self.tier, input) {
            (None, Input::Start) => {
                let body = json!({ "metadata": { "ideType": "ANTIGRAVITY" } });
                self.call(&self.identity.setup_url, "loadCodeAssist", &body)
            }
            (None, input) => {
                let body = input.answer(WHO)?.success(WHO, REMEDY)?;
                if let Some(project) = project_of(&body) {
                    return Ok(Step::Done(project));
                }
                let current = || Some(body.pointer("/currentTier/id")?.as_str()?.to_owned());
                let tier = default_tier(&body).or_else(current).unwrap_or_else(|| "free-tier".to_owned());
                self.onboard(tier)
            }
            (Some(tier), Input::Elapsed) => self.onboard(tier.clone()),
            (Some(_), input) => {
                let body = input.answer(WHO)?.success(WHO, REMEDY)?;
                if body.get("done") == Some(&Value::Bool(true)) {
                    let project = body.get("response").and_then(project_of);
                    return project
                        .map(Step::Done)
                        .ok_or_else(|| unknown("Google gives this account no project"));
                }
                self.looks += 1;
                if self.looks >= MOST_LOOKS {
                    return Err(unknown("Google has not finished setting the account up"));
                }
                Ok(Step::Wait(PAUSE))
            }
        }
    }

    fn onboard(&mut self, tier: String) -> Result<Step<String>, Refusal> {
        // This method wants its members in snake case.
        let metadata =
            json!({ "ide_type": "ANTIGRAVITY", "ide_version": IDE_VERSION, "ide_name": "antigravity" });
        let body = json!({ "tier_id": tier, "metadata": metadata });
        self.tier = Some(tier);
        self.call(&self.identity.base_url, "onboardUser", &body)
    }

    fn call(&self, base: &str, method: &str, body: &Value) -> Result<Step<String>, Refusal> {
        Ok(Step::Send(Request::json(&format!("{base}/v1internal:{method}"), body)?.bearer(&self.access)))
    }
}

fn unknown(message: &str) -> Refusal {
    Refusal { kind: RefusalKind::Passing(None), message: message.into(), remedy: REMEDY.into() }
}

fn grant(tokens: &Tokens, email: &str, project: &str, now: u64) -> Grant {
    Grant {
        file: format!("antigravity-{}.json", file_part(email)),
        account: vec![("email", email.to_owned())],
        label: email.to_owned(),
        defaults: Changes::default(),
        changes: Changes::default()
            .set("type", "antigravity")
            .set("access_token", tokens.access.expose())
            .set_if_some("refresh_token", tokens.refresh.as_ref().map(Secret::expose))
            .set_if_some("expires_in", tokens.expires_in)
            .set("timestamp", now.saturating_mul(1000))
            .set_if_some(
                "expired",
                tokens.expires_in.and_then(|seconds| rfc3339(now.saturating_add(seconds))),
            )
            .set("email", email)
            .set("project_id", project),
    }
}

//! A scripted identity provider: every way to log in that the gateway knows, on one port.
//!
//! It is as strict as the real ones: codes, device codes and refresh tokens work once, a code is worth nothing without
//! its proof and its redirect address, secrets and headers have to be right, a service account's signature is checked.
//! It is written by hand from the providers' interfaces and shares nothing with the code that it tests. Faults are
//! queued by path and happen once each.
#![expect(clippy::indexing_slicing, reason = "members of JSON values: one that is absent reads as null")]

mod browser;
mod google;
mod ledger;
mod route;
mod service_account;

pub use browser::Browser;
pub use google::Google;
pub use ledger::{Redeemed, Tokens};

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ledger::Ledger;

use crate::{Received, Script, Upstream};

/// The secret that the applications of this identity provider have.
pub const CLIENT_SECRET: &str = "scripted-client-secret";
/// The cookie that logs in to iFlow.
pub const COOKIE: &str = "BXAuth=scripted-cookie";

/// What goes wrong with one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status with this JSON body; nothing is done.
    Json(u16, String),
    /// This status with a page; nothing is done.
    Page(u16),
    /// No answer; nothing is done.
    Stall,
    /// The connection breaks in the middle of the answer; nothing is done.
    Cut,
    /// The request is done, and the connection breaks in the middle of the answer.
    DoneThenCut,
}

/// What the person does at the consent page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consent {
    /// Allows the access.
    #[default]
    Allow,
    /// Denies it.
    Deny,
    /// Allows it, and something on the way changes the state.
    WrongState,
}

/// What the test has arranged.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) ledger: Ledger,
    pub(crate) google: Google,
    pub(crate) consent: Consent,
    faults: Vec<(String, Fault)>,
    hook: Option<Hook>,
}

type Hook = Arc<dyn Fn(&Received) + Send + Sync>;

impl Plan {
    /// The fault that is due at this path.
    fn fault(&mut self, path: &str) -> Option<Fault> {
        let due = self.faults.iter().position(|(place, _)| place == path)?;
        Some(self.faults.remove(due).1)
    }
}

/// A running identity provider.
pub struct IdentityProvider {
    upstream: Upstream,
    plan: Arc<Mutex<Plan>>,
}

impl IdentityProvider {
    /// Starts one.
    pub async fn start() -> Self {
        let plan: Arc<Mutex<Plan>> = Arc::default();
        let shared = Arc::clone(&plan);
        let upstream = Upstream::start(move |received| answer(received, &shared)).await;
        Self { upstream, plan }
    }

    /// Its base address.
    pub fn url(&self) -> String {
        self.upstream.url()
    }

    /// What it was asked so far.
    pub fn received(&self) -> Vec<Received> {
        self.upstream.received()
    }

    /// The part of a configuration that sends the logins of every provider here. Browsers come back to free ports,
    /// so that tests can run beside each other.
    pub fn endpoints(&self) -> String {
        let url = self.url();
        let mut text = "oauth-endpoints:\n".to_owned();
        for (provider, callback) in [
            ("antigravity", "oauth-callback"),
            ("claude", "callback"),
            ("codex", "auth/callback"),
            ("gemini-cli", "oauth2callback"),
            ("iflow", "oauth2callback"),
            ("kimi", ""),
            ("qwen", ""),
            ("vertex", ""),
            ("xai", ""),
        ] {
            let base = format!("{url}/{provider}");
            write!(
                text,
                "  {provider}:\n    authorize-url: {base}/authorize\n    user-url: {base}/user\n    check-url: {base}/check\n    base-url: {base}/base\n    client-id: client-of-{provider}\n    client-secret: {CLIENT_SECRET}\n    redirect-url: http://localhost:0/{callback}\n",
            )
            .expect("a string");
            // xAI's other two addresses are discovered.
            let rest = if provider == "xai" {
                format!("    setup-url: {base}/.well-known/openid-configuration\n")
            } else {
                format!(
                    "    setup-url: {base}/setup\n    token-url: {base}/token\n    device-url: {base}/device\n"
                )
            };
            text.push_str(&rest);
        }
        text
    }

    /// The next request to this path goes wrong.
    pub fn fail(&self, path: &str, fault: Fault) {
        self.plan().faults.push((path.to_owned(), fault));
    }

    /// What the person does at the consent page from now on.
    pub fn set_consent(&self, consent: Consent) {
        self.plan().consent = consent;
    }

    /// Arranges Google's projects.
    pub fn google(&self, arrange: impl FnOnce(&mut Google)) {
        arrange(&mut self.plan().google);
    }

    /// The person confirms a code on any device.
    pub fn confirm(&self, user_code: &str) {
        self.plan().ledger.confirm(user_code);
    }

    /// The person declines a code.
    pub fn decline(&self, user_code: &str) {
        self.plan().ledger.decline(user_code);
    }

    /// The service asks for patience at the next poll of any device code.
    pub fn slow_down_once(&self) {
        self.plan().ledger.slows_down = true;
    }

    /// Calls `hook` with every request before it is answered.
    pub fn on_request(&self, hook: impl Fn(&Received) + Send + Sync + 'static) {
        self.plan().hook = Some(Arc::new(hook));
    }

    /// The refresh token that was given out last, if any was.
    pub fn last_issued(&self) -> Option<String> {
        self.plan().ledger.last_issued.clone()
    }

    /// Access tokens that were given out so far are not accepted any more.
    pub fn expire(&self) {
        self.plan().ledger.expire();
    }

    /// Tokens as if somebody had logged in, for an auth file to begin with.
    pub fn issue(&self, provider: &str) -> Tokens {
        self.plan().ledger.issue(provider)
    }

    /// What became of a refresh token.
    pub fn redeemed(&self, refresh: &str) -> Redeemed {
        self.plan().ledger.redeemed(refresh)
    }

    /// Whether the upstream of this provider would accept an access token.
    pub fn accepts(&self, access: &str) -> bool {
        self.plan().ledger.accepts(access)
    }

    /// How long access tokens live from now on, in seconds.
    pub fn set_lifetime(&self, seconds: u64) {
        self.plan().ledger.lifetime = seconds;
    }

    /// Whose accounts logins are from now on.
    pub fn set_email(&self, email: &str) {
        email.clone_into(&mut self.plan().ledger.email);
    }

    /// The plan and account id in id tokens from now on (Codex).
    pub fn set_plan(&self, plan: &str, account: &str) {
        let mut arranged = self.plan();
        plan.clone_into(&mut arranged.ledger.plan);
        account.clone_into(&mut arranged.ledger.account);
    }

    /// The key file of a new service account of this project.
    pub fn service_account(&self, project: &str) -> String {
        let (text, email, key) = service_account::make(project, &format!("{}/vertex/token", self.url()));
        self.plan().ledger.keys.insert(email, key);
        text
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer(received: &Received, plan: &Mutex<Plan>) -> Script {
    let hook = plan.lock().unwrap_or_else(PoisonError::into_inner).hook.clone();
    if let Some(hook) = hook {
        hook(received);
    }
    let mut plan = plan.lock().unwrap_or_else(PoisonError::into_inner);
    let path = received.path.split('?').next().unwrap_or_default().to_owned();
    match plan.fault(&path) {
        None => route::answer(received, &mut plan),
        Some(Fault::Json(status, body)) => Script::json(status, body),
        Some(Fault::Page(status)) => Script::json(status, "<!doctype html><title>Just a moment</title>")
            .header("content-type", "text/html"),
        Some(Fault::Stall) => Script::json(200, "").stalled(),
        Some(Fault::Cut) => Script::json(200, "{\"access_token\":\"half").cut(),
        Some(Fault::DoneThenCut) => {
            route::answer(received, &mut plan);
            Script::json(200, "{\"access_token\":\"half").cut()
        }
    }
}

//! What was issued, and what became of it.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Tokens of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
}

/// What became of a refresh token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redeemed {
    /// How often it gave new tokens; more than once would be a fault of this identity provider.
    pub good: u32,
    /// How often it was presented when it was worth nothing any more.
    pub bad: u32,
}

/// A pending authorization code.
pub(crate) struct Code {
    pub(crate) provider: String,
    pub(crate) redirect: String,
    pub(crate) challenge: Option<String>,
}

/// A pending device code.
pub(crate) struct Device {
    pub(crate) provider: String,
    pub(crate) user_code: String,
    pub(crate) challenge: Option<String>,
    pub(crate) decision: Option<bool>,
}

struct Refresh {
    provider: String,
    is_spent: bool,
    redeemed: Redeemed,
}

/// The books.
pub(crate) struct Ledger {
    codes: HashMap<String, Code>,
    devices: HashMap<String, Device>,
    refreshes: HashMap<String, Refresh>,
    accesses: HashMap<String, String>,
    /// Public keys of service accounts, by e-mail.
    pub(crate) keys: HashMap<String, Vec<u8>>,
    pub(crate) email: String,
    pub(crate) plan: String,
    pub(crate) account: String,
    pub(crate) lifetime: u64,
    pub(crate) slows_down: bool,
    pub(crate) last_issued: Option<String>,
    counter: u32,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            codes: HashMap::new(),
            devices: HashMap::new(),
            refreshes: HashMap::new(),
            accesses: HashMap::new(),
            keys: HashMap::new(),
            email: "person@example.com".to_owned(),
            plan: "plus".to_owned(),
            account: "account-1".to_owned(),
            lifetime: 3600,
            slows_down: false,
            last_issued: None,
            counter: 0,
        }
    }
}

impl Ledger {
    fn next(&mut self, kind: &str, provider: &str) -> String {
        self.counter += 1;
        format!("{kind}-of-{provider}-{:06}", self.counter)
    }

    pub(crate) fn code(&mut self, code: Code) -> String {
        let name = self.next("code", &code.provider);
        self.codes.insert(name.clone(), code);
        name
    }

    /// A code works once.
    pub(crate) fn take_code(&mut self, code: &str) -> Option<Code> {
        self.codes.remove(code)
    }

    pub(crate) fn device(&mut self, provider: &str, challenge: Option<String>) -> (String, String) {
        let name = self.next("device", provider);
        let user_code = format!("WXYZ-{:04}", self.counter);
        let device =
            Device { provider: provider.to_owned(), user_code: user_code.clone(), challenge, decision: None };
        self.devices.insert(name.clone(), device);
        (name, user_code)
    }

    pub(crate) fn find_device(&self, name: &str) -> Option<&Device> {
        self.devices.get(name)
    }

    /// A device code works once.
    pub(crate) fn take_device(&mut self, name: &str) {
        self.devices.remove(name);
    }

    pub(crate) fn confirm(&mut self, user_code: &str) {
        self.decide(user_code, true);
    }

    pub(crate) fn decline(&mut self, user_code: &str) {
        self.decide(user_code, false);
    }

    fn decide(&mut self, user_code: &str, is_confirmed: bool) {
        let device = self.devices.values_mut().find(|device| device.user_code == user_code);
        device.expect("a code that is shown").decision = Some(is_confirmed);
    }

    pub(crate) fn issue(&mut self, provider: &str) -> Tokens {
        let access = self.next("access", provider);
        let refresh = self.next("refresh", provider);
        self.accesses.insert(access.clone(), provider.to_owned());
        let spent = Refresh { provider: provider.to_owned(), is_spent: false, redeemed: Redeemed::default() };
        self.refreshes.insert(refresh.clone(), spent);
        self.last_issued = Some(refresh.clone());
        Tokens { access, refresh }
    }

    pub(crate) fn expire(&mut self) {
        self.accesses.clear();
    }

    /// An access token without a refresh token.
    pub(crate) fn issue_access(&mut self, provider: &str) -> String {
        let access = self.next("access", provider);
        self.accesses.insert(access.clone(), provider.to_owned());
        access
    }

    /// Spends a refresh token; Google's stay.
    pub(crate) fn redeem(&mut self, provider: &str, refresh: &str) -> bool {
        let Some(known) = self.refreshes.get_mut(refresh).filter(|known| known.provider == provider) else {
            return false;
        };
        if known.is_spent {
            known.redeemed.bad += 1;
            return false;
        }
        known.redeemed.good += 1;
        known.is_spent = rotates(provider);
        true
    }

    pub(crate) fn redeemed(&self, refresh: &str) -> Redeemed {
        self.refreshes.get(refresh).map(|known| known.redeemed).unwrap_or_default()
    }

    pub(crate) fn accepts(&self, access: &str) -> bool {
        self.accesses.contains_key(access)
    }

    /// An id token; nobody here checks its signature.
    pub(crate) fn id_token(&self) -> String {
        let claims = json!({
            "email": self.email,
            "sub": self.account,
            "https://api.openai.com/auth": {
                "chatgpt_account_id": self.account,
                "chatgpt_plan_type": self.plan,
            },
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(&json!({"alg": "RS256"})), part(&claims))
    }
}

/// Whether a provider gives a new refresh token each time.
pub(crate) fn rotates(provider: &str) -> bool {
    !matches!(provider, "gemini-cli" | "antigravity")
}

/// Whether a verifier belongs to a challenge.
pub(crate) fn proves(verifier: &str, challenge: &str) -> bool {
    verifier.len() >= 43 && URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())) == challenge
}

//! Who has which tokens, and what happened to them.

use std::collections::{BTreeMap, HashMap, VecDeque};

/// An account as the identity provider knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The access token that the upstream accepts, unless it has expired.
    pub access: String,
    /// The refresh token that can be redeemed.
    pub refresh: String,
    /// Whether the upstream still accepts the access token.
    pub is_accepted: bool,
    /// How often a refresh token was redeemed since the login.
    pub redemptions: u32,
    /// How often a refresh token was presented that was worth nothing any more.
    pub reuses: u32,
    /// The last access token that the upstream was asked with and accepted.
    pub used: Option<String>,
    logins: u32,
}

/// How a redemption goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error status with a JSON body, and when to come back in seconds. Nothing is redeemed.
    Status(u16, Option<u32>),
    /// A page instead of JSON, with this status. Nothing is redeemed.
    Page(u16),
    /// No answer, ever. Nothing is redeemed.
    Silence,
    /// The refresh token is refused as revoked.
    Revoked,
    /// Redeemed, and the connection cut before the first byte of the answer.
    Lost,
    /// Redeemed, and the connection cut in the middle of the answer.
    Torn,
    /// A new access token, and the old refresh token stays valid.
    Kept,
    /// Redeemed, and the machine's clock is wrong by this many seconds in the header `Date`.
    Clock(i64),
}

/// New tokens.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
    pub(crate) lifetime: u64,
    pub(crate) clock: i64,
}

/// What becomes of a request to redeem.
#[derive(Debug)]
pub(crate) enum Decision {
    Granted(Grant),
    Lost,
    Torn(Grant),
    Refused,
    Failed(Fault),
}

pub(crate) struct Book {
    accounts: BTreeMap<String, Account>,
    /// Every refresh token ever issued, and whose it is.
    issued: HashMap<String, String>,
    pub(crate) faults: VecDeque<Fault>,
    pub(crate) lifetime: u64,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            accounts: BTreeMap::new(),
            issued: HashMap::new(),
            faults: VecDeque::new(),
            lifetime: 8 * 3600,
        }
    }
}

impl Book {
    pub(crate) fn login(&mut self, name: &str) {
        let logins = self.accounts.get(name).map_or(0, |account| account.logins) + 1;
        let account = Account { logins, ..Account::default() };
        self.accounts.insert(name.to_owned(), account);
        self.mint(name, true);
    }

    fn mint(&mut self, name: &str, rotates: bool) {
        let Some(account) = self.accounts.get_mut(name) else { return };
        let (login, number) = (account.logins, account.redemptions);
        account.access = format!("sk-ant-oat01-{name}-{login}-{number}");
        account.is_accepted = true;
        if rotates {
            account.refresh = format!("sk-ant-ort01-{name}-{login}-{number}");
            self.issued.insert(account.refresh.clone(), name.to_owned());
        }
    }

    pub(crate) fn account(&self, name: &str) -> Account {
        self.accounts.get(name).cloned().expect("an account that has logged in")
    }

    pub(crate) fn expire(&mut self, name: &str) {
        self.accounts.get_mut(name).expect("an account that has logged in").is_accepted = false;
    }

    pub(crate) fn owner(&self, refresh: &str) -> Option<String> {
        self.issued.get(refresh).cloned()
    }

    pub(crate) fn redeem(&mut self, refresh: &str) -> Decision {
        let fault = self.faults.pop_front();
        if let Some(fault @ (Fault::Status(..) | Fault::Page(_) | Fault::Silence)) = fault {
            return Decision::Failed(fault);
        }
        let Some(name) = self.owner(refresh) else { return Decision::Refused };
        let Some(account) = self.accounts.get_mut(&name) else { return Decision::Refused };
        if fault == Some(Fault::Revoked) {
            account.refresh = String::new();
            return Decision::Refused;
        }
        if account.refresh != refresh {
            account.reuses += 1;
            return Decision::Refused;
        }
        account.redemptions += 1;
        let rotates = fault != Some(Fault::Kept);
        self.mint(&name, rotates);
        let account = self.account(&name);
        let grant = Grant {
            access: account.access,
            refresh: rotates.then_some(account.refresh),
            lifetime: self.lifetime,
            clock: if let Some(Fault::Clock(by)) = fault { by } else { 0 },
        };
        match fault {
            Some(Fault::Lost) => Decision::Lost,
            Some(Fault::Torn) => Decision::Torn(grant),
            _ => Decision::Granted(grant),
        }
    }

    /// Whose access token it is that the upstream is asked with, if it is accepted.
    pub(crate) fn used(&mut self, access: &str) -> Option<String> {
        let mut accounts = self.accounts.iter_mut();
        let (name, account) =
            accounts.find(|(_, account)| account.access == access && account.is_accepted)?;
        account.used = Some(access.to_owned());
        Some(name.clone())
    }
}

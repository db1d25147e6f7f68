//! Credentials: what they are ([`Credential`], immutable, from configuration) and what happens to them at run time
//! ([`Pool`]: resting times, requests in flight), which survives a reload of the configuration.

mod account;
pub mod accounts;
pub mod affinity;
mod file;
mod kind;
mod pool;
pub mod quota;
pub mod record;
pub mod tally;

pub(crate) use account::Unsaved;
pub use account::{Account, Condition};
pub(crate) use file::{find_account, free_name};
pub use kind::Kind;
pub use pool::{Block, Cooling, Lease, Moment, Pool, SavedRest, Scope, Seat, Seats, Stand, Why};
pub use quota::{Quotas, Window};
pub use record::Record;
pub use tally::{Counted, Tally};

use std::fmt;
use std::sync::Arc;

use cliproxy_wire::Format;
use cliproxy_wire::profile::Profile;
use http::{HeaderName, HeaderValue};

use crate::proxy::Proxy;
use crate::secret::Secret;
use crate::store::Version;

/// Identity of a credential; stable over restarts, and safe to show.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialId(Arc<str>);

impl CredentialId {
    /// Wraps an id.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The id of a key: `<kind>:apikey:<12 hex digits>` of what makes the key's account distinct. The key itself
    /// cannot be found from it.
    pub fn of_key(kind: &str, parts: &[&str]) -> Self {
        Self(cliproxy_wire::id::hex(&format!("{kind}:apikey:"), 12, parts).into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The short id by which control panels know an auth file or a key.
pub(crate) fn auth_index(id: &str) -> String {
    let version = Version::of(format!("file:{id}").as_bytes()).to_string();
    version.chars().take(16).collect()
}

/// A number from 0 to 1 that an id always gives, to spread what would happen at the same time.
pub(crate) fn spread(id: &CredentialId) -> f64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

/// One account or key, as configured.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Identity.
    pub id: CredentialId,
    /// Which provider code serves it.
    pub kind: Kind,
    /// The provider's name: routing, statistics, model ownership.
    pub provider: Arc<str>,
    /// The key; `None` for upstreams without, and for accounts.
    pub key: Option<Secret>,
    /// The account whose token is used; `None` for keys.
    pub account: Option<Arc<Account>>,
    /// The one project, of the several that the account's file names, that this credential stands for.
    pub project: Option<Arc<str>>,
    /// Address without trailing slash.
    pub base_url: Arc<str>,
    /// Another address of the same service, for when this one fails.
    pub other_base_url: Option<Arc<str>>,
    /// The way out, with the global setting already applied.
    pub proxy: Proxy,
    /// Headers added to every request.
    pub headers: Vec<(HeaderName, Header)>,
    /// Prefix of its models.
    pub prefix: Option<Arc<str>>,
    /// Higher goes first.
    pub priority: i64,
    /// Share under weighted selection; 0 excludes.
    pub weight: u32,
    /// Most requests at once; `None` without limit.
    pub concurrency: Option<u32>,
    /// Does not rest after failures.
    pub never_rests: bool,
    /// Extra rounds over all credentials, where this one says otherwise than the global setting.
    pub request_retry: Option<u32>,
    /// The upstream's dialect.
    pub profile: Arc<Profile>,
    /// Another format that the upstream speaks too, for clients of that format.
    pub native: Option<Arc<Profile>>,
    /// The dialects of models whose names begin so.
    pub of_models: Arc<[(&'static str, Arc<Profile>)]>,
    /// The upstream is asked over websockets where it has them.
    pub websockets: bool,
    /// Scope of encrypted reasoning that only this account can read.
    pub scope: Arc<str>,
}

impl Credential {
    /// The dialect in which the upstream is asked for a model, for a client of this format.
    pub fn profile_for(&self, client: Format, model: &str) -> &Arc<Profile> {
        if let Some((_, profile)) = self.of_models.iter().find(|(names, _)| model.starts_with(names)) {
            return profile;
        }
        self.native.as_ref().filter(|profile| profile.format == client).unwrap_or(&self.profile)
    }

    /// Whether it is a web page that is connected, and nothing else.
    pub fn is_page(&self) -> bool {
        self.kind == Kind::AiStudio
    }

    /// Whether it is listed with the accounts: it belongs to one, or is a page.
    pub fn is_listed(&self) -> bool {
        self.account.is_some() || self.is_page()
    }

    /// What is sent as bearer token: the key, or what the account's file has for it at the moment.
    pub fn token(&self) -> Option<Secret> {
        match &self.account {
            Some(account) => account.record().bearer(),
            None => self.key.clone(),
        }
    }
}

/// Value of a configured header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// This value.
    Fixed(HeaderValue),
    /// The value of the client's header of this name, when it sent one.
    FromClient(HeaderName),
}

//! Providers: pure descriptions of how each kind of upstream is asked, and what its refusals mean.
//!
//! A provider does no I/O. It turns a job into an [`Outgoing`] and a refusal into a [`Retry`]; [`crate::upstream`]
//! sends, the engine retries. Wire formats are the codecs' business; here stand addresses, headers and the meaning of
//! errors. Adding a provider is one folder and one line in [`of`].

mod aistudio;
mod antigravity;
mod chat_body;
mod claude;
pub(crate) mod codex;
pub mod demo;
mod gemini;
pub(crate) mod gemini_cli;
mod head;
mod iflow;
mod job;
mod judge;
mod kimi;
mod openai;
mod outgoing;
mod quota;
mod qwen;
#[cfg(test)]
mod trial;
mod vertex;
mod xai;

pub(crate) use head::session;
pub(crate) use iflow::login::is_same_cookie;
pub use job::{Job, Operation};
pub(crate) use judge::judge;
pub use quota::Told;
pub use vertex::login::import as import_service_account;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cliproxy_wire::fault::Fault;
use cliproxy_wire::profile::Profile;

use crate::credential::{Credential, Kind, Record, Window};
use crate::failure::{Failure, Retry};
use crate::oauth::{Flow, Identity, Login};
use crate::store::Changes;
use crate::upstream::Outgoing;
use head::{
    SESSION_HEADERS, base_headers, bearer, cache_key, configured_headers, copy_headers, form_type, key_header,
};
use judge::not_offered;
use outgoing::{over_socket, path_segment, post};

/// A provider.
pub trait Provider: Sync + fmt::Debug {
    /// Puts a job on the wire.
    ///
    /// # Errors
    /// What this upstream cannot be asked.
    fn prepare(&self, job: Job<'_>, credential: &Credential) -> Result<Outgoing, Failure>;

    /// What a refusal means for further attempts.
    fn judge(&self, fault: &Fault) -> Retry {
        judge(fault)
    }

    /// Addresses and client ids of the provider's own logins; configuration overrides single members.
    fn identity(&self) -> Identity {
        Identity::default()
    }

    /// What an auth file of this provider offers; `None` for providers that have keys only.
    fn adopt(&self, record: &Record, identity: &Identity) -> Option<Adopted> {
        let (_, _) = (record, identity);
        None
    }

    /// What an answer, or a refusal, tells about the quotas of who asked.
    fn quotas(&self, told: &Told<'_>) -> Vec<Window> {
        quota::of_refusal(told).into_iter().collect()
    }

    /// The event in answers' streams that tells of quotas; `None` where none does.
    fn quota_event(&self) -> Option<&'static str> {
        None
    }

    /// What such an event tells. `now` is in Unix seconds.
    fn quotas_of_event(&self, event: &str, now: u64) -> Vec<Window> {
        let (_, _) = (event, now);
        Vec::new()
    }

    /// Whether an auth file lacks what a renewal completes it with.
    fn is_incomplete(&self, record: &Record) -> bool {
        let _ = record;
        false
    }

    /// The conversation that renews an account's token; `None` when there is nothing to renew it with.
    fn renew(&self, record: &Record, identity: &Identity, now: u64) -> Option<Renewal> {
        let (_, _, _) = (record, identity, now);
        None
    }

    /// Whether renewed tokens belong into the auth file. Those that the file makes any number of stay in memory.
    fn keeps_tokens(&self) -> bool {
        true
    }

    /// Whether a refresh token may be worth nothing once it is redeemed, so that it must not be redeemed unless what comes
    /// back can be written down.
    fn spends_tokens(&self) -> bool {
        true
    }

    /// How long before its end a token is renewed in the background; `None` when tokens are made on demand.
    fn lead(&self) -> Option<Duration> {
        None
    }
}

/// The conversation that renews a token.
pub type Renewal = Box<dyn Flow<Output = Changes>>;

/// What an auth file offers: everything that a [`Credential`] needs and a key entry configures by hand.
#[derive(Clone, Debug)]
pub struct Adopted {
    /// The upstream's dialect.
    pub profile: Profile,
    /// Another format that the upstream speaks too, for clients of that format.
    pub native: Option<Profile>,
    /// The dialects of models whose names begin so.
    pub of_models: Vec<(&'static str, Profile)>,
    /// Address of the upstream without trailing slash; the file's own `base_url` is already applied.
    pub base_url: Arc<str>,
    /// Another address of the same service, for when this one fails.
    pub other_base_url: Option<Arc<str>>,
    /// The name under which the catalog lists its models, and the channel of `oauth-model-alias` and
    /// `oauth-excluded-models`.
    pub channel: &'static str,
    /// The projects among which the account's requests are shared; each becomes a credential of its own when there
    /// are several.
    pub projects: Vec<Arc<str>>,
    /// Withheld models of the catalog, by what the file says of the account's plan.
    pub withheld: Vec<&'static str>,
}

impl Adopted {
    /// An account without projects whose plan withholds nothing. A `base_url` of the file goes before the provider's.
    fn new(profile: Profile, record: &Record, identity: &Identity, channel: &'static str) -> Self {
        let base_url = record.text("base_url").unwrap_or(&identity.base_url);
        Self {
            profile,
            native: None,
            of_models: Vec::new(),
            base_url: base_url.trim_end_matches('/').into(),
            other_base_url: None,
            channel,
            projects: Vec::new(),
            withheld: Vec::new(),
        }
    }
}

/// The provider of a kind.
pub fn of(kind: Kind) -> &'static dyn Provider {
    match kind {
        Kind::Gemini => &gemini::Gemini,
        Kind::AiStudio => &aistudio::AiStudio,
        Kind::Antigravity => &antigravity::Antigravity,
        Kind::GeminiCli => &gemini_cli::GeminiCli,
        Kind::Vertex => &vertex::Vertex,
        Kind::Claude => &claude::Claude,
        Kind::Codex => &codex::Codex,
        Kind::Xai => &xai::Xai,
        Kind::OpenAi => &openai::OpenAi,
        Kind::Qwen => &qwen::Qwen,
        Kind::IFlow => &iflow::IFlow,
        Kind::Kimi => &kimi::Kimi,
        Kind::Demo => &demo::Demo,
    }
}

/// The providers that have logins, by their names in auth files.
pub const WITH_LOGINS: [&str; 9] =
    ["antigravity", "claude", "codex", "gemini-cli", "iflow", "kimi", "qwen", "vertex", "xai"];

/// Addresses and client ids of a provider's logins; `None` for one without logins.
pub fn identity(provider: &str) -> Option<Identity> {
    Some(match provider {
        "antigravity" => antigravity::login::identity(),
        "claude" => claude::login::identity(),
        "codex" => codex::login::identity(),
        "gemini-cli" => gemini_cli::login::identity(),
        "iflow" => iflow::login::identity(),
        "kimi" => kimi::login::identity(),
        "qwen" => qwen::login::identity(),
        "vertex" => vertex::login::identity(),
        "xai" => xai::login::identity(),
        _ => return None,
    })
}

/// Every way to log in, in the order in which the command line looks for them.
pub const LOGINS: [&Login; 10] = [
    &gemini_cli::login::BROWSER,
    &antigravity::login::BROWSER,
    &codex::login::BROWSER,
    &codex::login::DEVICE,
    &claude::login::BROWSER,
    &qwen::login::DEVICE,
    &iflow::login::BROWSER,
    &iflow::login::WITH_COOKIE,
    &kimi::login::DEVICE,
    &xai::login::DEVICE,
];

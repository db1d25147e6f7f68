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
mod iflow;
mod kimi;
mod openai;
mod quota;
mod qwen;
#[cfg(test)]
mod trial;
mod vertex;
mod xai;

pub(crate) use iflow::login::is_same_cookie;
pub use quota::Told;
pub use vertex::login::import as import_service_account;

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use cliproxy_wire::Format;
use cliproxy_wire::fault::{Fault, Kind as FaultKind};
use cliproxy_wire::json;
use cliproxy_wire::json::patch::{Edit, Path};
use cliproxy_wire::profile::Profile;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use quick_cache::sync::Cache;

use crate::PRODUCT;
use crate::credential::{Credential, Header, Kind, Record, Window};
use crate::failure::{Failure, Rest, Retry};
use crate::oauth::{Flow, Identity, Login};
use crate::store::Changes;
use crate::upstream::{Outgoing, Pieces, Talk};

/// What is asked of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// An answer in one piece.
    Generate,
    /// An answer as a stream.
    Stream,
    /// A count of input tokens.
    CountTokens,
    /// Responses: a compacted conversation.
    Compact,
    /// Embeddings of texts.
    Embed,
    /// Gemini: embeddings of several requests.
    EmbedBatch,
    /// Google: what a model predicts that holds no conversations.
    Predict,
    /// New images.
    Draw,
    /// Images, changed.
    Redraw,
}

impl Operation {
    /// What it gives, for messages.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Generate | Self::Stream => "answers",
            Self::CountTokens => "counts of tokens",
            Self::Compact => "compacted conversations",
            Self::Embed | Self::EmbedBatch => "embeddings",
            Self::Predict => "predictions",
            Self::Draw => "images",
            Self::Redraw => "changed images",
        }
    }

    /// Whether it is about a conversation.
    pub fn is_conversation(self) -> bool {
        matches!(self, Self::Generate | Self::Stream | Self::CountTokens | Self::Compact)
    }
}

/// One request for a provider to put on the wire.
#[derive(Debug)]
pub struct Job<'a> {
    /// What is asked.
    pub operation: Operation,
    /// The model's name at the upstream.
    pub model: &'a str,
    /// The body in the upstream's format.
    pub body: Pieces,
    /// The format of the body, for providers that speak several.
    pub format: Format,
    /// Tokens for the `anthropic-beta` header that the body needs.
    pub betas: &'a [String],
    /// The client's format.
    pub client_format: Format,
    /// The client's headers: those that the format defines travel when the formats are the same, and configured
    /// headers may copy any.
    pub client_headers: &'a HeaderMap,
    /// The client's query.
    pub client_query: &'a str,
    /// Gemini streams: server-sent events, not a JSON array.
    pub is_sse: bool,
    /// The time in Unix seconds, for services that want requests signed.
    pub now: u64,
    /// The account's credits pay, where its quota is used up.
    pub pays: bool,
}

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

/// What most providers mean by an error.
pub(crate) fn judge(fault: &Fault) -> Retry {
    match fault.kind {
        FaultKind::InvalidRequest
        | FaultKind::ContextLength
        | FaultKind::ContentPolicy
        | FaultKind::Conflict
        | FaultKind::TooLarge
        | FaultKind::Unprocessable
        | FaultKind::ClientClosed => Retry::Never,
        FaultKind::Authentication => Retry::Next(Rest::Unauthorized),
        FaultKind::Permission | FaultKind::Billing => Retry::Next(Rest::Forbidden),
        FaultKind::NotFound => Retry::Next(Rest::ModelMissing),
        FaultKind::RateLimit | FaultKind::Quota => Retry::Next(Rest::Quota(fault.retry_after)),
        FaultKind::Overloaded
        | FaultKind::Unavailable
        | FaultKind::Timeout
        | FaultKind::Api
        | FaultKind::BadUpstream => {
            Retry::Next(Rest::Transient(fault.retry_after.filter(|wait| *wait > Duration::ZERO)))
        }
    }
}

/// The client's own name of its conversation.
pub(crate) fn session(client: &HeaderMap) -> Option<&str> {
    let named = SESSION_HEADERS.iter().find_map(|name| client.get(name)?.to_str().ok());
    named.filter(|name| !name.is_empty())
}

/// The name by which a Responses body has its prompt cached.
fn cache_key(body: &[u8]) -> Option<HeaderValue> {
    let key = json::member(std::str::from_utf8(body).ok()?, "prompt_cache_key")?;
    HeaderValue::try_from(json::Raw::new(key).to_text()?).ok()
}

/// Headers in which clients of Responses name a conversation.
const SESSION_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("session_id"),
    HeaderName::from_static("session-id"),
    HeaderName::from_static("conversation_id"),
];

/// Addresses that are kept as they were read.
const MOST_ADDRESSES: usize = 512;

/// Headers that every JSON request has.
fn base_headers(operation: Operation) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let accept = if operation == Operation::Stream { "text/event-stream" } else { "application/json" };
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    // Compressed events would have to be unpacked to be forwarded one by one.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, HeaderValue::from_static(PRODUCT));
    headers
}

/// The content type of a body that is the client's form: images to change come as files of one.
fn form_type(job: &Job<'_>) -> Option<HeaderValue> {
    let kind = job.client_headers.get(CONTENT_TYPE).filter(|_| job.operation == Operation::Redraw)?;
    let is_form = kind.as_bytes().to_ascii_lowercase().starts_with(b"multipart/form-data");
    is_form.then(|| kind.clone())
}

fn insert_secret(headers: &mut HeaderMap, name: HeaderName, value: String) -> Result<(), Failure> {
    let Ok(mut value) = HeaderValue::try_from(value) else {
        let fault = Fault::new(
            FaultKind::Api,
            "the configured key holds characters that no header may carry; check the key in config.yaml",
        );
        return Err(Failure::gateway(fault).with_retry(Retry::Next(Rest::Unauthorized)));
    };
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

fn bearer(headers: &mut HeaderMap, credential: &Credential) -> Result<(), Failure> {
    match credential.token() {
        Some(key) if !key.is_empty() => {
            // Written at once in its length; this is on the way of every request.
            insert_secret(headers, AUTHORIZATION, ["Bearer ", key.expose()].concat())
        }
        _ => Ok(()),
    }
}

fn key_header(headers: &mut HeaderMap, name: &'static str, credential: &Credential) -> Result<(), Failure> {
    match &credential.key {
        Some(key) => insert_secret(headers, HeaderName::from_static(name), key.expose().to_owned()),
        None => Ok(()),
    }
}

/// Copies the client's headers that `wanted` names.
fn copy_headers(headers: &mut HeaderMap, client: &HeaderMap, wanted: impl Fn(&str) -> bool) {
    for name in client.keys() {
        if wanted(name.as_str()) {
            for value in client.get_all(name) {
                headers.append(name, value.clone());
            }
        }
    }
}

/// Applies the headers that the entry configures; they win over everything.
fn configured_headers(headers: &mut HeaderMap, credential: &Credential, client: &HeaderMap) {
    for (name, value) in &credential.headers {
        match value {
            Header::Fixed(value) => {
                headers.insert(name, value.clone());
            }
            Header::FromClient(source) => {
                if let Some(value) = client.get(source) {
                    headers.insert(name, value.clone());
                }
            }
        }
    }
}

/// The address that a text says. Requests go to a few addresses again and again.
fn address_of(text: String) -> Option<Uri> {
    static KNOWN: LazyLock<Cache<String, Uri>> = LazyLock::new(|| Cache::new(MOST_ADDRESSES));
    if let Some(known) = KNOWN.get(&text) {
        return Some(known);
    }
    let uri = Uri::try_from(&*text).ok().filter(|uri| uri.host().is_some())?;
    KNOWN.insert(text, uri.clone());
    Some(uri)
}

fn post(address: String, headers: HeaderMap, body: impl Into<Pieces>) -> Result<Outgoing, Failure> {
    match address_of(address) {
        Some(uri) => Ok(Outgoing::Http { method: Method::POST, uri, headers, body: body.into() }),
        None => Err(Failure::gateway(Fault::new(
            FaultKind::Api,
            "the configured base-url of this credential is not a usable address; check it in config.yaml",
        ))
        .with_retry(Retry::Next(Rest::None))),
    }
}

/// The same Responses request over a websocket: its body as the frame that asks. Whether the upstream `goes_on` from its
/// last answer on the same socket is its own.
fn over_socket(outgoing: Outgoing, goes_on: bool) -> Outgoing {
    let Outgoing::Http { uri, headers, body, .. } = &outgoing else { return outgoing };
    let edits = [
        Edit::set(Path::root().key("type"), json::Raw::string("response.create")),
        // Frames come one by one anyway.
        Edit::remove(Path::root().key("stream")),
    ];
    let whole = body.whole();
    let text = std::str::from_utf8(&whole).unwrap_or_default();
    let Ok(opening) = json::patch::apply(text, &edits) else { return outgoing };
    let mut headers = headers.clone();
    for name in [CONTENT_TYPE, ACCEPT, ACCEPT_ENCODING] {
        headers.remove(name);
    }
    headers.insert(
        HeaderName::from_static("openai-beta"),
        HeaderValue::from_static("responses_websockets=2026-02-06"),
    );
    let (uri, opening) = (uri.clone(), opening.into_owned());
    Outgoing::Socket(Box::new(Talk { uri, headers, opening, instead: outgoing, goes_on }))
}

/// A model's name as one or more path segments: slashes stay, everything else that a path may not hold is encoded.
fn path_segment(model: &str) -> String {
    let mut path = String::with_capacity(model.len());
    for byte in model.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' | b'@' | b':' => {
                path.push(char::from(byte));
            }
            _ => {
                path.push('%');
                for nibble in [byte >> 4, byte & 0xF] {
                    path.extend(
                        char::from_digit(u32::from(nibble), 16).map(|digit| digit.to_ascii_uppercase()),
                    );
                }
            }
        }
    }
    path
}

/// An operation that an upstream does not have. The engine answers some of them itself.
fn not_offered(what: &str) -> Failure {
    Failure::gateway(
        Fault::new(FaultKind::NotFound, format!("{what} is not offered by the upstream of this model"))
            .with_code("not_supported")
            .with_status(501),
    )
    .with_retry(Retry::Next(Rest::None))
}

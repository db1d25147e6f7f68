//! Kimi Code: Moonshot's coding service by its device login. It speaks Chat, and Claude's format to Claude clients.
//!
//! Every request carries the headers of the installation that logged in, with our own name. Models have other names
//! behind the service's door than in front of it, and Chat histories follow its rules ([`history`]).

mod history;
pub(crate) mod login;

use std::time::Duration;

use bytes::Bytes;
use cliproxy_wire::Format;
use cliproxy_wire::id;
use cliproxy_wire::json::Raw;
use cliproxy_wire::json::patch::{Edit, Path};
use cliproxy_wire::model::Owner;
use cliproxy_wire::profile::{Dialect, Profile};
use http::{HeaderName, HeaderValue};

use super::{
    Adopted, Job, Operation, Provider, Renewal, base_headers, bearer, chat_body, configured_headers,
    copy_headers, not_offered, post, session,
};
use crate::credential::{Credential, Record};
use crate::failure::Failure;
use crate::oauth::chain::Then as _;
use crate::oauth::exchange::Exchange;
use crate::oauth::{Identity, Request};
use crate::upstream::Outgoing;

#[derive(Debug)]
pub(super) struct Kimi;

const VERSION: HeaderName = HeaderName::from_static("anthropic-version");

impl Provider for Kimi {
    fn prepare(&self, job: Job<'_>, credential: &Credential) -> Result<Outgoing, Failure> {
        let is_claude = job.format == Format::Claude;
        let path = match (job.operation, is_claude) {
            (Operation::Generate | Operation::Stream, true) => "/v1/messages",
            (Operation::Generate | Operation::Stream, false) => "/v1/chat/completions",
            (Operation::CountTokens, true) => "/v1/messages/count_tokens",
            (Operation::CountTokens, false) => return Err(not_offered("counting tokens")),
            (Operation::Compact, _) => return Err(not_offered("compaction")),
            (other, _) => return Err(not_offered(other.noun())),
        };
        let mut headers = base_headers(job.operation);
        if is_claude {
            copy_headers(&mut headers, job.client_headers, |name| name == VERSION.as_str());
            headers.entry(VERSION).or_insert(HeaderValue::from_static("2023-06-01"));
        }
        let record = credential.account.as_ref().map(|account| account.record());
        headers.extend(login::installation(record.as_deref().and_then(|record| record.text("device_id"))));
        bearer(&mut headers, credential)?;
        configured_headers(&mut headers, credential, job.client_headers);
        let base = credential.base_url.strip_suffix("/v1").unwrap_or(&credential.base_url);
        post(job.addresses, format!("{base}{path}"), headers, fitted(&job))
    }

    fn identity(&self) -> Identity {
        login::identity()
    }

    fn adopt(&self, record: &Record, identity: &Identity) -> Option<Adopted> {
        let chat = Profile::for_chat_base_url("", "kimi");
        // Neither its signatures nor its thoughts are Anthropic's.
        let claude =
            Profile { name: chat.name, owner: Owner::Other, dialect: Dialect::Kimi, ..Profile::claude() };
        Some(Adopted { native: Some(claude), ..Adopted::new(chat, record, identity, "kimi") })
    }

    fn renew(&self, record: &Record, identity: &Identity, now: u64) -> Option<Renewal> {
        let refresh = record.token("refresh_token")?;
        let pairs = [
            ("client_id", &*identity.client_id),
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh.expose()),
        ];
        let request = Request::form(&identity.token_url, &pairs).map(|mut request| {
            request.headers.extend(login::installation(record.text("device_id")));
            request
        });
        let exchange = Exchange::new(login::WHO, login::REMEDY, request);
        Some(Box::new(exchange.finish(move |tokens| Ok(tokens.renewed(now)))))
    }

    fn lead(&self) -> Option<Duration> {
        Some(Duration::from_mins(5))
    }
}

/// The model's name behind the door. Source: the service's own program.
fn upstream_model(model: &str) -> String {
    let model = model.to_ascii_lowercase();
    let model = model.strip_suffix("[1m]").unwrap_or(&model);
    match model {
        "kimi-k2.7-code" | "kimi-for-coding" => "kimi-for-coding".to_owned(),
        "kimi-k2.7-code-highspeed" | "kimi-for-coding-highspeed" => "kimi-for-coding-highspeed".to_owned(),
        _ => model.strip_prefix("kimi-").unwrap_or(model).to_owned(),
    }
}

fn fitted(job: &Job<'_>) -> Bytes {
    chat_body::edited(&job.body.whole(), |body| {
        let mut edits = Vec::new();
        if let Some(model) = chat_body::text(body, "model") {
            let inside = upstream_model(&model);
            if inside != model {
                edits.push(Edit::set(Path::root().key("model"), Raw::string(&inside)));
            }
        }
        if job.format == Format::Chat {
            edits.extend(thinking(body, job.model));
            edits.extend(history::edits(body));
            edits.push(Edit::set_default(Path::root().key("prompt_cache_key"), conversation(job, body)));
            if job.operation == Operation::Stream {
                edits.push(chat_body::usage_wish());
            }
        }
        edits
    })
}

/// A name that every turn of a conversation has, by which the service finds its prompt cache again: the client's own,
/// else one of how the conversation began.
fn conversation(job: &Job<'_>, body: &str) -> Raw {
    if let Some(name) = session(job.client_headers) {
        return Raw::string(name);
    }
    let mut opening = String::new();
    for message in chat_body::messages(body) {
        opening.push_str(message);
        if chat_body::text(message, "role").as_deref() == Some("user") {
            break;
        }
    }
    Raw::string(&id::uuid(&["kimi", job.model, &opening]))
}

/// The effort as the service has it: a member of `thinking`, in its own words.
fn thinking(body: &str, model: &str) -> Vec<Edit> {
    let Some(effort) = chat_body::text(body, "reasoning_effort") else { return Vec::new() };
    let has_max = model.to_ascii_lowercase().starts_with("kimi-k3");
    let effort = match effort.as_str() {
        "none" => None,
        "minimal" | "low" => Some("low"),
        "xhigh" | "max" if has_max => Some("max"),
        "auto" => Some("auto"),
        _ => Some("high"),
    };
    let thinking = Raw::object(|thinking| {
        thinking.str("type", if effort.is_some() { "enabled" } else { "disabled" });
        thinking.opt_str("effort", effort);
    });
    vec![
        Edit::remove(Path::root().key("reasoning_effort")),
        Edit::set(Path::root().key("thinking"), thinking),
    ]
}

#[cfg(test)]
mod tests;

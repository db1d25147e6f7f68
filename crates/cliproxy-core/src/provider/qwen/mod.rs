//! Qwen Code: a Chat upstream by its device login. The free tier has ended; what its files say is still honored.
//!
//! The address comes with the tokens (`resource_url`). Bodies follow three rules of the service, whoever wrote them:
//! one system message in parts at the front, a tool in every stream, usage asked for.

pub(crate) mod login;

use std::time::Duration;

use bytes::Bytes;
use cliproxy_wire::fault::{Fault, Kind as FaultKind};
use cliproxy_wire::json::Raw;
use cliproxy_wire::json::patch::{Edit, Path};
use cliproxy_wire::profile::Profile;
use http::{HeaderName, HeaderValue};

use super::{
    Adopted, Job, Operation, Provider, Renewal, Told, base_headers, bearer, chat_body, configured_headers,
    judge, not_offered, post,
};
use crate::PRODUCT;
use crate::credential::{Credential, Record, Window};
use crate::failure::{Failure, Rest, Retry};
use crate::oauth::chain::Then as _;
use crate::oauth::exchange::Exchange;
use crate::oauth::{Identity, Request};
use crate::upstream::Outgoing;

#[derive(Debug)]
pub(super) struct Qwen;

/// What the service wants since April 2026 to take an account's token, with our own name in the last one.
const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (HeaderName::from_static("x-dashscope-authtype"), HeaderValue::from_static("qwen-oauth")),
    (HeaderName::from_static("x-dashscope-cachecontrol"), HeaderValue::from_static("enable")),
    (HeaderName::from_static("x-dashscope-useragent"), HeaderValue::from_static(PRODUCT)),
];
/// A day of the account's quota ends at midnight in China.
const OFFSET: u64 = 8 * 3600;
const DAY: u64 = 24 * 3600;

impl Provider for Qwen {
    fn prepare(&self, job: Job<'_>, credential: &Credential) -> Result<Outgoing, Failure> {
        match job.operation {
            Operation::Generate | Operation::Stream => {}
            Operation::CountTokens => return Err(not_offered("counting tokens")),
            Operation::Compact => return Err(not_offered("compaction")),
            other => return Err(not_offered(other.noun())),
        }
        let mut headers = base_headers(job.operation);
        headers.extend(HEADERS);
        bearer(&mut headers, credential)?;
        configured_headers(&mut headers, credential, job.client_headers);
        let body = fitted(&job.body.whole(), job.operation == Operation::Stream);
        post(job.addresses, format!("{}/chat/completions", credential.base_url), headers, body)
    }

    fn identity(&self) -> Identity {
        login::identity()
    }

    fn adopt(&self, record: &Record, identity: &Identity) -> Option<Adopted> {
        let adopted = Adopted::new(Profile::for_chat_base_url("", "qwen"), record, identity, "qwen");
        // An address that is configured, or stands in the file, is meant; the account's own is the service's.
        let is_default = adopted.base_url.as_ref() == login::identity().base_url;
        Some(match record.text("resource_url").filter(|_| is_default) {
            Some(resource) => Adopted { base_url: base_url(resource).into(), ..adopted },
            None => adopted,
        })
    }

    fn renew(&self, record: &Record, identity: &Identity, now: u64) -> Option<Renewal> {
        let refresh = record.token("refresh_token")?;
        let pairs = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh.expose()),
            ("client_id", &identity.client_id),
        ];
        let request = Request::form(&identity.token_url, &pairs);
        let exchange = Exchange::new(login::WHO, login::REMEDY, request);
        Some(Box::new(exchange.finish(move |tokens| {
            let resource = tokens.body.get("resource_url").and_then(serde_json::Value::as_str);
            Ok(tokens.renewed(now).set_if_some("resource_url", resource))
        })))
    }

    fn lead(&self) -> Option<Duration> {
        // Of a life of six hours.
        Some(Duration::from_mins(20))
    }

    fn judge(&self, fault: &Fault) -> Retry {
        if is_quota(fault) { Retry::Next(Rest::Quota(fault.retry_after)) } else { judge(fault) }
    }

    fn quotas(&self, told: &Told<'_>) -> Vec<Window> {
        let Some(fault) = told.fault.filter(|fault| is_quota(fault)) else { return Vec::new() };
        let ends = match fault.retry_after {
            Some(wait) => told.now.saturating_add(wait.as_secs()),
            None => (told.now + OFFSET) / DAY * DAY + DAY - OFFSET,
        };
        vec![Window {
            length: Some(Duration::from_secs(DAY)),
            resets_at: Some(ends),
            ..Window::new("daily", 1.0, told.now)
        }]
    }
}

/// The service's address from what came with the tokens: a host, or an address with or without version.
fn base_url(resource: &str) -> String {
    let resource = resource.trim_end_matches('/');
    let resource = resource.strip_suffix("/v1").unwrap_or(resource);
    if resource.contains("://") { format!("{resource}/v1") } else { format!("https://{resource}/v1") }
}

/// Whether the day's quota is used up, which the service tells in several words, with 403 and with 429. A limit of
/// requests per minute is none.
fn is_quota(fault: &Fault) -> bool {
    let is_refused = matches!(
        fault.kind,
        FaultKind::Permission | FaultKind::Billing | FaultKind::RateLimit | FaultKind::Quota
    );
    let code = fault.code.as_deref().unwrap_or_default();
    let message = fault.message.to_ascii_lowercase();
    is_refused
        && (["insufficient_quota", "quota_exceeded"].contains(&code)
            || ["quota exceeded", "insufficient_quota", "quota_exceeded"]
                .iter()
                .any(|text| message.contains(text)))
}

fn fitted(body: &Bytes, is_stream: bool) -> Bytes {
    chat_body::edited(body, |body| {
        let mut edits = instructions(body);
        if is_stream {
            edits.push(chat_body::usage_wish());
            if !chat_body::offers_tools(body) {
                edits.push(Edit::set(Path::root().key("tools"), unused_tool()));
            }
        }
        edits
    })
}

/// Exactly one system message, first, with content in parts: every text of the instructions, wherever it stood. One
/// without instructions gets the empty part that the service accepts.
fn instructions(body: &str) -> Vec<Edit> {
    let messages = chat_body::messages(body);
    let is_instruction =
        |message: &str| matches!(chat_body::text(message, "role").as_deref(), Some("system" | "developer"));
    let mut found = messages.iter().enumerate().filter(|(_, message)| is_instruction(message));
    if messages.is_empty() {
        return Vec::new();
    }
    if let (Some((0, only)), None) = (found.next(), found.next()) {
        let is_fit = chat_body::text(only, "role").as_deref() == Some("system")
            && chat_body::member(only, "content").is_some_and(|content| content.starts_with('['));
        if is_fit {
            return Vec::new();
        }
    }
    let (told, others): (Vec<&str>, Vec<&str>) = messages.iter().partition(|message| is_instruction(message));
    let mut parts: Vec<Raw> = told.into_iter().flat_map(chat_body::parts).collect();
    if parts.is_empty() {
        parts.push(Raw::new(r#"{"type":"text","text":"","cache_control":{"type":"ephemeral"}}"#));
    }
    let joined = Raw::array(|list| {
        list.object(|system| {
            system.str("role", "system");
            system.array("content", |content| {
                for part in &parts {
                    content.raw(part.as_str());
                }
            });
        });
        for message in &others {
            list.raw(message);
        }
    });
    vec![Edit::set(Path::root().key("messages"), joined)]
}

/// A stream without tools gets stray marks of tools from these models; one that is never called prevents it.
fn unused_tool() -> Raw {
    Raw::new(concat!(
        r#"[{"type":"function","function":{"name":"do_not_call_me","#,
        r#""description":"Does nothing. Never call this.","parameters":{"type":"object","properties":{}}}}]"#
    ))
}

#[cfg(test)]
mod tests;

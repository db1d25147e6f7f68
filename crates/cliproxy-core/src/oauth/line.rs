//! The line to an identity provider: one request goes out, one whole answer comes back.
//!
//! Everything that asks in an account's name goes over it, besides logins: renewals, and what panels and the engine want
//! to know of an account.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;

use super::flow::{Answer, Request};
use crate::upstream::{Clients, Egress, Limits, Outgoing, read_all};

/// Longest wait for an identity provider.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);
/// Longest answer of an identity provider.
const LONGEST_ANSWER: usize = 4 << 20;

/// A way to an identity provider.
#[derive(Debug)]
pub struct Line<'a> {
    /// The process's clients.
    pub clients: &'a Clients,
    /// Who goes out, and which way.
    pub egress: Egress,
    /// How long to wait.
    pub limits: Limits,
}

impl<'a> Line<'a> {
    /// A way with the configured limits. Identity providers answer within half a minute or not at all.
    pub fn new(configured: Limits, clients: &'a Clients, egress: Egress) -> Self {
        let within =
            |limit: Option<Duration>| Some(limit.map_or(LONGEST_SILENCE, |limit| limit.min(LONGEST_SILENCE)));
        let limits = Limits {
            connect: within(configured.connect),
            tls: within(configured.tls),
            first_byte: within(configured.first_byte),
            idle: within(configured.idle),
        };
        Self { clients, egress, limits }
    }

    /// Sends one request and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// Why no answer came. The request may have been performed all the same.
    pub async fn send(&self, request: Request) -> Result<Answer, String> {
        self.ask(request).await.map_err(|unanswered| unanswered.to_string())
    }

    /// The same, for who wants to know how far it came.
    ///
    /// # Errors
    /// Why no answer came. The request may have been performed all the same.
    pub(crate) async fn ask(&self, request: Request) -> Result<Answer, Unanswered> {
        let Request { method, uri, headers, body } = request;
        let host = uri.host().unwrap_or_default().to_owned();
        let outgoing = Outgoing::Http { method, uri, headers, body: body.into() };
        let reply = match self.clients.send(&self.egress, outgoing, &self.limits, None).await {
            Ok(reply) => reply,
            Err(failure) => {
                return Err(Unanswered::Silent(format!("{host}: {}", failure.fault().message)));
            }
        };
        let read = read_all(reply.body, self.limits.idle, LONGEST_ANSWER).await;
        let broken = |what: &str| Unanswered::Broken(format!("{host}: the answer {what}"));
        let body = read.map_err(|_broken_idle_or_too_large| broken("broke off"))?;
        let body = match reply.headers.get(CONTENT_ENCODING) {
            Some(coding) if coding == "gzip" => unpacked(&body).ok_or_else(|| broken("is damaged"))?,
            _ => body,
        };
        Ok(Answer { status: reply.status, headers: reply.headers, body })
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    /// None has begun.
    #[error("{0}")]
    Silent(String),
    /// It ended too early or cannot be read.
    #[error("{0}")]
    Broken(String),
}

/// Some services compress although they are asked not to.
fn unpacked(body: &[u8]) -> Option<Bytes> {
    use std::io::Read as _;
    let limit = u64::try_from(LONGEST_ANSWER).unwrap_or(u64::MAX);
    let mut whole = Vec::new();
    flate2::read::GzDecoder::new(body).take(limit).read_to_end(&mut whole).ok()?;
    Some(whole.into())
}

//! Simulated providers: each speaks one wire format as its vendor's service does.
//!
//! A [`Provider`] is an [`Upstream`] whose script reads the request and reacts to it: it calls the tools that it is
//! offered, sums up the results that come back, thinks when asked and signs its thoughts, fills a schema, says what
//! media it got, counts tokens, and fails in the way that the model's name asks for (see [`fault`]). It is as strict as
//! the services are where gateways go wrong: unpaired results, foreign or changed signatures, open schemas and missing
//! limits are refused with a 400. It is written by hand from the formats' definitions and shares nothing with the
//! codecs that it tests.
#![expect(clippy::indexing_slicing, reason = "members of JSON values: one that is absent reads as null")]

mod answer;
mod ask;
mod chat;
mod claude;
pub mod fault;
mod fleet;
mod gemini;
mod responses;
mod seal;

use bytes::Bytes;
use serde_json::Value;

use crate::{Received, Script, Upstream};
use answer::Answer;
use ask::{Ask, Want};
use fault::Fault;

pub use answer::{COUNT, USAGE, Usage};
pub use fleet::Fleet;

/// Streams arrive in pieces of this many bytes, so that no frame, line or character arrives whole.
const PIECE: usize = 7;

/// How one format is read and written.
trait Dialect: Send + Sync {
    /// What a request asks, or why the service refuses it.
    fn read(&self, received: &Received) -> Result<Ask, String>;
    /// The answer in one piece.
    fn body(&self, ask: &Ask, answer: &Answer) -> Value;
    /// The answer in frames.
    fn frames(&self, ask: &Ask, answer: &Answer) -> Vec<String>;
    /// The answer to a request for a count.
    fn count(&self, tokens: u64) -> Value;
    /// The body of an error.
    fn refusal(&self, status: u16, message: &str) -> Value;
    /// The frames of an error inside a stream.
    fn failure(&self, message: &str) -> String;
    /// The part of a configuration file that offers `models` of the service at `url`.
    fn config(&self, url: &str, models: &str) -> String;
}

/// A running simulated provider.
pub struct Provider {
    upstream: Upstream,
    dialect: &'static dyn Dialect,
}

impl Provider {
    /// A service that speaks OpenAI Chat Completions.
    pub async fn chat() -> Self {
        Self::start(&chat::Chat).await
    }

    /// A service that speaks OpenAI Responses.
    pub async fn responses() -> Self {
        Self::start(&responses::Responses).await
    }

    /// A service that speaks Claude Messages.
    pub async fn claude() -> Self {
        Self::start(&claude::Claude).await
    }

    /// A service that speaks Gemini.
    pub async fn gemini() -> Self {
        Self::start(&gemini::Gemini).await
    }

    async fn start(dialect: &'static dyn Dialect) -> Self {
        let upstream = Upstream::start(move |received| react(dialect, received)).await;
        Self { upstream, dialect }
    }

    /// The server behind it, with what arrived.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// A section for a gateway's configuration that offers models of this provider, each a pair of the name here and
    /// the name that clients use.
    pub fn config(&self, models: &[(&str, &str)]) -> String {
        let models: Vec<String> =
            models.iter().map(|(name, alias)| format!("{{name: {name}, alias: {alias}}}")).collect();
        self.dialect.config(&self.upstream.url(), &format!("models: [{}]", models.join(", ")))
    }
}

fn react(dialect: &dyn Dialect, received: &Received) -> Script {
    let refuse = |status, message: &str| Script::json(status, dialect.refusal(status, message).to_string());
    let ask = match dialect.read(received) {
        Ok(ask) => ask,
        Err(reason) => return refuse(400, &reason),
    };
    if ask.want == Want::Count {
        return Script::json(200, dialect.count(COUNT).to_string());
    }
    let fault = Fault::of(&ask.model);
    if let Some(Fault::Refusal { status, message, retry_after }) = fault {
        let refusal = refuse(status, message);
        return match retry_after {
            Some(seconds) => refusal.header("retry-after", seconds),
            None => refusal,
        };
    }
    let answer = Answer::to(&ask);
    if ask.want == Want::Body && fault.is_none() {
        return Script::json(200, dialect.body(&ask, &answer).to_string());
    }
    let mut frames = dialect.frames(&ask, &answer);
    if fault.is_some() {
        let first = answer.text_pieces().first().map(|piece| Value::from(*piece).to_string());
        let first = first.as_deref().unwrap_or_default().trim_matches('"');
        let begun = frames.iter().position(|frame| frame.contains(first)).map_or(0, |at| at + 1);
        frames.truncate(begun);
    }
    if fault == Some(Fault::Error) {
        frames.push(dialect.failure("the model ran into a wall"));
    }
    let script =
        Script::events(frames.concat().as_bytes().chunks(PIECE).map(Bytes::copy_from_slice).collect());
    match fault {
        Some(Fault::Stall) => script.stalled(),
        Some(Fault::Cut) => script.cut(),
        _ => script,
    }
}

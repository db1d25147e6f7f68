//! Calls of a Gemini CLI client that no model answers, asked in the name of one of the accounts.
//!
//! Always of the same account while it can be used, because the answers belong together: what the client is told of its
//! tier and project is what it asks its next question with. They cost no quota, so resting does not matter here, and a
//! refusal rests nobody. What a call says is between the client and the upstream; see `provider::gemini_cli::assist`.

use bytes::Bytes;
use cliproxy_wire::Format;
use cliproxy_wire::fault::{self, HeaderHints};
use futures_util::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};

use super::answer::{Answer, AnswerBody};
use super::attempt::read_fault;
use super::verdict::note_attention;
use super::{Engine, relay};
use crate::credential::{Credential, Kind};
use crate::failure::{Failure, Relay, Rest, Retry};
use crate::provider::{self, gemini_cli};
use crate::upstream::{Egress, read_all};

/// Longest answer that is read; they are short.
const LONGEST: usize = 8 << 20;

/// What the client asks.
#[derive(Debug)]
pub struct Assist {
    /// Method.
    pub method: Method,
    /// What follows `/v1internal`: `:loadCodeAssist`, with the query.
    pub call: String,
    /// The client's headers, for configured ones that copy from them.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
    /// The clock, in Unix seconds.
    pub now: fn() -> u64,
}

impl Engine {
    /// Asks the first account that can be asked, and the next one where a refusal is the account's own. `None` when
    /// there is no account to ask.
    ///
    /// # Errors
    /// The last refusal.
    pub fn assist<'a>(&'a self, assist: &'a Assist) -> BoxFuture<'a, Result<Option<Answer>, Failure>> {
        Box::pin(self.assist_by_turns(assist))
    }

    async fn assist_by_turns(&self, assist: &Assist) -> Result<Option<Answer>, Failure> {
        let snapshot = self.snapshot();
        let is_usable = |credential: &&std::sync::Arc<Credential>| {
            credential.kind == Kind::GeminiCli
                && credential.account.as_ref().is_some_and(|account| account.is_well())
        };
        let mut accounts: Vec<_> = snapshot.routes.credentials().iter().filter(is_usable).collect();
        accounts.sort_by(|one, other| other.priority.cmp(&one.priority).then_with(|| one.id.cmp(&other.id)));
        let mut last = None;
        for credential in accounts {
            match self.assist_by(credential, assist).await {
                Ok(answer) => return Ok(Some(answer)),
                Err(failure) => match failure.retry() {
                    // What one account has no word for no other has.
                    Retry::Never | Retry::Next(Rest::ModelMissing) => return Err(failure.for_client()),
                    Retry::Next(_) | Retry::Leave(_) => {
                        tracing::info!(credential = %credential.id, call = %assist.call, "the next account is asked: {failure}");
                        last = Some(failure.for_client());
                    }
                },
            }
        }
        last.map_or(Ok(None), Err)
    }

    /// One account: a request, and at most one repeat with a renewed token.
    async fn assist_by(&self, credential: &Credential, assist: &Assist) -> Result<Answer, Failure> {
        self.freshen(credential, assist.now).await?;
        let token = credential.token();
        let refused = match self.assist_once(credential, assist).await {
            Err(failure) if failure.is_unauthorized() => failure,
            result => return result,
        };
        let Some(token) = token else { return Err(refused) };
        match self.renew_refused(credential, token, assist.now).await {
            Ok(()) => self.assist_once(credential, assist).await,
            Err(_still_refused) => Err(refused),
        }
    }

    async fn assist_once(&self, credential: &Credential, assist: &Assist) -> Result<Answer, Failure> {
        let snapshot = self.snapshot();
        let outgoing = || {
            let Assist { method, call, headers, body, .. } = assist;
            gemini_cli::assist::outgoing(credential, method, call, headers, body)
        };
        let egress = Egress { credential: credential.id.clone(), proxy: credential.proxy.clone() };
        let reply = if is_reading(assist) {
            self.clients().send_again(&egress, outgoing, &snapshot.limits, None).await?
        } else {
            self.clients().send(&egress, outgoing()?, &snapshot.limits, None).await?
        };
        let (status, upstream) = (reply.status, reply.headers);
        let body = read_all(reply.body, snapshot.limits.idle, LONGEST)
            .await
            .map_err(|error| Failure::upstream(read_fault(&error), credential.id.to_string()))?;
        let json = HeaderValue::from_static("application/json");
        let content_type = upstream.get(CONTENT_TYPE).cloned();
        if status.is_success() {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, content_type.unwrap_or(json));
            return Ok(Answer { status, headers, body: AnswerBody::Whole(body) });
        }
        let hints = HeaderHints::from_headers(&upstream, (assist.now)());
        let fault = fault::decode(Format::Gemini, status.as_u16(), &hints, &body);
        let retry = provider::of(credential.kind).judge(&fault);
        note_attention(credential, retry, &fault);
        let detail = format!("{} answered {status} to {}", credential.id, assist.call);
        let failure = Failure::upstream(fault, detail).with_retry(retry);
        if !relay::is_object(&body) {
            return Err(failure);
        }
        Err(failure.with_relay(Relay { status: status.as_u16(), content_type, body }))
    }
}

/// Whether a call changes nothing, so that it may come twice: by its method, or by the verb that it is named by. Source:
/// the methods that the official client calls, named as Google names methods (AIP-130).
fn is_reading(assist: &Assist) -> bool {
    const VERBS: [&str; 5] = [":load", ":list", ":retrieve", ":fetch", ":get"];
    assist.method.is_safe() || VERBS.iter().any(|verb| assist.call.starts_with(verb))
}

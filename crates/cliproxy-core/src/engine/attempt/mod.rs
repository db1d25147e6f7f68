//! Attempts: one request to one credential, and the loop over credentials and rounds.
//!
//! What goes out is made in [`outbound`], what comes back is carried on in [`answered`].

mod answered;
mod outbound;
mod packed;

use std::sync::Arc;

use cliproxy_wire::codec::in_header;
use cliproxy_wire::fault::{self, HeaderHints};
use cliproxy_wire::opaque::Repair;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use tokio::time::Instant;

pub(super) use self::answered::{answer_headers, content_type, decode, echoes, read_fault};
pub(super) use self::outbound::{Outbound, Translation, Way};
use self::packed::{is_gzip, unpack};
use super::answer::{Answer, Closing};
use super::indices::Indices;
use super::listen::Listener;
use super::open::unknown_model;
use super::relay;
use super::round::Rounds;
use super::select::{choose, is_busy, nobody, not_allowed, rests};
use super::switch;
use super::verdict::Refusal;
use super::{Engine, Job, single};
use crate::credential::affinity::DEFAULT_TTL;
use crate::credential::{Lease, Scope};
use crate::failure::{Failure, Relay, Retry};
use crate::provider::{self, Operation};
use crate::route::{Offer, Offers};
use crate::upstream::{Egress, Reply, read_all};
use crate::usage::Happening;

/// Longest error body that is read.
const LONGEST_ERROR: usize = 1 << 20;
/// Longest whole answer that is read.
pub(super) const LONGEST_ANSWER: usize = 256 << 20;

/// What an attempt needs to know besides the job.
pub(super) struct Attempt<'a> {
    pub(super) offer: &'a Offer,
    pub(super) repair: Option<Repair>,
    pub(super) number: u32,
    /// A token that is not accepted is renewed before anything is held against the account.
    pub(super) may_renew: bool,
}

impl Engine {
    /// The model that was asked for and, when it cannot be served, those that configuration names instead.
    pub(super) async fn attempt_models(&self, job: &mut Job, attempts: &mut u32) -> Result<Answer, Failure> {
        let snapshot = Arc::clone(&job.snapshot);
        let wanted = (Arc::clone(&job.model), job.suffix);
        let mut failure = match self.attempt_all(job, attempts).await {
            Err(failure) if failure.may_fall_back() => failure,
            result => return result,
        };
        let previews = switch::previews(&snapshot, &job.model, &failure);
        let named = snapshot.settings.routing.fallback.get(&*job.model);
        for name in previews.iter().chain(named.into_iter().flatten()) {
            let Some(resolved) = snapshot.routes.resolve(name) else { continue };
            if !snapshot.allows(job.call.allowance.as_deref(), &resolved.model) {
                continue;
            }
            tracing::info!(
                request_id = %job.call.request_id,
                model = %job.model,
                fallback = %name,
                "going on with another model: {failure}"
            );
            job.model = resolved.model;
            job.suffix = resolved.suffix.or(job.suffix);
            match self.attempt_all(job, attempts).await {
                Ok(mut answer) => {
                    if let Ok(served) = HeaderValue::from_str(&in_header(&job.model)) {
                        answer.headers.insert(HeaderName::from_static("x-gateway-model"), served);
                    }
                    return Ok(answer);
                }
                Err(next) if next.may_fall_back() => failure = next,
                Err(next) => return Err(next),
            }
        }
        (job.model, job.suffix) = wanted;
        Box::pin(self.attempt_with_credits(job, attempts, failure)).await
    }

    pub(super) async fn attempt_all(&self, job: &mut Job, attempts: &mut u32) -> Result<Answer, Failure> {
        let snapshot = Arc::clone(&job.snapshot);
        let Some(offers) = snapshot.routes.offers(&job.model) else {
            let allowance = job.call.allowance.as_deref();
            return Err(Failure::client(unknown_model(&job.requested, &snapshot, allowance)));
        };
        let mut left_out = not_allowed(job, offers)?;
        let mut tried = left_out.clone();
        let mut last: Option<Failure> = None;
        let mut rounds = Rounds::new(&snapshot, offers);
        let most = snapshot.settings.retry.credentials_per_round.map_or(u32::MAX, std::num::NonZeroU32::get);
        let mut in_round = 0;
        let mut patience = None;
        loop {
            let mut chosen = None;
            if in_round < most {
                chosen = choose(&self.0.pool, job, offers, &tried);
                if chosen.is_none() && is_busy(offers, &tried) {
                    let longest = snapshot.settings.retry.longest_wait;
                    let patience = *patience.get_or_insert_with(|| Instant::now() + longest);
                    chosen = Box::pin(self.wait_for_place(job, offers, &tried, patience)).await;
                }
            }
            let Some((index, offer, lease)) = chosen else {
                let rests = rests(job, offers, &left_out);
                let Some(wait) = rounds.next(last.as_ref(), rests, Instant::now()) else {
                    return Err(last.unwrap_or_else(|| nobody(job, offers, &left_out)));
                };
                tracing::debug!(request_id = %job.call.request_id, ?wait, "waiting before another round");
                tokio::time::sleep(wait).await;
                in_round = 0;
                tried.clone_from(&left_out);
                continue;
            };
            *attempts += 1;
            in_round += 1;
            tried.insert(index);
            match self.attempt(job, offer, lease, *attempts).await {
                Ok(answer) => {
                    if let Some(session) = job.session {
                        let ttl = snapshot.settings.routing.session_affinity.unwrap_or(DEFAULT_TTL);
                        self.0.pool.affinity().bind(session, &job.model, &offer.credential.id, ttl);
                    }
                    return Ok(answer);
                }
                Err(failure) if failure.retry() == Retry::Never => return Err(failure),
                Err(failure) => {
                    tracing::info!(
                        request_id = %job.call.request_id,
                        credential = %offer.credential.id,
                        model = %offer.upstream,
                        kind = ?failure.fault().kind,
                        "attempt failed: {failure}"
                    );
                    let others = switch::left_out(&snapshot, offers, index, &failure);
                    tried.extend(others.iter().copied());
                    left_out.extend(others);
                    last = Some(failure);
                }
            }
        }
    }

    /// Waits until a credential that serves as many requests as it may has a place; `None` when that takes too long.
    async fn wait_for_place<'o>(
        &self,
        job: &Job,
        offers: &'o Offers,
        tried: &Indices,
        patience: Instant,
    ) -> Option<(usize, &'o Offer, Lease)> {
        let ended = self.0.pool.ended();
        loop {
            let mut ending = std::pin::pin!(ended.notified());
            // From here on an end is noticed, also one that comes while the choice is made.
            ending.as_mut().enable();
            if let Some(chosen) = choose(&self.0.pool, job, offers, tried) {
                return Some(chosen);
            }
            tokio::time::timeout_at(patience, ending).await.ok()?;
        }
    }

    /// One credential: a request, and at most one repeat each with a renewed token, at another address of the service and
    /// with a repaired history.
    pub(super) async fn attempt(
        &self,
        job: &mut Job,
        offer: &Offer,
        lease: Lease,
        number: u32,
    ) -> Result<Answer, Failure> {
        let lease = Arc::new(lease);
        let (mut repair, mut is_renewed) = (None, false);
        let mut elsewhere: Option<Offer> = None;
        loop {
            let offer = elsewhere.as_ref().unwrap_or(offer);
            let token =
                offer.credential.token().filter(|_| offer.credential.account.is_some() && !is_renewed);
            let result = self
                .attempt_once(job, Attempt { offer, repair, number, may_renew: token.is_some() }, &lease)
                .await;
            let Err(failure) = result else { return result };
            if let Some(token) = token.filter(|_| failure.is_unauthorized()) {
                is_renewed = true;
                let renewing = Box::pin(self.renew_refused(&offer.credential, token, job.call.now));
                let Err(rest) = renewing.await else {
                    tracing::debug!(request_id = %job.call.request_id, credential = %offer.credential.id, "repeating with a renewed token");
                    continue;
                };
                let mut cooling = job.snapshot.cooling;
                cooling.is_disabled |= offer.credential.never_rests;
                lease.fail_as(rest, Scope::Account, cooling, Instant::now());
            }
            if elsewhere.is_none()
                && switch::may_go_elsewhere(&failure)
                && let Some(other) = switch::elsewhere(offer)
            {
                tracing::debug!(request_id = %job.call.request_id, credential = %offer.credential.id, "repeating at another address: {failure}");
                elsewhere = Some(other);
                continue;
            }
            let format = offer.profile(job.call.format).format;
            let wanted = fault::repair(format, failure.fault());
            match wanted {
                Some(wanted) if repair.is_none() => {
                    tracing::debug!(request_id = %job.call.request_id, repair = ?wanted, "repeating with a repaired history");
                    repair = Some(wanted);
                }
                _ => return Err(failure),
            }
        }
    }

    async fn attempt_once(
        &self,
        job: &mut Job,
        attempt: Attempt<'_>,
        lease: &Arc<Lease>,
    ) -> Result<Answer, Failure> {
        let offer = attempt.offer;
        let wants_stream = job.call.operation == Operation::Stream;
        let profile = offer.profile(job.call.format);
        if !job.call.operation.is_conversation()
            && let Some(result) = Box::pin(self.attempt_single(job, &attempt, lease)).await
        {
            return result;
        }
        let is_predicted = single::is_predicted(offer);
        let asks_stream = (wants_stream || profile.is_stream_only) && !profile.is_body_only && !is_predicted;
        self.inline_media(job, offer).await?;
        let outbound = if is_predicted {
            single::predicted(job, offer)?
        } else {
            self.outbound(job, &attempt, asks_stream)?
        };
        let operation = match job.call.operation {
            Operation::CountTokens | Operation::Compact => job.call.operation,
            _ if is_predicted => Operation::Predict,
            _ if asks_stream => Operation::Stream,
            _ => Operation::Generate,
        };
        let mut closing = Closing::new(self, job, &attempt, Arc::clone(lease));
        closing.set_lane(outbound.way.lane());
        self.tell_attempt(job, &attempt);
        closing.note();
        let mut reply = match self.send(job, offer, operation, &outbound).await {
            Ok(reply) => reply,
            Err(failure) => return Err(closing.fail(failure)),
        };
        closing.answered(reply.status);
        if is_predicted {
            reply = match Box::pin(single::conversed(reply, job, offer)).await {
                Ok(reply) => reply,
                Err(fault) => return Err(closing.fail(self.judge_inside(job, offer, fault))),
            };
        }
        let mut headers = answer_headers(&reply.headers, job, &offer.upstream);
        if let Some(dropped) = outbound.dropped.as_deref().and_then(|paths| HeaderValue::from_str(paths).ok())
        {
            headers.insert(HeaderName::from_static("x-gateway-dropped"), dropped);
        }
        if wants_stream {
            let stream = self.stream(job, offer, outbound.way, (reply, closing))?;
            self.begin(job, offer, stream, headers).await
        } else {
            self.whole_answer(job, offer, outbound.way, headers, (reply, closing)).await
        }
    }

    /// Tells those who watch that somebody is asked.
    pub(super) fn tell_attempt(&self, job: &Job, attempt: &Attempt<'_>) {
        let credential = &attempt.offer.credential;
        self.tell(|| {
            Some(Happening::Attempted {
                request_id: &job.call.request_id,
                number: attempt.number,
                provider: &credential.provider,
                credential: &credential.id,
                upstream_model: &attempt.offer.upstream,
            })
        });
    }

    /// Sends and judges the head of the answer.
    pub(super) async fn send(
        &self,
        job: &Job,
        offer: &Offer,
        operation: Operation,
        outbound: &Outbound,
    ) -> Result<Reply, Failure> {
        let credential = &offer.credential;
        let profile = offer.profile(job.call.format);
        self.freshen(credential, job.call.now).await?;
        let provider = provider::of(credential.kind);
        let outgoing = || {
            let job = provider::Job {
                operation,
                model: &offer.upstream,
                body: outbound.body.clone(),
                format: profile.format,
                betas: &outbound.betas,
                client_format: job.call.format,
                client_headers: &job.call.headers,
                client_query: &job.call.query,
                is_sse: job.call.is_sse || !matches!(outbound.way, Way::Relay(_)),
                now: (job.call.now)(),
                addresses: self.0.clients.addresses(),
                pays: job.pays,
            };
            provider.prepare(job, credential)
        };
        let egress = Egress { credential: credential.id.clone(), proxy: credential.proxy.clone() };
        let tape = job.call.tape.as_ref();
        let script = tape.map(|tape| &**tape);
        let sending = self.0.clients.send_again(&egress, outgoing, &job.snapshot.limits, script);
        let mut reply = match sending.await {
            Ok(reply) => reply,
            Err(failure) => {
                tape.inspect(|tape| tape.failed(&failure.fault().message));
                return Err(failure);
            }
        };
        if is_gzip(&reply.headers) {
            reply = Box::pin(unpack(reply, job)).await?;
        }
        if let Some(tape) = tape {
            tape.answered(reply.status, &reply.headers);
            reply.body = reply.body.taped(Arc::clone(tape));
        }
        if reply.status.is_success() {
            if let Some(account) = &credential.account {
                account.accepted();
            }
            self.note_quotas(job, offer, &reply.headers);
            if operation == Operation::Stream
                && let Some(listener) = Listener::to(self, credential, job.call.now)
            {
                reply.body = reply.body.taped(listener);
            }
            return Ok(reply);
        }
        let (status, headers) = (reply.status, reply.headers);
        let reading = Box::pin(read_all(reply.body, job.snapshot.limits.idle, LONGEST_ERROR));
        let body = reading.await.unwrap_or_default();
        let fault = fault::decode(
            profile.format,
            status.as_u16(),
            &HeaderHints::from_headers(&headers, (job.call.now)()),
            &body,
        );
        let mut failure = self.judge(job, offer, Refusal { fault, headers: &headers, body: &body });
        // A page of some box on the way is not the upstream's word.
        if profile.format == job.call.format && relay::is_object(&body) {
            failure = failure.with_relay(Relay {
                status: status.as_u16(),
                content_type: headers.get(CONTENT_TYPE).cloned(),
                body,
            });
        }
        Err(failure)
    }
}
